"""A recovery that is struck down leaves the untouched world, or an unfinished receipt that resumes or undoes (law 8)."""

from pathlib import Path

import msgspec
import pytest

from tests.captured import world
from tests.killing import Ward, admit, stop_by_sigkill, terminate_backend
from tests.recovering import Recovering
from tests.repairing import patient

MOMENTS = {"apply": 6, "undo": 4}
LOST = {
    "emptied": ("healthy-merge", ("TRUNCATE shop.orders, shop.orders__items",)),
    "clobbered": ("null-scores", ()),
}


@pytest.fixture(params=LOST)
def ward(request: pytest.FixtureRequest, tmp_path: Path, database: str) -> Ward:
    name, damage = LOST[request.param]
    sick = patient(world("1.31.0", name), tmp_path, database)
    sick.execute(*damage)
    return admit(Recovering(**msgspec.structs.asdict(sick)))


def test_a_recovery_is_killed(ward: Ward) -> None:
    for verb, many in MOMENTS.items():
        outcomes = {ward.strike(verb, stop_by_sigkill, moment / many) for moment in range(many)}
        assert outcomes <= {"untouched", "repaired", "resumed", "undone"}
        assert outcomes - {"repaired"}, "no kill came before the end"


def test_the_connection_of_a_recovery_ends(ward: Ward) -> None:
    for verb in MOMENTS:
        outcomes = {ward.strike(verb, terminate_backend, moment / 3) for moment in range(3)}
        assert outcomes <= {"untouched", "repaired", "resumed", "undone"}


@pytest.mark.parametrize("way", ["resume", "undo"])
def test_a_recovery_whose_end_was_not_written_down(ward: Ward, way: str) -> None:
    """The database has committed; the receipt on disk still says that it was begun."""
    sick = ward.patient
    sick.age()
    prepared = sick.prepare()
    begun = msgspec.structs.replace(sick.apply(prepared), status="started")
    sick.workshop(prepared).receipts.write(begun)
    assert begun.is_unfinished
    done = sick.resume(begun) if way == "resume" else sick.undo(begun)
    assert done.status == "applied"
    ward.must_be("repaired" if way == "resume" else "untouched")


def test_a_recovery_that_never_began_is_void(ward: Ward) -> None:
    assert ward.patient.resume(ward.leave_unbegun()).status == "void"
    ward.must_be("untouched")
