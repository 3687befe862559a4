"""`fix --recover`: a load that dlt gave up and later ones overtook arrives after all."""

from pathlib import Path

import pytest

from tests.captured import world as captured_world
from tests.older import interpreter
from tests.real import RealWorld
from tests.recovering import CLOCKS, FIRST, contents, cured, load, merge, orders, patient_of
from tests.repairing import patient


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


LOST = [
    {"id": 2, "at": 4, "amount": 21, "items": [{"sku": "c"}, {"sku": "d", "tags": ["z"]}]},
    {"id": 4, "at": 5, "amount": 40, "items": [{"sku": "e"}]},
    {"id": 5, "at": 6, "amount": 50, "items": [{"sku": "f"}]},
]
EARLY = [{**row, "at": row["id"]} for row in FIRST]
LATE = [{"id": 4, "at": 7, "amount": 41, "items": [{"sku": "g"}]}, {"id": 6, "at": 8, "amount": 60, "items": []}]


def aborted(world: RealWorld, python: str, disposition, *, deny: str, table: str = "orders") -> None:
    """A load that dlt gives up, with its cursor moved on; the next one goes on behind it."""
    how = {"disposition": disposition, "key": "id", "python": python}
    load(world, EARLY, **how)
    world.execute(f"REVOKE {deny} ON shop.{table} FROM CURRENT_USER")
    load(world, LOST, fails=f"permission denied for table {table}", **how)
    world.execute(f"GRANT {deny} ON shop.{table} TO CURRENT_USER")
    load(world, LATE, **how)


ABORTED = {
    "delete-insert": (merge("delete-insert"), "DELETE", "orders"),
    "upsert": (merge("upsert"), "UPDATE", "orders"),
    "append": ("append", "INSERT", "orders"),
}


@pytest.mark.parametrize(("disposition", "deny", "table"), ABORTED.values(), ids=ABORTED)
@pytest.mark.fires("DD204")
def test_a_load_that_was_given_up_and_overtaken(
    world: RealWorld, tmp_path: Path, database: str, disposition, deny: str, table: str
) -> None:
    python = interpreter("1.28.1", tmp_path / "dlt-1.28.1")
    aborted(world, python, disposition, deny=deny, table=table)
    twin = RealWorld(tmp_path / "twin", database)
    load(twin, EARLY, LOST, LATE, disposition=disposition, key="id", python=python)
    assert contents(world, without=CLOCKS) != contents(twin, without=CLOCKS)
    cured(patient_of(world), "DD204")
    assert contents(world, without=CLOCKS) == contents(twin, without=CLOCKS)
    assert orders(world) == orders(twin)
    last = {"id": 7, "at": 9, "amount": 70, "items": []}
    for each in (world, twin):
        load(each, [last], disposition=disposition, key="id", python=python)
    assert contents(world, without=CLOCKS) == contents(twin, without=CLOCKS)
    assert patient_of(world).codes("error", "warning") == patient_of(twin).codes("error", "warning")


@pytest.mark.fires("DD204")
def test_what_a_later_load_has_deleted_stays_deleted(world: RealWorld, tmp_path: Path, database: str) -> None:
    python = interpreter("1.28.1", tmp_path / "dlt-1.28.1")
    hints = {"gone": {"data_type": "bool", "hard_delete": True}}
    how = {"disposition": "merge", "key": "id", "columns": hints, "python": python}
    late = [{**LATE[0], "gone": True}, {"id": 2, "at": 8, "amount": 0, "items": [], "gone": True}, LATE[1]]
    load(world, EARLY, **how)
    world.execute("REVOKE DELETE ON shop.orders FROM CURRENT_USER")
    load(world, LOST, fails="permission denied for table orders", **how)
    world.execute("GRANT DELETE ON shop.orders TO CURRENT_USER")
    load(world, late, **how)
    twin = RealWorld(tmp_path / "twin", database)
    load(twin, EARLY, LOST, late, **how)
    cured(patient_of(world), "DD204")
    assert [row[0] for row in orders(world) if row[0] in (2, 4)] == []
    assert orders(world) == orders(twin)


LOST_LOADS = ["1.0.0", "1.5.0", "1.28.1", "1.29.1"]


@pytest.mark.parametrize("version", LOST_LOADS)
@pytest.mark.fires("DD204")
def test_a_lost_load_of_every_version(version: str, tmp_path: Path, database: str) -> None:
    captured = captured_world(version, "lost-load")
    sick = patient(captured, tmp_path, database)
    loads = sick.count("shop._dlt_loads")
    cured(sick, "DD204")
    assert [row[0] for row in sick.fetch("SELECT id FROM shop.orders ORDER BY id")] == list(range(1, 10))
    assert sick.count("shop.orders__items") == 9
    assert sick.count("shop.events") == captured.rows["events"].final, "they had arrived"
    assert sick.count("shop._dlt_loads") == loads + 1
