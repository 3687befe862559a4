"""Jobs that the destination has committed and dlt does not know of: tried again, they fail at every run. Pure.

`_dlt_id` is unique, so Postgres refuses the rows that are there already (failure-modes FM-12). The same error comes
of two rows with one key in a load whose row keys are made of it: then the rows are not there.
"""

from collections.abc import Iterable, Iterator

import msgspec

from dltdoctor.deduced.unfinished import is_staged
from dltdoctor.snapshot import Catalog, Database, Job, Package, Pipeline, Route, SchemaTable, Value

PLACES = ("normalized", "aborted", "loaded")


class Wedge(Value):
    """A committed job, and where its rows are; `rows` of its load are there, None where that was not counted.

    `wanted` are the rows that the load has to have there for the job to be among them.
    """

    package: Package
    job: Job
    table: SchemaTable
    route: Route
    schema: str
    rows: int | None = None
    exact: bool = True
    wanted: int | None = None


def wedges(pipeline: Pipeline, routes: Iterable[Route], database: Database | None) -> tuple[Wedge, ...]:
    """Every committed job that dlt holds for failed, in packages that it tries again or has given up."""
    doubled = [p for p in pipeline.packages if p.stage in PLACES and any(j.is_doubled for j in p.jobs)]
    if not doubled or database is None:
        return ()
    ways = {way.schema: way for way in routes if way.pipeline == pipeline.name}
    found: list[Wedge] = []
    for package in doubled:
        way = ways.get(package.schema_name)
        for job in package.jobs:
            table = known_table(pipeline, package, job)
            if job.is_doubled and job.status != "completed" and table and way:
                found += _committed(package, job, table, way, database)
    return tuple(found)


def wedged_loads(pipeline: Pipeline, routes: Iterable[Route], catalog: Catalog | None) -> frozenset[str]:
    """The loads of which a committed job is in the way."""
    database = catalog.database(pipeline.name) if catalog else None
    return frozenset(wedge.package.load_id for wedge in wedges(pipeline, routes, database))


def known_table(pipeline: Pipeline, package: Package, job: Job) -> SchemaTable | None:
    """The job's table: the pipeline's schema knows how the destination replaces."""
    for schema in (pipeline.schema(package.schema_name), package.schema):
        table = schema.table(job.table) if schema else None
        if table:
            return table
    return None


def _committed(package: Package, job: Job, table: SchemaTable, way: Route, database: Database) -> Iterator[Wedge]:
    staged = _staged_rows(package, table, way, database)
    wedge = Wedge(package=package, job=job, table=table, route=way, schema=way.final)
    if job.is_followup:
        if table.disposition == "merge" and not (table.primary_key or table.merge_keys):
            yield from _counted(msgspec.structs.replace(wedge, wanted=staged), database)
        return
    wedge = msgspec.structs.replace(wedge, wanted=_rows_in_files(package, job))
    if is_staged(table, None):
        if package.is_pending and wedge.wanted and (staged or 0) >= wedge.wanted:
            yield msgspec.structs.replace(wedge, schema=way.examined_staging or "", rows=staged)
    elif table.is_nested:
        if package.is_pending:
            yield wedge  # of random row keys, which nobody else has written; nested rows do not tell their load
    else:
        yield from _counted(wedge, database)


def _counted(wedge: Wedge, database: Database) -> Iterator[Wedge]:
    """With as many rows of the load in the final table as the job would bring it."""
    place = (wedge.schema, wedge.table.name, wedge.package.load_id)
    for seen in database.looks.of_loads:
        is_enough = seen.rows >= (wedge.wanted or 1) or (seen.rows and not seen.exact)
        if (seen.dataset, seen.table, seen.load_id) == place and wedge.wanted and is_enough and not seen.listed:
            yield msgspec.structs.replace(wedge, rows=seen.rows, exact=seen.exact)


def _staged_rows(package: Package, table: SchemaTable, way: Route, database: Database) -> int | None:
    for load in database.staged:
        if (load.staging, load.table, load.load_id) == (way.examined_staging, table.name, package.load_id):
            return load.rows
    return None


def _rows_in_files(package: Package, job: Job) -> int | None:
    """The rows of the job and of those before it in the same table; None when a file cannot be counted."""
    counted = [
        j.rows for j in package.jobs_of(job.table) if not j.is_followup and (j is job or j.status == "completed")
    ]
    return None if None in counted else sum(n for n in counted if n is not None)
