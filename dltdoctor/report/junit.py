"""JUnit XML: a test case for each check, or for each of its findings."""

from collections.abc import Iterator
from typing import Any

from dltdoctor.check import Check
from dltdoctor.doctor import BLIND
from dltdoctor.gate import Judged, Verdict
from dltdoctor.report.annotated import advice, outcome, place, subject
from dltdoctor.report.safe import safe


def render(verdict: Verdict) -> bytes:
    """One test suite. Findings below the threshold are told in `system-out` of a test that passes."""
    import junitparser  # noqa: PLC0415 - nobody else needs it

    suite = junitparser.TestSuite("dltdoctor check")
    for check in verdict.checks:
        for case in _cases(check, verdict):
            suite.add_testcase(case)
    suite.system_out = outcome(verdict)
    whole = junitparser.JUnitXml("dltdoctor")
    whole.add_testsuite(suite)
    whole.update_statistics()
    text: bytes = whole.tostring()
    return text + b"\n"


def _cases(check: Check, verdict: Verdict) -> Iterator[Any]:
    import junitparser  # noqa: PLC0415

    found = [j for j in verdict.of("new") if j.finding.code == check.code]
    for judged in found:
        yield _case(judged, verdict)
    if found:
        return
    case = junitparser.TestCase(f"{check.code} {check.name}", classname=f"dltdoctor.{check.code}")
    reasons = [s.reason for s in verdict.diagnosis.skipped if s.check == check.code and s.pipeline is None]
    if check.code in verdict.unable:
        case.result = [junitparser.Skipped(safe("; ".join(dict.fromkeys(reasons))))]
    yield case


def _case(judged: Judged, verdict: Verdict) -> Any:
    import junitparser  # noqa: PLC0415

    finding, at = judged.finding, place(judged)
    about = subject(finding)
    name = f"{finding.code} {finding.name}{f' ({about})' if about else ''}"
    case = junitparser.TestCase(name, classname=f"dltdoctor.{finding.code}")
    case._elem.set("file", at.path)  # noqa: SLF001 - GitLab and pytest write these two, junitparser knows neither
    case._elem.set("line", str(at.line))  # noqa: SLF001
    evidence = (f"  {safe(e.fact)} -- {safe(e.source)}" for e in finding.evidence)
    text = "\n".join([safe(finding.message), *evidence, advice(finding)]).rstrip()
    if finding.code in BLIND:
        case.result = [junitparser.Error(safe(finding.message), finding.name)]
        case.result[0].text = text
    elif verdict.fails(finding):
        case.result = [junitparser.Failure(safe(finding.message), finding.name)]
        case.result[0].text = text
    else:
        case.system_out = text
    return case
