"""What dlt itself cannot do is done for it: root keys of rows that were appended, merges into names that need quotes."""

from pathlib import Path

import pytest

from dltdoctor.errors import RefusedError
from tests.real import SHOP, RealWorld, verdicts
from tests.structure import cured_and_undone, patient_of, plan, structure
from tests.test_diagnose_real_drift import DIRECT

DEEP = SHOP.replace('"items": [{"sku": f"s{i}"}]', '"items": [{"sku": f"s{i}", "parts": [{"p": 1, "bits": [1, 2]}]}]')


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


# ------------------------------------------------------------------------------------------ root keys


@pytest.mark.fires("DD405")
@pytest.mark.parametrize("strategy", ["delete-insert", "upsert"])
def test_root_keys_are_added_and_filled(world: RealWorld, strategy: str) -> None:
    world.run(DEEP.replace('"merge"', '"append"'), "1")
    merged = DEEP.replace('"merge"', f'{{"disposition": "merge", "strategy": "{strategy}"}}')
    world.run(merged, "2", fails='column "_dlt_root_id" of relation')
    world.age()
    cured_and_undone(world, "DD405")
    patient = patient_of(world)
    wrong = """SELECT count(*) FROM shop.orders__items__parts__bits b
        JOIN shop.orders__items__parts p ON p._dlt_id = b._dlt_parent_id
        JOIN shop.orders__items i ON i._dlt_id = p._dlt_parent_id
        WHERE b._dlt_root_id <> i._dlt_parent_id OR p._dlt_root_id <> i._dlt_parent_id"""
    assert patient.fetch(wrong) == [(0,)]
    prepared = plan(patient)
    assert [type(s).__name__ for s in prepared.plan.steps] == ["FinishLoad"]
    patient.apply(prepared)
    assert world.found() == []
    assert [world.rows(f"shop.orders{t}") for t in ("", "__items", "__items__parts", "__items__parts__bits")] == [
        6,
        6,
        6,
        12,
    ]
    again = merged.replace(', new=dlt.sources.incremental("id")', "")
    # upsert gives the rows of known keys other _dlt_ids than append did, so that what hangs on them is orphaned
    world.run(again, *(("1", "2", "3") if strategy == "delete-insert" else ("2", "3")))
    assert world.found() == []
    assert [world.rows(f"shop.orders{t}") for t in ("", "__items", "__items__parts__bits")] == [9, 9, 18]


@pytest.mark.fires("DD405")
def test_all_of_it_in_one_plan(world: RealWorld) -> None:
    world.run(DEEP.replace('"merge"', '"append"'), "1")
    world.run(DEEP, "2", fails='column "_dlt_root_id" of relation')
    world.age()
    patient = patient_of(world)
    assert "root key" in plan(patient, resume=True).plan.held_back[0].reason
    patient.apply(plan(patient))
    assert world.found() == []
    assert world.rows("shop.orders__items__parts__bits") == 12


@pytest.mark.fires("DD405")
def test_a_load_since_is_in_undos_way(world: RealWorld) -> None:
    world.run(DEEP.replace('"merge"', '"append"'), "1")
    world.run(DEEP, "2", fails='column "_dlt_root_id" of relation')
    world.age()
    patient = patient_of(world)
    receipt = patient.apply(plan(patient, "DD405"))
    patient.apply(plan(patient, resume=True))
    with pytest.raises(RefusedError, match="record of loads"):
        patient.undo(receipt)


@pytest.mark.fires("DD405")
def test_rows_that_hang_on_nothing(world: RealWorld) -> None:
    world.run(DEEP.replace('"merge"', '"append"'), "1")
    world.execute("DELETE FROM shop.orders__items WHERE sku = 's1'")
    world.run(DEEP, "2", fails='column "_dlt_root_id" of relation')
    world.age()
    held = plan(patient_of(world), "DD405").plan.held_back
    assert [h.reason for h in held if "have no rows above them" in h.reason]


# ------------------------------------------------------------------------------------ unquotable names


@pytest.mark.fires("DD407")
@pytest.mark.parametrize("name", ["my-table", "2024"])
def test_staged_rows_of_a_name_that_needs_quotes(world: RealWorld, name: str) -> None:
    world.write(config='[schema]\nnaming = "direct"\n')
    world.run(DIRECT, name, "delete-insert", "1", fails="syntax error" if name == "my-table" else "junk")
    world.age()
    patient = patient_of(world)
    before = structure(world), patient.files()
    resume = plan(patient, resume=True)
    assert resume.plan.is_empty
    assert (resume.plan.held_back[0].command or "").startswith("dltdoctor fix shop --migrate")
    prepared = plan(patient, migrate=True)
    assert [c.code for c in prepared.plan.cures] == ["DD202"]
    receipt = patient.apply(prepared)
    assert verdicts(world.examine()) == [("DD407", "error")]
    assert world.rows(f'shop."{name}"') == 3
    assert world.rows(f'shop."{name}▶items"') == 3
    patient.undo(receipt)
    assert (structure(world), patient.files()) == before
    patient.apply(plan(patient, migrate=True))
    world.run(DIRECT, name, "upsert", "2")
    assert world.found() == []
    assert world.rows(f'shop."{name}"') == 6
