"""Strikes a repair down at a chosen moment of its duration, looks at what is left, and cures that.

The repair runs in a forked child: everything is imported there, so that the whole duration is the repair's.
"""

import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

import psycopg

from dltdoctor.errors import CouldNotLookError
from dltdoctor.receipt import Receipt
from tests.repairing import Patient

Outcome = Literal["untouched", "repaired", "resumed", "undone"]
State = tuple[Mapping[str, list[str]], Mapping[str, tuple[int, str]]]
Strike = Callable[["Ward", int], None]
PATIENCE = 20.0
CLOCK = re.compile(r"2\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d+")  # inserted_at of _dlt_loads


class Ward:
    """A world that is repaired and taken back many times, and its two states.

    `seconds` is how long each verb takes when nothing comes in between.
    """

    def __init__(self, patient: Patient) -> None:
        self.patient = patient
        self.untouched = self._state()
        self.seconds: dict[str, float] = {}
        self.struck = 0
        for verb in ("apply", "undo"):
            began = time.monotonic()
            self._bring_to(verb)
            child = self._fork(verb)
            began = time.monotonic()
            os.waitpid(child, 0)
            self.seconds[verb] = time.monotonic() - began
            if verb == "apply":
                self.repaired = self._state()
                assert self.repaired != self.untouched
        self.must_be("untouched")

    def strike(self, verb: str, strike: Strike, moment: float) -> Outcome:
        """Begin, strike after that share of the duration, cure what is left by the one way or the other."""
        self._bring_to(verb)
        self.struck += 1
        child = self._fork(verb)
        time.sleep(moment * self.seconds[verb])
        strike(self, child)
        os.waitpid(child, 0)
        self._settle()
        return self._cure()

    def must_be(self, what: Literal["untouched", "repaired"]) -> None:
        """Fail unless the world is in that state, and no receipt is unfinished."""
        state, wanted = self._state(), self.untouched if what == "untouched" else self.repaired
        assert state == wanted, [
            {k: (found.get(k), expected.get(k)) for k in {*found, *expected} if found.get(k) != expected.get(k)}
            for found, expected in zip(state, self.untouched, strict=True)
        ]
        assert not [r for r in self.patient.receipts if r.is_unfinished]

    def leave_unfinished(self) -> Receipt:
        """Strike until the database is done and the files are not."""
        for moment in range(200):
            self._bring_to("apply")
            child = self._fork("apply")
            time.sleep((0.5 + moment % 50 / 100) * self.seconds["apply"])
            stop_by_sigkill(self, child)
            os.waitpid(child, 0)
            self._settle()
            unfinished = [r for r in self.patient.receipts if r.is_unfinished]
            if unfinished and self._state()[0] == self.repaired[0]:
                return unfinished[0]
            self._cure()
        raise AssertionError("no kill came between the commit and the end")

    def leave_unbegun(self) -> Receipt:
        """A receipt as it stands on disk before anything is done."""
        prepared = self.patient.prepare()
        shop = self.patient.workshop(prepared)
        receipt = Receipt(
            id="20260101T000000-0000",
            version=1,
            tool="0",
            made_at=0,
            status="started",
            title="begun",
            plan=prepared.plan,
            target=prepared.plan.target,
        )
        shop.receipts.write(receipt)
        return receipt

    def _cure(self) -> Outcome:
        """What law 8 says: no half state; what is unfinished is finished or taken back, in turns."""
        unfinished = [r for r in self.patient.receipts if r.is_unfinished]
        if not unfinished:
            outcome: Outcome = "untouched" if self._state() == self.untouched else "repaired"
            self.must_be(outcome)
            return outcome
        (receipt,) = unfinished
        done = self.patient.resume(receipt) if self.struck % 2 else self.patient.undo(receipt)
        assert done.status in ("applied", "void")
        at = "untouched" if self._state() == self.untouched else "repaired"
        self.must_be(at)
        return "resumed" if self.struck % 2 else "undone"

    def _bring_to(self, verb: str) -> None:
        """Undo needs a repaired world, apply an untouched one."""
        is_untouched = self._state() == self.untouched
        if is_untouched and verb == "undo":
            self.patient.age()
            self.patient.migrate()
        elif not is_untouched and verb == "apply":
            self.patient.undo(self._last())

    def _last(self) -> Receipt:
        """The newest repair that stands, be it a repair or the redoing of one."""
        return max((r for r in self.patient.receipts if r.status == "applied"), key=lambda r: r.made_at)

    def _fork(self, verb: str) -> int:
        """A child that carries the verb out; what it needs to know is read before."""
        self.patient.age()
        if verb == "apply":
            prepared = self.patient.prepare()
            assert prepared.plan.cures, prepared
            work: Callable[[], Any] = lambda: self.patient.apply(prepared)  # noqa: E731
        else:
            from dltdoctor import repair

            receipt = self._last()
            bench = self.patient.bench(receipt)
            work = lambda: repair.undo(receipt, bench)  # noqa: E731
        child = os.fork()
        if child:
            return child
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            work()
        finally:
            os._exit(0)

    def _settle(self) -> None:
        """Wait until the server has noticed, and is there again."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                if not self.sessions():
                    return
            except psycopg.OperationalError:
                pass
            time.sleep(0.02)
        raise AssertionError("the session of the repair is still there")

    def sessions(self) -> list[int]:
        """The process ids of the repair's sessions."""
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'dltdoctor' AND datname = current_database()"
        return [pid for (pid,) in self.patient.fetch(query)]

    def _state(self) -> State:
        try:
            rows = {table: [CLOCK.sub("now", row) for row in lines] for table, lines in self.patient.rows().items()}
            return rows, self.patient.files()
        except psycopg.OperationalError as error:
            raise CouldNotLookError(str(error)) from error


def admit(patient: Patient) -> Ward:
    return Ward(patient)


def stop_by_sigkill(_: Ward, child: int) -> None:
    """As the kernel does when memory runs out."""
    os.kill(child, signal.SIGKILL)


def terminate_backend(ward: Ward, _: int) -> None:
    """As an administrator does, or a pooler."""
    ward.patient.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'dltdoctor' AND datname = current_database()"
    )


def kill_backend(ward: Ward, _: int) -> None:
    """The server crashes; only for a server of one's own on this machine."""
    for pid in ward.sessions():
        with suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(pid, signal.SIGKILL)
