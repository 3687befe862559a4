"""What of the ledger a reader needs to see: the sick tables with their parents, and how many are well."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dltdoctor.finding import Finding, Severity
from dltdoctor.ledger import LedgerRow
from dltdoctor.report.cases import KINDS, Case
from dltdoctor.report.style import STYLES, Page
from dltdoctor.report.text_map import Entry, Way, draw, heading
from dltdoctor.words import count

FEW = 12
MOST = 40
_RANK = {"ok": 0, "info": 1, "warning": 2, "unknown": 3, "error": 4}
_SETTLED = ("healthy", "leftover", "missing")


class Choice(NamedTuple):
    """What is drawn of a way, and how many tables of each kind are only counted."""

    shown: list[Entry]
    well: int
    sick: int


def ledger(page: Page, case: Case, *, verbose: bool = False) -> None:
    """Draw a map for each way that the rows of the pipeline take."""
    about = _by_table((*case.findings, *case.touching))
    for way in ways(case.rows):
        if all(row.final.exists is None and row.staging.exists is None for row in way.rows):
            _unseen(page, way)
            continue
        entries = list(_entries(way, about))
        choice = Choice(entries, 0, 0) if verbose else choose(entries)
        page.blank()
        draw(page, way, choice.shown)
        if choice.sick:
            page.line(page.text(f"and {choice.sick:,} more (--format json has all)"), indent=page.margin)
        if choice.well:
            text = f"{'and ' if choice.shown else ''}{count(choice.well, 'healthy table')} "
            page.line(page.text(text), page.mark("ok"), indent=page.margin)


def _unseen(page: Page, way: Way) -> None:
    """The way alone, for tables that nobody looked at."""
    page.blank()
    heading(page, way)
    text = f"{count(len(way.rows), 'table')}, not looked at"
    page.line(page.text(text, STYLES["unknown"]), indent=page.margin)


def ways(rows: Iterable[LedgerRow]) -> list[Way]:
    """The rows by final dataset, in their order."""
    grouped: dict[tuple[str, str], list[LedgerRow]] = {}
    for row in rows:
        grouped.setdefault((row.pipeline, row.final.dataset), []).append(row)
    return [
        Way(pipeline, next((r.staging.dataset for r in part if r.staging.dataset), None), final, tuple(part))
        for (pipeline, final), part in grouped.items()
    ]


def choose(entries: list[Entry]) -> Choice:
    """All of a few; of many the sick ones, beneath their parents."""
    if len(entries) <= FEW:
        return Choice(entries, 0, 0)
    sick = [entry for entry in entries if entry.kind != "ok"]
    drawn = sick[:MOST]
    parents = {(e.row.schema, e.row.table): e.row.parent for e in entries}
    wanted = set()
    for entry in drawn:
        table: str | None = entry.row.table
        while table and (entry.row.schema, table) not in wanted:
            wanted.add((entry.row.schema, table))
            table = parents.get((entry.row.schema, table))
    shown = [e for e in entries if (e.row.schema, e.row.table) in wanted]
    well = len(entries) - len(sick) - sum(e.kind == "ok" for e in shown)
    return Choice(shown, well, len(sick) - len(drawn))


def healthy_staging(rows: Iterable[LedgerRow]) -> Iterator[str]:
    """The line that keeps people from taking dlt's staging for a disease."""
    for way in ways(rows):
        staged = [r for r in way.rows if r.staging.rows]
        if not staged or way.staging == way.final or any(r.verdict not in _SETTLED for r in way.rows):
            continue
        roots = [r for r in staged if not r.parent] or staged
        where = f"{way.final}.{roots[0].table}" if len(roots) == 1 else f"the tables of {way.final}"
        yield (
            f"Rows in {way.staging} are normal: dlt merges from there and leaves the last load behind. "
            f"Look at {where} instead."
        )


def _entries(way: Way, about: dict[str, list[Finding]]) -> Iterator[Entry]:
    """Each table after its parent; a parent that is not there, or a ring of them, makes a root."""
    children: dict[tuple[str, str | None], list[LedgerRow]] = {}
    names = {(r.schema, r.table) for r in way.rows}
    for row in way.rows:
        parent = row.parent if (row.schema, row.parent) in names else None
        children.setdefault((row.schema, parent), []).append(row)
    seen: set[tuple[str, str]] = set()
    roots = [row for (_, parent), rows in children.items() if parent is None for row in rows]
    pending = [(row, 0) for row in (*reversed(way.rows), *reversed(roots))]
    while pending:
        row, depth = pending.pop()
        if (row.schema, row.table) in seen:
            continue
        seen.add((row.schema, row.table))
        yield _entry(row, depth, about.get(row.table, []))
        pending += [(child, depth + 1) for child in reversed(children.get((row.schema, row.table), []))]


def _entry(row: LedgerRow, depth: int, findings: list[Finding]) -> Entry:
    datasets = (None, row.final.dataset, row.staging.dataset)
    mine = [f for f in findings if f.dataset in datasets and f.severity is not Severity.INFO]
    one_schema = "error" if row.staging.dataset == row.final.dataset else "ok"
    kinds = [KINDS[row.verdict], one_schema, *(f.severity.value for f in mine)]
    codes = tuple(dict.fromkeys(f.code for f in mine))
    return Entry(row, depth, max(kinds, key=_RANK.__getitem__), codes)


def _by_table(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.table:
            grouped.setdefault(finding.table, []).append(finding)
    return grouped
