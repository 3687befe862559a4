"""Each scenario leaves the world it promises, seen with plain SQL, and then nothing at all."""

import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from dltdoctor.demo.scenarios import SCENARIOS, SCORES, Scenario, find_scenario
from dltdoctor.demo.server import start_server
from dltdoctor.demo.stage import Stage
from dltdoctor.demo.world import DemoWorld, build, build_world
from dltdoctor.errors import CouldNotLookError, DoctorError, UsageError
from tests.leftovers import leftovers, run_python, run_python_until

TABLE = "app_opportunities_trust"
MONDAY = {"1a7k2p", "1b3m9x", "1c5q0d", "1d8w4e", "1e2r6t", "1f9y3u", "1g4i8o", "1h6s1f"}
TUESDAY = {"1c5q0d", "1f9y3u", "1j0h5j", "1k2z8v", "1m7b3n"}
CONCEPTS = {"1a7k2p", "1b3m9x", "1c5q0d", "1f9y3u", "1h6s1f"}

BUILD = """
from dltdoctor.demo.world import build_world
with build_world("stranded", progress=lambda line: print(line, flush=True)):
    print("built", flush=True)
    import time
    time.sleep(60)
"""
KEEP = """
from dltdoctor.demo.world import build_world
with build_world("healthy", keep=True) as world:
    print(world.dsn, world.project, world.stop_command, sep="\\n")
    raise SystemExit(0)  # as a command line ends
"""


@contextmanager
def built(name: str) -> Iterator[tuple[DemoWorld, psycopg.Connection]]:
    with build_world(name) as world, psycopg.connect(world.dsn) as connection:
        yield world, connection


def ids(connection: psycopg.Connection, dataset: str, condition: LiteralString = "true") -> set[str]:
    query = sql.SQL("SELECT submission_id FROM {} WHERE {}")
    return {row[0] for row in connection.execute(query.format(sql.Identifier(dataset, TABLE), sql.SQL(condition)))}


def scores(connection: psycopg.Connection, dataset: str) -> dict[str, float | None]:
    query = sql.SQL("SELECT submission_id, trust_score FROM {}").format(sql.Identifier(dataset, TABLE))
    return dict(connection.execute(query).fetchall())


def loads(connection: psycopg.Connection, dataset: str) -> list[tuple[str, int]]:
    query = sql.SQL("SELECT load_id, status FROM {} ORDER BY load_id")
    return connection.execute(query.format(sql.Identifier(dataset, "_dlt_loads"))).fetchall()


def staged_loads(connection: psycopg.Connection) -> set[str]:
    return {row[0] for row in connection.execute(f"SELECT _dlt_load_id FROM public_staging.{TABLE}".encode())}


def datasets(connection: psycopg.Connection) -> set[str]:
    rows = connection.execute("SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname LIKE 'public%'")
    return {row[0] for row in rows}


def test_healthy(temporary: Path) -> None:
    with built("healthy") as (world, connection):
        assert ids(connection, "public") == MONDAY | TUESDAY
        assert ids(connection, "public", "trust_score IS NULL") == set()
        assert scores(connection, "public")["1c5q0d"] == 49.7
        assert ids(connection, "public_staging") == TUESDAY
        (_, ok), (last, also_ok) = loads(connection, "public")
        assert (ok, also_ok) == (0, 0)
        assert staged_loads(connection) == {last}
        assert (world.pipelines_dir / "trust_scores" / "state.json").is_file()
        assert world.scenario.expected_code is None
        see_an_ordinary_project(world, connection)
    assert leftovers(temporary) == []


def test_null_scores(temporary: Path) -> None:
    with built("null-scores") as (world, connection):
        assert ids(connection, "public") == MONDAY
        assert ids(connection, "public", "trust_score IS NULL") == CONCEPTS
        assert ids(connection, "public", "app_concept IS NULL") == MONDAY - CONCEPTS
        assert {path.name for path in world.pipelines_dir.iterdir()} == {"trust_scores", "concepts"}
        assert len(loads(connection, "public")) == 2
        assert world.scenario.expected_code == "DD301"
    assert leftovers(temporary) == []


def test_stranded(temporary: Path) -> None:
    with built("stranded") as (world, connection):
        assert ids(connection, "public") == MONDAY
        assert scores(connection, "public")["1c5q0d"] == 41.2
        assert ids(connection, "public_staging") == TUESDAY
        committed = {load for load, _ in loads(connection, "public")}
        assert len(committed) == 1
        assert len(staged_loads(connection)) == 1
        assert staged_loads(connection).isdisjoint(committed)
        assert list(world.pipelines_dir.iterdir()) == []
        assert (world.project / SCORES).is_file()
        connection.execute(f"DELETE FROM public.{TABLE}".encode())  # a repair may do so again
        connection.rollback()
        assert world.scenario.expected_code == "DD201"
    assert leftovers(temporary) == []


def test_staging_is_final(temporary: Path) -> None:
    with built("staging-is-final") as (world, connection):
        assert ids(connection, "public") == MONDAY
        assert len(loads(connection, "public")) == 1
        config = tomllib.loads((world.project / ".dlt" / "config.toml").read_text())
        assert config["destination"]["postgres"]["staging_dataset_name_layout"] == "%s"
        assert list((world.pipelines_dir / "trust_scores" / "load" / "normalized").iterdir()) == []
        assert world.scenario.expected_code == "DD101"
    assert leftovers(temporary) == []


def test_dev_mode(temporary: Path) -> None:
    with built("dev-mode") as (world, connection):
        (dated,) = (name for name in datasets(connection) if re.fullmatch(r"public_\d{14}", name))
        assert datasets(connection) == {"public", "public_staging", dated, f"{dated}_staging"}
        assert ids(connection, "public") == MONDAY
        assert ids(connection, dated) == TUESDAY
        assert "dev_mode=True" in (world.project / SCORES).read_text()
        assert world.scenario.expected_code == "DD106"
    assert leftovers(temporary) == []


def test_emptied(temporary: Path) -> None:
    with built("emptied") as (world, connection):
        assert ids(connection, "public") == set()
        assert ids(connection, "public_staging") == TUESDAY
        assert [status for _, status in loads(connection, "public")] == [0, 0]
        assert world.rows() == {}
        assert world.scenario.expected_code == "DD302"
    assert leftovers(temporary) == []


def see_an_ordinary_project(world: DemoWorld, connection: psycopg.Connection) -> None:
    row = connection.execute("SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user")
    assert row.fetchone() == (False, False)
    secrets = world.project / ".dlt" / "secrets.toml"
    credentials = tomllib.loads(secrets.read_text())["destination"]["postgres"]["credentials"]
    assert credentials["password"] in world.dsn
    assert secrets.stat().st_mode & 0o077 == 0
    assert world.project.parent.stat().st_mode & 0o077 == 0
    assert {name for name in world.environ if "__" in name} == {"RUNTIME__DLTHUB_TELEMETRY"}


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "starting"),
        (signal.SIGTERM, "starting"),
        (signal.SIGINT, "$ python load_trust_scores.py monday"),
        (signal.SIGTERM, "$ python load_trust_scores.py monday"),
        (signal.SIGHUP, "built"),
    ],
)
def test_a_signal_at_any_moment(number: signal.Signals, moment: str, temporary: Path) -> None:
    code = run_python_until(moment, BUILD, temporary, number)
    assert code == (-number if number == signal.SIGINT else 128 + number)
    assert leftovers(temporary) == []


def test_a_kill_leaves_no_server(temporary: Path) -> None:
    run_python_until("built", BUILD, temporary, signal.SIGKILL)
    (left,) = leftovers(temporary, patience=1)
    assert left.startswith("dltdoctor-demo-")


def test_a_kept_world_lives_until_it_is_stopped(temporary: Path) -> None:
    dsn, project, stop = run_python(KEEP, temporary).splitlines()
    with psycopg.connect(dsn) as connection:
        assert ids(connection, "public") == MONDAY | TUESDAY
    assert (Path(project) / SCORES).is_file()
    subprocess.run(["sh", "-c", stop], check=True)
    assert leftovers(temporary) == []


def _run_what_is_absent(stage: Stage) -> None:
    stage.run(SCORES, "wednesday.csv")


def _expect_a_failure_in_vain(stage: Stage) -> None:
    stage.run_to_fail(SCORES, "monday.csv", "permission denied")


def _expect_another_failure(stage: Stage) -> None:
    stage.run_to_fail(SCORES, "wednesday.csv", "permission denied")


@pytest.mark.parametrize(
    ("play", "words"),
    [
        (_run_what_is_absent, "failed: .*wednesday.csv"),
        (_expect_a_failure_in_vain, "was to fail, but succeeded"),
        (_expect_another_failure, "failed otherwise: .*wednesday.csv"),
    ],
)
def test_a_script_that_does_not_do_as_told(play: Callable[[Stage], None], words: str, tmp_path: Path) -> None:
    scenario = Scenario(name="odd", title="", story="", expected_code=None, play=play)
    with start_server() as server, pytest.raises(DoctorError, match=words):
        build(scenario, server, tmp_path)


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    for name in ("dlt", "psycopg2"):  # as if no other test had imported them
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CouldNotLookError, match="is not installed") as caught, build_world("healthy"):
        pass
    assert "dltdoctor[demo]" in caught.value.hint


def test_an_unknown_scenario_is_told_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        find_scenario("helthy")
    assert all(scenario.name in caught.value.hint for scenario in SCENARIOS)
