"""The laws of repair, stated for any sick world: what every plan, its receipt and its undo have to keep."""

import msgspec

from dltdoctor.plan import Plan
from dltdoctor.receipt import Receipt
from dltdoctor.steps.step import FinishLoad
from dltdoctor.treatment import Prepared, Wish, prepare
from tests.repairing import Patient, silent

MOST_PLANS = 4
# About the last run, until the next one: nothing on disk tells that it will be another kind of run.
UNTIL_THE_NEXT_RUN = {"DD106"}


class Course(msgspec.Struct, frozen=True):
    """The receipts of the plans that were carried out one after the other."""

    receipts: tuple[Receipt, ...]
    runs_dlt: bool


def treat(patient: Patient, wish: Wish) -> Course:
    """Plan and apply until a plan is empty; laws 3, 4 and 6 on the way."""
    receipts: list[Receipt] = []
    runs_dlt = False
    for _ in range(MOST_PLANS):
        before = patient.everything()
        prepared = prepare(patient.request(), wish, progress=silent)
        if not runs(prepared.plan):
            patient.preview(prepared)
        assert patient.everything() == before, "law 3: planning and previewing change nothing"
        if prepared.plan.is_empty:
            return Course(tuple(receipts), runs_dlt)
        runs_dlt = runs_dlt or runs(prepared.plan)
        receipts.append(carried_out(patient, prepared))
    raise AssertionError("law 6: there is always another plan")


def carried_out(patient: Patient, prepared: Prepared) -> Receipt:
    """Apply one plan; law 4."""
    receipt = patient.apply(prepared)
    proof = patient.prove(prepared, receipt)
    assert not [f.message for f in proof.new], "law 4: no new finding came"
    left = [f.message for f in proof.remaining if f.code not in UNTIL_THE_NEXT_RUN]
    assert not left, "law 4: what was cured is gone"
    return receipt


def take_back(patient: Patient, course: Course) -> None:
    """Undo every receipt, the newest first."""
    for receipt in reversed(course.receipts):
        patient.undo(receipt)


def runs(plan: Plan) -> bool:
    """Whether dlt itself carries out a part: what it loads, nothing takes back."""
    return any(isinstance(step, FinishLoad) for step in plan.steps)
