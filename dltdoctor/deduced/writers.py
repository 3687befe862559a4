"""Which pipelines write which table: the tables that several schemas of one dataset merge. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from dltdoctor.snapshot import Pipeline, Route, SchemaTable, Value


class Writer(Value):
    """One pipeline's view of a shared table, and where its schema was read."""

    route: Route
    table: SchemaTable
    origin: str

    @property
    def own_columns(self) -> frozenset[str]:
        """What it fills: complete columns, without dlt's own and without the key."""
        key = {*self.table.primary_key, *self.table.merge_keys}
        return frozenset(
            c.name for c in self.table.columns if c.data_type and c.name not in key and not c.name.startswith("_dlt_")
        )

    @property
    def overwrites(self) -> bool:
        """True when a merge replaces the whole row of a key, columns it does not know included."""
        keyed = bool(self.table.primary_key or self.table.merge_keys)
        return self.table.merge_strategy == "delete-insert" and keyed


def shared_tables(
    pipelines: Iterable[Pipeline], routes: Iterable[Route], places: Mapping[str, str]
) -> Mapping[tuple[str, str, str], tuple[Writer, ...]]:
    """Root tables merged under several schema names with different columns.

    Keyed by (database, final dataset, table); `places` maps a pipeline to its database.
    """
    everyone = {p.name: p for p in pipelines}
    found: dict[tuple[str, str, str], dict[str, Writer]] = defaultdict(dict)
    for way in routes:
        schema = everyone[way.pipeline].schema(way.schema) if way.pipeline in everyone else None
        place = places.get(way.pipeline)
        if schema is None or place is None:
            continue
        for table in schema.data_tables:
            if table.disposition == "merge" and not table.is_nested:
                writer = Writer(route=way, table=table, origin=schema.origin)
                found[place, way.final, table.name].setdefault(way.schema, writer)
    return {
        key: tuple(writers.values())
        for key, writers in found.items()
        if len(writers) > 1 and len({w.own_columns for w in writers.values()}) > 1
    }


def foreign_columns(writer: Writer, writers: Iterable[Writer]) -> tuple[str, ...]:
    """Columns that others fill and this writer's schema does not know: its merges leave them NULL."""
    known = {c.name for c in writer.table.columns}
    return tuple(sorted({c for other in writers for c in other.own_columns if c not in known}))


def fillers(columns: Iterable[str], writers: Iterable[Writer]) -> tuple[str, ...]:
    """The names of the schemas that fill one of the columns."""
    wanted = set(columns)
    return tuple(w.route.schema for w in writers if w.own_columns & wanted)


def writers_of(pipelines: Iterable[Pipeline], routes: Iterable[Route], dataset: str, table: str) -> list[Writer]:
    """Everyone who loads into one table, one for each pipeline."""
    everyone = {p.name: p for p in pipelines}
    found: dict[str, Writer] = {}
    for way in routes:
        schema = everyone[way.pipeline].schema(way.schema) if way.pipeline in everyone else None
        known = schema.table(table) if schema and way.final == dataset else None
        if schema and known:
            found.setdefault(way.pipeline, Writer(route=way, table=known, origin=schema.origin))
    return list(found.values())
