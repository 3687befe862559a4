"""Two repairs at once, and a repair beside a running load: one waits or is refused, and nothing is doubled."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from dltdoctor.errors import RefusedError
from tests.captured import world
from tests.repairing import Patient, patient


@pytest.fixture
def sick(tmp_path: Path, database: str) -> Patient:
    return patient(world("1.31.0", "resumable-merge"), tmp_path, database)


def start_fix(sick: Patient) -> "subprocess.Popen[str]":
    home = sick.root / "home"
    home.mkdir(exist_ok=True)
    places = ["--dsn", sick.dsn, "--pipelines-dir", str(sick.pipelines_dir), "--project", str(sick.project)]
    return subprocess.Popen(
        [sys.executable, "-m", "dltdoctor", "fix", "--migrate", "--yes", *places],
        env={"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(Path(__file__).parent.parent)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def busy(sick: Patient, *statements: str) -> Iterator[psycopg.Connection]:
    """Another session in the middle of its transaction."""
    with psycopg.connect(sick.dsn) as connection:
        for statement in statements:
            connection.execute(statement.encode())
        yield connection
        connection.rollback()


def test_two_at_once(sick: Patient) -> None:
    """Both plan the same; one carries it out, the other finds the world changed, or nothing to do."""
    runs = [start_fix(sick) for _ in range(2)]
    outcomes = [(run.communicate(timeout=120), run.returncode) for run in runs]
    codes = sorted(code for _, code in outcomes)
    assert codes[0] == 0, outcomes
    assert codes[1] in (0, 4), outcomes
    assert not any("Traceback" in err for (_, err), _ in outcomes), outcomes
    assert sick.count("shop.orders") == 6
    assert sick.count("shop.orders__items") == 6
    assert sick.count("shop._dlt_loads") == 2
    sick.age()
    assert not sick.codes("error", "warning")


def test_the_second_of_two_plans_is_refused(sick: Patient) -> None:
    first, second = sick.prepare(), sick.prepare()
    sick.apply(first)
    before = sick.everything()
    with pytest.raises(RefusedError, match=r"is not there any more|has changed since"):
        sick.apply(second)
    assert sick.everything() == before


def test_while_another_repair_holds_the_tables(sick: Patient) -> None:
    prepared = sick.prepare()
    with busy(sick, "LOCK TABLE shop.orders IN SHARE ROW EXCLUSIVE MODE"):
        began = time.monotonic()
        with pytest.raises(RefusedError, match=r"shop.orders is being written to by another session") as refused:
            sick.apply(prepared)
        assert 4 < time.monotonic() - began < 15
    assert "Try again" in refused.value.hint
    assert not sick.receipts
    sick.apply(prepared)
    assert sick.count("shop.orders") == 6


@pytest.mark.parametrize(
    "work",
    [
        "INSERT INTO shop_staging.orders (id, _dlt_load_id, _dlt_id) VALUES (7, '9', 'x')",
        "INSERT INTO shop.orders (id, _dlt_load_id, _dlt_id) VALUES (7, '9', 'x')",
        "TRUNCATE shop_staging.orders",
    ],
)
def test_beside_a_running_load(sick: Patient, work: str) -> None:
    """A load that writes one of the tables: its rows are not taken, and it is not disturbed."""
    prepared = sick.prepare()
    with busy(sick, work) as load:
        with pytest.raises(RefusedError, match="is being written to by another session"):
            sick.apply(prepared)
        assert load.execute("SELECT 1").fetchone() == (1,)
    assert sick.count("shop.orders") == 3


def test_a_plan_made_while_a_load_runs_is_empty(sick: Patient) -> None:
    with busy(sick, "INSERT INTO shop_staging.orders (id, _dlt_load_id, _dlt_id) VALUES (7, '9', 'x')"):
        assert sick.prepare().plan.is_empty


def test_undo_waits_for_nobody_either(sick: Patient) -> None:
    receipt = sick.migrate()
    with (
        busy(sick, "LOCK TABLE shop.orders IN SHARE ROW EXCLUSIVE MODE"),
        pytest.raises(RefusedError, match="being written to"),
    ):
        sick.undo(receipt)
    assert sick.count("shop.orders") == 6
    sick.undo(receipt)
    assert sick.count("shop.orders") == 3
