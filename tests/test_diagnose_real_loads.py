"""Staged rows of real loads that stopped, were forgotten, or are still running."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from dltdoctor.demo.stage import script_environment
from tests.real import SHOP, RealWorld, messages, verdicts

DENY = "REVOKE DELETE ON shop.orders FROM CURRENT_USER"
ALLOW = "GRANT DELETE ON shop.orders TO CURRENT_USER"
DENIED = "permission denied for table orders"


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


def _fail_second_merge(world: RealWorld, script: str = SHOP) -> None:
    world.run(script, "1")
    world.execute(DENY)
    world.run(script, "2", fails=DENIED)
    world.execute(ALLOW)


@pytest.mark.fires("DD201")
@pytest.mark.quiet("DD202", "DD203")
def test_only_the_load_packages_are_lost(world: RealWorld) -> None:
    _fail_second_merge(world)
    world.lose("shop/load")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD201", "error")]
    assert "3 rows" in messages(diagnosis, "DD201")[0]
    assert "never reached the final table" in messages(diagnosis, "DD201")[0]


@pytest.mark.fires("DD201")
@pytest.mark.quiet("DD203")
@pytest.mark.parametrize("strategy", ["upsert", "insert-only", "scd2"])
def test_a_stranded_load_of_every_strategy(world: RealWorld, strategy: str) -> None:
    disposition = f'{{"disposition": "merge", "strategy": "{strategy}"}}'
    script = SHOP.replace('"merge"', disposition).replace(', "items": [{"sku": f"s{i}"}]', "")
    # Half of the staged keys are known already: upsert gives their rows the _dlt_id of the old ones.
    script = script.replace("(3 * page - 2,", "(3 * page - 4,").replace(', new=dlt.sources.incremental("id")', "")
    world.run(script, "1")
    world.execute("REVOKE INSERT, UPDATE ON shop.orders FROM CURRENT_USER")
    world.run(script, "2", fails=DENIED)
    world.execute("GRANT INSERT, UPDATE ON shop.orders TO CURRENT_USER")
    world.lose("shop")
    assert world.found() == [("DD201", "error")]


@pytest.mark.fires("DD201")
def test_a_stranded_upsert_of_known_keys_only(world: RealWorld) -> None:
    script = SHOP.replace('"merge"', '{"disposition": "merge", "strategy": "upsert"}')
    script = script.replace(', new=dlt.sources.incremental("id")', "")
    world.run(script, "1")
    world.execute("REVOKE UPDATE ON shop.orders FROM CURRENT_USER")
    world.run(script, "1", fails=DENIED)
    world.execute("GRANT UPDATE ON shop.orders TO CURRENT_USER")
    world.lose("shop")
    assert world.found() == [("DD201", "error")]


@pytest.mark.fires("DD201")
@pytest.mark.quiet("DD203")
def test_a_pruned_ledger_is_not_an_alarm(world: RealWorld) -> None:
    script = SHOP + "pipeline.run([{'n': 1}], table_name='notes')\n"
    world.run(script, "1")
    world.execute(
        "DELETE FROM shop._dlt_loads WHERE load_id = (SELECT min(load_id) FROM shop._dlt_loads)",
        "DELETE FROM shop._dlt_pipeline_state WHERE _dlt_load_id NOT IN (SELECT load_id FROM shop._dlt_loads)",
    )
    assert world.found() == []
    # Rows of the final table were changed since, so that the rows themselves prove nothing any more.
    world.execute("DELETE FROM shop.orders__items WHERE sku > 's1'", "DELETE FROM shop.orders WHERE id > 1")
    assert world.found() == [("DD201", "info")]


@pytest.mark.fires("DD202")
@pytest.mark.quiet("DD201", "DD206")
def test_a_failed_merge_is_pending(world: RealWorld) -> None:
    _fail_second_merge(world)
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD202", "error")]
    assert DENIED in messages(diagnosis, "DD202")[0]
    assert "3 rows wait in staging" in messages(diagnosis, "DD202")[0]


@pytest.mark.fires("DD103", "DD202")
@pytest.mark.quiet("DD201")
def test_staging_was_reused_before_the_resume(world: RealWorld) -> None:
    _fail_second_merge(world)
    world.run(SHOP.replace('"shop", destination', '"twin", destination'), "4")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD103", "warning"), ("DD202", "error")]
    assert "holds other rows by now" in messages(diagnosis, "DD202")[0]


@pytest.mark.fires("DD206")
@pytest.mark.quiet("DD202")
def test_an_extracted_package_waits(world: RealWorld) -> None:
    world.run(SHOP, "1")
    world.run(SHOP.replace("pipeline.run(", "pipeline.extract("), "2")
    world.age()
    assert world.found() == [("DD206", "warning")]


# ------------------------------------------------------------------------------- a load at work


@contextmanager
def _running(world: RealWorld, script: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    (world.project / "load.py").write_text(script, encoding="utf-8")
    home = world.root / "data" / "home"
    environ = script_environment(home=home, data_dir=world.root / "data")
    process = subprocess.Popen(
        [sys.executable, "load.py", *arguments],
        cwd=world.project,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def _wait_for_rows(world: RealWorld, condition: str) -> None:
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        for _ in range(600):
            if connection.execute(f"SELECT {condition}".encode()).fetchall() == [(True,)]:
                return
            time.sleep(0.05)
    raise AssertionError(f"it never came: {condition}")


# What `run` does, with a pause in which the package waits to be normalised.
PAUSED = SHOP.replace(
    "pipeline.run(orders(int(page)))",
    "pipeline.extract(orders(int(page)))\n    import time; time.sleep(4)\n    pipeline.normalize()\n    pipeline.load()",
)


def _assert_running(world: RealWorld, pipelines_dir: Path, sign: str) -> None:
    diagnosis = world.glance(pipelines_dir)
    assert verdicts(diagnosis) == [("DD210", "info")], [(f.message, f.evidence) for f in diagnosis.findings]
    assert sign in messages(diagnosis, "DD210")[0]


@pytest.mark.fires("DD210")
@pytest.mark.quiet("DD206")
def test_a_load_that_is_being_extracted(world: RealWorld) -> None:
    world.run(SHOP, "1")
    with _running(world, PAUSED, "2"):
        extracted = world.pipelines_dir / "shop" / "normalize" / "extracted"
        for _ in range(600):
            if any(extracted.iterdir()):
                break
            time.sleep(0.05)
        _assert_running(world, world.pipelines_dir, "right now")
    assert world.found() == []


@pytest.mark.fires("DD210")
@pytest.mark.quiet("DD201", "DD202")
def test_a_merge_that_waits_for_a_lock(world: RealWorld) -> None:
    world.run(SHOP, "1")
    staged = (
        "EXISTS (SELECT FROM shop_staging.orders s WHERE id = 4 AND EXISTS (SELECT FROM shop_staging.orders__items))"
    )
    with psycopg.connect(world.dsn) as blocker:
        blocker.execute("LOCK TABLE shop.orders IN SHARE MODE")
        with _running(world, SHOP, "2"):
            _wait_for_rows(world, f"{staged} AND EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            _assert_running(world, world.pipelines_dir, "is writing shop")
            _assert_running(world, world.elsewhere, "is writing shop")
            blocker.commit()
    assert world.found() == []
    assert world.found(pipelines_dir=world.elsewhere) == []


@pytest.mark.quiet("DD201", "DD202", "DD203", "DD206", "DD302")
@pytest.mark.parametrize("machine", ["the same", "another"])
def test_every_moment_of_a_load(world: RealWorld, machine: str) -> None:
    """Whenever one looks, and from wherever, a running load is no alarm."""
    place = world.elsewhere if machine == "another" else world.pipelines_dir
    world.run(SHOP, "1")
    seen: set[tuple[tuple[str, str], ...]] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.add(tuple(verdicts(world.glance(place))))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        world.run(SHOP, *map(str, range(2, 6)))
    finally:
        over.set()
        looking.join()
    assert {finding for findings in seen for finding in findings} <= {("DD210", "info")}
