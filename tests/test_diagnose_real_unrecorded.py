"""Final rows of real loads that nobody recorded, or that dlt loads again and again."""

import threading
from pathlib import Path

import pytest

from tests.older import interpreter
from tests.real import SHOP, RealWorld, messages, verdicts
from tests.worlds import run_pipeline

DENY = "REVOKE DELETE ON shop.orders FROM CURRENT_USER"
ALLOW = "GRANT DELETE ON shop.orders TO CURRENT_USER"
DENIED = "permission denied for table orders"

# `load.py PAGE ...`: appends events with parts and merges orders; the merge may be denied.
PARTLY = """
import sys, dlt

pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")

@dlt.source(name="shop")
def shop(page):
    yield dlt.resource([{"n": page, "parts": [{"p": 1}]} for _ in range(3)], name="events", write_disposition="append")
    rows = [{"id": 10 * page + i} for i in range(3)]
    yield dlt.resource(rows, name="orders", write_disposition="merge", primary_key="id")

for page in sys.argv[1:]:
    if page == "abort":
        pipeline.abort_packages()
    else:
        pipeline.run(shop(int(page)))
"""

# `load.py PAGES [JOB]`: at the last page the process dies when a job so named was committed, before dlt notes it.
PAGES = """
import os, sys, dlt
from dlt.common.storages.load_package import PackageStorage

def die(self, load_id, file_name, *_, **__):
    if sys.argv[2] in file_name:
        os._exit(9)

complete = PackageStorage.complete_job
pages = [int(page) for page in sys.argv[1].split(",")]
for page in pages:
    if sys.argv[2:] and page == pages[-1]:
        if hasattr(PackageStorage, "save_pending_transition"):
            PackageStorage.save_pending_transition = die
        else:
            PackageStorage.complete_job = lambda *a: die(*a) or complete(*a)
    pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
"""
EVENTS = f"""{PAGES}
    pipeline.run([{{"n": page}} for _ in range(3)], table_name="events")
"""
NESTED = f"""{PAGES}
    pipeline.run([{{"n": page, "parts": [{{"p": 1}}]}} for _ in range(3)], table_name="events")
"""
KEYLESS = f"""{PAGES}
    pipeline.run([{{"n": page}} for _ in range(3)], table_name="events", write_disposition="merge")
"""
STATEFUL = f"""{PAGES}
    dlt_new = dlt.sources.incremental("n")
    data = dlt.resource([{{"n": page}} for _ in range(3)], name="events").apply_hints(incremental=dlt_new)
    pipeline.run(data)
"""
ORDERS = f"""{PAGES}
    rows = [{{"id": i, "items": [{{"sku": "a"}}]}} for i in range(3 * page, 3 * page + 3)]
    pipeline.run(rows, table_name="orders", write_disposition="merge", primary_key="id")
"""


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


# ------------------------------------------------------------------------------- rows of unrecorded loads


def _stop_half_way(world: RealWorld) -> None:
    world.run(PARTLY, "1")
    world.execute(DENY)
    world.run(PARTLY, "2", fails=DENIED)
    world.execute(ALLOW)


@pytest.mark.fires("DD205")
def test_rows_of_a_load_that_was_aborted(world: RealWorld) -> None:
    """The run after it has appended the same events once more."""
    _stop_half_way(world)
    world.run(PARTLY, "abort", "2")
    assert world.rows("shop.events") == 9
    world.age()
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD205", "warning")]
    assert "was never completed, and left 3 rows in shop.events" in messages(diagnosis, "DD205")[0]
    finding = next(f for f in diagnosis.findings if f.code == "DD205")
    assert finding.remedy
    assert finding.remedy.command
    world.execute(finding.remedy.command)
    assert world.rows("shop.events") == world.rows("shop.events__parts") == 6
    assert world.found() == []


@pytest.mark.quiet("DD205")
def test_rows_of_a_load_that_is_pending(world: RealWorld) -> None:
    _stop_half_way(world)
    world.age()
    assert world.found() == [("DD202", "error")]


@pytest.mark.quiet("DD205", "DD309")
def test_rows_of_a_load_that_is_pending_elsewhere(world: RealWorld) -> None:
    """On another machine it looks like a stranded load, whose repair records it."""
    _stop_half_way(world)
    assert ("DD201", "error") in world.found(world.elsewhere)


@pytest.mark.quiet("DD205")
def test_loads_that_somebody_has_forgotten(world: RealWorld) -> None:
    world.run(PARTLY, "1", "2", "3")
    world.execute("DELETE FROM shop._dlt_loads WHERE load_id < (SELECT max(load_id) FROM shop._dlt_loads)")
    assert "DD205" not in [code for code, _ in world.found()]


@pytest.mark.quiet("DD205")
def test_a_table_that_came_from_another_dataset(world: RealWorld) -> None:
    world.run(SHOP, "1")
    world.run(SHOP.replace('dataset_name="shop"', 'dataset_name="old"').replace('"shop", dest', '"other", dest'), "1")
    world.run(SHOP, "2")
    columns = "amount, _dlt_load_id, _dlt_id"
    world.execute(f"INSERT INTO shop.orders (id, {columns}) SELECT 100 + id, {columns} FROM old.orders")
    assert "DD205" not in [code for code, _ in world.found()]


LARGE = """
import sys, dlt
pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
for page in sys.argv[1:]:
    pipeline.run([{"n": i, "text": "x" * 500} for i in range(20_000)], table_name="events")
"""


@pytest.mark.fires("DD205")
@pytest.mark.parametrize("known_by", ["the last blocks", "statistics"])
def test_rows_of_an_unrecorded_load_in_a_large_table(world: RealWorld, known_by: str) -> None:
    """A table that is too large to be read: the newest rows stand at its end, common load ids in pg_stats."""
    world.run(LARGE, "1", "2")
    last = "min(load_id)" if known_by == "statistics" else "max(load_id)"
    victim = f"(SELECT {last} FROM shop._dlt_loads)"
    world.execute(
        "CREATE TABLE public.victim AS SELECT '1500000000.5'::text AS load_id, " + victim + " AS old",
        "INSERT INTO shop._dlt_loads SELECT '1400000000.0', schema_name, 0, 'epoch', schema_version_hash"
        " FROM shop._dlt_loads LIMIT 1",
        "UPDATE shop.events SET _dlt_load_id = v.load_id FROM public.victim v WHERE _dlt_load_id = v.old",
        "DELETE FROM shop._dlt_loads WHERE load_id = (SELECT old FROM public.victim)",
        *(["ANALYZE shop.events"] if known_by == "statistics" else []),
    )
    if known_by == "statistics":  # what was updated stands at the end: let the other load stand behind it
        world.execute("UPDATE shop.events SET n = n WHERE _dlt_load_id <> '1500000000.5'", "ANALYZE shop.events")
    (message,) = messages(world.examine(), "DD205")
    assert "at least" in message
    (message,) = messages(world.examine(deep=True), "DD205")
    assert "20,000 rows in shop.events" in message


# ------------------------------------------------------------------------------- committed jobs


@pytest.mark.fires("DD208")
def test_a_committed_append_that_dlt_tries_again(world: RealWorld) -> None:
    world.run(EVENTS, "1,2", "events.", fails="")
    world.run(EVENTS, "3", fails="_dlt_id_key")
    world.age()
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD208", "error")]
    (message,) = messages(diagnosis, "DD208")
    assert "1 job of the load of" in message
    assert "is committed in shop.events" in message


@pytest.mark.fires("DD208")
@pytest.mark.parametrize(
    ("script", "file"), [(NESTED, "events__parts."), (KEYLESS, ".sql"), (STATEFUL, "_dlt_pipeline_state.")]
)
def test_a_committed_job_of_another_kind(world: RealWorld, script: str, file: str) -> None:
    """Nested rows, a merge without keys, which only adds rows, and dlt's own state."""
    world.run(script, "1,2", file, fails="")
    world.run(script, "3", fails="_dlt_id_key")
    world.age()
    found = [code for code, severity in world.found() if severity == "error"]
    assert found == ["DD208"]


@pytest.mark.fires("DD208")
def test_staged_rows_that_dlt_stages_again(world: RealWorld) -> None:
    world.run(ORDERS, "1,2", "orders.", fails="")
    world.run(ORDERS, "3", fails="_dlt_id_key")
    world.age()
    assert world.found() == [("DD208", "error")]


@pytest.mark.quiet("DD208")
def test_a_key_that_comes_twice_in_one_load(world: RealWorld) -> None:
    """The same error, and nothing is committed: upsert makes the row key of the primary key (FM-35)."""
    script = SHOP.replace('"merge"', '{"disposition": "merge", "strategy": "upsert"}')
    world.run(script, "1")
    twice = script.replace("        yield {", "        yield {'id': i, 'amount': 0}\n        yield {")
    world.run(twice, "2", fails="_dlt_id_key")
    world.age()
    assert [code for code, _ in world.found()] in (["DD206"], ["DD202"])


@pytest.mark.fires("DD208")
@pytest.mark.quiet("DD205")
def test_a_committed_append_that_an_older_dlt_gave_up(world: RealWorld, tmp_path: Path) -> None:
    """Until 1.29 the load is aborted: its rows are there, and no row of `_dlt_loads`."""
    python = interpreter("1.16.0", tmp_path / "venv")
    world.write(load=EVENTS)

    def run(*arguments: str) -> str:
        done = run_pipeline("load.py", *arguments, project=world.project, data_dir=world.root / "data", python=python)
        return done.stdout

    run("1,2", "events.")
    assert "_dlt_id_key" in run("3")
    world.age()
    diagnosis = world.examine()
    assert [f.code for f in diagnosis.findings if f.code in ("DD205", "DD208")] == ["DD208"]
    finding = next(f for f in diagnosis.findings if f.code == "DD208")
    assert finding.remedy
    assert finding.remedy.safety == "manual"
    assert finding.remedy.command
    world.execute(finding.remedy.command)
    assert "DD208" not in [code for code, _ in world.found()]


BUSY = """
import sys, dlt
pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")

@dlt.source(name="shop")
def shop(page):
    rows = [{"n": page, "parts": [{"p": i}]} for i in range(2_000)]
    yield dlt.resource(rows, name="events", write_disposition="append")
    yield dlt.resource(rows, name="rates", write_disposition="replace")

for page in sys.argv[1:]:
    pipeline.run(shop(int(page)))
"""


@pytest.mark.quiet("DD205", "DD208", "DD309")
@pytest.mark.parametrize("machine", ["the same", "another"])
def test_every_moment_of_a_load(world: RealWorld, machine: str) -> None:
    """Rows come file by file, the nested ones perhaps first, and their load is recorded last."""
    place = world.elsewhere if machine == "another" else world.pipelines_dir
    world.run(BUSY, "1")
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.update(f.code for f in world.glance(place).findings if f.severity.value != "info")

    looking = threading.Thread(target=look)
    looking.start()
    try:
        world.run(BUSY, "2", "3", "4")
    finally:
        over.set()
        looking.join()
    assert seen <= {"DD302"}, seen
