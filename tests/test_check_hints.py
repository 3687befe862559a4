"""The offline gate on what the source says about rows: at the right lines, with edits, and each thing once."""

from pathlib import Path

import pytest

from dltdoctor import gate
from dltdoctor.finding import Severity
from tests.gated import judged

LOAD = """\
import dlt

@dlt.resource(write_disposition="merge")
def orders():
    yield {"id": 1}

@dlt.resource(
    write_disposition={"disposition": "merge", "strategy": "scd2"},
)
def customers(
    since=dlt.sources.incremental("updated_at"),
):
    yield {"id": 1}

pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
pipeline.run(
    [orders(), customers()],
    refresh="drop_sources",
)
print(pipeline.dataset().orders.df())
"""
FILES = {
    "load.py": LOAD,
    "requirements.txt": "dlt==1.27.1\nsqlglot==30.30.0\n",
    ".dlt/config.toml": "[load]\nworkers = 2\n[pipelines.shop]\nrestore_from_destination = false\n",
}
PLACES = [
    ("DD305", "load.py", 3),
    ("DD307", "load.py", 7),
    ("DD505", "load.py", 18),
    ("DD506", ".dlt/config.toml", 4),
    ("DD507", "load.py", 20),
    ("DD507", "requirements.txt", 1),
]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "work" / "project"
    for name, text in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text, encoding="utf-8")
    return made


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite's own environment is not the project's."""
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)


def test_each_is_found_once_at_its_line(project: Path):
    verdict = judged(project)
    places = {(j.finding.code, at.path, at.line) for j in verdict.judged for at in j.locations}
    assert set(PLACES) <= places
    assert sorted(j.finding.code for j in verdict.judged) == [*(code for code, _, _ in PLACES)]
    assert verdict.exit_code == 1


def test_the_source_may_excuse_itself(project: Path):
    known = LOAD.replace('"merge")\n', '"merge")  # dltdoctor: ignore[DD305] the source never repeats a row\n')
    (project / "load.py").write_text(known)
    status = {j.finding.code: j.status for j in judged(project).judged}
    assert status["DD305"] == "ignored"
    assert status["DD307"] == "new"


def test_fingerprints_survive_other_lines(project: Path):
    before = {j.finding.fingerprint for j in judged(project).judged}
    (project / "load.py").write_text("# new\n\n" + LOAD)
    assert {j.finding.fingerprint for j in judged(project).judged} == before


def test_edits_are_offered_where_a_rewrite_exists(project: Path):
    verdict = judged(project, gate.Wish(with_edits=True))
    edits = {j.finding.code: [(e.path, e.start, e.end, e.text) for e in j.edits] for j in verdict.judged if j.edits}
    assert edits == {"DD505": [("load.py", 18, 19, "")], "DD506": [(".dlt/config.toml", 4, 5, "")]}


def test_a_project_in_health_passes(project: Path):
    healthy = LOAD.replace('"merge")', '"merge", primary_key="id")').replace('    refresh="drop_sources",\n', "")
    healthy = healthy.replace("\n)\ndef cust", '\n    merge_key="id",\n)\ndef cust')
    (project / "load.py").write_text(healthy)
    (project / ".dlt" / "config.toml").unlink()
    (project / "requirements.txt").write_text("dlt==1.31.0\nsqlglot==30.21.0\n")
    assert judged(project, gate.Wish(fail_on=Severity.INFO)).judged == ()
