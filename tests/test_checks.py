"""Laws 1 and 2: every check yields what its examples say, whatever the order of the checks."""

import random

import pytest

from dltdoctor.check import Check, Crashed, Found
from dltdoctor.checks import BY_CODE, CHECKS
from dltdoctor.examine import examine, run
from dltdoctor.ledger import draw_up

SICK = [(c, e) for c in CHECKS for e in c.sick]
WELL = [(c, e) for c in CHECKS for e in c.well]


def _name(value: object) -> str:
    return getattr(value, "code", None) or getattr(value, "__name__", str(value)).strip("_")


@pytest.mark.parametrize(("check", "example"), SICK, ids=_name)
def test_sick_example_is_found(check: Check, example):
    snapshot = example()
    outcome = run(check, snapshot, draw_up(snapshot))
    assert isinstance(outcome, Found), outcome
    assert outcome.findings, "a sick example must be found"


@pytest.mark.parametrize(("check", "example"), WELL, ids=_name)
def test_well_example_is_quiet(check: Check, example):
    snapshot = example()
    outcome = run(check, snapshot, draw_up(snapshot))
    assert not isinstance(outcome, Crashed), outcome
    assert not isinstance(outcome, Found) or not outcome.findings


@pytest.mark.parametrize("check", CHECKS, ids=_name)
def test_every_check_has_examples_and_a_whole_docstring(check: Check):
    assert check.sick
    assert check.well
    assert "*Why it matters.*" in check.doc
    assert "*Fix safety.*" in check.doc
    assert check.function.__module__.rsplit(".", 1)[-1] == check.name.replace("-", "_")


@pytest.mark.parametrize(("check", "example"), SICK, ids=_name)
def test_order_of_checks_does_not_matter(check: Check, example):
    snapshot = example()
    ledger = draw_up(snapshot)
    shuffled = random.sample(CHECKS, len(CHECKS))
    findings, skipped = examine(CHECKS, snapshot, ledger)
    other_findings, other_skipped = examine(shuffled, snapshot, ledger)
    assert findings == other_findings
    assert set(map(repr, skipped)) == set(map(repr, other_skipped))
    assert check.code in {f.code for f in findings}


def test_codes_are_in_order_and_unique():
    codes = [c.code for c in CHECKS]
    assert codes == sorted(set(codes)) == list(BY_CODE)
