"""Pending loads, finished by real dlt: nothing lost, nothing twice, and the pipeline goes on."""

import signal
import threading
import time
from pathlib import Path

import psycopg
import pytest

from dltdoctor.errors import RefusedError
from dltdoctor.world.finish_load import LoadNotFinishedError, finish
from tests.captured import world as captured
from tests.real import SHOP, RealWorld
from tests.resuming import Case, finishing, kinds
from tests.worlds import digest_database, digest_tree, run_pipeline

DENY = "REVOKE DELETE ON shop.orders FROM CURRENT_USER"
ALLOW = "GRANT DELETE ON shop.orders TO CURRENT_USER"
DENIED = "permission denied for table orders"

# `load.py PAGES [JOB]`: at the last page the process dies when a job so named was committed, before dlt notes it.
PAGES = """
import os, sys, dlt
from dlt.common.storages.load_package import PackageStorage

def die(self, load_id, file_name, *_):
    if sys.argv[2] in file_name:
        os._exit(9)

pages = [int(page) for page in sys.argv[1].split(",")]
for page in pages:
    if sys.argv[2:] and page == pages[-1]:
        PackageStorage.save_pending_transition = die
    pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
"""
EVENTS = f"""{PAGES}
    pipeline.run([{{"n": page, "parts": [{{"p": 1}}]}} for _ in range(3)], table_name="events")
"""
RATES = f"""{PAGES}
    pipeline.run([{{"n": page, "i": i}} for i in range(3)], table_name="rates", write_disposition="DISPOSITION")
"""
ORDERS = f"""{PAGES}
    rows = [{{"id": i, "items": [{{"sku": "a"}}]}} for i in range(3 * page, 3 * page + 3)]
    pipeline.run(rows, table_name="orders", write_disposition="merge", primary_key="id")
"""


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


@pytest.fixture
def stopped(tmp_path: Path, loader_database: str) -> Case:
    """Orders 1 to 3 are final, the merge of 4 to 6 was denied; it would not be denied again."""
    return _unpacked("1.31.0", "resumable-merge", tmp_path, loader_database)


def _unpacked(version: str, name: str, place: Path, dsn: str) -> Case:
    world = captured(version, name)
    unpacked = world.unpack(place / "captured")
    world.restore(dsn)
    return Case(unpacked.project, unpacked.pipelines_dir, dsn)


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("0.5.4", "resumable-killed"),
        ("1.28.1", "resumable-killed"),
        ("1.30.0", "resumable-merge"),
        ("1.31.0", "resumable-merge"),
        ("1.31.0", "resumable-killed"),
        ("1.31.0", "pending-extracted"),
        ("1.31.0", "pending-normalized"),
    ],
)
def test_a_captured_load_is_finished(version: str, name: str, tmp_path: Path, loader_database: str) -> None:
    case = _unpacked(version, name, tmp_path, loader_database)
    before = digest_tree(case.project.parent), digest_database(loader_database)
    (cure,), held = case.plan()
    assert (digest_tree(case.project.parent), digest_database(loader_database)) == before
    assert (held, cure.safety, cure.pipeline) == ([], "safe", "sales")
    assert kinds(cure) == ["FinishLoad"]
    assert ("newer than the dlt that wrote" in finishing(cure).note) == (version not in ("1.30.0", "1.31.0"))

    done = case.resume(cure)

    assert done.load_ids == (finishing(cure).load_id,)
    assert case.codes() == set()
    assert case.plan() == ([], [])
    again = run_pipeline(
        "sales.py",
        "3",
        project=case.project,
        data_dir=case.project.parent,
        env={"DESTINATION__POSTGRES__CREDENTIALS": loader_database},
    )
    assert again.returncode == 0, again.stdout
    assert case.codes() == set()
    assert case.column("shop.orders", "id") == list(range(1, 10))
    assert case.column("shop.orders__items", "pieces") == list(range(1, 10))
    assert case.column("shop.events", "at") == [10, 11, 20, 21, 30, 31]


SHARED = '[destination.postgres]\nstaging_dataset_name_layout = "shared"\n'


def test_staging_that_another_pipeline_has_used_is_filled_again(world: RealWorld) -> None:
    world.write(load=SHOP, config=SHARED)
    world.run(SHOP, "1")
    world.execute(DENY)
    world.run(SHOP, "2", fails=DENIED)
    world.execute(ALLOW)
    world.run(SHOP.replace('"shop"', '"other"').replace("3 * page", "10 * page"), "1")
    world.age()
    case = Case.of(world)
    (cure,), held = case.plan()
    assert held == []
    assert kinds(cure) == ["Rename", "Rename", "WriteFile", "Rename", "FinishLoad"]
    assert "orders staged again from the package's files" in finishing(cure).note

    case.resume(cure)

    assert case.column("shop.orders", "id") == [1, 2, 3, 4, 5, 6]
    assert case.column("shop.orders__items", "sku") == [f"s{i}" for i in range(1, 7)]
    assert world.rows("other.orders") == 3
    assert case.codes("error") == {"DD103"}
    world.run(SHOP, "3")
    assert case.column("shop.orders", "id") == list(range(1, 10))


@pytest.mark.parametrize("harm", ["DELETE FROM {}.orders WHERE id = 5", "TRUNCATE {}.orders__items"])
def test_staging_that_lost_rows_is_filled_again(stopped: Case, harm: str) -> None:
    stopped.execute(harm.format("shop_staging"))
    (cure,), _ = stopped.plan()
    assert "WriteFile" in kinds(cure)
    stopped.resume(cure)
    assert stopped.column("shop.orders", "id") == stopped.column("shop.orders__items", "pieces") == [1, 2, 3, 4, 5, 6]
    assert stopped.codes() == set()


def test_rows_of_another_load_are_not_truncated_away(stopped: Case) -> None:
    stopped.execute("INSERT INTO shop_staging.orders SELECT 99, 990, 'note', '1700000000.5', 'elsewhere'")
    stopped.execute("UPDATE shop._dlt_loads SET inserted_at = 'epoch'")
    cures, (held,) = stopped.plan()
    assert cures == []
    assert held.code == "DD202"
    assert "1 row of another load that are nowhere else" in held.reason
    assert held.command == "dltdoctor fix sales --migrate"


def test_a_process_that_died_while_it_staged(world: RealWorld) -> None:
    """Whether the rows are staged cannot be told from the package, and staging them twice fails for ever."""
    world.run(ORDERS, "1,2", "orders.", fails="")
    world.age()
    case = Case.of(world)
    (cure,), held = case.plan()
    assert held == []
    assert "orders staged again" in finishing(cure).note
    case.resume(cure)
    assert case.codes() == set()
    assert case.column("shop.orders", "id") == list(range(3, 9))
    assert world.rows("shop.orders__items") == 6


@pytest.mark.parametrize("is_wedged", [False, True])
def test_a_committed_append_is_not_loaded_twice(world: RealWorld, *, is_wedged: bool) -> None:
    world.run(EVENTS, "1,2", "events.", fails="")
    if is_wedged:
        world.run(EVENTS, "3", fails="_dlt_id_key")
    world.age()
    case = Case.of(world)
    (cure,), held = case.plan()
    assert held == []
    assert kinds(cure)[:1] == ["Rename"]
    assert set(kinds(cure)) == {"Rename", "FinishLoad"}
    assert "that the database has committed counted as done" in finishing(cure).note

    case.resume(cure)

    assert case.codes() == set()
    world.run(EVENTS, "4")
    assert case.column("shop.events", "n") == [1, 1, 1, 2, 2, 2, 4, 4, 4]
    assert world.rows("shop.events__parts") == 9


def test_an_append_of_which_a_part_arrived_is_held_back(world: RealWorld) -> None:
    world.run(EVENTS, "1,2", "events.", fails="")
    world.execute("DELETE FROM shop.events WHERE _dlt_id IN (SELECT max(_dlt_id) FROM shop.events WHERE n = 2)")
    world.age()
    cures, (held,) = Case.of(world).plan()
    assert cures == []
    assert "events holds 2 rows of the load" in held.reason


@pytest.mark.parametrize(
    ("disposition", "strategy", "rows"),
    [
        ("replace", "staging-optimized", [2, 2, 2]),
        ("replace", "insert-from-staging", [2, 2, 2]),
        ("merge", "truncate-and-insert", [1, 1, 1, 2, 2, 2]),
    ],
)
def test_a_committed_follow_up_does_no_harm_the_second_time(
    world: RealWorld, disposition: str, strategy: str, rows: list[int]
) -> None:
    """Run again as it is, the first would empty the table, and the last would add the rows twice."""
    script = RATES.replace("DISPOSITION", disposition)
    world.write(load=script, config=f'[destination.postgres]\nreplace_strategy = "{strategy}"\n')
    world.run(script, "1,2", ".sql", fails="")
    world.age()
    case = Case.of(world)
    (cure,), held = case.plan()
    assert held == []
    case.resume(cure)
    assert case.codes() == ({"DD305"} if disposition == "merge" else set())
    assert case.column("shop.rates", "n") == rows


def test_a_replace_that_died_after_its_truncate(world: RealWorld) -> None:
    dying = RATES.replace("DISPOSITION", "replace").replace(
        "PackageStorage.save_pending_transition = die",
        "import dlt.load.load; dlt.load.load.Load.start_new_jobs = lambda *_: os._exit(9)",
    )
    world.run(dying, "1,2", "", fails="")
    world.age()
    case = Case.of(world)
    assert world.rows("shop.rates") == 0
    assert "DD302" in case.codes()
    (cure,), _ = case.plan()
    assert kinds(cure) == ["FinishLoad"]
    case.resume(cure)
    assert case.codes() == set()
    assert case.column("shop.rates", "n") == [2, 2, 2]


def test_several_pending_loads_are_finished_in_order(stopped: Case) -> None:
    done = run_pipeline("sales.py", "3", "extract", project=stopped.project, data_dir=stopped.project.parent)
    assert done.returncode == 0, done.stdout
    stopped.age()
    (cure,), held = stopped.plan()
    assert held == []
    assert "dlt loads all 2 pending packages, oldest first" in finishing(cure).note
    assert len(stopped.resume(cure).load_ids) == 2
    assert stopped.codes() == set()
    assert stopped.column("shop.orders", "id") == list(range(1, 10))


def test_the_cause_is_still_there(stopped: Case) -> None:
    stopped.execute(DENY)
    (cure,), _ = stopped.plan()
    with pytest.raises(LoadNotFinishedError, match=DENIED) as caught:
        stopped.resume(cure)
    assert "s3cret" not in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.has_moved
    stopped.execute(ALLOW)
    stopped.age()
    (cure,), _ = stopped.plan()
    stopped.resume(cure)
    assert stopped.codes() == set()


def test_nothing_leads_dlt_astray(stopped: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    (cure,), _ = stopped.plan()
    secrets = stopped.secrets("sales")
    stopped.configure(
        config="""
[pipelines.sales]
dataset_name = "elsewhere"
[sales]
dataset_name_layout = "x_%s"
""",
        secrets="""
[sales.destination.postgres.credentials]
host = "nowhere.invalid"
database = "nothing"
""",
    )
    monkeypatch.setenv("DATASET_NAME", "bare")
    monkeypatch.setenv("REFRESH", "drop_sources")
    monkeypatch.setenv("DEV_MODE", "true")
    done = finish(finishing(cure), secrets)
    assert len(done.load_ids) == 1
    assert stopped.column("shop.orders", "id") == [1, 2, 3, 4, 5, 6]
    assert '"dataset_name":"shop"' in (stopped.pipelines_dir / "sales/state.json").read_text()


def test_dlt_would_load_elsewhere(stopped: Case) -> None:
    (cure,), _ = stopped.plan()
    stopped.configure(config='[destination.postgres]\nstaging_dataset_name_layout = "other_%s"\n')
    before = _contents(stopped.pipelines_dir)
    with pytest.raises(RefusedError, match="the staging dataset other_shop, and not shop_staging"):
        finish(finishing(cure), stopped.secrets("sales"))
    assert _contents(stopped.pipelines_dir) == before


def _contents(directory: Path) -> dict[str, str]:
    return {path: content for path, (_, _, content) in digest_tree(directory).items()}


def test_ctrl_c_waits_for_dlt(stopped: Case) -> None:
    (cure,), _ = stopped.plan()
    secrets = stopped.secrets("sales")
    lines: list[str] = []
    locked = threading.Event()

    def interrupt() -> None:
        with psycopg.connect(stopped.dsn) as connection:
            connection.execute("LOCK TABLE shop.orders IN ACCESS EXCLUSIVE MODE")
            locked.set()
            with psycopg.connect(stopped.dsn, autocommit=True) as watcher:
                while not watcher.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall():
                    time.sleep(0.05)
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.5)

    thread = threading.Thread(target=interrupt)
    thread.start()
    locked.wait()
    with pytest.raises(KeyboardInterrupt):
        finish(finishing(cure), secrets, lines.append)
    thread.join()
    assert "dlt ends what it has begun" in lines
    assert stopped.column("shop.orders", "id") == [1, 2, 3, 4, 5, 6]
    with psycopg.connect(stopped.dsn) as connection:
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        assert connection.execute(sessions).fetchall() == [(1,)]


def test_a_load_that_runs_is_left_alone(stopped: Case) -> None:
    findings = stopped.findings()
    next(stopped.pipelines_dir.glob("*/load/normalized/*/completed_jobs/*")).touch()
    cures, held = stopped.plan(findings)
    assert cures == []
    assert held
    assert all("seems to be running" in h.reason for h in held)
