"""Cures that bring stranded rows to the final table: what dlt's merge would have done, planned step by step.

The SQL is dlt's own: the package's job file, else dlt's generator with the schema of the load. Every
precondition becomes a probe, and each that cannot be proved is named and makes the cure unsafe.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from dltdoctor.cures.migration import (
    Migration,
    is_complete,
    is_merged,
    merge_step,
    record_step,
    without_ledger_step,
)
from dltdoctor.errors import DoctorError
from dltdoctor.finding import Finding, fingerprint
from dltdoctor.ledger import Entry, Ledger
from dltdoctor.plan import Cure, HeldBack
from dltdoctor.snapshot import Database, Package, Snapshot, Value
from dltdoctor.steps.step import Rename, RunSql, WriteFile
from dltdoctor.verdict import StagedVerdict
from dltdoctor.words import listed, relation
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.dlt_merge import NotGeneratedError, generate_each
from dltdoctor.world.documents import Document
from dltdoctor.world.postgres.session import Session, open_session
from dltdoctor.world.probes import are_deletions_done
from dltdoctor.world.settled_package import settle_steps
from dltdoctor.world.staged_schema import chain_document

DELETED = "its staged rows are all deletions, and no row of their keys is left in the final table"
CURABLE = {"stranded": "DD201", "false-commit": "DD203", "resumable": "DD202"}


def plan(
    findings: Sequence[Finding],
    ledger: Ledger,
    snapshot: Snapshot,
    ways_in: Mapping[str, Credentials],
    *,
    also_resumable: bool,
) -> tuple[list[Cure], list[HeldBack]]:
    """A cure, or the reason why there is none, for every chain of staged rows that a finding is about."""
    cures: list[Cure] = []
    held: list[HeldBack] = []
    known = {f.fingerprint: f for f in findings}
    by_database: dict[str, list[tuple[Finding, Entry, StagedVerdict]]] = defaultdict(list)
    for finding, entry, load in _cases(ledger, known, also_resumable=also_resumable):
        database = snapshot.catalog.database(entry.row.pipeline) if snapshot.catalog else None
        if database:
            by_database[database.target.key].append((finding, entry, load))
    for key, cases in by_database.items():
        database = next(d for d in (snapshot.catalog.databases if snapshot.catalog else ()) if d.target.key == key)
        with open_session(ways_in[key]) as session:
            made, refused = _of_database(session, database, ledger, snapshot, cases)
        cures += made
        held += refused
    return cures, held


def _cases(
    ledger: Ledger, known: Mapping[str, Finding], *, also_resumable: bool
) -> Iterator[tuple[Finding, Entry, StagedVerdict]]:
    for entry in ledger.entries:
        if entry.row.parent is not None:
            continue
        for load in sorted(entry.loads, key=lambda v: v.staged.load_id or ""):
            code = CURABLE.get(load.verdict)
            if code is None or (
                load.verdict == "resumable" and (not also_resumable or is_merged(load.package, entry.row.table))
            ):
                continue
            finding = known.get(_fingerprint(code, entry, load)) or (
                _resumable_finding(known.values(), entry, load) if code == "DD202" else None
            )
            if finding:
                yield finding, entry, load


def _fingerprint(code: str, entry: Entry, load: StagedVerdict) -> str:
    row = entry.row
    return fingerprint(code, row.pipeline, row.final.dataset, row.table, load.staged.load_id or "")


def _resumable_finding(findings: Iterable[Finding], entry: Entry, load: StagedVerdict) -> Finding | None:
    """A pending load is one finding, however many tables wait for it."""
    row = entry.row
    tables = (row.table, None)
    wanted = {fingerprint("DD202", row.pipeline, row.final.dataset, t, load.staged.load_id or "") for t in tables}
    return next((f for f in findings if f.fingerprint in wanted), None)


def _of_database(
    session: Session,
    database: Database,
    ledger: Ledger,
    snapshot: Snapshot,
    cases: Sequence[tuple[Finding, Entry, StagedVerdict]],
) -> tuple[list[Cure], list[HeldBack]]:
    held: list[HeldBack] = []
    deleted: list[StagedVerdict] = []
    ready: list[tuple[Finding, Migration]] = []
    for finding, entry, load in cases:
        migration = _migration(session, database, ledger, snapshot, entry, load)
        if migration == DELETED:
            deleted.append(load)
        if isinstance(migration, str):
            held.append(_held(finding, migration))
        else:
            ready.append((finding, migration))
    answers = iter(generate_each([m.request for _, m in ready if m.request]))
    whole: list[_Drafted] = []
    for finding, migration in ready:
        answer = next(answers) if migration.request else ()
        drafted = _drafted(session, finding, migration, answer, _newest_documents(ready))
        if isinstance(drafted, HeldBack):
            held.append(drafted)
        else:
            whole.append(drafted)
    refused = {m.load_key for m in _not_in(whole, ready)}
    last_of_load = {d.migration.load_key: d for d in whole}
    cures = []
    for drafted in whole:
        key = drafted.migration.load_key
        of_load = [d for d in whole if d.migration.load_key == key]
        closes = last_of_load[key] is drafted and key not in refused
        cures.append(_cure(drafted, of_load, _settled(ledger, drafted.migration, deleted), closes=closes))
    return cures, held


class _Drafted(Value):
    """A migration with its merge step, and what cannot be proved about it."""

    finding: Finding
    migration: Migration
    step: RunSql
    missing: tuple[str, ...]


def _drafted(
    session: Session,
    finding: Finding,
    migration: Migration,
    answer: tuple[str, ...] | NotGeneratedError,
    newest: Mapping[tuple[str, str], Document],
) -> _Drafted | HeldBack:
    if isinstance(answer, NotGeneratedError):
        return _held(finding, answer.message)
    made = msgspec.structs.replace(migration, generated=answer)
    try:
        if made.is_plain:
            step = without_ledger_step(session, made)
        else:
            step = merge_step(session, made, newest[made.final, made.entry.row.table])
        return _Drafted(finding=finding, migration=made, step=step, missing=tuple(made.missing_guarantees(session)))
    except DoctorError as error:
        return _held(finding, error.message)


def _newest_documents(ready: Sequence[tuple[Finding, Migration]]) -> Mapping[tuple[str, str], Document]:
    """Of loads that wait for the same table, the last one's schema has every column."""
    return {(m.final, m.entry.row.table): m.document for _, m in ready}


def _not_in(whole: Sequence[_Drafted], ready: Sequence[tuple[Finding, Migration]]) -> list[Migration]:
    """What was ready and could not be drafted: its load is not complete without it."""
    there = {(d.migration.load_key, d.migration.entry.row.table) for d in whole}
    return [m for _, m in ready if (m.load_key, m.entry.row.table) not in there]


def _migration(
    session: Session, database: Database, ledger: Ledger, snapshot: Snapshot, entry: Entry, load: StagedVerdict
) -> Migration | str:
    pipeline = next(p for p in snapshot.pipelines if p.name == entry.row.pipeline)
    chain = tuple(
        e
        for e in ledger.entries
        if (e.row.pipeline, e.row.schema, e.table.root) == (entry.row.pipeline, entry.row.schema, entry.row.table)
        and e.route == entry.route
        and e.row.staging.exists
    )
    if is_merged(load.package, entry.row.table):
        return "its load package says that this table was merged: what is absent was deleted or replaced since"
    is_there = load.package is None and entry.row.final.exists
    if is_there and are_deletions_done(session, load.staged, entry.table.primary_key):
        return DELETED
    if load.package and not is_complete(load.package, _tables(ledger, entry)):
        return "the load package has data files of this table that never reached staging"
    document = chain_document(session, database, pipeline, (entry.row.final.dataset, entry.row.schema), load.package)
    if document is None and load.note != "plain":
        return "no schema of this load was found, neither on this machine nor in _dlt_version"
    return Migration.of(database, pipeline, entry, chain, load, document or {})


def _tables(ledger: Ledger, entry: Entry) -> list[str]:
    """The root table and all that dlt nests in it, whether or not it was staged."""
    row = entry.row
    return [
        e.row.table
        for e in ledger.entries
        if (e.row.pipeline, e.row.schema, e.table.root, e.route) == (row.pipeline, row.schema, row.table, entry.route)
    ]


def _held(finding: Finding, reason: str) -> HeldBack:
    return HeldBack(code=finding.code, pipeline=finding.pipeline, message=finding.message, reason=reason)


def _cure(drafted: _Drafted, of_load: Sequence[_Drafted], settled: Collection[str], *, closes: bool) -> Cure:
    """`settled` are root tables of the load that have arrived without this."""
    finding, migration = drafted.finding, drafted.migration
    missing = drafted.missing
    tables = [d.migration.entry.row.table for d in of_load]
    steps = [drafted.step]
    files: tuple[WriteFile | Rename, ...] = ()
    if closes and not migration.is_plain:
        if migration.load.verdict != "false-commit" and _may_record(migration, {*tables, *settled}):
            steps.append(record_step(migration))
        files = settle_steps(migration.load.package, tables)
        unproved = [d.migration.entry.row.table for d in of_load if d.missing and d is not drafted]
        if unproved and not missing and (len(steps) > 1 or files):
            missing = (f"it also records the load as complete, and {listed(unproved)} of it cannot be proved",)
    place = relation(migration.entry.row.final.dataset, migration.entry.row.table)
    return Cure(
        code=finding.code,
        fingerprint=finding.fingerprint,
        pipeline=finding.pipeline,
        message=f"Bring the staged rows to {place}",
        safety="unsafe" if missing else "safe",
        steps=(*steps, *files),
        cost=listed(missing, most=9),
        guarantees_missing=missing,
    )


def _settled(ledger: Ledger, migration: Migration, deleted: Sequence[StagedVerdict]) -> set[str]:
    """Root tables that the same load staged, and whose staged rows are in the final table, or deleted there."""
    row, load_id = migration.entry.row, migration.load.staged.load_id
    return {
        e.row.table
        for e in ledger.entries
        if (e.row.pipeline, e.row.schema, e.row.parent, e.route)
        == (row.pipeline, row.schema, None, migration.entry.route)
        and any(v.staged.load_id == load_id and (v.verdict == "leftover" or v in deleted) for v in e.loads)
    }


def _may_record(migration: Migration, arrived: Collection[str]) -> bool:
    """Recording a load commits its cursor: only when nothing of the load can be missing."""
    package: Package | None = migration.load.package
    if package:
        return all(job.status == "completed" or (job.is_followup and job.table in arrived) for job in package.jobs)
    return migration.is_whole_schema(arrived)
