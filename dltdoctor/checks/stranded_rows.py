"""Rows are in staging, their load never reached the final table, and nothing will finish it.

The data jobs of the load filled the staging table; the merge into the final table failed or was
never started. No pending package on this machine would finish it.

*Why it matters.* Readers see the old rows. The next load of the same table truncates staging, and
where the cursor has already moved on (dlt 1.0 to 1.29 after an aborted load, or a working dir without
its packages) the rows are then gone for good.

*Fix safety.* `fix --migrate` runs dlt's own merge for exactly these rows in one transaction. It is
unsafe where nothing proves that the staged rows are the whole load: without the load package, or for
strategies that retire whatever is not staged (scd2).
"""

from collections.abc import Iterable

import msgspec

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Remedy, Safety, Severity
from dltdoctor.ledger import Entry, Ledger
from dltdoctor.remedies import migrate
from dltdoctor.snapshot import Package, Snapshot, StagedLoad
from dltdoctor.verdict import StagedVerdict
from dltdoctor.words import columns, count, moment, relation


def _aborted() -> Snapshot:
    failed = sketch.job(kind="sql", status="failed", error="permission denied for table orders")
    return sketch.world(
        sketch.pipeline(packages=[sketch.package(sketch.LATEST, "aborted", sketch.job(), failed)]),
        on=sketch.database(staged=(sketch.staged(),)),
    )


def _working_dir_gone() -> Snapshot:
    return sketch.world(on=sketch.database(staged=(sketch.staged(),)))


def _plain_tables() -> Snapshot:
    rows = sketch.staged(None, 2, sampled=2, proof="primary-key", differing=("trust_score",))
    bare = sketch.database({"shop.orders": 2, "shop_staging.orders": 2}, staged=(rows,), states=(), loads=())
    tables = {place: table for place, table in bare.tables.items() if not place[1].startswith("_dlt_")}
    return sketch.world(on=msgspec.structs.replace(bare, tables=tables))


def _ledger_pruned() -> Snapshot:
    old = sketch.staged("1500000000.0")
    return sketch.world(on=sketch.database(staged=(old,)))


def _merged() -> Snapshot:
    return sketch.world(on=sketch.database(staged=(sketch.staged(sketch.LOADED, arrived=3, committed_in=("shop",)),)))


def _pending() -> Snapshot:
    merge = sketch.job(kind="sql", status="new", error="permission denied")
    return sketch.world(
        sketch.pipeline(packages=[sketch.package(sketch.LATEST, "normalized", sketch.job(), merge)]),
        on=sketch.database(staged=(sketch.staged(),)),
    )


@check(
    "DD201",
    Severity.ERROR,
    Severity.INFO,
    sick=[_aborted, _working_dir_gone, _plain_tables, _ledger_pruned],
    well=[_merged, _pending, sketch.world],
    url=f"{DLT_DOCS}/running-in-production/running#partially-loaded-packages",
)
def stranded_rows(ledger: Ledger) -> Iterable[Note]:
    roots = {
        (e.row.pipeline, e.row.schema, e.row.table) for e in ledger.entries if e.loads_with("stranded") or _pruned_of(e)
    }
    for entry in ledger.entries:
        row = entry.row
        nested_below = row.parent is not None and (row.pipeline, row.schema, entry.table.root) in roots
        if not nested_below:
            for load in entry.loads_with("stranded"):
                yield _note(entry, load, ledger)
            for load in _pruned_of(entry):
                yield _pruned(entry, load)


def _pruned_of(entry: Entry) -> list[StagedVerdict]:
    return [load for load in entry.loads_with("unknown") if load.note == "purged-ledger"]


def _note(entry: Entry, load: StagedVerdict, ledger: Ledger) -> Note:
    row, staged = entry.row, load.staged
    rows = count(staged.rows, "row", exact=staged.exact)
    when = f" of the load of {moment(staged.load_id)}" if staged.load_id else ""
    return Note(
        message=f"{rows}{when} {'are' if staged.rows != 1 else 'is'} in {relation(staged.staging, row.table)} only: "
        f"{load.why}{_next_run(load)}",
        pipeline=row.pipeline,
        dataset=row.final.dataset,
        table=row.table,
        evidence=tuple(_evidence(entry, load, ledger)),
        remedy=_remedy(entry, load),
        identity=staged.load_id or "",
    )


def _next_run(load: StagedVerdict) -> str:
    if load.note == "plain":
        return ""
    return "; the next load of this table truncates them"


def _evidence(entry: Entry, load: StagedVerdict, ledger: Ledger) -> Iterable[Evidence]:
    staged, row = load.staged, entry.row
    place, final = relation(staged.staging, row.table), relation(staged.final, row.table)
    yield Evidence(
        f"{count(staged.rows, 'row', exact=staged.exact)} with load id {staged.load_id or '(no _dlt_load_id)'}",
        f"select _dlt_load_id, count(*) from {place} group by 1" if staged.load_id else f"select count(*) from {place}",
    )
    if staged.load_id and load.note != "plain":
        yield Evidence(f"load {staged.load_id} is not recorded", f"{relation(staged.final, '_dlt_loads')}")
    yield _looked_up(staged, final, exists=row.final.exists)
    if load.note == "plain":
        yield Evidence(
            "no _dlt_loads and no load ids: which load it was, and whether it was complete, cannot be told", "pg_class"
        )
    if load.package:
        yield from _package_evidence(load.package, entry)
    elif load.note != "plain":
        yield Evidence("no load package of this load on this machine", "the pipelines dir")
    for nested in ledger.entries:
        same = (nested.row.pipeline, nested.row.schema, nested.table.root) == (row.pipeline, row.schema, row.table)
        if same and nested.row.parent:
            for below in nested.loads_with("stranded"):
                yield Evidence(
                    f"{count(below.staged.rows, 'nested row')} of it", relation(below.staged.staging, nested.row.table)
                )


def _looked_up(staged: StagedLoad, final: str, *, exists: bool | None) -> Evidence:
    if not exists:
        return Evidence(f"{final} does not exist", "pg_class")
    if staged.differing:
        return Evidence(
            f"{columns(staged.differing)} hold values in staging and NULL in {final} for the same key",
            "compared by key",
        )
    how = {"row-key": "_dlt_id", "primary-key": "the primary key", "columns": "all columns", "none": "count"}
    return Evidence(
        f"{staged.arrived} of {count(staged.sampled, 'staged row')} looked up were found in {final}",
        f"compared by {how[staged.proof]}",
    )


def _package_evidence(package: Package, entry: Entry) -> Iterable[Evidence]:
    yield Evidence(f"the load package is {package.stage}", package.path)
    for job in package.jobs_of(entry.table.root):
        if job.error:
            yield Evidence(f"{job.table}.{job.format} failed: {job.error}", job.path)


def _remedy(entry: Entry, load: StagedVerdict) -> Remedy:
    safety: Safety = "safe"
    because = ""
    if load.note == "plain":
        safety, because = "unsafe", "nothing proves that the staged rows are a whole load"
    elif load.package is None:
        safety, because = "unsafe", "without the load package nothing proves that the staged rows are the whole load"
    elif entry.table.merge_strategy in ("scd2", "cdc"):
        safety, because = "unsafe", f"{entry.table.merge_strategy} retires every row that is not staged"
    return migrate(entry.row.pipeline, safety=safety, because=because)


def _pruned(entry: Entry, load: StagedVerdict) -> Note:
    staged = load.staged
    return Note(
        message=f"{count(staged.rows, 'staged row')} in {relation(staged.staging, entry.row.table)} belong to no recorded "
        f"load, but {load.why}",
        severity=Severity.INFO,
        pipeline=entry.row.pipeline,
        dataset=entry.row.final.dataset,
        table=entry.row.table,
        evidence=(Evidence(load.why, f"select min(inserted_at) from {relation(staged.final, '_dlt_loads')}"),),
        identity=staged.load_id or "",
    )
