"""A kill at any moment leaves the untouched world, or an unfinished receipt that resumes or undoes (law 8)."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dltdoctor.demo.server import Server, start_server
from dltdoctor.errors import DoctorError
from tests.captured import world
from tests.killing import Ward, admit, kill_backend, stop_by_sigkill, terminate_backend
from tests.repairing import Patient, patient

MOMENTS = 12


@pytest.fixture
def pending(tmp_path: Path, database: str) -> Patient:
    return patient(world("1.31.0", "resumable-merge"), tmp_path, database)


@pytest.fixture
def ward(pending: Patient) -> Ward:
    return admit(pending)


@pytest.mark.parametrize("verb", ["apply", "undo"])
def test_sigkill(ward: Ward, verb: str) -> None:
    outcomes = [ward.strike(verb, stop_by_sigkill, moment / MOMENTS) for moment in range(MOMENTS)]
    assert set(outcomes) <= {"untouched", "repaired", "resumed", "undone"}
    assert len(set(outcomes)) > 1, "no kill came in the middle"


@pytest.mark.parametrize("verb", ["apply", "undo"])
def test_the_connection_ends(ward: Ward, verb: str) -> None:
    outcomes = [ward.strike(verb, terminate_backend, moment / 6) for moment in range(6)]
    assert set(outcomes) <= {"untouched", "repaired", "resumed", "undone"}


@pytest.fixture
def server() -> Iterator[Server]:
    with start_server() as server:
        yield server


def test_the_server_crashes(server: Server, tmp_path: Path) -> None:
    """A backend that is killed makes Postgres end every session at once and recover from its log."""
    if os.geteuid() != 0 and os.stat(f"/proc/{server.pid}").st_uid != os.geteuid():
        pytest.skip("its processes are another user's")
    ward = admit(patient(world("1.31.0", "resumable-merge"), tmp_path, server.create_database("crashing")))
    for verb in ("apply", "undo"):
        for moment in (0.3, 0.6, 0.9):
            assert ward.strike(verb, kill_backend, moment) in {"untouched", "repaired", "resumed", "undone"}


def test_ctrl_c_in_the_middle(pending: Patient) -> None:
    """The merge waits for a lock on a nested table that is taken by a trigger; Ctrl-C ends it, and nothing is left."""
    pending.execute(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END'",
        "CREATE TRIGGER wait AFTER INSERT ON shop.orders FOR EACH STATEMENT EXECUTE FUNCTION wait()",
    )
    before = pending.everything()
    home = pending.root / "home"
    home.mkdir(exist_ok=True)
    places = ["--dsn", pending.dsn, "--pipelines-dir", str(pending.pipelines_dir), "--project", str(pending.project)]
    with subprocess.Popen(
        [sys.executable, "-m", "dltdoctor", "fix", "--migrate", "--yes", *places],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(Path(__file__).parent.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    ) as fix:
        wait_for_sleep(pending)
        fix.send_signal(signal.SIGINT)
        output, complaints = fix.communicate(timeout=30)
    assert fix.returncode == 130, (output, complaints)
    assert "Traceback" not in complaints
    assert pending.everything() == before
    assert not list(home.rglob("receipts/*"))


def wait_for_sleep(pending: Patient) -> None:
    for _ in range(600):
        if pending.fetch(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        ):
            return
        time.sleep(0.05)
    raise AssertionError("the repair never came to the merge")


def test_an_interrupted_repair_is_announced(ward: Ward) -> None:
    receipt = ward.leave_unfinished()
    assert [r.id for r in ward.patient.receipts if r.is_unfinished] == [receipt.id]
    assert ward.patient.resume(receipt).status == "applied"
    ward.must_be("repaired")


def test_a_repair_that_never_began_is_void(ward: Ward) -> None:
    receipt = ward.leave_unbegun()
    assert ward.patient.resume(receipt).status == "void"
    ward.must_be("untouched")
    with pytest.raises(DoctorError, match="is void"):
        ward.patient.undo(next(r for r in ward.patient.receipts if r.id == receipt.id))
