"""The text report: pipelines sickest first, each with its way and its findings, and a total."""

from collections import Counter
from collections.abc import Sequence
from typing import IO

from rich.text import Text

from dltdoctor.diagnosis import Diagnosis
from dltdoctor.finding import Severity
from dltdoctor.report.cases import Case, Health, cases, tally
from dltdoctor.report.style import STYLES, Page, piece
from dltdoctor.report.text_finding import finding
from dltdoctor.report.text_ledger import healthy_staging, ledger
from dltdoctor.report.text_pipeline import common, pipeline, pipeline_place
from dltdoctor.report.text_skipped import skipped
from dltdoctor.words import count

MANY = 10
HEALTH: dict[Health, str] = {"error": "sick", "warning": "to look after", "unknown": "not looked at", "ok": "healthy"}


def render(
    diagnosis: Diagnosis,
    *,
    console_width: int | None = None,
    verbose: bool = False,
    file: IO[str],
) -> None:
    """Write the report; `verbose` shows every table of every pipeline, however many there are."""
    page = Page(file, console_width)
    found = cases(diagnosis)
    pipelines = [case for case in found if case.line]
    if not pipelines:
        page.line(page.mark("unknown", boxed=True), Text("no dlt pipeline was found"), hang=page.margin)
        page.blank()
    brief = len(pipelines) > MANY and not verbose
    told = [case for case in found if not (brief and _is_quiet(case))]
    shown = told[:MANY] if brief else told
    for case in shown:
        _case(page, case, diagnosis, verbose=verbose)
        page.blank()
    if brief:
        _fleet(page, told[MANY:], pipelines, diagnosis)
    skipped(page, diagnosis.skipped)
    _total(page, diagnosis)


def _fleet(page: Page, more: Sequence[Case], pipelines: Sequence[Case], diagnosis: Diagnosis) -> None:
    """A line for each pipeline that is not shown in full, sickest first, and how many are how."""
    quiet = [case for case in pipelines if _is_quiet(case)]
    for case in (*more, *quiet):
        pipeline(page, case, diagnosis.taken_at)
    if any(case.told for case in (*more, *quiet)):
        page.line(page.text("Name a pipeline, or add --verbose, to see it in full.", "dim"), hang=2)
    if more or quiet:
        page.blank()
    states = Counter(case.health for case in pipelines)
    words = [f"{states[health]:,} {word}" for health, word in HEALTH.items() if states[health]]
    page.flow([page.text(count(len(pipelines), "pipeline")), *map(page.text, words)], hang=2)


def _is_quiet(case: Case) -> bool:
    """Nothing more to say of it among many than its own line, which counts its notes."""
    notes = all(told.finding.severity is Severity.INFO for told in case.told)
    return case.line is not None and case.health in ("ok", "unknown") and notes


def _case(page: Page, case: Case, diagnosis: Diagnosis, *, verbose: bool) -> None:
    if case.line:
        pipeline(page, case, diagnosis.taken_at)
        pipeline_place(page, case.line)
    else:
        common(page, case)
    ledger(page, case, verbose=verbose)
    for note in (*healthy_staging(case.rows), *(case.line.notes if case.line else ())):
        page.line(page.mark("info"), Text(" "), page.text(note), indent=page.margin, hang=2)
    for told in case.told:
        page.blank()
        finding(page, told, diagnosis.why.get(told.finding.code, ""))


def _total(page: Page, diagnosis: Diagnosis) -> None:
    worst = max((f.severity for f in diagnosis.findings), key=lambda s: s.rank, default=None)
    style = STYLES[worst.value] if worst and worst is not Severity.INFO else STYLES["ok"]
    left_out = len({s.check for s in diagnosis.skipped})
    checks = count(diagnosis.checks, "check") + ", " + (f"{left_out} skipped" if left_out else "none skipped")
    page.flow([piece(tally(diagnosis.findings, none=True), style), Text(checks)], hang=2)
    if worst and worst is not Severity.INFO:
        code = max(diagnosis.findings, key=lambda f: f.severity.rank).code
        page.flow([piece("More about a code:", "dim"), page.text(f"dltdoctor explain {code}")], hang=2, dot="")
