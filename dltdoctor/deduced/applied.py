"""Where dlt has nothing to create any more, because the destination stores the present version of a schema. Pure.

dlt looks its schema up in `_dlt_version` by hash. When it is there, dlt runs no DDL: what has gone from the
tables since does not come back, and the next load of the table fails.
"""

from collections.abc import Iterable, Iterator

from dltdoctor.deduced.unfinished import is_staged
from dltdoctor.snapshot import (
    Catalog,
    Column,
    Database,
    Pipeline,
    Route,
    Schema,
    SchemaColumn,
    SchemaTable,
    Source,
    Table,
    Value,
)
from dltdoctor.words import begins_bare

KEEPS_ROWS = ("r", "p")
NAME_BYTES = 63  # what Postgres keeps of a name
# The first dlt that stores in staging a schema of only the tables that are staged, under a hash of its own.
TRIMMING_SINCE, TRIMMING_STORAGE = (1, 30), (1, 0, 2)


class Applied(Value):
    """A schema whose present version its final dataset stores. `in_staging`: the staging dataset has it, too."""

    route: Route
    pipeline: Pipeline
    schema: Schema
    database: Database
    in_staging: bool

    @property
    def created(self) -> tuple[SchemaTable, ...]:
        """The tables that dlt has made in the final dataset."""
        return tuple(t for t in self.schema.data_tables if is_created(t))

    @property
    def staged(self) -> tuple[SchemaTable, ...]:
        """The tables that dlt has made in the staging dataset."""
        return tuple(t for t in self.created if is_staged(t, None)) if self.in_staging else ()


def applied_schemas(
    pipelines: Iterable[Pipeline], routes: Iterable[Route], catalog: Catalog, source: Source | None = None
) -> Iterator[Applied]:
    """Every schema of a final dataset once, where what the pipeline has and what is stored are one version."""
    everyone = {p.name: p for p in pipelines}
    seen: set[tuple[str, str, str]] = set()
    for route in routes:
        pipeline, database = everyone.get(route.pipeline), catalog.database(route.pipeline)
        if pipeline is None or database is None:
            continue
        schema = stored_in(database, route.final, route.schema)
        own = pipeline.schema(route.schema)
        place = (database.target.key, route.final, route.schema)
        is_present = schema and own and schema.version_hash and own.version_hash == schema.version_hash
        if own is None or not is_present or place in seen:
            continue
        seen.add(place)
        yield Applied(
            route=route,
            pipeline=pipeline,
            schema=own,
            database=database,
            in_staging=_is_in_staging(route, pipeline, own, database, source),
        )


def is_created(table: SchemaTable) -> bool:
    """True for a table that dlt has made: it has seen rows for it, and knows the type of a column at least."""
    return table.seen_data is True and any(c.data_type for c in table.columns)


def stored_in(database: Database, dataset: str | None, schema: str) -> Schema | None:
    """The newest version of a schema that a dataset stores."""
    return next((s for s in database.stored_schemas.get(dataset or "", ()) if s.name == schema), None)


def held(database: Database, dataset: str | None, table: str) -> Table | None:
    """The table itself; not a view or a foreign table of its name."""
    found = database.table(dataset or "", table)
    return found if found and found.kind in KEEPS_ROWS else None


def column_of(table: Table, name: str) -> Column | None:
    """The column as Postgres holds it: folded and cut as dlt's naming convention and Postgres may do."""
    cut = name.encode()[:NAME_BYTES].decode(errors="ignore")
    spellings = (name, name.lower(), cut, cut.lower())
    by_name = {c.name: c for c in table.columns}
    return next((by_name[s] for s in spellings if s in by_name), None)


def lacking(table: SchemaTable, there: Table) -> tuple[SchemaColumn, ...]:
    """The complete columns of a schema's table that the table in Postgres does not have."""
    names = {c.name for c in there.columns}
    return tuple(c for c in table.columns if c.data_type and c.name not in names and column_of(there, c.name) is None)


def without_root_key(table: SchemaTable, database: Database, final: str) -> SchemaColumn | None:
    """The root key that a nested table with rows lacks, and that dlt cannot add because it is NOT NULL."""
    there = held(database, final, table.name)
    if there is None or not table.is_nested or table.disposition != "merge" or table.merge_strategy == "scd2":
        return None
    rows = database.counts.get((final, table.name))
    gone = (c for c in lacking(table, there) if c.root_key and not c.nullable)
    return next(gone, None) if rows is not None and rows.rows else None


def has_unquotable_temp_table(schema: Schema, table: SchemaTable) -> bool:
    """Whether dlt's merge names temporary tables after this root table, whose name needs quotes."""
    is_merged_so = not table.is_nested and table.merge_strategy == "delete-insert" and is_created(table)
    if not is_merged_so or begins_bare(table.name):
        return False
    keyed = table.primary_key or table.merge_keys or any(c.hard_delete for c in table.columns)
    return bool(keyed) and any(t.is_nested and is_created(t) for t in schema.chain(table.name))


def doubtful_stagings(
    pipelines: Iterable[Pipeline], routes: Iterable[Route], database: Database, of_pipeline: dict[str, str]
) -> frozenset[str]:
    """Staging datasets that lack something, and of which only the stored schema tells whether dlt would make it."""
    catalog = Catalog(databases=(database,), of_pipeline=of_pipeline)
    return frozenset(
        each.route.staging or ""
        for each in applied_schemas(pipelines, routes, catalog)
        if not each.in_staging and stored_in(database, each.route.staging, each.route.schema) and _is_short(each)
    )


def _is_short(applied: Applied) -> bool:
    for table in applied.created:
        if is_staged(table, None):
            there = held(applied.database, applied.route.staging, table.name)
            if there is None or lacking(table, there):
                return True
    return False


def _is_in_staging(route: Route, pipeline: Pipeline, schema: Schema, database: Database, source: Source | None) -> bool:
    stored = stored_in(database, route.staging, route.schema)
    if stored is None or route.staging == route.final:
        return False
    staged = {t.name: t for t in schema.data_tables if t.seen_data and is_staged(t, None)}
    is_whole = len(staged) == len(schema.data_tables)
    if stored.version_hash == schema.version_hash:
        return is_whole or not _trims(pipeline, source)
    kept = {t.name: t for t in stored.data_tables if t.seen_data}
    return bool(kept) and kept.keys() == staged.keys() and all(_is_same(kept[n], staged[n]) for n in kept)


def _is_same(one: SchemaTable, other: SchemaTable) -> bool:
    return all(
        getattr(one, hint) == getattr(other, hint) for hint in ("columns", "parent", "disposition", "merge_strategy")
    )


def _trims(pipeline: Pipeline, source: Source | None) -> bool:
    """Whether the dlt that runs next looks for a schema of the staged tables only, and so makes what is absent."""
    project = _numbers(source.dlt_version if source else None)
    return project >= TRIMMING_SINCE if project else _numbers(pipeline.storage_version) >= TRIMMING_STORAGE


def _numbers(version: str | None) -> tuple[int, ...]:
    parts = (version or "").split(".")[:3]
    return tuple(int(p) for p in parts) if all(p.isdigit() for p in parts) else ()
