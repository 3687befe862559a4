"""The non-NULL share of each column in every copy: side by side, so that a hole stands out."""

from typing import NamedTuple

from rich.text import Text

from dltdoctor.diagnosis import TableCopy
from dltdoctor.report.style import STYLES, Page, piece
from dltdoctor.words import count

MOST_COPIES = 6
SHORTEST_NAME = 12
CELL = 6


class Share(NamedTuple):
    """A column's share in one copy; a copy without the column has none."""

    has: bool
    non_null: float | None
    exact: bool


def columns(page: Page, copies: tuple[TableCopy, ...], *, verbose: bool = False) -> None:
    """Write the shares of the columns that are not full in every copy; with `verbose` of all."""
    known = [copy for copy in copies if copy.columns]
    if not known:
        return
    names = list(dict.fromkeys(column.name for copy in known for column in copy.columns))
    table = {name: [_share(copy, name) for copy in known] for name in names}
    wanted = {name: shares for name, shares in table.items() if verbose or not _is_full(shares)}
    page.blank()
    if wanted:
        page.line(piece("Columns: how many rows hold a value", "bold"), indent=2)
        _draw(page, known, wanted)
    full = len(names) - len(wanted)
    if full and wanted:
        page.line(page.text(f"and {count(full, 'column')} full wherever there are rows"), indent=4)
    elif full:
        page.line(page.text(f"Columns: all {full:,} are full wherever there are rows"), indent=2, hang=2)


def _share(copy: TableCopy, name: str) -> Share:
    column = next((c for c in copy.columns if c.name == name), None)
    if column is None:
        # Without rows nothing can be said of a column, missing or not.
        return Share(False, None, True)
    return Share(True, column.non_null, copy.columns_exact)


def _is_full(shares: list[Share]) -> bool:
    """Nothing here to tell: present in every copy, and full wherever it could be told."""
    return all(share.has and (share.non_null is None or share.non_null >= 1) for share in shares)


def _draw(page: Page, copies: list[TableCopy], table: dict[str, list[Share]]) -> None:
    heads = [page.text(copy.schema, "bold") for copy in copies]
    rows = {name: [_cell(page, share) for share in shares] for name, shares in table.items()}
    widths = [max(head.cell_len, CELL, *(row[i].cell_len for row in rows.values())) for i, head in enumerate(heads)]
    longest = max(page.text(name).cell_len for name in rows)
    room = page.width - 4 - sum(width + 2 for width in widths)
    if len(copies) > MOST_COPIES or room < min(longest, SHORTEST_NAME):
        _listed(page, copies, rows)
        return
    first = min(longest, room)
    page.raw(_line(Text(" " * first), heads, widths), 4)
    for name, cells in rows.items():
        label = page.cut(name, first)
        page.raw(_line(label + Text(" " * (first - label.cell_len)), cells, widths), 4)


def _line(label: Text, cells: list[Text], widths: list[int]) -> Text:
    for cell, width in zip(cells, widths, strict=True):
        label = label + Text(" " * (2 + width - cell.cell_len)) + cell
    return label


def _listed(page: Page, copies: list[TableCopy], rows: dict[str, list[Text]]) -> None:
    """Column by column, for a narrow terminal or many copies."""
    for name, cells in rows.items():
        page.line(page.text(name), indent=4, hang=2)
        parts = [page.text(f"{copy.schema} ") + cell for copy, cell in zip(copies, cells, strict=True)]
        page.flow(parts, indent=6, hang=2)


def _cell(page: Page, share: Share) -> Text:
    if not share.has:
        return piece("absent", STYLES["warning"])
    if share.non_null is None:
        return piece("?", "dim")
    about = "" if share.exact else page.glyphs.about
    if share.non_null >= 1:
        return piece(f"{about}100 %", STYLES["ok"])
    if share.non_null <= 0:
        return piece(f"{about}0 %", STYLES["error"])
    # One NULL in a million is not full, one value in a million is not empty.
    percent = min(max(round(share.non_null * 100), 1), 99)
    return piece(f"{about}{percent} %", STYLES["warning"])
