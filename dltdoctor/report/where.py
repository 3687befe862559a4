"""Every copy of a table side by side: what it is, how full it is, and which one a bare name means."""

from typing import IO, Literal

import msgspec
from rich.text import Text

from dltdoctor.diagnosis import TableCopy, Whereabouts
from dltdoctor.report.json import VERSION, encode
from dltdoctor.report.style import Page
from dltdoctor.report.text_pipeline import when
from dltdoctor.report.where_columns import columns
from dltdoctor.words import count, listed


class WhereReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `where TABLE --format json` prints."""

    version: Literal[1]
    table: str
    copies: tuple[TableCopy, ...]


def render_json(where: Whereabouts, *others: Whereabouts) -> bytes:
    """One JSON object in UTF-8, ending in a line break; `others` are the same table in other databases."""
    copies = [
        msgspec.structs.replace(copy, database=copy.database or place.target)
        for place in (where, *others)
        for copy in place.copies
    ]
    return encode(WhereReport(version=VERSION, table=where.table, copies=tuple(copies)))


def render(
    where: Whereabouts,
    *,
    console_width: int | None = None,
    verbose: bool = False,
    file: IO[str],
) -> None:
    """Write what `where TABLE` shows; `verbose` also lists the columns that are full everywhere."""
    page = Page(file, console_width)
    _title(page, where)
    for copy in where.copies:
        page.blank()
        _copy(page, where, copy)
    if where.copies:
        columns(page, where.copies, verbose=verbose)
        page.blank()
        _bare_name(page, where)
    elif where.similar:
        page.line(page.text(f"Similar names: {listed(where.similar)}"), indent=2, hang=2)
    for note in where.notes:
        page.line(page.mark("info"), Text(" "), page.text(note), hang=2)


def _title(page: Page, where: Whereabouts) -> None:
    copies = len(where.copies)
    number = Text("no copy" if not copies else count(copies, "copy", plural="copies"))
    segments = [page.cut(where.table, page.width, "bold"), number]
    if where.target:
        segments.append(page.text(where.target))
    if where.target_origin:
        segments.append(page.text(f"credentials: {where.target_origin}", "dim"))
    page.flow(segments, hang=2)


def _copy(page: Page, where: Whereabouts, copy: TableCopy) -> None:
    name = page.cut(f"{copy.schema}.{copy.name}", page.width - 4, "bold")
    page.flow([name, page.text(_kind(copy))], indent=2, hang=2)
    facts = [page.text(_rows(page, copy))]
    if copy.newest_load:
        load = copy.newest_load
        at = f"{when(load.at, where.taken_at)} ({load.id})" if load.at is not None else load.id
        facts.append(page.text(f"newest load {at}"))
    if copy.writers:
        facts.append(page.text(f"written by {listed(copy.writers)}"))
    page.flow(facts, indent=4, hang=2)


def _kind(copy: TableCopy) -> str:
    what = copy.relation
    if copy.kind == "other":
        return f"{what}, not dlt's"
    owners = f" of {listed(copy.pipelines)}" if copy.pipelines else ""
    return f"{copy.kind} {what}{owners}"


def _rows(page: Page, copy: TableCopy) -> str:
    if not copy.readable:
        return "this role may not read it"
    if copy.rows is None:
        return "rows not counted"
    return f"{'' if copy.exact else page.glyphs.about}{count(copy.rows, 'row')}"


def _bare_name(page: Page, where: Whereabouts) -> None:
    path = f" (search_path: {', '.join(where.search_path)})" if where.search_path else ""
    found = next((copy for copy in where.copies if copy.bare_name), None)
    if found is None:
        text = f"A bare {where.table} finds none of them{path}."
        page.line(page.mark("warning"), Text(" "), page.text(text), hang=2)
        return
    text = f"A bare {where.table} means {found.schema}.{found.name}{path}."
    kind = "warning" if found.kind != "final" and any(c.kind == "final" for c in where.copies) else "ok"
    page.line(page.mark(kind), Text(" "), page.text(text), hang=2)
