"""Laws 3 to 7 over every captured sick world: what `fix` cures is gone, nothing new comes, and undo brings it all back."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dltdoctor.errors import RefusedError
from dltdoctor.treatment import Wish, prepare
from tests.captured import CapturedWorld, worlds
from tests.laws import carried_out, runs, take_back, treat
from tests.repairing import Patient, patient, silent

Ward = Callable[[CapturedWorld], Patient]

SICK = [w for w in worlds() if not w.is_healthy and (w.expected_codes or w.one_of_codes)]
# dlt itself finishes these loads, which costs seconds each: the oldest and the newest of each kind.
RUN_BY_DLT = ("pending-", "resumable-")
TREATED = [w for w in SICK if not w.world.startswith(RUN_BY_DLT) or w.version in ("0.5.4", "1.30.0", "1.31.0")]

BOLD = ("story/", "1.30.0/stranded-merge", "1.31.0/stranded-merge", "1.31.0/null-scores")
BOLDLY_TREATED = [w for w in SICK if w.id.startswith(BOLD) and w.expected_codes and not w.world.endswith("-upsert")]


@pytest.fixture
def ward(tmp_path: Path, database: str) -> Ward:
    """Makes a patient of a captured world; dlt wants a password, if any."""

    def admit(world: CapturedWorld) -> Patient:
        with psycopg.connect(database) as connection:
            password = connection.info.password or "any"
        return patient(world, tmp_path, make_conninfo(database, password=password))

    return admit


@pytest.mark.parametrize("world", TREATED, ids=lambda w: w.id)
def test_what_is_cured_is_gone_and_undo_brings_it_back(world: CapturedWorld, ward: Ward) -> None:
    sick = ward(world)
    before = sick.rows(), sick.files()
    course = treat(sick, Wish())
    if course.runs_dlt:  # what dlt loads, dlt cannot take back: the receipt says so
        with pytest.raises(RefusedError, match="kept nothing to undo with"):
            take_back(sick, course)
        return
    take_back(sick, course)
    assert (sick.rows(), sick.files()) == before, "law 5: row for row, byte for byte"


@pytest.mark.parametrize("world", BOLDLY_TREATED, ids=lambda w: w.id)
def test_the_same_holds_for_unsafe_cures(world: CapturedWorld, ward: Ward) -> None:
    sick = ward(world)
    before = sick.rows(), sick.files()
    course = treat(sick, Wish(unsafe=True))
    assert course.receipts
    take_back(sick, course)
    assert (sick.rows(), sick.files()) == before


@pytest.mark.parametrize(
    "world", [w for w in SICK if (w.version, w.world) in {("0.5.4", "staging-is-final"), ("1.5.0", "stranded-merge")}]
)
def test_drift_is_refused_and_changes_nothing(world: CapturedWorld, ward: Ward) -> None:
    """Law 7: between plan and apply, and between receipt and undo."""
    sick = ward(world)
    prepared = prepare(sick.request(), Wish(), progress=silent)
    assert prepared.plan.cures
    assert not runs(prepared.plan)
    drift, back = (
        "INSERT INTO shop.orders (id, _dlt_id, _dlt_load_id) VALUES (99, 'new', '1')",
        "DELETE FROM shop.orders",
    )
    sick.execute(drift)
    before = sick.rows(), sick.files()
    with pytest.raises(RefusedError):
        sick.apply(prepared)
    assert (sick.rows(), sick.files()) == before
    sick.execute(f"{back} WHERE id = 99")
    receipt = carried_out(sick, prepare(sick.request(), Wish(), progress=silent))
    sick.execute("UPDATE shop.orders SET _dlt_load_id = '2'")
    before = sick.rows(), sick.files()
    with pytest.raises(RefusedError):
        sick.undo(receipt)
    assert (sick.rows(), sick.files()) == before
