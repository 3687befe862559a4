"""What `clean-cache` shows: each working dir, what would be lost, what comes back, and what was done."""

from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

import msgspec
from rich.text import Text

from dltdoctor.cleaning import Job, Outcome, Prepared
from dltdoctor.deduced.restore import Restoration
from dltdoctor.deduced.restore_objections import Objection
from dltdoctor.purge.hopes import Hope
from dltdoctor.purge.judgement import Purge
from dltdoctor.report.json import encode
from dltdoctor.report.style import STYLES, Page
from dltdoctor.words import count, moment
from dltdoctor.world.room import megabytes

Command = Callable[[str], str]
MOST_WITH_HOPES = 3


class PurgeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One pipeline in the JSON of `clean-cache`; sizes in bytes, times in Unix seconds."""

    pipeline: str
    working_dir: str
    bytes: int
    files: int
    last_written: float
    packages: dict[str, int]
    loses: tuple[str, ...]
    restores: dict[str, Any] | None
    is_cure: bool
    refused: tuple[dict[str, Any], ...]
    prunes: tuple[str, ...] | None
    action: str
    hopes: tuple[dict[str, Any], ...]
    receipt: str | None
    archive: str | None
    archive_bytes: int | None
    error: str | None


class PurgeReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `clean-cache --format json` prints."""

    version: int
    dry_run: bool
    pipelines: tuple[PurgeLine, ...]
    spared: tuple[str, ...]


def as_json(
    prepared: Prepared,
    wishes: Mapping[str, Sequence[Hope]],
    outcomes: Sequence[Outcome],
    again: Command,
    *,
    dry_run: bool,
) -> bytes:
    """Everything as one JSON object."""
    done = {o.job.purge.pipeline: o for o in outcomes}
    lines = tuple(
        _line(job, wishes.get(job.purge.pipeline, ()), done.get(job.purge.pipeline), again) for job in prepared.jobs
    )
    return encode(PurgeReport(version=1, dry_run=dry_run, pipelines=lines, spared=prepared.spared))


def _line(job: Job, wishes: Sequence[Hope], outcome: Outcome | None, again: Command) -> PurgeLine:
    purge = job.purge
    receipt = outcome.receipt if outcome else None
    kept = receipt.archives[0] if receipt and receipt.archives else None
    return PurgeLine(
        pipeline=purge.pipeline,
        working_dir=purge.working_dir,
        bytes=purge.facts.size,
        files=purge.facts.files,
        last_written=purge.facts.newest,
        packages={
            "loaded": len(purge.shelf.completed),
            "pending": len(purge.shelf.pending),
            "failed": len(purge.shelf.failed),
            "extracted": len(purge.shelf.extracted),
        },
        loses=purge.loses,
        restores=_restored(purge.restoration),
        is_cure=purge.is_cure,
        refused=tuple(
            {"kind": o.kind, "reason": o.reason, "command": again(o.command) if o.command else None}
            for o in job.refusals
        ),
        prunes=None if purge.prunes is None else tuple(p.load_id for p in purge.prunes),
        action=_action(job, outcome),
        hopes=tuple({**msgspec.to_builtins(h), "command": again(h.command) if h.command else None} for h in wishes),
        receipt=receipt.id if receipt else None,
        archive=kept.archive if kept else None,
        archive_bytes=kept.size if kept else None,
        error=outcome.error or None if outcome else None,
    )


def _action(job: Job, outcome: Outcome | None) -> str:
    if job.refusals:
        return "refused"
    if job.step is None:
        return "nothing"
    verb = "purge" if job.purge.prunes is None else "prune"
    if outcome is None:
        return verb
    return f"{verb}d" if outcome.receipt else "failed"


def _restored(found: Restoration | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "dataset": found.dataset,
        "next_dataset": found.next_dataset,
        "load_id": found.load_id,
        "state_version": found.version if found.load_id else None,
        "local_state_version": found.local_version,
        "same": found.same,
        "read_again": [msgspec.to_builtins(c) for c in found.cursors] if not found.same else [],
        "schemas": [
            {"name": s.name, "version": s.stored_version, "local_version": s.local_version, "same": s.same}
            for s in found.schemas
        ],
    }


def render(
    prepared: Prepared,
    wishes: Mapping[str, Sequence[Hope]],
    again: Command,
    *,
    console_width: int | None = None,
    file: IO[str],
) -> None:
    """Write each working dir with its judgement, then a line for all."""
    page = Page(file, console_width)
    for job in prepared.jobs:
        _job(page, job, prepared.snapshot.taken_at, again)
        if len(prepared.jobs) <= MOST_WITH_HOPES and job.purge.prunes is None:
            _hopes(page, wishes.get(job.purge.pipeline, ()), again)
        page.blank()
    if prepared.spared:
        page.line(page.text(f"{count(len(prepared.spared), 'working dir')} left alone: written to more lately."))
    for name in prepared.without:
        page.line(page.text(f"{name} has no working dir on this machine: nothing to do."))
    _total(page, prepared)


def _job(page: Page, job: Job, now: float, again: Command) -> None:
    purge = job.purge
    kind = "error" if job.refusals else "ok" if job.step else "info"
    word = "refused" if job.refusals else "can be purged" if job.step else "nothing to remove"
    if job.step and purge.prunes is not None:
        word = f"{count(len(purge.prunes), 'completed load package')} can be removed"
    page.flow(
        [
            page.mark(kind, boxed=True) + page.text(purge.pipeline, "bold"),
            Text(word, STYLES[kind]),
            page.text(_size(purge)),
            page.text(_age(now - purge.facts.newest)),
        ],
        hang=page.margin,
    )
    inner = page.margin
    page.line(page.text(purge.working_dir, "dim"), indent=inner)
    page.line(Text("packages: ", "dim"), page.text(_packages(purge)), indent=inner, hang=2)
    if purge.prunes is None:
        for text in purge.loses:
            page.line(Text("loses: ", "dim"), page.text(text), indent=inner, hang=2)
        _restoration(page, purge, inner)
    admitted = () if job.refusals else purge.objections if purge.prunes is None else ()
    for objection in (*job.refusals, *admitted):
        _objection(page, objection, inner, again, admitted=not job.refusals)


def _size(purge: Purge) -> str:
    return f"{megabytes(purge.facts.size)} in {count(purge.facts.files, 'file')}"


def _age(seconds: float) -> str:
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"last written {count(int(seconds // length), unit)} ago"
    return "written just now"


def _packages(purge: Purge) -> str:
    shelf = purge.shelf
    parts = (
        (len(shelf.completed), "loaded"),
        (len(shelf.pending), "pending"),
        (len(shelf.failed), "aborted or with failed jobs"),
        (len(shelf.extracted), "extracted"),
    )
    return ", ".join(f"{number:,} {what}" for number, what in parts if number) or "none"


def _restoration(page: Page, purge: Purge, indent: int) -> None:
    found = purge.restoration
    if found is None or found.load_id is None:
        return
    same = "the same as here" if found.same else f"here it is {found.local_version}"
    origin = f"{found.dataset}._dlt_pipeline_state, load of {moment(found.load_id)}"
    page.line(
        Text("dlt restores: ", "dim"),
        page.text(f"state version {found.version} ({same}) from {origin}"),
        indent=indent,
        hang=2,
    )
    for schema in found.schemas:
        if schema.stored_version is not None:
            same = "the same as here" if schema.same else f"here it is {schema.local_version}"
            text = f"schema {schema.name} version {schema.stored_version} ({same}) from {found.dataset}._dlt_version"
            page.line(Text("dlt restores: ", "dim"), page.text(text), indent=indent, hang=2)
    if not found.same:
        for c in found.cursors:
            since = f"after {c.committed}" if c.committed is not None else "from the beginning"
            text = f"{c.resource} {since} ({c.path} is {c.local if c.local is not None else 'not set'} here)"
            page.line(Text("reads again: ", "dim"), page.text(text), indent=indent, hang=2)
    if purge.is_cure:
        text = (
            "the local state is ahead of what was committed, and no load package has the rows in between. Purging is "
            "the cure (DD207): the next run reads them again. Do it before that run."
        )
        page.line(Text(text, STYLES["ok"]), indent=indent, hang=2)


def _objection(page: Page, objection: Objection, indent: int, again: Command, *, admitted: bool) -> None:
    word = "may cost: " if admitted else "refused: "
    page.line(Text(word, STYLES["error"]), page.text(objection.reason), indent=indent, hang=2)
    if objection.command:
        page.command(again(objection.command), indent=indent + 4)


def _hopes(page: Page, wishes: Sequence[Hope], again: Command) -> None:
    for hope in wishes:
        page.line(
            page.text(f"If you hope {hope.hope}: ", "bold"), page.text(f"{hope.truth}."), indent=page.margin, hang=2
        )
        if hope.command:
            page.command(again(hope.command), indent=page.margin + 4)


def _total(page: Page, prepared: Prepared) -> None:
    to_do, refused = prepared.to_do, [j for j in prepared.jobs if j.refusals]
    if not prepared.jobs:
        page.line(Text("There is no working dir to purge."))
        return
    facts = []
    if to_do and prepared.wish.keep is None:
        facts.append(
            f"{count(len(to_do), 'working dir')} with {megabytes(sum(j.purge.facts.size for j in to_do))} to purge"
        )
    elif to_do:
        number = sum(len(j.purge.prunes or ()) for j in to_do)
        facts.append(f"{count(number, 'load package')} of {count(len(to_do), 'pipeline')} to remove")
    if refused:
        facts.append(f"{len(refused)} refused")
    if not facts:
        facts.append("nothing to remove")
    page.line(Text(f"{', '.join(facts)}.", "bold"))
    if refused and not prepared.wish.unsafe and any(o.kind != "place" for j in refused for o in j.refusals):
        page.line(Text("--unsafe purges all the same, archived as ever; what it may cost is said above.", "dim"))


def render_outcome(outcome: Outcome, again: Command, *, console_width: int | None = None, file: IO[str]) -> None:
    """Write what became of one working dir, and how to take it back."""
    page = Page(file, console_width)
    purge = outcome.job.purge
    if outcome.receipt is None:
        page.line(
            page.mark("error", boxed=True),
            page.text(f"{purge.pipeline}: {outcome.error}", STYLES["error"]),
            hang=page.margin,
        )
        page.line(page.text(outcome.hint), indent=page.margin)
        return
    page.line(page.mark("ok", boxed=True), page.text(outcome.receipt.title, "bold"), hang=page.margin)
    for kept in outcome.receipt.archives:
        page.line(page.text(f"kept in {kept.archive} ({megabytes(kept.size)})"), indent=page.margin, hang=2)
    page.line(Text("To take it back, before the pipeline runs again:"), indent=page.margin)
    page.command(again(f"dltdoctor undo {outcome.receipt.id}"), indent=page.margin + 4)
