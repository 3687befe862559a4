"""What a check means, from the doc in its file; and the list of all checks."""

import re
from collections.abc import Iterable
from typing import IO

from rich.cells import cell_len
from rich.text import Text

from dltdoctor.check import Check
from dltdoctor.report.style import STYLES, Page, piece

_INLINE = re.compile(r"(?P<code>`+)(?P<c>.+?)(?P=code)|(?P<em>\*{1,2})(?=\S)(?P<e>[^*\n]+?)(?<=\S)(?P=em)(?!\w)")
CODE = 7
SHORTEST_TITLE = 24
_ITEM = re.compile(r"(?:[-*+]|\d+\.)\s+")
_VERBATIM = re.compile(r"\s{4}|\|")


def render(check: Check, *, console_width: int | None = None, file: IO[str]) -> None:
    """Write what `explain CODE` shows."""
    page = Page(file, console_width)
    title, _, body = check.doc.partition("\n")
    style = STYLES[check.severities[0].value]
    page.flow([piece(f"{check.code} {check.name}", "bold"), piece(_levels(check), style)])
    page.line(page.text(title))
    for paragraph in re.split(r"\n\s*\n", body.strip("\n")):
        page.blank()
        _paragraph(page, paragraph.splitlines())
    page.blank()
    page.line(page.text(f"It reads: {', '.join(check.areas)}.", "dim"))
    if check.url:
        page.raw(page.text(check.url, "dim"))


def render_list(checks: Iterable[Check], *, console_width: int | None = None, file: IO[str]) -> None:
    """Write what `explain` alone shows: a line for each check."""
    page = Page(file, console_width)
    listed = list(checks)
    names = max((cell_len(c.name) for c in listed), default=0) + 2
    levels = max((cell_len(_levels(c)) for c in listed), default=0) + 2
    in_columns = page.width >= CODE + names + levels + SHORTEST_TITLE
    for each in listed:
        name, style = piece(each.name, "bold"), STYLES[each.severities[0].value]
        if in_columns:
            head = Text(each.code.ljust(CODE)) + _padded(name, names) + _padded(piece(_levels(each), style), levels)
            page.line(head, page.text(each.title), hang=head.cell_len)
        else:
            page.line(Text(f"{each.code} "), name, piece(f" {_levels(each)}", style), hang=2)
            page.line(page.text(each.title), indent=2)
    page.blank()
    page.flow([piece("More about a code:", "dim"), Text("dltdoctor explain CODE")], hang=2, dot="")


def _levels(check: Check) -> str:
    return "/".join(severity.value for severity in check.severities)


def _padded(text: Text, width: int) -> Text:
    return text + Text(" " * (width - text.cell_len))


def _paragraph(page: Page, lines: list[str]) -> None:
    """Indented lines stand as they are; others flow, each item of a list by itself."""
    if all(_VERBATIM.match(line) for line in lines):
        for line in lines:
            page.command(line.strip(), indent=4)
        return
    parts: list[list[str]] = []
    for line in lines:
        if not parts or _ITEM.match(line):
            parts.append([])
        parts[-1].append(line.strip())
    for part in parts:
        item = _ITEM.match(part[0])
        page.line(_inline(page, " ".join(part)), hang=len(item[0]) if item else 0)


def _inline(page: Page, text: str) -> Text:
    """Markdown's `code` and *emphasis* as styles."""
    line, at = Text(), 0
    for found in _INLINE.finditer(text):
        line += page.text(text[at : found.start()])
        line += page.text(found["c"], "cyan") if found["code"] else page.text(found["e"], "bold")
        at = found.end()
    return line + page.text(text[at:])
