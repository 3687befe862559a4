"""Tables that dlt merges with a MERGE statement, which Postgres has since version 15. Pure."""

from collections.abc import Iterable

from dltdoctor.finding import Remedy
from dltdoctor.snapshot import Database, Package, Pipeline, Schema, SchemaTable
from dltdoctor.words import command, listed

SINCE = 150000
WRITTEN_WITH_MERGE = ("upsert", "insert-only", "cdc")


def lacks_merge(database: Database | None) -> bool:
    """Whether the server is known to be too old for it."""
    return database is not None and 0 < database.server_version < SINCE


def merged_so(schema: Schema | None) -> tuple[SchemaTable, ...]:
    """The root tables that have seen data and are merged by such a statement."""
    tables = schema.data_tables if schema else ()
    return tuple(
        t for t in tables if not t.is_nested and t.merge_strategy in WRITTEN_WITH_MERGE and t.seen_data is not False
    )


def cannot_be_finished(package: Package, pipeline: Pipeline, database: Database | None) -> bool:
    """Whether a pending package holds such a statement, or will, that this server does not understand."""
    if not package.is_pending or not lacks_merge(database):
        return False
    schema = package.schema or pipeline.schema(package.schema_name)
    waiting = {j.table for j in package.jobs if j.status != "completed"}
    return schema is not None and any(waiting & {n.name for n in schema.chain(t.root)} for t in merged_so(schema))


def delete_insert_instead(pipeline: Pipeline, tables: Iterable[SchemaTable]) -> Remedy:
    """The strategy that needs no MERGE; the pending load, which holds one, is aborted."""
    resources = listed(sorted({t.resource or t.name for t in tables}))
    edit = (
        f'In the source of {resources} write write_disposition={{"disposition": "merge", "strategy": "delete-insert"}}'
    )
    if not pipeline.pending:
        return Remedy(f"{edit}, or move to Postgres 15 or newer", "manual")
    return Remedy(
        f"{edit}; then abort the pending load, which holds a MERGE, and run the pipeline again "
        "(or move to Postgres 15 or newer, and let dlt finish it)",
        "manual",
        command("dlt", "pipeline", pipeline.name, "abort-packages"),
    )
