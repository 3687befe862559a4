"""`fix --unsafe` takes out rows that are too many; plain `fix` settles a committed job. Nothing else is touched."""

from pathlib import Path

import pytest

from dltdoctor import repair, treatment
from dltdoctor.errors import RefusedError
from dltdoctor.treatment import Prepared, Wish
from tests.real import RealWorld
from tests.repairing import Patient, silent
from tests.test_diagnose_real_rows import DEEP, LARGE
from tests.test_diagnose_real_unrecorded import EVENTS, KEYLESS, NESTED, ORDERS, STATEFUL

# `load.py VALUE DISPOSITION FIRST`: three orders, each with an item that has two parts.
KEYED = """
import sys, dlt
pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
value, disposition, first = sys.argv[1:]
rows = [
    {"id": i, "v": int(value), "items": [{"v": int(value), "parts": [{"p": 1}, {"p": 2}]}]}
    for i in range(int(first), int(first) + 3)
]
pipeline.run(rows, table_name="orders", write_disposition=disposition, primary_key="id")
"""


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


def patient(world: RealWorld) -> Patient:
    return Patient(root=world.root, project=world.project, pipelines_dir=world.pipelines_dir, dsn=world.dsn)


def prepared(sick: Patient, *, unsafe: bool = True) -> Prepared:
    return treatment.prepare(sick.request(), Wish(unsafe=unsafe), progress=silent)


def _repaired(sick: Patient, code: str) -> None:
    """Apply what is planned, prove it, plan again, and take it back and forth."""
    before = sick.rows()
    held = prepared(sick, unsafe=False).plan
    assert [(h.code, h.reason.partition(":")[0]) for h in held.held_back] == [(code, "unsafe")] * len(held.held_back)
    assert held.held_back
    assert held.is_empty
    assert held.held_back[0].command
    assert "--unsafe" in held.held_back[0].command
    plan = prepared(sick)
    assert {(c.code, c.safety) for c in plan.plan.cures} == {(code, "unsafe")}
    sick.preview(plan)
    assert sick.rows() == before
    receipt = sick.apply(plan)
    proof = sick.prove(plan, receipt)
    assert {f.code for f in proof.gone} == {code}
    assert not proof.remaining
    assert not proof.new
    assert prepared(sick).plan.is_empty
    after = sick.rows()
    undone = sick.undo(receipt)
    assert sick.rows() == before
    sick.undo(undone)
    assert sick.rows() == after


@pytest.mark.fires("DD306")
def test_the_newest_row_of_each_key_stays(world: RealWorld) -> None:
    world.run(KEYED, "1", "append", "0")
    world.run(KEYED, "2", "append", "0")
    # Nested tables that were appended to have no root key, which a merge wants (FM-37).
    world.execute(
        *(
            f"ALTER TABLE shop.{name} ADD COLUMN _dlt_root_id varchar NOT NULL DEFAULT 'none'"
            for name in ("orders__items", "orders__items__parts")
        )
    )
    world.execute(
        "UPDATE shop.orders__items SET _dlt_root_id = _dlt_parent_id",
        "UPDATE shop.orders__items__parts p SET _dlt_root_id = i._dlt_root_id FROM shop.orders__items i"
        " WHERE i._dlt_id = p._dlt_parent_id",
    )
    world.run(KEYED, "3", "merge", "10")
    world.age()
    sick = patient(world)
    assert sick.codes("error") == {"DD306"}
    _repaired(sick, "DD306")
    assert sick.fetch("SELECT id, v FROM shop.orders ORDER BY 1") == [
        *((i, 2) for i in range(3)),
        *((i, 3) for i in range(10, 13)),
    ]
    assert sick.count("shop.orders__items") == 6
    assert sick.count("shop.orders__items__parts") == 12
    assert sick.fetch("SELECT DISTINCT v FROM shop.orders__items ORDER BY 1") == [(2,), (3,)]
    world.run(KEYED, "4", "merge", "1")
    assert sick.fetch("SELECT id, v FROM shop.orders WHERE id < 10 ORDER BY 1") == [(0, 2), (1, 4), (2, 4), (3, 4)]
    assert sick.codes() - {"DD305"} == set()


@pytest.mark.fires("DD306")
def test_what_has_changed_since_the_plan_is_refused(world: RealWorld) -> None:
    world.run(KEYED.replace(', "items": [{"v": int(value), "parts": [{"p": 1}, {"p": 2}]}]', ""), "1", "append", "0")
    world.run(KEYED.replace(', "items": [{"v": int(value), "parts": [{"p": 1}, {"p": 2}]}]', ""), "2", "append", "0")
    world.run(KEYED.replace(', "items": [{"v": int(value), "parts": [{"p": 1}, {"p": 2}]}]', ""), "3", "merge", "9")
    world.age()
    sick = patient(world)
    plan = prepared(sick)
    sick.execute("DELETE FROM shop.orders WHERE id = 2 AND v = 2")
    before = sick.rows()
    with pytest.raises(RefusedError):
        sick.apply(plan)
    assert sick.rows() == before


@pytest.mark.fires("DD309")
@pytest.mark.parametrize("disposition", ["merge", "append"])
def test_nested_rows_go_with_all_that_is_nested_in_them(world: RealWorld, disposition: str) -> None:
    script = DEEP.replace("DISPOSITION", disposition)
    world.run(script, "1", "2")
    world.execute("DELETE FROM shop.orders WHERE id IN (4, 5)", "DELETE FROM shop.orders__items WHERE sku = 7")
    world.age()
    sick = patient(world)
    _repaired(sick, "DD309")
    assert sick.fetch("SELECT sku FROM shop.orders__items ORDER BY 1") == [(3,), (6,), (8,)]
    assert sick.count("shop.orders__items__parts") == 6
    world.run(script, "3")
    assert sick.count("shop.orders") == 7
    assert sick.codes() - {"DD305"} == set()


@pytest.mark.fires("DD309")
def test_nested_rows_of_which_only_some_were_seen(world: RealWorld) -> None:
    """A large table is looked at in part, and the plan counts what it deletes."""
    world.run(LARGE)
    world.execute("DELETE FROM shop.orders WHERE price IS NOT NULL AND id % 2 = 0")
    world.execute("DELETE FROM shop.orders WHERE price IS NULL AND id % 2 = 0")
    world.age()
    sick = patient(world)
    plan = prepared(sick)
    sick.apply(plan)
    assert sick.count("shop.orders__items") == sick.count("shop.orders") == 20_000
    assert "DD309" not in sick.codes()


@pytest.mark.fires("DD208")
@pytest.mark.parametrize(
    ("script", "table", "file"),
    [
        (EVENTS, "events", "events."),
        (NESTED, "events", "events__parts."),
        (KEYLESS, "events", ".sql"),
        (STATEFUL, "events", "_dlt_pipeline_state."),
        (ORDERS, "orders", "orders."),
    ],
)
def test_a_committed_job_is_settled(world: RealWorld, script: str, table: str, file: str) -> None:
    world.run(script, "1,2", file, fails="")
    world.run(script, "3", fails="_dlt_id_key")
    world.age()
    sick = patient(world)
    plan = prepared(sick, unsafe=False)
    (cure,) = plan.plan.cures
    assert (cure.code, cure.safety) == ("DD208", "safe")
    receipt = repair.apply(plan.plan, sick.workshop(plan), title="settle")
    proof = sick.prove(plan, receipt)
    assert "DD208" in [f.code for f in proof.gone]
    assert (proof.remaining, proof.new) == ((), ())
    assert prepared(sick).plan.is_empty
    assert sick.count(f"shop.{table}") == 6
    world.run(script, "4")
    assert sick.count(f"shop.{table}") == 9
    assert sick.codes() - {"DD305"} == set()
