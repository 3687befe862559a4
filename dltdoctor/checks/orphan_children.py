"""Nested rows whose row above is not there.

dlt loads a list inside a row into a table of its own, whose rows lead back by `_dlt_parent_id`. When somebody
deletes rows of the root table by hand, or restores it from a backup, the nested rows stay behind.

*Why it matters.* Sums over the nested table count them, joins with the root table do not: two reports of the same
thing differ. No merge ever removes them, because it looks for them by the rows above.

*Fix safety.* The nested rows are deleted, with what is nested in them. They are kept for undo. If it is the rows above
that are missing by mistake, bring those back instead.
"""

from collections.abc import Iterable
from typing import Any

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.writers import Writer, writers_of
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import (
    Activity,
    Catalog,
    Database,
    Looks,
    Orphans,
    Pipeline,
    Route,
    SchemaTable,
    Snapshot,
)
from dltdoctor.words import command, count, identifier, relation


def _tables(disposition: str = "merge") -> tuple[SchemaTable, ...]:
    root = sketch.table("orders", "amount", disposition=disposition)
    return root, sketch.table("orders__items", "sku", root="orders", parent="orders", disposition=disposition)


def _left_behind(disposition: str = "merge", **changes: Any) -> Snapshot:
    pipeline = sketch.pipeline(tables=_tables(disposition), **changes)
    return sketch.world(pipeline, on=_database())


def _database(**changes: Any) -> Database:
    left = Orphans(dataset="shop", table="orders__items", above="orders", link="_dlt_parent_id", rows=2)
    counts = {"shop.orders": 3, "shop.orders__items": 5}
    return sketch.database(counts, looks=Looks(orphans=(left,)), **changes)


def _append_is_pending() -> Snapshot:
    """Of a load that is only half done the nested rows may be there first."""
    half = sketch.package(sketch.LATEST, "normalized", sketch.job(status="new"))
    return _left_behind("append", packages=[half])


def _append_is_running() -> Snapshot:
    busy = _database(activity=Activity(sessions_by_role={"loader": 1}))
    return sketch.world(sketch.pipeline(tables=_tables("append")), on=busy)


@check(
    "DD309",
    Severity.WARNING,
    sick=[_left_behind],
    well=[_append_is_pending, _append_is_running, sketch.world],
    url=f"{DLT_DOCS}/general-usage/destination-tables#nested-tables",
)
def orphan_children(pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog) -> Iterable[Note]:
    for database in catalog.databases:
        here = [p for p in pipelines if catalog.of_pipeline.get(p.name) == database.target.key]
        for orphans in database.looks.orphans:
            writers = writers_of(here, routes, orphans.dataset, orphans.table)
            if writers and not _may_be_half_done(orphans, writers, here, database):
                yield _note(orphans, writers[0])


def _may_be_half_done(
    orphans: Orphans, writers: Iterable[Writer], pipelines: Iterable[Pipeline], database: Database
) -> bool:
    """A merge moves a whole chain at once; what is loaded directly comes file by file, in any order."""
    direct = [w for w in writers if w.table.disposition != "merge"]
    if not direct:
        return False
    roots = {w.table.root for w in direct}
    names = {w.route.pipeline for w in direct}
    unfinished = [k for p in pipelines if p.name in names for k in p.packages if k.stage in ("normalized", "aborted")]
    if any(j.status != "completed" and j.table in roots for k in unfinished for j in k.jobs):
        return True
    table = database.table(orphans.dataset, orphans.table)
    is_connected = table is not None and table.owner in database.activity.sessions_by_role
    return is_connected or any(schema == orphans.dataset for schema, _ in database.activity.locked)


def _note(orphans: Orphans, writer: Writer) -> Note:
    place, above = relation(orphans.dataset, orphans.table), relation(orphans.dataset, orphans.above)
    rows = f"{'' if orphans.exact else 'at least '}{count(orphans.rows, 'row')}"
    lead = "leads" if orphans.rows == 1 else "lead"
    return Note(
        message=f"{rows} of {place} {lead} to no row of {above}",
        pipeline=writer.route.pipeline,
        dataset=orphans.dataset,
        table=orphans.table,
        evidence=(
            Evidence(
                f"{rows} without the row above",
                f"select count(*) from {place} c where not exists "
                f"(select from {above} a where a._dlt_id = c.{identifier(orphans.link)})",
            ),
            Evidence(f"{orphans.table} is nested in {orphans.above}", writer.origin),
        ),
        remedy=Remedy(
            "If the rows above were deleted on purpose, delete what was nested in them",
            "unsafe",
            command("dltdoctor", "fix", writer.route.pipeline, "--unsafe"),
        ),
    )
