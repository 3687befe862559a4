"""The privileges that dlt's next load of a pipeline needs of Postgres. Pure.

Measured with dlt 1.31.0, 1.16.0 and 1.5.0 by revoking one privilege at a time: what a load does
without is left out, such as CREATE on schemas in which nothing new is made.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from dltdoctor.deduced.unfinished import is_staged
from dltdoctor.snapshot import Database, Pipeline, Route, Schema, SchemaTable
from dltdoctor.snapshot.privileges import OWNERSHIP
from dltdoctor.words import columns

STAGED = ("SELECT", "INSERT", "TRUNCATE")
OPTIMIZED = "staging-optimized"
DROP = "DROP"  # no privilege, and no GRANT gives it: the owner of the table may, and that of its schema
LOADS, STATE, VERSION = "_dlt_loads", "_dlt_pipeline_state", "_dlt_version"
_MERGED: Mapping[str, tuple[str, ...]] = {
    "delete-insert": ("SELECT", "INSERT", "DELETE"),
    "upsert": ("SELECT", "INSERT", "UPDATE"),
    "insert-only": ("SELECT", "INSERT"),
    "scd2": ("SELECT", "INSERT", "UPDATE"),
    "cdc": ("SELECT", "INSERT", "UPDATE", "DELETE"),
}


class Need(NamedTuple):
    """A privilege on the database, on a schema, or on a table; `why` says what dlt does with it."""

    on: Literal["database", "schema", "table"]
    privilege: str
    schema: str
    table: str
    why: str


def needs_of(pipeline: Pipeline, schema: Schema, way: Route, database: Database, *, restores: bool) -> Iterator[Need]:
    """What the next load of the schema needs, as far as it can be known; tables that are not there need nothing.

    `restores` is false when the configuration keeps dlt from reading its state in the destination.
    """
    tables = [t for t in schema.data_tables if _is_loaded(t) and database.table(way.final, t.name)]
    staged = [t for t in tables if is_staged(_root(schema, t), None)]
    if not tables:
        return
    yield Need("schema", "USAGE", way.final, "", "nothing in the schema can be used without it")
    yield from _bookkeeping(pipeline, way, restores=restores)
    yield from _growth(pipeline, schema, way, database)
    for table in tables:
        for privilege, why in _final(schema, table):
            yield Need("table", privilege, way.final, table.name, why)
    if staged and way.staging and way.staging != way.final:
        yield from _staging(schema, staged, way.staging, database)
    if any(_is_optimized(_root(schema, t)) for t in tables):
        yield Need("schema", "CREATE", way.final, "", "the staged table moves into it")
    if any(_makes_temporary_tables(schema, t, tables) for t in tables):
        yield Need("database", "TEMPORARY", "", "", "a merge with nested tables makes temporary tables")


def _is_loaded(table: SchemaTable) -> bool:
    return table.seen_data is not False and table.disposition != "skip"


def _bookkeeping(pipeline: Pipeline, way: Route, *, restores: bool) -> Iterator[Need]:
    yield Need("table", "INSERT", way.final, LOADS, "dlt records every load")
    yield Need("table", "SELECT", way.final, VERSION, "dlt looks for its schema")
    if restores:
        yield Need("table", "SELECT", way.final, LOADS, "dlt looks for its last state")
        yield Need("table", "SELECT", way.final, STATE, "dlt looks for its last state")
    if pipeline.state and pipeline.state.cursors and restores:
        yield Need("table", "INSERT", way.final, STATE, "dlt stores the cursor with the rows")


def _growth(pipeline: Pipeline, schema: Schema, way: Route, database: Database) -> Iterator[Need]:
    """What the pending loads add to the final dataset before their first row."""
    waiting = [p for p in pipeline.pending if p.schema_name == schema.name and not p.schema_applied]
    for name in dict.fromkeys(job.table for package in waiting for job in package.jobs):
        wanted, there = schema.table(name), database.table(way.final, name)
        if wanted is None or wanted.is_dlt_own:
            continue
        if there is None:
            yield Need("schema", "CREATE", way.final, "", "a pending load makes a table in it")
            continue
        known = {column.name.lower() for column in there.columns}
        if new := [c.name for c in wanted.columns if c.data_type and c.name.lower() not in known]:
            yield Need("table", OWNERSHIP, way.final, name, f"a pending load adds {columns(new)}")


def _staging(schema: Schema, staged: list[SchemaTable], staging: str, database: Database) -> Iterator[Need]:
    if staging not in database.schemas:
        yield Need("database", "CREATE", "", "", f"dlt makes the schema {staging}")
        return
    yield Need("schema", "USAGE", staging, "", "rows are staged in it before they are merged")
    if database.table(staging, VERSION) is None:
        yield Need("schema", "CREATE", staging, "", "dlt makes its staging tables in it")
    yield Need("table", "SELECT", staging, VERSION, "dlt looks for its schema")
    for table in staged:
        if database.table(staging, table.name) is None:
            continue
        for privilege in STAGED:
            yield Need("table", privilege, staging, table.name, "rows are staged in it")
        if _is_optimized(_root(schema, table)):
            yield Need("table", OWNERSHIP, staging, table.name, "it is moved into the final dataset")
    if any(_is_optimized(_root(schema, t)) for t in staged):
        yield Need("schema", "CREATE", staging, "", "the staging table is made anew after it has moved")


def _final(schema: Schema, table: SchemaTable) -> Iterator[tuple[str, str]]:
    root = _root(schema, table)
    if root.disposition == "replace":
        if _is_optimized(root):
            yield DROP, "replace drops it and moves the staged table into its place"
            return
        yield from ((privilege, "replace needs it") for privilege in ("INSERT", "TRUNCATE"))
        return
    strategy = root.merge_strategy or ""
    if root.disposition != "merge" or strategy not in _MERGED or not _is_keyed(root):
        yield "INSERT", f"{root.disposition} needs it"
        return
    for privilege in _MERGED[strategy]:
        if not (strategy == "scd2" and table.is_nested and privilege == "UPDATE"):
            yield privilege, f"merge ({strategy}) needs it"
    removes = table.is_nested or any(c.hard_delete for c in root.columns)
    if strategy == "upsert" and removes:
        yield "DELETE", "merge (upsert) needs it"


def _is_keyed(root: SchemaTable) -> bool:
    """A delete-insert without keys only appends."""
    return root.merge_strategy != "delete-insert" or bool(root.primary_key or root.merge_keys)


def _makes_temporary_tables(schema: Schema, table: SchemaTable, tables: list[SchemaTable]) -> bool:
    root = _root(schema, table)
    return (
        table.is_nested
        and root in tables
        and root.disposition == "merge"
        and root.merge_strategy == "delete-insert"
        and _is_keyed(root)
    )


def _is_optimized(root: SchemaTable) -> bool:
    return root.disposition == "replace" and root.replace_strategy == OPTIMIZED


def _root(schema: Schema, table: SchemaTable) -> SchemaTable:
    return schema.table(table.root) or table
