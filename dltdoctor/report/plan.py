"""What `fix` and `undo` show: the plan before, the proof after. Both render the very objects that run."""

import difflib
from collections.abc import Callable, Sequence
from typing import IO, Any

import msgspec
from rich.text import Text

from dltdoctor.finding import Finding
from dltdoctor.ledger import LedgerRow
from dltdoctor.plan import Cure, HeldBack, Plan
from dltdoctor.receipt import Capture, Receipt
from dltdoctor.report.json import encode
from dltdoctor.report.style import STYLES, Page
from dltdoctor.steps.step import (
    ArchiveDirectory,
    FinishLoad,
    Rename,
    Replay,
    RestoreDirectory,
    RunSql,
    Step,
    WriteFile,
)
from dltdoctor.words import count, relation

STYLE_OF = {"safe": "ok", "unsafe": "error", "manual": "warning"}
LONG = 2_000


class FixReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `--format json` prints for `fix` and `undo`."""

    version: int
    plan: dict[str, Any]
    receipt: str | None
    tables: tuple[dict[str, Any], ...]
    before: tuple[LedgerRow, ...]
    after: tuple[LedgerRow, ...]
    gone: tuple[Finding, ...]
    remaining: tuple[Finding, ...]
    new: tuple[Finding, ...]


def as_json(
    plan: Plan,
    receipt: Receipt | None = None,
    proof: Any = None,
    tables: Sequence[Capture] = (),
    samples: Sequence[dict[str, Any]] = (),
) -> bytes:
    """The plan, and what it did, as one JSON object; file contents are left out, they may hold secrets."""
    cures = [
        {
            "code": c.code,
            "pipeline": c.pipeline,
            "message": c.message,
            "safety": c.safety,
            "cost": c.cost or None,
            "steps": [_step_summary(s) for s in c.steps],
        }
        for c in plan.cures
    ]
    return encode(
        FixReport(
            version=1,
            plan={
                "target": plan.target,
                "digest": plan.digest,
                "cures": cures,
                "held_back": msgspec.to_builtins(plan.held_back),
                "samples": list(samples),
            },
            receipt=receipt.id if receipt else None,
            tables=tuple(_table(c) for c in (receipt.captures if receipt else tables)),
            before=proof.before if proof else (),
            after=proof.after if proof else (),
            gone=proof.gone if proof else (),
            remaining=proof.remaining if proof else (),
            new=proof.new if proof else (),
        )
    )


def _table(capture: Capture) -> dict[str, Any]:
    return {
        "dataset": capture.schema,
        "table": capture.table,
        "rows_written": capture.rows_come,
        "rows_replaced_or_removed": capture.rows_gone,
        "created": capture.created,
    }


def _step_summary(step: Step) -> dict[str, Any]:
    summary: dict[str, Any] = {"title": step.title, "note": step.note or None}
    if isinstance(step, RunSql | Replay):
        summary["sql"] = list(step.statements)
        if isinstance(step, Replay):
            summary["files"] = [f.path for f in step.files]
    elif isinstance(step, WriteFile):
        summary["file"] = step.path
    elif isinstance(step, Rename):
        summary["rename"] = [step.source, step.target]
    elif isinstance(step, ArchiveDirectory | RestoreDirectory):
        summary["directory"] = {"path": step.directory, "parts": list(step.parts), "archive": step.archive}
    else:
        summary["dlt"] = {"pipeline": step.pipeline, "load_id": step.load_id, "interpreter": step.interpreter}
    return summary


def render_plan(
    plan: Plan,
    captures: Sequence[Capture],
    *,
    old_files: dict[str, bytes],
    console_width: int | None = None,
    file: IO[str],
) -> None:
    """Write the plan: each cure with its steps, then what is held back."""
    page = Page(file, console_width)
    if plan.is_empty:
        page.line(Text("Nothing to do." if not plan.held_back else "Nothing that can be done safely by itself."))
    for number, cure in enumerate(plan.cures, start=1):
        _cure(page, number, cure, old_files)
        page.blank()
    if captures:
        page.line(Text("Rehearsed in a transaction that was rolled back:", "bold"))
        _tables(page, captures)
        page.blank()
    _held_back(page, plan.held_back)


def render_done(
    receipt: Receipt, *, again: Callable[[str], str], console_width: int | None = None, file: IO[str]
) -> None:
    """Write what was done, and how to take it back; `again` gives a command the options of this call."""
    page = Page(file, console_width)
    page.line(page.mark("ok", boxed=True), page.text(receipt.title, "bold"), hang=page.margin)
    _tables(page, receipt.captures)
    for kept in receipt.files:
        page.line(page.text(f"{kept.path} {'written' if kept.after else 'removed'}"), indent=4)
    for moved in receipt.renames:
        page.line(page.text(f"{moved.source} moved to {moved.target}"), indent=4)
    for archive in receipt.archives:
        page.line(page.text(f"kept in {archive.archive}"), indent=4, hang=2)
    if receipt.outcome:
        page.line(page.text(receipt.outcome), indent=4)
    if receipt.has_undo:
        page.line(Text("To take it back:"), indent=4)
        page.command(again(f"dltdoctor undo {receipt.id}"), indent=6)
    else:
        page.line(Text("It cannot be undone."), indent=4)


def render_proof(proof: Any, *, console_width: int | None = None, file: IO[str]) -> None:
    """Write the ledger before and after, and the findings that are gone."""
    page = Page(file, console_width)
    page.blank()
    page.line(Text("Proof: looked at again", "bold"))
    after = {(r.pipeline, r.schema, r.table, r.final.dataset): r for r in proof.after}
    for row in proof.before:
        now = after.get((row.pipeline, row.schema, row.table, row.final.dataset))
        if now and (now.verdict, now.final.rows) != (row.verdict, row.final.rows):
            place = relation(row.final.dataset, row.table)
            change = f"{_rows(row)}, {row.verdict} {page.glyphs.arrow} {_rows(now)}, {now.verdict}"
            page.line(page.text(f"{place}: {change}"), indent=4, hang=4)
    for finding in proof.gone:
        page.line(page.mark("ok"), Text(" "), page.text(f"{finding.code} {finding.name} is gone"), indent=4)
    for finding in proof.remaining:
        text = f"{finding.code} {finding.name} is still there: {finding.message}"
        page.line(page.mark("error"), Text(" "), page.text(text, STYLES["error"]), indent=4, hang=4)
    for finding in proof.new:
        text = f"{finding.code} {finding.name} is new: {finding.message}"
        page.line(page.mark(finding.severity.value), Text(" "), page.text(text), indent=4, hang=4)


def render_history(receipts: Sequence[Receipt], *, console_width: int | None = None, file: IO[str]) -> None:
    """Write a line for each receipt, unfinished ones first."""
    page = Page(file, console_width)
    if not receipts:
        page.line(Text("No repair has been made by this user."))
    for receipt in receipts:
        state: str = "UNFINISHED" if receipt.is_unfinished else receipt.status
        if receipt.status == "applied" and not receipt.has_undo:
            state = "applied, cannot be undone"
        style = STYLES["error"] if receipt.is_unfinished else ""
        page.flow([Text(receipt.id, "bold"), Text(state, style), page.text(receipt.title)], hang=4)
        if receipt.is_unfinished:
            page.command(f"dltdoctor fix --continue {receipt.id}", indent=4)
            page.command(f"dltdoctor undo {receipt.id}", indent=4)


def _cure(page: Page, number: int, cure: Cure, old_files: dict[str, bytes]) -> None:
    safety = Text(cure.safety, STYLES[STYLE_OF[cure.safety]])
    page.flow([page.text(f"{number}. {cure.message}", "bold"), Text(cure.code), safety], hang=3)
    for missing in cure.guarantees_missing:
        page.line(Text("beware: ", STYLES["error"]), page.text(missing), indent=3, hang=4)
    for step in cure.steps:
        page.line(page.text(f"{page.glyphs.arrow} {step.title}"), indent=3, hang=2)
        if step.note:
            page.line(page.text(step.note, "dim"), indent=5, hang=2)
        if isinstance(step, RunSql | Replay):
            for statement in step.statements:
                _sql(page, statement)
        elif isinstance(step, WriteFile):
            _diff(page, step, old_files.get(step.path, b""))
        elif isinstance(step, FinishLoad):
            page.line(page.text(f"by {step.interpreter}", "dim"), indent=5)


def _sql(page: Page, statement: str) -> None:
    """A statement with its words highlighted, cut when it is very long."""
    from rich.syntax import Syntax  # noqa: PLC0415 - Pygments is slow to import

    shown = (
        statement if len(statement) <= LONG else f"{statement[:LONG]} -- and {len(statement) - LONG:,} characters more"
    )
    plain = page.text(" ".join(shown.split())).plain
    if page.console.is_terminal and not page.console.no_color:
        text = Syntax("", "sql", theme="ansi_dark", background_color="default").highlight(plain)
        text.rstrip()
    else:
        text = Text(plain)
    page.line(text, indent=7, hang=2)


def _diff(page: Page, step: WriteFile, old: bytes) -> None:
    before = old.decode("utf-8", "replace").splitlines()
    after = (step.content or b"").decode("utf-8", "replace").splitlines()
    for line in list(difflib.unified_diff(before, after, n=1, lineterm=""))[2:]:
        if line.startswith(("password", "+password", "-password")) or "://" in line:
            line = f"{line[:1]}(a line that may hold a secret)"  # noqa: PLW2901
        style = {"+": "green", "-": "red", "@": "dim"}.get(line[:1], "")
        page.line(page.text(line, style), indent=7)


def _tables(page: Page, captures: Sequence[Capture]) -> None:
    for capture in captures:
        place = relation(capture.schema, capture.table)
        if capture.moved_from:
            page.line(page.text(f"{relation(*capture.moved_from)} moved to {place}"), indent=4)
            continue
        verb = "created with" if capture.created else ""
        facts = [count(capture.rows_come, "row") + " written"]
        if capture.rows_gone:
            facts.append(count(capture.rows_gone, "row") + " replaced or removed")
        page.line(page.text(f"{place}: {verb} {', '.join(facts)}".replace("  ", " ")), indent=4)


def _held_back(page: Page, held: Sequence[HeldBack]) -> None:
    if not held:
        return
    page.line(Text(f"{count(len(held), 'finding')} held back:", "bold"))
    for each in held:
        page.line(page.mark("warning"), Text(" "), page.text(f"{each.code} {each.message}"), indent=2, hang=2)
        page.line(page.text(each.reason), indent=4, hang=2)
        if each.command:
            page.command(each.command, indent=6)


def _rows(row: LedgerRow) -> str:
    return count(row.final.rows, "row", exact=row.final.exact) if row.final.exists else "no table"


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt in the JSON of `history`."""

    id: str
    made_at: float
    status: str
    title: str
    target: str | None
    can_undo: bool
    undoes: str | None
    undone_by: str | None


class HistoryReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `history --format json` prints."""

    version: int
    receipts: tuple[HistoryLine, ...]


def history_json(receipts: Sequence[Receipt]) -> bytes:
    """The receipts as one JSON object."""
    lines = (
        HistoryLine(
            id=r.id,
            made_at=r.made_at,
            status="unfinished" if r.is_unfinished else r.status,
            title=r.title,
            target=r.target,
            can_undo=r.has_undo and r.status in ("applied", "started"),
            undoes=r.undoes,
            undone_by=r.undone_by,
        )
        for r in receipts
    )
    return encode(HistoryReport(version=1, receipts=tuple(lines)))
