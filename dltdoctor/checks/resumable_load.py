"""A load stopped between staging and the final table, and its package can finish it.

The staged rows of the load are there, and so is its package: the merge failed, or the process was
killed before it. dlt finishes the package when `pipeline.load()` or the next `run()` is called.

*Why it matters.* Readers see the old rows until then. From dlt 1.30 on a failed merge stays pending
and is tried again on every run, so a lasting cause blocks the pipeline: it loads nothing new.

*Fix safety.* dlt itself finishes the load. Where another load has used the staging table since, the
rows are staged again from the package's own files first; a plain resume would merge foreign rows.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.applied import has_unquotable_temp_table
from dltdoctor.deduced.merge_statement import cannot_be_finished, delete_insert_instead, merged_so
from dltdoctor.deduced.wedges import wedged_loads
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.ledger import Entry, Ledger
from dltdoctor.remedies import migrate, resume
from dltdoctor.snapshot import Catalog, Package, Pipeline, Route, Snapshot
from dltdoctor.words import count, listed, moment, relation


def _merge_failed() -> Snapshot:
    merge = sketch.job(kind="sql", status="new", error="permission denied for table orders")
    return sketch.world(
        sketch.pipeline(packages=[sketch.package(sketch.LATEST, "normalized", sketch.job(), merge)]),
        on=sketch.database(staged=(sketch.staged(),)),
    )


def _staging_reused() -> Snapshot:
    merge = sketch.job(kind="sql", status="started")
    other = sketch.staged("1700000250.0", arrived=3, committed_in=("shop",))
    return sketch.world(
        sketch.pipeline(packages=[sketch.package(sketch.LATEST, "normalized", sketch.job(), merge)]),
        on=sketch.database(staged=(other,)),
    )


def _wedged() -> Snapshot:
    """The rows are staged, and dlt tries to stage them again at every run: DD208 says so."""
    refused = 'duplicate key value violates unique constraint "orders__dlt_id_key"'
    job = sketch.job(status="new", error=refused, rows=3)
    return sketch.world(
        sketch.pipeline(packages=[sketch.package(sketch.LATEST, "normalized", job)]),
        on=sketch.database(staged=(sketch.staged(),)),
    )


def _ended_meanwhile() -> Snapshot:
    """The files were read before the database, and the merge ended in between."""
    merge = sketch.job(kind="sql", status="started")
    return sketch.world(
        sketch.pipeline(packages=[sketch.package(sketch.LATEST, "normalized", sketch.job(), merge)]),
        on=sketch.database(staged=(sketch.staged(arrived=3, committed_in=("shop",)),)),
    )


def _finished() -> Snapshot:
    return sketch.world(
        sketch.pipeline(packages=[sketch.package()]),
        on=sketch.database(staged=(sketch.staged(sketch.LOADED, arrived=3, committed_in=("shop",)),)),
    )


@check(
    "DD202",
    Severity.ERROR,
    sick=[_merge_failed, _staging_reused],
    well=[_wedged, _ended_meanwhile, _finished, sketch.world],
    url=f"{DLT_DOCS}/running-in-production/running#partially-loaded-packages",
)
def resumable_load(
    ledger: Ledger, pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog | None = None
) -> Iterable[Note]:
    for pipeline in pipelines:
        wedged = wedged_loads(pipeline, routes, catalog)
        for package in pipeline.pending:
            entries = half_way(ledger, pipeline.name, package)
            if entries and package.load_id not in wedged:
                yield _note(pipeline, package, entries, catalog)


def half_way(ledger: Ledger, pipeline: str, package: Package) -> list[Entry]:
    """Root tables whose rows of this package are staged and whose merge has not happened."""
    if package.is_fresh and not package.failures:
        return []  # it is running, and may have ended since its files were read
    waiting = {j.table for j in package.jobs if j.is_followup and j.status in ("new", "started", "failed")}
    done = {j.table for j in package.jobs if not j.is_followup and j.status == "completed"}
    return [
        e
        for e in ledger.entries
        if e.row.pipeline == pipeline
        and e.row.parent is None
        and e.row.schema == package.schema_name
        and e.row.verdict != "in-flight"
        and (
            any(load.package is package and load.verdict == "resumable" for load in e.loads)
            or (e.row.table in waiting and e.row.table in done and e.row.staging.exists and not _is_merged(e, package))
        )
    ]


def _is_merged(entry: Entry, package: Package) -> bool:
    return any(v.staged.load_id == package.load_id and v.verdict == "leftover" for v in entry.loads)


def _note(pipeline: Pipeline, package: Package, entries: list[Entry], catalog: Catalog | None) -> Note:
    overwritten = [e for e in entries if package.load_id not in e.row.staging.load_ids]
    mixed = [e for e in entries if len(e.row.staging.load_ids) > 1]
    tables = listed(relation(e.row.final.dataset, e.row.table) for e in entries)
    staged = sum(load.staged.rows for e in entries for load in e.loads if load.staged.load_id == package.load_id)
    errors = [j for j in package.jobs if j.error]
    cause = f": {errors[0].error}" if errors else ""
    redo = overwritten or mixed
    state = (
        f"{listed(relation(e.row.staging.dataset or '', e.row.table) for e in redo)} holds other rows by now"
        if redo
        else f"{count(staged, 'row')} wait in staging"
    )
    return Note(
        message=f"the load of {moment(package.load_id)} stopped before its merge into {tables}{cause}; {state}",
        pipeline=pipeline.name,
        dataset=entries[0].row.final.dataset,
        table=entries[0].row.table if len(entries) == 1 else None,
        evidence=(
            Evidence("the package is pending, its data jobs are completed, the merge job is not", package.path),
            *(Evidence(f"{j.table}: {j.error}", j.path) for j in errors[:3]),
            *(
                Evidence(
                    f"staged load ids: {listed(e.row.staging.load_ids) or 'none'}",
                    relation(e.row.staging.dataset or "", e.row.table),
                )
                for e in entries
            ),
        ),
        remedy=_remedy(pipeline, package, entries, catalog, is_redone=bool(redo)),
        identity=package.load_id,
    )


def _remedy(
    pipeline: Pipeline, package: Package, entries: list[Entry], catalog: Catalog | None, *, is_redone: bool
) -> Remedy:
    if cannot_be_finished(package, pipeline, catalog.database(pipeline.name) if catalog else None):
        return delete_insert_instead(pipeline, merged_so(package.schema or pipeline.schema(package.schema_name)))
    if package.schema and any(has_unquotable_temp_table(package.schema, e.table) for e in entries):
        return migrate(pipeline.name, safety="safe", because="dlt's own merge cannot, see DD407")
    if is_redone:
        return resume(pipeline.name, "Stage the rows again from the package's files, then let dlt finish the load")
    has_failed = any(j.error for j in package.jobs)
    return resume(pipeline.name, f"{'Remove the cause, then let' if has_failed else 'Let'} dlt finish the load")
