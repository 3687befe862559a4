"""Real dlt before and after a purge: no row lost or doubled, and each refusal produced for real."""

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dltdoctor.cleaning import Wish
from dltdoctor.demo.stage import script_environment
from tests.purging import Cache, commands, words
from tests.real import RealWorld
from tests.repairing import clone

SHOP = """
import sys, dlt

@dlt.resource(name="orders", primary_key="id", write_disposition="merge")
def orders(page, new=dlt.sources.incremental("id")):
    for i in range(3 * page - 2, 3 * page + 1):
        yield {"id": i, "amount": i * 10, "items": [{"sku": f"s{i}"}]}

@dlt.resource(name="events", write_disposition="append")
def events(page, new=dlt.sources.incremental("id")):
    yield from ({"id": i} for i in range(1, 3 * page + 1))

pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
for page in sys.argv[1:]:
    pipeline.run([orders(int(page)), events(int(page))])
"""
TABLES = ("shop.orders", "shop.orders__items", "shop.events")
REFUSE = "ALTER TABLE shop.orders ADD CONSTRAINT few CHECK (id < 4)"
_numbers = itertools.count(1)
ALLOW = "ALTER TABLE shop.orders DROP CONSTRAINT few"


@pytest.fixture(scope="session")
def bases(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RealWorld]]:
    """Two worlds that every test gets a copy of: one page loaded; and then the merge of a second one failed."""
    made: dict[str, RealWorld] = {}
    with contextlib.ExitStack() as stack:
        for name in ("loaded", "failed"):
            dsn = stack.enter_context(_database(postgres, f"template0_{name}", "template0"))
            made[name] = RealWorld(tmp_path_factory.mktemp(name) / "world", dsn)
            made[name].run(SHOP, "1")
            if name == "failed":
                fail(made[name])
            made[name].age()
        yield made


@contextlib.contextmanager
def _database(admin: str, name: str, template: str) -> Iterator[str]:
    name = f"dltdoctor_test_cc_{os.getpid()}_{name}"
    try:
        yield clone(admin, template, name)
    finally:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


@contextlib.contextmanager
def copied(base: RealWorld, admin: str, root: Path) -> Iterator[RealWorld]:
    template = str(conninfo_to_dict(base.dsn)["dbname"])
    with _database(admin, f"copy_{next(_numbers)}", template) as dsn:
        shutil.copytree(base.root, root, symlinks=True)
        world = RealWorld(root, dsn)
        world.write()
        yield world


@pytest.fixture
def shop(bases: dict[str, RealWorld], postgres: str, tmp_path: Path) -> Iterator[RealWorld]:
    """A shop that has loaded one page, an hour ago."""
    with copied(bases["loaded"], postgres, tmp_path / "world") as world:
        yield world


@pytest.fixture
def failed(bases: dict[str, RealWorld], postgres: str, tmp_path: Path) -> Iterator[RealWorld]:
    """A shop of which the second page's merge into orders has failed; the cause is removed."""
    with copied(bases["failed"], postgres, tmp_path / "failed" / "world") as world:
        yield world


@pytest.fixture
def stuck(failed: RealWorld) -> Cache:
    return Cache(failed.project, failed.pipelines_dir)


@pytest.fixture
def cache(shop: RealWorld) -> Cache:
    return Cache(shop.project, shop.pipelines_dir)


def counts(shop: RealWorld) -> list[int]:
    return [shop.rows(table) for table in TABLES]


def fail(shop: RealWorld) -> None:
    """The second page's merge into orders fails; the cause is removed."""
    shop.execute(REFUSE)
    shop.run(SHOP, "2", fails="few")
    shop.execute(ALLOW)
    shop.age()


def test_after_a_purge_no_row_is_lost_or_doubled(shop: RealWorld, cache: Cache) -> None:
    purge = cache.judge("shop")
    assert purge.restoration
    assert purge.restoration.same
    assert not purge.objections
    cache.purged("shop")
    assert not (shop.pipelines_dir / "shop").exists()
    assert not list(shop.pipelines_dir.iterdir())
    shop.run(SHOP, "2", "3")
    assert counts(shop) == [9, 9, 9]
    assert shop.found() == []


def test_undo_brings_it_back_byte_for_byte(shop: RealWorld, cache: Cache) -> None:
    before = cache.digest("shop")
    receipt = cache.purged("shop")
    cache.undo(receipt)
    assert cache.digest("shop") == before
    again = cache.receipts[0]
    cache.undo(again)
    assert not (shop.pipelines_dir / "shop").exists()
    cache.undo(next(r for r in cache.receipts if r.undoes == again.id))
    assert cache.digest("shop") == before
    shop.run(SHOP, "2")
    assert counts(shop) == [6, 6, 6]


def test_undo_is_refused_once_the_pipeline_has_run_again(shop: RealWorld, cache: Cache) -> None:
    receipt = cache.purged("shop")
    shop.run(SHOP, "2")
    before = cache.digest("shop")
    with pytest.raises(Exception, match="is there again"):
        cache.undo(receipt)
    assert cache.digest("shop") == before
    assert not [r for r in cache.receipts if r.is_unfinished]


def test_a_pending_package_is_the_only_copy(failed: RealWorld, stuck: Cache) -> None:
    purge = stuck.judge("shop")
    assert stuck.refused("shop") == {"pending-packages", "state-ahead"}
    assert commands(purge) >= {"dltdoctor fix shop --resume"}
    assert [(c.resource, c.local, c.committed) for c in purge.restoration.cursors] == [
        ("events", "6", "3"),
        ("orders", "6", "3"),
    ]
    assert stuck.purge("shop") == []
    failed.run(SHOP, "2")
    failed.age()
    assert stuck.refused("shop") == set()


def test_an_extracted_package_is_the_only_copy(shop: RealWorld, cache: Cache) -> None:
    shop.run(SHOP.replace("pipeline.run(", "pipeline.extract("), "2")
    shop.age()
    purge = cache.judge("shop")
    assert len(purge.shelf.extracted) == 1
    assert cache.refused("shop") >= {"pending-packages"}


def test_unsafe_purges_what_undo_brings_back(failed: RealWorld, stuck: Cache) -> None:
    before = stuck.digest("shop")
    receipt = stuck.purged("shop", Wish(unsafe=True))
    assert "not been loaded" in receipt.plan.cures[0].cost
    stuck.undo(receipt)
    assert stuck.digest("shop") == before
    failed.run(SHOP, "2")
    assert counts(failed) == [6, 6, 6]


def test_packages_lost_and_the_cursor_ahead_a_purge_is_the_cure(failed: RealWorld, stuck: Cache) -> None:
    """DD207; of the rows in between some were appended already, which a purge alone would double."""
    failed.lose("shop/load")
    failed.execute("TRUNCATE shop_staging.orders, shop_staging.orders__items")
    purge = stuck.judge("shop")
    assert {o.kind for o in purge.objections} == {"uncommitted-rows"}
    assert "3 rows" in words(purge)
    (delete,) = commands(purge)
    failed.execute(delete)
    assert stuck.judge("shop").is_cure
    stuck.purged("shop")
    failed.run(SHOP, "2")
    assert counts(failed) == [6, 6, 6]


def test_without_the_cure_the_rows_stay_lost(failed: RealWorld, stuck: Cache) -> None:
    """What makes DD207 worth its name: the same world, not purged."""
    failed.lose("shop/load")
    failed.run(SHOP, "3")
    assert counts(failed)[0] == 6
    assert failed.rows("shop.orders WHERE id IN (4, 5, 6)") == 0


def test_stranded_rows_come_first(failed: RealWorld, stuck: Cache) -> None:
    failed.lose("shop/load")
    assert stuck.refused("shop") >= {"stranded-rows", "state-ahead"}
    assert "dltdoctor fix shop --migrate" in commands(stuck.judge("shop"))


def test_a_destination_that_cannot_be_reached(shop: RealWorld, cache: Cache) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    prepared = cache.prepare("shop", dsn=nowhere)
    assert {o.kind for o in prepared.jobs[0].refusals} == {"unreachable"}
    assert prepared.exit_code == 3


def test_a_destination_without_a_state(shop: RealWorld, cache: Cache, database: str) -> None:
    assert "nothing-to-restore" in cache.refused("shop", dsn=database)


def test_a_state_that_dlt_would_not_restore(shop: RealWorld, cache: Cache) -> None:
    """A raised status hides the state: what was read since would be read and appended again."""
    shop.run(SHOP, "2")
    shop.age()
    shop.execute("UPDATE shop._dlt_loads SET status = 1 WHERE load_id = (SELECT max(load_id) FROM shop._dlt_loads)")
    assert cache.refused("shop") == {"hidden-state", "state-ahead"}


def test_a_database_restored_from_a_backup(shop: RealWorld, cache: Cache) -> None:
    shop.run(SHOP, "2")
    shop.age()
    newest = "(SELECT max(load_id) FROM shop._dlt_loads)"
    shop.execute(
        f"DELETE FROM shop.events WHERE _dlt_load_id = {newest}",
        f"DELETE FROM shop.orders__items USING shop.orders o WHERE _dlt_root_id = o._dlt_id AND o._dlt_load_id = {newest}",
        f"DELETE FROM shop.orders WHERE _dlt_load_id = {newest}",
        "TRUNCATE shop_staging.orders, shop_staging.orders__items",
        f"DELETE FROM shop._dlt_pipeline_state WHERE _dlt_load_id = {newest}",
        f"DELETE FROM shop._dlt_loads WHERE load_id = {newest}",
    )
    assert cache.refused("shop") == {"unrecorded-loads", "state-ahead"}


def test_a_setting_that_restores_nothing(shop: RealWorld, cache: Cache) -> None:
    shop.write(config="restore_from_destination = false\n")
    assert cache.refused("shop") == {"restore-is-off"}


def test_another_dataset_next_time(shop: RealWorld, cache: Cache) -> None:
    script = shop.project / "load.py"
    script.write_text(script.read_text().replace('dataset_name="shop"', 'dataset_name="store"'))
    assert cache.refused("shop") == {"other-dataset"}
    wishes = [h.command for h in _hopes(cache)]
    assert "ALTER SCHEMA shop RENAME TO store;" in wishes


def test_a_dataset_name_that_stands_in_the_state_only(shop: RealWorld, cache: Cache) -> None:
    script = shop.project / "load.py"
    script.write_text(script.read_text().replace(', dataset_name="shop"', ""))
    assert cache.refused("shop") == {"other-dataset"}
    assert "stands in the local state only" in words(cache.judge("shop"))


def _hopes(cache: Cache):
    from dltdoctor import cleaning

    return cleaning.hopes_of(cache.prepare("shop"))["shop"]


def test_what_people_hope_for_has_a_command(shop: RealWorld, cache: Cache) -> None:
    commands_ = {h.command for h in _hopes(cache)}
    assert {"dlt pipeline shop drop events orders", "dltdoctor where events"} <= commands_
    assert "refresh" in " ".join(h.truth for h in _hopes(cache))


SAME_NAME = """
import sys, dlt
name, table = sys.argv[1:]

@dlt.source(name="one_name")
def source():
    return dlt.resource([{"id": 1}], name=table, write_disposition="append")

dlt.pipeline(name, destination="postgres", dataset_name="shared").run(source())
"""


def test_another_pipeline_stores_its_schema_under_the_same_name(shop: RealWorld, cache: Cache) -> None:
    shop.run(SAME_NAME, "first", "apples")
    shop.run(SAME_NAME, "second", "pears")
    shop.age()
    (first, second) = (cache.refused(name) for name in ("first", "second"))
    assert "schema-of-another" in first
    assert second == set()
    assert "apples" in words(cache.judge("first"))


def test_older_than_spares_what_was_used_lately(shop: RealWorld, cache: Cache) -> None:
    prepared = cache.prepare(wish=Wish(everyone=True, older_than=7200))
    assert (prepared.jobs, prepared.spared) == ((), ("shop",))
    assert cache.prepare(wish=Wish(everyone=True, older_than=1800)).to_do


def test_keep_packages_prunes_completed_ones_only(shop: RealWorld, cache: Cache) -> None:
    shop.run(SHOP, "2", "3")
    shop.execute(REFUSE.replace("4", "10"))
    shop.run(SHOP, "4", fails="few")
    shop.execute(ALLOW)
    shop.age()
    before = cache.digest("shop")
    loaded = sorted(p.name for p in (shop.pipelines_dir / "shop" / "load" / "loaded").iterdir())
    receipt = cache.purged("shop", Wish(keep=1))
    assert [p.name for p in (shop.pipelines_dir / "shop" / "load" / "loaded").iterdir()] == loaded[-1:]
    assert {k: v for k, v in before.items() if not k.startswith(tuple(f"load/loaded/{i}" for i in loaded[:-1]))} == (
        cache.digest("shop")
    )
    cache.undo(receipt)
    assert cache.digest("shop") == before
    cache.purged("shop", Wish(keep=0))
    shop.run(SHOP, "4")
    assert counts(shop) == [12, 12, 12]


def test_keep_packages_leaves_what_the_destination_has_not_committed(shop: RealWorld, cache: Cache) -> None:
    shop.execute("DELETE FROM shop._dlt_loads")
    prepared = cache.prepare("shop", wish=Wish(keep=0))
    assert prepared.to_do == ()


SLOW = SHOP.replace(
    "    yield from (", "    import time; yield {'id': 0}; print('now', flush=True); time.sleep(60)\n    yield from ("
)
SLOW_LOAD = SHOP.replace(
    "pipeline = ", "import threading\nthreading.Thread(target=lambda: print('now', flush=True)).start()\npipeline = "
)


@pytest.fixture
def running(shop: RealWorld) -> Iterator[subprocess.Popen[str]]:
    """The pipeline in the middle of its extraction."""
    (shop.project / "slow.py").write_text(SLOW, encoding="utf-8")
    environ = script_environment(home=shop.root / "home", data_dir=shop.root / "data")
    with subprocess.Popen(
        [sys.executable, "slow.py", "2"], cwd=shop.project, env=environ, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "now\n"
        yield process
        process.kill()


def test_a_pipeline_that_extracts_is_running(shop: RealWorld, cache: Cache, running: subprocess.Popen[str]) -> None:
    before = cache.digest("shop")
    assert cache.refused("shop") == {"running"}
    assert cache.purge("shop") == []
    assert cache.digest("shop") == before
    running.kill()
    running.wait()
    assert cache.refused("shop") == {"running"}, "an extraction that ended a moment ago cannot be told from one at work"
    shop.age()
    purge = cache.judge("shop")
    assert not purge.objections
    assert "interrupted extraction" in " ".join(purge.loses)


def test_a_pipeline_that_loads_is_running(shop: RealWorld, cache: Cache) -> None:
    """The load waits for a lock; its files do not change meanwhile, and one of them may be open."""
    with psycopg.connect(shop.dsn) as blocker:
        blocker.execute("LOCK TABLE shop.events IN ACCESS EXCLUSIVE MODE")
        environ = script_environment(home=shop.root / "home", data_dir=shop.root / "data")
        with subprocess.Popen(
            [sys.executable, "load.py", "2"], cwd=shop.project, env=environ, stdout=subprocess.DEVNULL
        ) as process:
            started = shop.pipelines_dir / "shop" / "load" / "normalized"
            until = time.monotonic() + 30
            while not list(started.glob("*/started_jobs/events*")) and time.monotonic() < until:
                time.sleep(0.05)
            time.sleep(0.3)
            assert "running" in cache.refused("shop")
            blocker.rollback()
            assert process.wait(60) == 0
    shop.age()
    assert cache.refused("shop") == set()


def test_the_directory_changes_between_the_look_and_the_purge(shop: RealWorld, cache: Cache) -> None:
    from dltdoctor import cleaning

    prepared = cache.prepare("shop")
    os.utime(shop.pipelines_dir / "shop" / "state.json")
    (outcome,) = cleaning.carry_out(prepared, progress=lambda _: None)
    assert outcome.receipt is None
    assert outcome.exit_code == 4
    assert "has changed since" in outcome.error
    assert (shop.pipelines_dir / "shop" / "state.json").exists()
    assert cache.archives == []
    assert cache.receipts == ()
