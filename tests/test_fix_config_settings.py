"""`fix --config` takes out what was meant for one run, and stages replaced tables only where this is safe."""

from pathlib import Path

import pytest

from dltdoctor import treatment
from dltdoctor.finding import Severity
from dltdoctor.treatment import Wish
from tests.examining import request
from tests.fixing import apply, codes, examined, planned
from tests.test_fix_config import contents, script, write

REFRESH, RESTORE = "refresh", "restore_from_destination"
MINE = {"DD504", "DD505", "DD506"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "work" / "project"
    (made / ".dlt").mkdir(parents=True)
    return made


PLAIN = script('"postgres"')
SWITCHES = {
    "refresh in a section": ("DD505", f'[pipelines.shop]\n{REFRESH} = "drop_sources"\n', "[pipelines.shop]\n"),
    "refresh at the top": ("DD505", f'{REFRESH} = "drop_data"  # once\nother = 1\n', "other = 1\n"),
    "restore": ("DD506", f"[pipelines]\n{RESTORE} = false\n", "[pipelines]\n"),
    "restore, twice": ("DD506", f"{RESTORE} = false\n[shop]\n{RESTORE} = false\n", "[shop]\n"),
}


def test_a_setting_is_removed(project: Path) -> None:
    for code, before, after in SWITCHES.values():
        write(project, load=PLAIN, config=before)
        cures, held = planned(project)
        assert [c.code for c in cures] == [code]
        assert not held
        assert contents(cures) == {"config.toml": after}
        apply(cures)
        assert not codes(project) & MINE
        assert planned(project) == ([], [])


def test_a_variable_is_held_back_with_its_line(project: Path) -> None:
    write(project, load=PLAIN)
    for name, value, code in ((REFRESH, "drop_resources", "DD505"), (RESTORE, "false", "DD506")):
        environ = {f"PIPELINES__{name.upper()}": value}
        cures, held = planned(project, environ=environ)
        assert not cures
        assert [(h.code, h.command) for h in held] == [(code, f"unset PIPELINES__{name.upper()}")]
        (finding,) = [f for f in examined(project, environ=environ)[2] if f.code in MINE]
        assert finding.remedy.command == held[0].command


RUNS = {
    "of the pipeline": (PLAIN.replace('"shop_data"', '"shop_data", refresh="drop_sources"'), PLAIN),
    "of a run": (
        f'{PLAIN}pipeline.run([{{"a": 1}}], table_name="t", refresh="drop_data")\n',
        f'{PLAIN}pipeline.run([{{"a": 1}}], table_name="t")\n',
    ),
    "of two runs in one line each": (
        f'{PLAIN}pipeline.run(a(), refresh="drop_data")\npipeline.run(b(), refresh="drop_data")\n',
        f"{PLAIN}pipeline.run(a())\npipeline.run(b())\n",
    ),
    "in a dict": (
        f'{PLAIN}OPTIONS = {{"refresh": "drop_sources", "table_name": "t"}}\npipeline.run([1], **OPTIONS)\n',
        f'{PLAIN}OPTIONS = {{"table_name": "t"}}\npipeline.run([1], **OPTIONS)\n',
    ),
    "of an extract in main": (
        f'{PLAIN}def main():\n    pipeline.extract(a(), refresh="drop_resources")\n\nif __name__ == "__main__":\n    main()\n',
        f'{PLAIN}def main():\n    pipeline.extract(a())\n\nif __name__ == "__main__":\n    main()\n',
    ),
    "of a function that another file calls": (
        f'{PLAIN}def load():\n    pipeline.run(a(), refresh="drop_sources")\n',
        f"{PLAIN}def load():\n    pipeline.run(a())\n",
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_an_argument_is_removed(project: Path, name: str) -> None:
    before, after = RUNS[name]
    write(project, load=before)
    (finding,) = [f for f in examined(project)[2] if f.code in MINE]
    assert (finding.code, finding.severity, finding.pipeline) == ("DD505", Severity.ERROR, "shop")
    cures, held = planned(project)
    assert not held
    assert contents(cures) == {"load.py": after}
    apply(cures)
    assert not codes(project) & MINE
    assert planned(project) == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        'if input() == "yes":\n    pipeline.run(a(), refresh="drop_sources")\n',
        'pipeline.run(a(), refresh="drop_sources" if again else None)\n',
        'def load():\n    pipeline.run(a())\n\ndef reload():\n    pipeline.run(a(), refresh="drop_sources")\n',
        'def load(again):\n    if not again:\n        return pipeline.run(a())\n    pipeline.run(a(), refresh="drop_data")\n',
        "pipeline.run(a(), refresh=None)\n",
        'for again in flags:\n    again and pipeline.run(a(), refresh="drop_data")\n',
        'import sys\nif "--fresh" not in sys.argv:\n    sys.exit(pipeline.run(a()))\npipeline.run(a(), refresh="drop_data")\n',
        'try:\n    pipeline.run(a())\nexcept ValueError:\n    pipeline.run(a(), refresh="drop_data")\n',
    ],
)
def test_a_refresh_on_demand_is_no_sickness(project: Path, text: str) -> None:
    write(project, load=f"{PLAIN}{text}")
    assert not codes(project) & MINE


def test_a_plain_fix_leaves_matters_of_taste_alone(project: Path, monkeypatch) -> None:
    seen: list[set[Severity]] = []

    def noted(findings, *_, **__):
        seen.append({f.severity for f in findings})
        return [], []

    monkeypatch.setattr(treatment.config, "plan", noted)
    dated = PLAIN.replace('"shop_data"', '"shop_data", dev_mode=True')
    write(project, load=dated, config=f"[pipelines]\n{RESTORE} = false\n")
    asked = request(project, project / "no-pipelines", offline=True)
    treatment.prepare(asked, Wish(), progress=lambda _: None)
    treatment.prepare(asked, Wish(config=True), progress=lambda _: None)
    assert all(Severity.INFO not in found for found in seen)
    assert len(seen) == 2
