"""A finding: what, why it matters, what shows it, and the exact next command."""

from rich.text import Text

from dltdoctor.finding import Evidence, Finding, Severity
from dltdoctor.report.cases import Told
from dltdoctor.report.style import STYLES, Page, piece
from dltdoctor.words import listed

RUN = {
    "safe": "Run (safe, keeps every row):",
    "unsafe": "Run (unsafe, read first what it may cost):",
    "manual": "Run yourself:",
}


def finding(page: Page, told: Told, why: str = "") -> None:
    """Write the finding, beneath its pipeline's line."""
    found, indent = told.finding, page.margin
    kind = found.severity.value
    head = page.mark(kind) + piece(f" {found.code} ", STYLES[kind]) + page.text(found.name, "bold")
    whose = [page.text(listed(told.pipelines))] if told.pipelines else []
    page.flow([head, *_place(page, found), *whose], indent=indent, hang=2)
    indent += 2
    page.line(page.text(found.message), indent=indent)
    if why:
        page.line(piece("Why it matters: ", "bold"), page.text(why), indent=indent, hang=2)
    for evidence in found.evidence:
        _evidence(page, evidence, indent)
    _remedy(page, found, indent)


def _evidence(page: Page, evidence: Evidence, indent: int) -> None:
    """The fact and its source in a line, or the source beneath it: it may be a path to copy."""
    bar = piece(f"{page.glyphs.bar} ", "dim")
    fact, source = page.text(evidence.fact), page.text(evidence.source, "dim")
    whole = fact + piece(f" {page.glyphs.dash} ", "dim") + source
    if indent + bar.cell_len + whole.cell_len <= page.width:
        page.line(whole, indent=indent, bar=bar)
        return
    page.line(fact, indent=indent, bar=bar)
    page.line(source, indent=indent, bar=bar + Text("    "))


def _place(page: Page, found: Finding) -> list[Text]:
    """The relation it is about, when there is one."""
    if not found.table:
        return [page.text(found.dataset)] if found.dataset else []
    return [page.text(f"{found.dataset}.{found.table}" if found.dataset else found.table)]


def _remedy(page: Page, found: Finding, indent: int) -> None:
    """What to do, how safe it is, and the command on a line of its own, to be copied."""
    remedy = found.remedy
    arrow = piece(f"{page.glyphs.arrow} ", "bold cyan")
    if remedy is None:
        if found.severity is not Severity.INFO:
            page.line(arrow, piece("Read what can be done. Run:", "bold"), indent=indent, hang=2)
            page.command(f"dltdoctor explain {found.code}", indent=indent + 4)
        return
    page.line(arrow, page.text(f"{remedy.title.rstrip('.')}.", "bold"), indent=indent, hang=2)
    if remedy.command:
        style = "yellow" if remedy.safety == "unsafe" else ""
        page.line(piece(RUN[remedy.safety], style), indent=indent + 2)
        page.command(remedy.command, indent=indent + 4)
