"""`fix --recover`: values that another pipeline's merges have NULLed come back, and nested rows get their root row."""

from pathlib import Path

import msgspec
import psycopg
import pytest

from dltdoctor.demo.world import build_world
from tests.captured import world as captured_world
from tests.command_line import dltdoctor, shell
from tests.real import RealWorld
from tests.recovering import (
    CLOCKS,
    FIRST,
    SCORES,
    SECOND,
    clobbered,
    contents,
    cured,
    load,
    orders,
    patient_of,
    prepare,
)
from tests.repairing import Patient, patient


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


@pytest.fixture
def nulled(tmp_path: Path, database: str) -> Patient:
    return patient(captured_world("1.31.0", "null-scores"), tmp_path, database)


@pytest.mark.fires("DD301")
def test_values_that_another_pipeline_has_nulled_come_back(world: RealWorld, postgres: str) -> None:
    clobbered(world)
    sick = patient_of(world)
    assert sick.fetch("SELECT count(score), count(badge) FROM shop.orders") == [(3, 3)]
    prepared = prepare(sick)
    (cure,) = prepared.plan.cures
    assert cure.safety == "safe"
    assert "3 values of badge and 2 values of score" not in cure.steps[0].title
    assert "2 values of badge and 2 values of score" in cure.steps[0].title
    receipt = sick.apply(prepared)
    rows = sick.fetch("SELECT id, score, badge, concept FROM shop.orders ORDER BY id")
    assert rows == [
        (1, 1.5, "it's 1", None),
        (2, 2.5, None, "c2"),
        (3, None, "newer", "c3"),
        (4, 4.5, "it's 4", "c4"),
        (5, 5.5, "it's 5", None),
        (6, 6.5, "it's 6", None),
        (9, None, None, "c9"),
    ]
    second = prepare(sick, unsafe=True)
    assert second.plan.is_empty
    sick.undo(receipt)
    assert sick.fetch("SELECT count(score), count(badge) FROM shop.orders") == [(3, 3)]


@pytest.mark.fires("DD301")
def test_values_come_back_as_if_both_had_merged_by_upsert(world: RealWorld, tmp_path: Path, database: str) -> None:
    clobbered(world)
    twin = RealWorld(tmp_path / "twin", database)
    clobbered(twin, "upsert")
    assert contents(world, without=CLOCKS) != contents(twin, without=CLOCKS)
    sick = patient_of(world)
    sick.apply(prepare(sick))
    assert contents(world, without=CLOCKS) == contents(twin, without=CLOCKS)


@pytest.mark.fires("DD301")
def test_what_was_never_loaded_is_not_said_to_be_lost(world: RealWorld) -> None:
    """Only rows that were written after the other pipeline's first load can have lost a value."""
    how = {"disposition": "merge", "key": "id"}
    load(world, SCORES, pipeline="scores", **how)
    load(world, [{"id": 9, "concept": "c9"}], pipeline="concepts", **how)
    (found,) = [f for f in prepare(patient_of(world)).findings if f.code == "DD301"]
    assert "1 row last written by concepts" in found.message
    assert not [e for e in found.evidence if e.fact.startswith("6 rows")]
    assert prepare(patient_of(world)).plan.is_empty


@pytest.mark.fires("DD301")
def test_nested_rows_hang_on_the_row_of_now(world: RealWorld) -> None:
    how = {"disposition": "merge", "key": "id"}
    load(world, FIRST, SECOND, **how)
    whole = orders(world)
    load(world, [{"id": 1, "concept": "c1"}, {"id": 2, "concept": "c2"}], pipeline="concepts", **how)
    assert orders(world) != whole
    sick = patient_of(world)
    prepared = prepare(sick)
    assert "4 rows of orders__items" in prepared.plan.steps[0].title
    receipt = sick.apply(prepared)
    assert orders(world) == whole
    roots = "SELECT count(*) FROM shop.{} AS c JOIN shop.orders AS o ON o._dlt_id = c._dlt_root_id"
    assert sick.fetch(roots.format("orders__items")) == [(5,)]
    assert sick.fetch(roots.format("orders__items__tags")) == [(3,)]
    sick.undo(receipt)
    assert orders(world) != whole


@pytest.mark.parametrize("version", ["1.5.0", "1.31.0"])
@pytest.mark.fires("DD301")
def test_the_story(version: str, tmp_path: Path, database: str) -> None:
    captured = captured_world(version, "null-scores")
    sick = patient(captured, tmp_path, database)
    (table,) = captured.rows
    scores = f'SELECT submission_id, trust_score FROM "{captured.dataset}"."{table}" ORDER BY 1'
    assert None in dict(sick.fetch(scores)).values()
    (remedy,) = [f.remedy for f in prepare(sick).findings if f.code == "DD301"]
    *_, loser, flag = remedy.command.split()
    assert flag == "--recover"
    assert [c.code for c in prepare(sick, names=(loser,)).plan.cures] == ["DD301"], "as the remedy's command has it"
    cured(sick, "DD301")
    assert {63.6, 88.8} <= set(dict(sick.fetch(scores)).values())


def test_a_plan_holds_no_value(nulled: Patient) -> None:
    prepared = prepare(nulled)
    assert prepared.samples
    shown = msgspec.json.encode(prepared.plan).decode()
    for value in ("63.6", "88.8"):
        assert value not in shown


def test_the_command_line_shows_counts_and_masks_values(nulled: Patient) -> None:
    places = ["--project", nulled.project, "--pipelines-dir", nulled.pipelines_dir, "--dsn", nulled.dsn]
    dry = dltdoctor("fix", "--recover", "--dry-run", *places, env={"COLUMNS": "200"})
    assert dry.returncode == 0, dry.stderr
    assert "trust_score NULL → ***" in dry.stdout
    assert "63.6" not in dry.stdout
    shown = dltdoctor("fix", "--recover", "--dry-run", "--show-values", "--format", "json", *places)
    assert "63.6" in shown.stdout
    done = dltdoctor("fix", "--recover", "--yes", "--show-values", *places, env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stdout
    assert "trust_score NULL → 63.6" in done.stdout
    assert "DD301 clobbered-columns is gone" in done.stdout
    undone = dltdoctor("undo", "--yes", *places)
    assert undone.returncode == 0, undone.stderr


def test_the_demo_is_cured_with_the_command_that_it_prints(temporary: Path) -> None:
    with build_world("null-scores") as demo, psycopg.connect(demo.dsn, autocommit=True) as connection:
        scores = b"SELECT submission_id, trust_score FROM public.app_opportunities_trust"
        before = dict(connection.execute(scores).fetchall())
        assert (before["1a7k2p"], before["1b3m9x"]) == (None, None)
        places = f" --project {demo.project} --pipelines-dir {demo.pipelines_dir}"
        looked = dltdoctor("diagnose", *places.split(), env={"COLUMNS": "200"})
        (printed,) = {line.strip() for line in looked.stdout.splitlines() if "--recover" in line and "fix" in line}
        done = shell(f"{printed} --yes --show-values", env={"COLUMNS": "200"})
        assert done.returncode == 0, done.stdout + done.stderr
        assert "submission_id 1a7k2p: trust_badge NULL → silver, trust_score NULL → 63.6" in done.stdout
        assert "DD301 clobbered-columns is gone" in done.stdout
        after = dict(connection.execute(scores).fetchall())
        assert (after["1a7k2p"], after["1b3m9x"]) == (63.6, 88.8)
        assert None not in after.values()
