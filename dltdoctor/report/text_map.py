"""The way of a pipeline's rows, drawn: pipeline, staging and final, with counts and a verdict each.

The datasets head the columns of their counts. Where the columns do not fit, the names of tables are
cut in the middle; on a narrow terminal each table takes lines of its own.
"""

from collections.abc import Callable
from typing import NamedTuple

from rich.text import Text

from dltdoctor.ledger import FinalSide, LedgerRow, StagingSide
from dltdoctor.report.style import STYLES, Page, first_style, piece
from dltdoctor.words import count

WORDS = {
    "healthy": "",
    "leftover": "merged",
    "stranded": "STRANDED",
    "resumable": "RESUMABLE",
    "in-flight": "loading",
    "false-commit": "FALSE COMMIT",
    "missing": "MISSING",
    "hidden": "cannot see",
    "unknown": "unknown",
}
SHORTEST_NAME = 16
MOST_CODES = 3


class Way(NamedTuple):
    """The tables of one final dataset, and the staging dataset they pass through, if any."""

    pipeline: str
    staging: str | None
    final: str
    rows: tuple[LedgerRow, ...]


class Entry(NamedTuple):
    """A table on the map: how deep it nests, how it is, and the codes of the findings about it."""

    row: LedgerRow
    depth: int
    kind: str
    codes: tuple[str, ...]


class Cells(NamedTuple):
    """A line of the map; the numbers stand at the right of their columns."""

    name: Text
    into: Text
    staged: Text
    verdict: Text
    final: Text
    mark: Text


_RIGHT = (False, False, True, False, True, False)


def draw(page: Page, way: Way, entries: list[Entry]) -> None:
    """Write the map, as wide as it may be."""
    lines = [_cells(page, way, entry) for entry in entries]
    head = _head(page, way)
    for attempt in ([head, *lines], lines):
        widths = _widths(page, attempt)
        if attempt and widths:
            if attempt is lines:
                heading(page, way)
            for cells in attempt:
                _columns(page, cells, widths)
            return
    heading(page, way)
    for entry, cells in zip(entries, lines, strict=True):
        _stacked(page, cells, entry.depth)


def heading(page: Page, way: Way) -> None:
    """The way in a line of its own: `shop ──► shop_staging ──► shop`."""
    head = _head(page, way)
    segments = [part for part in (head.name, head.staged, head.final) if part]
    page.flow(segments, indent=page.margin, hang=2, dot=page.glyphs.way)
    if head.mark:
        page.raw(head.mark, page.margin + 2)


def _head(page: Page, way: Way) -> Cells:
    arrow = page.text(page.glyphs.way, "dim")
    staged = way.staging is not None
    same = page.mark("error") + piece(" one schema", STYLES["error"]) if way.staging == way.final else Text()
    return Cells(
        name=page.text(way.pipeline, "bold"),
        into=arrow,
        staged=page.text(way.staging or "", "bold"),
        verdict=arrow if staged else Text(),
        final=page.text(way.final, "bold"),
        mark=same,
    )


def _cells(page: Page, way: Way, entry: Entry) -> Cells:
    style = STYLES[entry.kind]
    row = entry.row
    codes = " ".join(entry.codes[:MOST_CODES])
    bad = "" if entry.kind == "ok" else style
    return Cells(
        name=Text("  " * entry.depth) + page.text(row.table, bad),
        into=Text(),
        staged=page.text(_staged(page, row.staging)) if way.staging else Text(),
        verdict=piece(WORDS[row.verdict], style),
        final=page.text(_final(page, row.final)),
        mark=page.mark(entry.kind) + (Text(" ") + page.text(codes, style) if codes else Text()),
    )


def _widths(page: Page, lines: list[Cells]) -> list[int] | None:
    """The columns' widths, the first one squeezed if need be; None when they do not fit."""
    widths = [max((cells[i].cell_len for cells in lines), default=0) for i in range(len(_RIGHT))]
    room = page.width - page.margin - sum(w + 2 for w in widths[1:] if w)
    if room < min(widths[0], SHORTEST_NAME):
        return None
    return [min(widths[0], room), *widths[1:]]


def _columns(page: Page, cells: Cells, widths: list[int]) -> None:
    line = Text()
    for cell, width, right in zip(cells, widths, _RIGHT, strict=True):
        if not width:
            continue
        shown = _cut(page, cell, width)
        gap = Text(" " * (width - shown.cell_len))
        line = (line + Text("  ") if line else line) + (gap + shown if right else shown + gap)
    page.raw(line, page.margin)


def _cut(page: Page, cell: Text, width: int) -> Text:
    if cell.cell_len <= width:
        return cell
    return page.cut(cell.plain, width, first_style(cell))


def _stacked(page: Page, cells: Cells, depth: int) -> None:
    indent = page.margin + min(depth * 2, page.width // 4)
    page.raw(page.cut(cells.name.plain.strip(), page.width - indent, first_style(cells.name)), indent)
    staged = Text() if cells.staged.plain == page.glyphs.none else cells.staged
    segments = [part for part in (staged, cells.verdict, cells.final + Text(" ") + cells.mark) if part]
    page.flow(segments, indent=indent + 2, hang=2, dot=page.glyphs.arrow)


def _staged(page: Page, side: StagingSide) -> str:
    if side.exists is False:
        return page.glyphs.none
    return _number(page, side, lambda n: f"{n:,} staged", "? staged")


def _final(page: Page, side: FinalSide) -> str:
    if side.exists is False:
        return "no table"
    return _number(page, side, lambda n: count(n, "row"), "? rows")


def _number(page: Page, side: FinalSide | StagingSide, say: Callable[[int], str], unknown: str) -> str:
    if side.rows is None:
        return unknown
    return say(side.rows) if side.exact else page.glyphs.about + say(side.rows)
