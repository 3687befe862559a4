"""Staging tables that hold rows of several loads: only what is stranded moves, the older load first."""

from pathlib import Path

import pytest

from dltdoctor.errors import RefusedError
from tests.captured import world
from tests.repairing import Patient, patient

STAGED = "(SELECT max(_dlt_load_id) FROM shop_staging.orders WHERE _dlt_id NOT LIKE 'new%')"
FIRST = "(SELECT min(load_id) FROM shop._dlt_loads)"


@pytest.fixture
def stranded(tmp_path: Path, database: str) -> Patient:
    """Orders 1 to 3 have arrived, 4 to 6 are staged; the working dir is gone."""
    return patient(world("1.31.0", "stranded-merge"), tmp_path, database)


def stage(sick: Patient, load_id: str, *orders: tuple[int, str]) -> None:
    """Add staged rows of a load, each with an item."""
    for number, note in orders:
        row_id = f"new{number}{note}"
        sick.execute(
            f"INSERT INTO shop_staging.orders (id, note, _dlt_load_id, _dlt_id)"
            f" VALUES ({number}, '{note}', {load_id}, '{row_id}')",
            f"INSERT INTO shop_staging.orders__items (sku, _dlt_root_id, _dlt_parent_id, _dlt_list_idx, _dlt_id)"
            f" VALUES ('{note}', '{row_id}', '{row_id}', 0, '{row_id}item')",
        )


def notes(sick: Patient) -> dict[int, str]:
    return dict(sick.fetch("SELECT id, note FROM shop.orders"))


def test_two_stranded_loads(stranded: Patient) -> None:
    """Order 6 is in both: the younger load's row stays."""
    stage(stranded, f"({STAGED}::numeric + 10)::text", (6, "younger"), (7, "younger"))
    before = stranded.rows()
    prepared = stranded.prepare()
    assert len(prepared.plan.cures) == 2
    receipt = stranded.apply(prepared)
    found = notes(stranded)
    assert sorted(found) == [1, 2, 3, 4, 5, 6, 7]
    assert (found[6], found[7]) == ("younger", "younger")
    assert "younger" not in {found[4], found[5]}
    assert stranded.count("shop.orders__items WHERE _dlt_root_id NOT IN (SELECT _dlt_id FROM shop.orders)") == 0
    assert not stranded.prove(prepared, receipt).remaining
    assert stranded.prepare().plan.is_empty
    repaired = stranded.rows()
    undone = stranded.undo(receipt)
    assert stranded.rows() == before
    stranded.undo(undone)
    assert stranded.rows() == repaired


def test_beside_leftovers_of_a_committed_load(stranded: Patient) -> None:
    """What is staged of order 1 is not what the final table holds: it must not come back."""
    stage(stranded, FIRST, (1, "left over"))
    stranded.execute("UPDATE shop.orders SET _dlt_id = 'new1left over' WHERE id = 1")
    stranded.execute("UPDATE shop.orders__items SET _dlt_root_id = 'new1left over' WHERE sku LIKE '%1%'")
    before = notes(stranded)
    stranded.migrate()
    found = notes(stranded)
    assert {k: v for k, v in found.items() if k <= 3} == before
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    assert stranded.count("shop_staging.orders WHERE note = 'left over'") == 1


def test_two_loads_of_a_table_that_is_absent(stranded: Patient) -> None:
    """The first creates it, the second adds to it; undo takes it away, and redo brings it back."""
    stage(stranded, f"({STAGED}::numeric + 10)::text", (6, "younger"), (7, "younger"))
    stranded.execute("DROP TABLE shop.orders", "DROP TABLE shop.orders__items")
    before = stranded.rows()
    receipt = stranded.migrate()
    assert sorted(notes(stranded)) == [4, 5, 6, 7]
    assert notes(stranded)[6] == "younger"
    repaired = stranded.rows()
    undone = stranded.undo(receipt)
    assert stranded.rows() == before
    stranded.undo(undone)
    assert stranded.rows() == repaired


def test_newer_rows_of_the_same_keys_make_it_unsafe(stranded: Patient) -> None:
    stranded.execute(
        "INSERT INTO shop._dlt_loads (load_id, schema_name, status, inserted_at) VALUES ('9999999999.1', 'sales', 0, now())",
        "INSERT INTO shop.orders (id, note, _dlt_load_id, _dlt_id) VALUES (5, 'newer', '9999999999.1', 'newer')",
    )
    prepared = stranded.prepare()
    assert any("were loaded again since" in cure.cost for cure in prepared.plan.cures)
    assert stranded.prepare(unsafe=False).plan.is_empty


def test_a_safe_part_of_a_load_does_not_record_the_unsafe_one(tmp_path: Path, database: str) -> None:
    """Without --unsafe a load whose other table is held back is neither recorded nor settled."""
    sick = patient(world("1.31.0", "resumable-merge"), tmp_path, database)
    sick.execute(
        "INSERT INTO shop_staging.orders SELECT 99, updated, note, _dlt_load_id, 'extra' FROM shop_staging.orders LIMIT 1"
    )
    prepared = sick.prepare(unsafe=False)
    assert prepared.plan.is_empty
    assert any("the package's files hold" in held.reason for held in prepared.plan.held_back)
    with pytest.raises(AssertionError):
        sick.migrate(unsafe=False)
    assert RefusedError.exit_code == 4
