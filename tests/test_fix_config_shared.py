"""Rewrites for pipelines that share a dataset or a table: their own layout, and the strategy upsert."""

import os
from pathlib import Path

import msgspec
import pytest

from dltdoctor import sketch
from dltdoctor.checks import BY_CODE
from dltdoctor.cures import config
from dltdoctor.examine import examine
from dltdoctor.ledger import draw_up
from dltdoctor.plan import Cure, HeldBack
from dltdoctor.snapshot import NullCount, Pipeline, Snapshot
from dltdoctor.world.source import read_source
from tests.examining import request
from tests.fixing import apply

LAYOUT = "staging_dataset_name_layout"
UPSERT = 'write_disposition={"disposition": "merge", "strategy": "upsert"}'
RESOURCE = """\
@dlt.resource(name="orders", primary_key="id", {disposition})
def {name}_orders():
    yield []
"""
RUN = 'dlt.pipeline("{name}", destination="postgres", dataset_name="shop").run({name}_orders{extra})\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "work" / "project"
    made.mkdir(parents=True)
    return made


def plan(project: Path, world: Snapshot, code: str, **changes) -> tuple[list[Cure], list[HeldBack]]:
    """A sketched world whose source and configuration are on disk."""
    snapshot = msgspec.structs.replace(world, source=read_source(project)[0])
    findings, _ = examine((BY_CODE[code],), snapshot, draw_up(snapshot))
    assert findings
    return config.plan(findings, snapshot, request(project), **changes)


def contents(cures: list[Cure]) -> dict[str, str]:
    return {os.path.basename(s.path): s.content.decode() for cure in cures for s in cure.steps}


# --------------------------------------------------------------- DD104: a neighbour called …_staging


def neighbours() -> Snapshot:
    return sketch.world(sketch.pipeline("prod"), sketch.pipeline("preview", dataset="shop_staging"))


def test_a_layout_of_its_own_is_added_to_the_project(project: Path) -> None:
    (cure,), held = plan(project, neighbours(), "DD104")
    assert not held
    assert contents([cure]) == {"config.toml": f'[prod.destination.postgres]\n{LAYOUT} = "%s__dlt_staging"\n'}
    assert cure.steps[0].before is None
    apply([cure])
    assert plan(project, neighbours(), "DD104")[0] == []


def test_a_layout_of_its_own_beats_the_one_for_all(project: Path) -> None:
    (project / ".dlt").mkdir()
    config = f'[destination.postgres]\n{LAYOUT} = "%s_staging" # all\n[prod.destination.postgres] # mine\n'
    (project / ".dlt" / "config.toml").write_text(config)
    cures, held = plan(project, neighbours(), "DD104")
    assert not held
    assert contents(cures) == {"config.toml": f'{config}{LAYOUT} = "%s__dlt_staging"\n'}


def test_a_layout_in_source_is_replaced_where_it_is_passed(project: Path) -> None:
    script = f"""\
import dlt
STAGE = "%s_staging"
to = dlt.destinations.postgres({LAYOUT}=STAGE)
dlt.pipeline("prod", destination=to, dataset_name="shop")
"""
    (project / "load.py").write_text(script)
    cures, held = plan(project, neighbours(), "DD104")
    assert not held
    assert contents(cures) == {"load.py": script.replace("=STAGE", '="%s__dlt_staging"')}


def test_staged_rows_are_moved_before_the_layout_changes(project: Path) -> None:
    world = neighbours()
    snapshot = msgspec.structs.replace(world, source=read_source(project)[0])
    (finding,), _ = examine((BY_CODE["DD104"],), snapshot, draw_up(snapshot))
    stranded = msgspec.structs.replace(finding, code="DD201", fingerprint="other")
    cures, (held,) = config.plan([finding, stranded], snapshot, request(project))
    assert not cures
    assert held.command == "dltdoctor fix prod"
    cures, held = config.plan([finding, stranded], snapshot, request(project), settling={"prod"})
    assert len(cures) == 1
    assert not held


# ------------------------------------------------------------------ DD301: columns that NULL each other


def clobbering(*more: Pipeline) -> Snapshot:
    scores = sketch.pipeline("scores", tables=[sketch.table("orders", "trust_score")])
    concepts = sketch.pipeline("concepts", tables=[sketch.table("orders", "app_concept")])
    lost = NullCount(dataset="shop", table="orders", schema_name="concepts", columns=("trust_score",), rows=1)
    return sketch.world(scores, concepts, *more, on=sketch.database(nulls=(lost,)))


def write_loaders(project: Path, disposition: str, extra: str = "") -> dict[str, str]:
    scripts = {}
    for name in ("scores", "concepts"):
        text = "import dlt\n" + RESOURCE.format(name=name, disposition=disposition) + RUN.format(name=name, extra=extra)
        scripts[f"{name}.py"] = text
        (project / f"{name}.py").write_text(text)
    return scripts


def test_both_resources_are_given_upsert_only_when_asked(project: Path) -> None:
    plain = 'write_disposition="merge"'
    scripts = write_loaders(project, plain)
    cures, (held,) = plan(project, clobbering(), "DD301")
    assert not cures
    assert held.command == "dltdoctor fix concepts --config --unsafe"
    cures, held = plan(project, clobbering(), "DD301", unsafe=True)
    assert not held
    assert [c.safety for c in cures] == ["unsafe"]
    assert "Postgres 15" in cures[0].cost
    assert contents(cures) == {name: text.replace(plain, UPSERT) for name, text in scripts.items()}
    apply(cures)
    cures, (held,) = plan(project, clobbering(), "DD301", unsafe=True)
    assert not cures
    assert "next run" in held.reason


def test_the_disposition_of_the_run_counts_before_that_of_the_resource(project: Path) -> None:
    scripts = write_loaders(project, 'write_disposition="append"', ', table_name="orders", write_disposition="merge"')
    cures, held = plan(project, clobbering(), "DD301", unsafe=True)
    assert not held
    assert contents(cures) == {n: t.replace('write_disposition="merge"', UPSERT) for n, t in scripts.items()}


@pytest.mark.parametrize(
    ("disposition", "extra"),
    [
        ("write_disposition=HOW", ""),
        ('columns={"id": {}}', ""),
        ('write_disposition="merge"', ', table_name="orders", write_disposition=how()'),
    ],
)
def test_what_cannot_be_told_is_held_back_with_the_exact_text(project: Path, disposition: str, extra: str) -> None:
    write_loaders(project, disposition, extra)
    cures, (held,) = plan(project, clobbering(), "DD301", unsafe=True)
    assert not cures
    assert UPSERT in held.reason
    assert "shop.orders" in held.reason


def test_two_resources_of_one_name_are_ambiguous(project: Path) -> None:
    write_loaders(project, 'write_disposition="merge"')
    again = RESOURCE.format(name="other", disposition='write_disposition="merge"')
    with (project / "scores.py").open("a") as file:
        file.write(again)
    cures, (held,) = plan(project, clobbering(), "DD301", unsafe=True)
    assert not cures
    assert held.reason.startswith("2 places may decide how scores merges it")
