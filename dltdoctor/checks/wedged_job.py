"""A job is committed in the destination, and dlt tries it again at every run.

The process died between the commit and the move of the job's file. The rows are there; dlt loads them again,
and Postgres refuses them, because `_dlt_id` is unique.

*Why it matters.* From dlt 1.30 on the load stays pending and fails at every run, so that the pipeline loads
nothing new. Older versions give the load up: its rows are there, and no row of `_dlt_loads` says so.

*Fix safety.* The rows in the database are compared with the job's file; when they are the same number, the file
is moved to the completed ones, and dlt finishes the load. Deleting the rows, or aborting the load, would lose
rows or load them twice.
"""

from collections.abc import Iterable
from typing import Any

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.deduced.wedges import Wedge, wedges
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.remedies import resume
from dltdoctor.snapshot import Catalog, Database, Looks, Pipeline, Route, RowsOfLoad, Snapshot
from dltdoctor.words import count, identifier, listed, literal, moment, relation

REFUSED = 'duplicate key value violates unique constraint "orders__dlt_id_key"'


def _appended(rows: int = 3, stage: str = "normalized", **changes: Any) -> Snapshot:
    table = sketch.table("orders", "amount", disposition="append", merge_strategy=None)
    status = "failed" if stage == "aborted" else "new"
    refused = sketch.job(status=status, error=REFUSED, rows=3)
    pipeline = sketch.pipeline(tables=[table], packages=[sketch.package(sketch.LATEST, stage, refused)])
    seen = Looks(of_loads=(RowsOfLoad(dataset="shop", table="orders", load_id=sketch.LATEST, rows=rows, **changes),))
    return sketch.world(pipeline, on=sketch.database({"shop.orders": rows}, looks=seen))


def _given_up() -> Snapshot:
    return _appended(stage="aborted")


def _seen_in_the_last_blocks() -> Snapshot:
    return _appended(rows=1, exact=False)


def _recorded_since() -> Snapshot:
    return _appended(stage="aborted", listed=True)


def _staged(rows: int = 3) -> Snapshot:
    refused = sketch.job(status="new", error=REFUSED, rows=3)
    pipeline = sketch.pipeline(packages=[sketch.package(sketch.LATEST, "normalized", refused)])
    return sketch.world(pipeline, on=sketch.database(staged=(sketch.staged(rows=rows),) if rows else ()))


def _never_arrived() -> Snapshot:
    return _appended(rows=0)


def _partly_deleted() -> Snapshot:
    return _appended(rows=2)


def _two_rows_of_one_key() -> Snapshot:
    """Upsert makes `_dlt_id` of the key: a load that brings a key twice is refused, and nothing is staged."""
    return _staged(rows=0)


def _another_error() -> Snapshot:
    denied = sketch.job(status="new", error="permission denied for table orders")
    return sketch.world(
        sketch.pipeline(packages=[sketch.package(sketch.LATEST, "normalized", denied)]), on=sketch.database()
    )


@check(
    "DD208",
    Severity.ERROR,
    sick=[_appended, _given_up, _seen_in_the_last_blocks, _staged],
    well=[_recorded_since, _never_arrived, _partly_deleted, _two_rows_of_one_key, _another_error, sketch.world],
    url=f"{DLT_ISSUES}/3023",
)
def wedged_job(pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog) -> Iterable[Note]:
    for pipeline in pipelines:
        database = catalog.database(pipeline.name)
        found: dict[str, list[Wedge]] = {}
        for wedge in wedges(pipeline, routes, database):
            found.setdefault(wedge.package.load_id, []).append(wedge)
        for mine in found.values():
            if database:
                yield _note(pipeline, mine, database)


def _note(pipeline: Pipeline, wedges: list[Wedge], database: Database) -> Note:
    first = wedges[0]
    package, load_id = first.package, first.package.load_id
    places = listed(dict.fromkeys(relation(w.schema, w.table.name) for w in wedges))
    are = "is" if len(wedges) == 1 else "are"
    fate = "loads the same rows again, and fails, at every run" if package.is_pending else "gave the load up"
    return Note(
        message=f"{count(len(wedges), 'job')} of the load of {moment(load_id)} {are} committed in {places}, "
        f"and dlt, which does not know, {fate}",
        pipeline=pipeline.name,
        dataset=first.route.final,
        table=first.table.name if len(wedges) == 1 else None,
        evidence=tuple(e for w in wedges[:3] for e in _evidence(w)),
        remedy=resume(pipeline.name, "Count the committed job as done, then let dlt finish the load")
        if package.is_pending
        else _record(wedges, database),
        identity=load_id,
    )


def _evidence(wedge: Wedge) -> Iterable[Evidence]:
    yield Evidence(f"{wedge.table.name}: {wedge.job.error}", wedge.job.path)
    place = relation(wedge.schema, wedge.table.name)
    if wedge.rows is not None:
        at_least = "" if wedge.exact else "at least "
        yield Evidence(
            f"{at_least}{count(wedge.rows, 'row')} of the load, {wedge.wanted:,} in its files",
            f"select count(*) from {place} where _dlt_load_id = {literal(wedge.package.load_id)}",
        )


def _record(wedges: list[Wedge], database: Database) -> Remedy:
    """What dlt would have done at the end of the load, when all else of it has arrived."""
    package, final = wedges[0].package, wedges[0].route.final
    others = [j for j in package.jobs if j.status != "completed" and j not in [w.job for w in wedges]]
    if others:
        missing = listed(dict.fromkeys(j.table for j in others))
        return Remedy(
            f"Of this load {missing} did not arrive. See to that first, and do not load "
            f"{listed(dict.fromkeys(w.table.name for w in wedges))} again: its rows are there",
            "manual",
        )
    values = {
        "load_id": literal(package.load_id),
        "schema_name": literal(package.schema_name),
        "status": "0",
        "inserted_at": "now()",
        "schema_version_hash": literal(package.schema.version_hash if package.schema else ""),
    }
    loads = database.table(final, "_dlt_loads")
    known = {n: v for n, v in values.items() if loads is None or not loads.columns or loads.has(n)}
    names = ", ".join(identifier(n) for n in known)
    return Remedy(
        "Everything of the load has arrived: record it, as dlt would have, so that its state counts",
        "manual",
        f"INSERT INTO {relation(final, '_dlt_loads')} ({names}) VALUES ({', '.join(known.values())});",
    )
