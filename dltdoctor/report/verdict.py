"""The text report of the gate: the diagnosis of what counts, then what the project has decided."""

from typing import IO

from rich.text import Text

from dltdoctor.diagnosis import Diagnosis
from dltdoctor.gate import Judged, Verdict
from dltdoctor.report import text
from dltdoctor.report.annotated import outcome
from dltdoctor.report.style import Page, piece

_STYLES = {0: "ok", 1: "error"}


def render(
    verdict: Verdict,
    diagnosis: Diagnosis,
    *,
    console_width: int | None = None,
    verbose: bool = False,
    file: IO[str],
) -> None:
    """Write the report; `diagnosis` is that of the verdict, worded for the reader."""
    text.render(diagnosis, console_width=console_width, verbose=verbose, file=file)
    page = Page(file, console_width)
    page.blank()
    for judged in verdict.of("ignored"):
        if judged.ignored:
            what = " ".join(part for part in (judged.finding.code, judged.finding.name, _where(judged)) if part)
            _line(page, f"ignored: {what}", f"{judged.ignored.reason} ({judged.ignored.origin})")
    for entry in verdict.gone:
        name = " ".join(part for part in (entry.code, entry.name, entry.pipeline or entry.dataset) if part)
        _line(page, f"gone from the baseline: {name}", "")
    for notice in verdict.notices:
        page.line(page.mark("warning"), Text(" "), page.text(notice), hang=2)
    if verdict.updated:
        _line(page, f"the baseline {verdict.updated} was written", "")
    style = _STYLES.get(verdict.exit_code, "unknown")
    page.line(page.mark(style, boxed=True), page.text(outcome(verdict), "bold"), hang=page.margin)


def _line(page: Page, what: str, why: str) -> None:
    reason = piece(f" {page.glyphs.dash} ", "dim") + page.text(why) if why else Text()
    page.line(page.mark("info"), Text(" "), page.text(what), reason, hang=2)


def _where(judged: Judged) -> str:
    """The file it stands in, else what it is about."""
    at, finding = judged.location, judged.finding
    if at:
        return f"{at.path}:{at.line}"
    return ".".join(part for part in (finding.dataset or finding.pipeline, finding.table) if part)
