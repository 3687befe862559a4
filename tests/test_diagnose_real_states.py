"""Cursors that are past their rows, and states that dlt would not restore: made by real dlt, and cured."""

import re
from pathlib import Path

import pytest

from dltdoctor.treatment import Wish, prepare
from tests.captured import CapturedWorld, worlds
from tests.examining import codes, diagnose
from tests.real import SHOP, RealWorld, messages, verdicts
from tests.repairing import Patient, silent

FEW, MANY = "ALTER TABLE shop.orders ADD CONSTRAINT few CHECK (id < 4)", "ALTER TABLE shop.orders DROP CONSTRAINT few"
EVENTS = """
import sys, dlt

@dlt.resource(name="events", write_disposition="append")
def events(upto, new=dlt.sources.incremental("id")):
    yield from ({"id": i} for i in range(1, upto + 1))

pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
for upto in sys.argv[1:]:
    pipeline.run(events(int(upto)))
"""


@pytest.fixture
def world(tmp_path: Path, database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", database)


def orphan(world: RealWorld) -> None:
    """The second page failed; its packages and its staged rows are gone, the advanced cursor is not."""
    world.run(SHOP, "1")
    world.execute(FEW)
    world.run(SHOP, "2", fails="few")
    world.execute(MANY, "TRUNCATE shop_staging.orders, shop_staging.orders__items")
    world.lose("shop/load")
    world.lose("shop/normalize")
    world.age()


def long_ago(world: RealWorld, table: str = "orders") -> None:
    """The loads were two hours ago: nothing looks as if it were still on its way."""
    tables = ("_dlt_loads", "load_id"), ("_dlt_pipeline_state", "_dlt_load_id"), (table, "_dlt_load_id")
    world.execute(*(f"UPDATE shop.{t} SET {c} = ({c}::float8 - 7200)::text WHERE {c} IS NOT NULL" for t, c in tables))
    world.execute("UPDATE shop._dlt_loads SET inserted_at = inserted_at - interval '2 hours'")
    world.age()


def patient(world: RealWorld) -> Patient:
    return Patient(root=world.root, project=world.project, pipelines_dir=world.pipelines_dir, dsn=world.dsn)


@pytest.mark.fires("DD207")
@pytest.mark.quiet("DD204", "DD408")
def test_an_orphaned_cursor_is_cured_by_fix_and_undone(world: RealWorld) -> None:
    orphan(world)
    assert world.found() == [("DD207", "error")]
    finding = world.examine().findings[0]
    assert "the next run would skip orders with id after 3 up to 6" in finding.message
    assert finding.remedy
    assert (finding.remedy.safety, finding.remedy.command[:18]) == ("safe", "dltdoctor fix shop")
    shop = patient(world)
    before = shop.rows(), shop.files()
    prepared = prepare(shop.request(), Wish(), progress=silent)
    assert [(c.code, c.safety) for c in prepared.plan.cures] == [("DD207", "safe")]
    shop.preview(prepared)
    assert (shop.rows(), shop.files()) == before
    receipt = shop.apply(prepared)
    proof = shop.prove(prepared, receipt)
    assert [f.code for f in proof.gone] == ["DD207"]
    assert not proof.new
    assert not proof.remaining
    assert prepare(shop.request(), Wish(), progress=silent).plan.is_empty
    shop.undo(receipt)
    assert (shop.rows(), shop.files()) == before
    shop.apply(prepare(shop.request(), Wish(), progress=silent))
    world.run(SHOP, "2", "3")
    assert world.rows("shop.orders") == world.rows("shop.orders__items") == 9
    assert "DD207" not in codes(world.glance())


@pytest.mark.fires("DD207")
def test_other_repairs_are_not_asked_to_wipe(world: RealWorld) -> None:
    orphan(world)
    shop = patient(world)
    assert "DD207" in shop.codes("error")
    for wish in (Wish(config=True), Wish(resume=True), Wish(migrate=True), Wish(recover=True)):
        assert prepare(shop.request(), wish, progress=silent).plan.is_empty


@pytest.mark.fires("DD207")
def test_rows_that_would_be_doubled_are_set_aside_first(world: RealWorld) -> None:
    both = SHOP.replace("orders(int(page))", "[orders(int(page)), events(3 * int(page))]")
    both = both.replace("pipeline = ", EVENTS[EVENTS.index("@dlt") : EVENTS.index("pipeline = ")] + "pipeline = ")
    world.run(both, "1")
    world.execute(FEW)
    world.run(both, "2", fails="few")
    world.execute(MANY, "TRUNCATE shop_staging.orders, shop_staging.orders__items")
    world.lose("shop/load")
    world.age()
    finding = next(f for f in world.examine().findings if f.code == "DD207")
    assert "would skip orders with id after 3 up to 6: the local" in finding.message
    assert finding.remedy
    assert finding.remedy.safety == "manual"
    shop = patient(world)
    assert prepare(shop.request(), Wish(), progress=silent).plan.is_empty
    world.execute(*(finding.remedy.command or "").splitlines()[1:-1])
    (cure,) = prepare(shop.request(), Wish(), progress=silent).plan.cures
    assert cure.code == "DD207"
    shop.apply(prepare(shop.request(), Wish(), progress=silent))
    world.run(both, "2")
    assert (world.rows("shop.orders"), world.rows("shop.events")) == (6, 6)
    assert not {"DD204", "DD207"} & codes(world.glance())


@pytest.mark.quiet("DD207", "DD204", "DD408")
@pytest.mark.parametrize("config", ["", "restore_from_destination = false\n"], ids=["default", "not-restored"])
def test_a_healthy_cursor(world: RealWorld, config: str) -> None:
    world.write(config=config)
    world.run(SHOP, "1", "2", "2")
    assert not {"DD204", "DD207", "DD408"} & codes(world.examine())
    world.lose("shop/load")
    assert not {"DD204", "DD207", "DD408"} & codes(world.examine())


@pytest.mark.quiet("DD207", "DD204", "DD408")
def test_a_state_that_no_run_was_to_store(world: RealWorld) -> None:
    """Only the environment of the runs says so, which nobody sees afterwards."""
    off = {"RESTORE_FROM_DESTINATION": "false"}
    world.run(SHOP, "1")
    world.run(SHOP, "2", env=off)
    assert not {"DD204", "DD207", "DD408"} & codes(world.examine())
    world.lose("shop/load")
    assert not {"DD204", "DD207", "DD408"} & codes(world.examine())


@pytest.mark.quiet("DD207", "DD204")
def test_the_destination_is_ahead_of_this_machine(world: RealWorld) -> None:
    world.run(SHOP, "1")
    (world.pipelines_dir / "shop").rename(world.elsewhere / "shop")
    world.run(SHOP, "2")
    assert world.found(world.elsewhere) == []


@pytest.mark.quiet("DD207", "DD204")
def test_a_failed_load_that_waits_is_told_once(world: RealWorld) -> None:
    world.run(SHOP, "1")
    world.execute(FEW)
    world.run(SHOP, "2", fails="few")
    assert not {"DD204", "DD207"} & codes(world.examine())
    world.execute(MANY)
    world.run(SHOP, "2", "3")
    assert world.rows("shop.orders") == 9
    assert not {"DD204", "DD207"} & codes(world.examine())


@pytest.mark.quiet("DD207")
def test_staged_rows_are_told_of_by_their_own_check(world: RealWorld) -> None:
    world.run(SHOP, "1")
    world.execute(FEW)
    world.run(SHOP, "2", fails="few")
    world.execute(MANY)
    world.lose("shop/load")
    world.age()
    assert "DD201" in codes(world.examine())


@pytest.mark.fires("DD204")
@pytest.mark.quiet("DD207")
def test_a_lost_load_with_its_range_and_the_way_back(world: RealWorld) -> None:
    orphan(world)
    world.run(SHOP, "3")
    long_ago(world)
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD204", "error")]
    (finding,) = diagnosis.findings
    assert "orders with id after 3 up to 6 was not loaded" in finding.message
    assert any("(3, 6]" in e.fact for e in finding.evidence)
    assert finding.remedy
    assert finding.remedy.safety == "manual"
    line = (finding.remedy.command or "").replace("orders.", "again.")
    backfill = SHOP.replace("for page in sys.argv[1:]:", f"again = orders(2)\n{line}\nfor page in sys.argv[1:]:")
    world.run(backfill.replace("pipeline.run(orders(int(page)))", "pipeline.run(again)"), "2")
    assert world.rows("shop.orders") == 9
    world.run(SHOP, "4")
    assert world.rows("shop.orders") == 12
    delete = re.search("DELETE FROM [^;]*'", finding.remedy.title)
    assert delete
    world.execute(delete.group())
    assert world.found() == []


@pytest.mark.fires("DD204")
def test_a_lost_load_is_seen_from_the_database_alone(world: RealWorld) -> None:
    orphan(world)
    world.run(SHOP, "3")
    long_ago(world)
    assert world.found(world.elsewhere) == [("DD204", "error")]
    world.write(config="")
    assert world.found(world.elsewhere, project=world.elsewhere, dsn=world.dsn, deep=True) == [("DD204", "error")]


@pytest.mark.quiet("DD204")
def test_an_append_whose_rows_arrived_is_not_lost(world: RealWorld) -> None:
    """The load ended but for its record; then the packages were removed."""
    world.run(EVENTS, "3", "6", "9")
    world.execute(
        "DELETE FROM shop._dlt_loads WHERE load_id = (SELECT load_id FROM shop._dlt_loads ORDER BY 1 OFFSET 1 LIMIT 1)"
    )
    world.lose("shop/load")
    assert world.rows("shop.events") == 9
    assert "DD204" not in codes(world.examine())


@pytest.mark.quiet("DD204", "DD207", "DD408")
def test_the_last_append_arrived_and_was_not_recorded(world: RealWorld) -> None:
    world.run(EVENTS, "3", "6")
    world.execute("DELETE FROM shop._dlt_loads WHERE load_id = (SELECT max(load_id) FROM shop._dlt_loads)")
    world.lose("shop/load")
    long_ago(world, "events")
    assert codes(world.examine()) == {"DD205"}


@pytest.mark.fires("DD207")
def test_what_needs_the_load_packages_comes_first(world: RealWorld) -> None:
    world.run(SHOP, "1")
    world.execute(FEW)
    world.run(SHOP, "2", fails="few")
    world.execute(
        MANY, "TRUNCATE shop_staging.orders, shop_staging.orders__items", "TRUNCATE shop.orders, shop.orders__items"
    )
    for package in (world.pipelines_dir / "shop" / "load" / "normalized").iterdir():
        world.lose(f"shop/load/normalized/{package.name}")
    world.age()
    assert {"DD207", "DD302"} <= codes(world.examine())
    shop = patient(world)
    first = prepare(shop.request(), Wish(), progress=silent)
    assert [c.code for c in first.plan.cures] == ["DD302"]
    assert [(h.code, h.reason[:17]) for h in first.plan.held_back] == [("DD207", "DD302 comes first")]
    shop.apply(first)
    second = prepare(shop.request(), Wish(), progress=silent)
    assert [c.code for c in second.plan.cures] == ["DD207"]
    shop.apply(second)
    world.run(SHOP, "2")
    assert world.rows("shop.orders") == world.rows("shop.orders__items") == 6
    assert not {"DD204", "DD207", "DD302"} & codes(world.glance())


@pytest.mark.quiet("DD204")
@pytest.mark.parametrize("refresh", ["drop_sources", "drop_resources", "drop_data"])
def test_a_lost_load_that_was_read_again_from_the_start(world: RealWorld, refresh: str) -> None:
    orphan(world)
    everything = SHOP.replace("range(3 * page - 2, 3 * page + 1)", "range(1, 3 * page + 1)")
    world.run(everything.replace("orders(int(page))", f'orders(int(page)), refresh="{refresh}"'), "3")
    assert world.rows("shop.orders") == 9
    long_ago(world)
    assert "DD204" not in codes(world.examine())


@pytest.mark.quiet("DD204")
def test_a_cursor_that_was_dropped_reads_again(world: RealWorld) -> None:
    orphan(world)
    dropped = SHOP[: SHOP.index("for page")] + "pipeline.sync_destination()\n"
    world.run(dropped)
    world.run(
        "import dlt\nfrom dlt.pipeline.helpers import pipeline_drop\npipeline_drop(dlt.attach('shop'), resources=['orders'])()\n"
    )
    world.run(SHOP.replace("range(3 * page - 2, 3 * page + 1)", "range(1, 3 * page + 1)"), "3")
    assert world.rows("shop.orders") == 9
    long_ago(world)
    assert "DD204" not in codes(world.examine())


@pytest.mark.fires("DD408")
@pytest.mark.parametrize("way", ["status", "purge"])
def test_a_hidden_state_begins_anew_on_a_fresh_machine(world: RealWorld, way: str) -> None:
    world.run(EVENTS, "3", "6")
    world.execute("UPDATE shop._dlt_loads SET status = 1" if way == "status" else "DELETE FROM shop._dlt_loads")
    diagnosis = world.examine()
    assert [f.code for f in diagnosis.findings if f.severity.value != "info"] == ["DD408"]
    assert "would start from no state at all" in messages(diagnosis, "DD408")[0]
    (finding,) = (f for f in diagnosis.findings if f.code == "DD408")
    assert finding.remedy
    world.execute(finding.remedy.command or "")
    assert "DD408" not in codes(world.examine())
    world.lose("shop")
    world.run(EVENTS, "9")
    assert world.rows("shop.events") == 9


def test_without_the_cure_every_event_is_there_twice(world: RealWorld) -> None:
    """What makes DD408 worth its name."""
    world.run(EVENTS, "3", "6")
    world.execute("UPDATE shop._dlt_loads SET status = 1")
    world.lose("shop")
    world.run(EVENTS, "6")
    assert world.rows("shop.events") == 12


@pytest.mark.quiet("DD408", "DD207", "DD204")
def test_old_loads_were_removed_or_marked(world: RealWorld) -> None:
    world.run(EVENTS, "3", "6", "9")
    world.execute("DELETE FROM shop._dlt_loads WHERE load_id = (SELECT min(load_id) FROM shop._dlt_loads)")
    assert world.found() == []
    world.execute("UPDATE shop._dlt_loads SET status = 2 WHERE load_id = (SELECT min(load_id) FROM shop._dlt_loads)")
    assert world.found() == []
    assert world.found(world.elsewhere) == []


@pytest.mark.quiet("DD408", "DD204", "DD207")
@pytest.mark.parametrize("captured", [w for w in worlds() if w.world == "healthy-recovered"], ids=lambda w: w.id)
def test_a_load_that_was_read_again(captured: CapturedWorld, tmp_path: Path, database: str) -> None:
    unpacked = captured.unpack(tmp_path / "world")
    captured.restore(database)
    assert not codes(diagnose(unpacked.project, unpacked.pipelines_dir, dsn=database))


@pytest.mark.fires("DD204")
@pytest.mark.parametrize("captured", [w for w in worlds() if w.world == "lost-load"], ids=lambda w: w.id)
def test_a_lost_load_of_every_era(captured: CapturedWorld, tmp_path: Path, database: str) -> None:
    unpacked = captured.unpack(tmp_path / "world")
    captured.restore(database)
    (found,) = (
        f for f in diagnose(unpacked.project, unpacked.pipelines_dir, dsn=database).findings if f.code == "DD204"
    )
    assert "orders with updated after 3 up to 6 was not loaded" in found.message
    assert found.remedy
    has_package = captured.version != "1.31.0"
    assert ("--recover" in (found.remedy.command or "")) == has_package
