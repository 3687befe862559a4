"""`fix --recover`: what was emptied comes back from dlt's own packages as if nothing had happened."""

from pathlib import Path

import pytest

from tests.captured import world as captured_world
from tests.captured import worlds
from tests.older import interpreter
from tests.real import RealWorld
from tests.recovering import FIRST, SECOND, THIRD, clobbered, contents, cured, load, merge, patient_of, prepare
from tests.repairing import patient


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


WAYS = {
    "delete-insert": (merge("delete-insert"), "id", "insert_values"),
    "upsert": (merge("upsert"), "id", "insert_values"),
    "scd2": (merge("scd2"), None, "insert_values"),
    "insert-only": (merge("insert-only"), "id", "insert_values"),
    "append": ("append", None, "insert_values"),
    "csv": (merge("delete-insert"), "id", "csv"),
    "appended-csv": ("append", None, "csv"),
    "parquet": (merge("upsert"), "id", "parquet"),
}


@pytest.mark.parametrize(("disposition", "key", "file_format"), WAYS.values(), ids=WAYS)
@pytest.mark.fires("DD302")
def test_an_emptied_table_comes_back_row_for_row(world: RealWorld, disposition, key, file_format: str) -> None:
    nested = disposition != merge("scd2")
    batches = [[r if nested else {**r, "items": None} for r in batch] for batch in (FIRST, SECOND, THIRD)]
    how = {"disposition": disposition, "key": key, "format": file_format}
    load(world, *batches, **how)
    whole = contents(world)
    assert set(whole) == ({"orders", "orders__items", "orders__items__tags"} if nested else {"orders"})
    world.execute(f"TRUNCATE {', '.join(f'shop.{name}' for name in whole)}")
    cured(patient_of(world), "DD302")
    assert contents(world) == whole
    load(world, [{"id": 9, "amount": 90, "note": "n", "items": None}], **how)
    assert world.rows("shop.orders") == len(whole["orders"]) + 1


@pytest.mark.fires("DD302")
def test_deletions_are_replayed_too(world: RealWorld) -> None:
    hints = {"gone": {"data_type": "bool", "hard_delete": True}}
    second = [{**SECOND[0], "gone": True}, {**SECOND[1], "gone": False}]
    load(world, FIRST, second, disposition="merge", key="id", columns=hints)
    whole = contents(world)
    assert len(whole["orders"]) == 3
    world.execute("TRUNCATE shop.orders, shop.orders__items, shop.orders__items__tags")
    cured(patient_of(world), "DD302")
    assert contents(world) == whole


@pytest.mark.fires("DD302")
def test_what_a_later_replace_has_made_irrelevant_is_not_read(world: RealWorld) -> None:
    for batch, disposition in ((FIRST, "merge"), (SECOND, "replace"), (THIRD, "merge")):
        load(world, batch, disposition=disposition, key="id")
    whole = contents(world)
    assert len(whole["orders"]) == 4
    oldest, *others = sorted(p.name for p in (world.pipelines_dir / "sales" / "load" / "loaded").iterdir())
    world.execute("TRUNCATE shop.orders, shop.orders__items, shop.orders__items__tags")
    receipt = cured(patient_of(world), "DD302")
    assert contents(world) == whole
    read = {load_id for s in receipt.plan.steps for f in s.files for load_id in (oldest, *others) if load_id in f.path}
    assert read == set(others)


@pytest.mark.parametrize("version", ["1.5.0", "1.16.0"])
def test_the_disaster_of_a_staging_that_is_final(version: str, tmp_path: Path, database: str) -> None:
    sick = patient(captured_world(version, "staging-is-final"), tmp_path, database)
    cured(sick, "DD302")
    assert [row[0] for row in sick.fetch("SELECT id FROM shop.orders ORDER BY id")] == [1, 2, 3, 4, 5, 6]
    orphans = "SELECT count(*) FROM shop.orders__items WHERE _dlt_root_id NOT IN (SELECT _dlt_id FROM shop.orders)"
    assert sick.fetch(orphans) == [(0,)]
    assert sick.count("shop.orders__items") == 6


@pytest.mark.fires("DD302")
@pytest.mark.quiet("DD301")
def test_a_table_of_two_pipelines_comes_back_with_what_both_brought(world: RealWorld) -> None:
    clobbered(world, "upsert")
    whole = contents(world)
    world.execute("TRUNCATE shop.orders")
    sick = patient_of(world)
    (half,) = prepare(sick, unsafe=True, names=("scores",)).plan.cures
    assert half.safety == "unsafe"
    assert "no working dir of concepts was looked at" in half.cost
    cured(sick, "DD302")
    assert contents(world) == whole


HEALTHY = sorted(w.version for w in worlds() if w.world == "healthy-merge")


@pytest.mark.parametrize("version", HEALTHY)
@pytest.mark.fires("DD302")
def test_packages_of_every_version_fill_emptied_tables(version: str, tmp_path: Path, database: str) -> None:
    captured = captured_world(version, "healthy-merge")
    sick = patient(captured, tmp_path, database)
    whole = sick.rows()
    sick.execute(*(f'TRUNCATE "{captured.dataset}"."{name}"' for name in captured.rows))
    empty = sick.rows()
    assert empty != whole
    prepared = prepare(sick)
    receipt = sick.apply(prepared)
    refilled = {t.table for c in prepared.plan.cures for s in c.steps for t in s.touches}
    assert refilled >= {"orders", "orders__items"}
    after = sick.rows()
    assert {name for name in whole if after[name] != whole[name]} == {
        name for name in whole if empty[name] != whole[name] and name.rsplit(".")[-1].strip('"') not in refilled
    }
    assert "DD302" not in sick.codes()
    assert prepare(sick).plan.is_empty
    sick.undo(receipt)
    assert sick.rows() == empty


@pytest.mark.fires("DD302")
def test_a_replace_that_was_given_up_leaves_what_the_one_before_had_brought(world: RealWorld, tmp_path: Path) -> None:
    python = interpreter("1.28.1", tmp_path / "dlt-1.28.1")
    load(world, FIRST, disposition="replace", python=python)
    whole = contents(world)
    world.execute("REVOKE INSERT ON shop.orders FROM CURRENT_USER")
    load(world, SECOND, disposition="replace", python=python, fails="permission denied for table orders")
    world.execute("GRANT INSERT ON shop.orders TO CURRENT_USER")
    assert world.rows("shop.orders") == 0
    sick = patient_of(world)
    sick.apply(prepare(sick))
    now = contents(world)
    assert now["orders"] == whole["orders"]
    assert set(now["orders__items"]) >= set(whole["orders__items"])
    load(world, SECOND, disposition="replace", python=python)
    assert world.rows("shop.orders") == 2
    assert world.rows("shop.orders__items") == 3
