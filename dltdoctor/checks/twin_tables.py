"""A bare name leads readers to another table than the one the pipeline loads.

The search path of an ordinary role (`"$user", public` unless the database or the server says otherwise)
holds a table of the same name and much the same columns, and not the pipeline's dataset before it. dlt
puts its dataset on its own search path, people and BI tools do not. Where the twin has none of dlt's
columns it may be what the pipeline reads from, or another application's: that is only noted.

*Why it matters.* Nothing fails. `select * from orders` gives rows that no load will ever change, and
looks like a pipeline that stopped, or like NULLs where the final table has values.

*Fix safety.* A view in place of the twin, or a schema in the reader's query, touches no row of the final
table. What else reads the twin has to be known before it is renamed.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from dltdoctor import sketch
from dltdoctor.check import Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import (
    BarePath,
    Catalog,
    Column,
    Database,
    Pipeline,
    Reader,
    Route,
    SchemaTable,
    Snapshot,
    Source,
    Table,
    TextReference,
    ViewReference,
)
from dltdoctor.words import command, count, listed, relation

ALIKE = 0.5  # the share of the table's own columns from which a relation of its name counts as a copy
REPLICATORS = ("sql_database", "pg_replication")
KINDS = {"r": "a table", "p": "a table", "v": "a view", "m": "a materialized view", "f": "a foreign table"}


def _beside(*columns: str, schema: str = "public", path: Sequence[str] = ("public",), **changes: Any) -> Snapshot:
    made = tuple(Column(name=c, type="text", not_null=False) for c in columns)
    kind = changes.pop("kind", "r")
    twin = Table(schema=schema, name="orders", kind=kind, columns=made)
    more = {(schema, name): Table(schema=schema, name=name) for name in changes.pop("own", ())}
    database = sketch.database(
        {"shop.orders": 3, "shop_staging.orders": 3},
        tables={(schema, "orders"): twin, **more},
        bare_path=BarePath(schemas=tuple(path), origin="Postgres' default search_path"),
        views=changes.pop("views", ()),
    )
    return sketch.world(on=database, **changes)


def _old_copy() -> Snapshot:
    return _beside("id", "amount")


def _former_final() -> Snapshot:
    return _beside("id", "_dlt_id", "_dlt_load_id")


def _path_of_the_database() -> Snapshot:
    return _beside("id", "amount", "_dlt_id", schema="old", path=("old", "public"))


def _before_the_final_one() -> Snapshot:
    return _beside("id", "amount", "_dlt_id", path=("public", "shop"))


def _view_of_staging() -> Snapshot:
    view = ViewReference(schema="public", view="orders", reads_schema="shop_staging", reads_table="orders")
    return _beside("id", "amount", kind="v", views=(view,))


def _final_is_found_first() -> Snapshot:
    return _beside("id", "amount", path=("shop", "public"))


def _something_else() -> Snapshot:
    return _beside("order_number", "placed_by", "placed_at")


def _view_of_the_final_table() -> Snapshot:
    view = ViewReference(schema="public", view="orders", reads_schema="shop", reads_table="orders")
    return _beside("id", "amount", kind="v", views=(view,))


def _another_dataset() -> Snapshot:
    return _beside("id", "amount", "_dlt_id", own=("_dlt_loads", "_dlt_version"))


def _not_on_the_path() -> Snapshot:
    return _beside("id", "amount", schema="archive")


def _read_by_the_project() -> Snapshot:
    read = TextReference(file="load.py", line=3, schema="public", table="orders", text="select * from public.orders")
    return _beside("id", "amount", source=Source(root=".", references=(read,)))


def _told_of_a_declared_reader() -> Snapshot:
    told = sketch.read_by(resolved="public", search_path=("public",), copies=(sketch.copy(schema="public"),))
    return msgspec.structs.replace(_old_copy(), readers=told.readers)


@check(
    "DD111",
    Severity.WARNING,
    Severity.INFO,
    sick=[_old_copy, _former_final, _path_of_the_database, _before_the_final_one],
    well=[
        _final_is_found_first,
        _something_else,
        _view_of_the_final_table,
        _view_of_staging,
        _another_dataset,
        _not_on_the_path,
        _read_by_the_project,
        _told_of_a_declared_reader,
        sketch.world,
    ],
)
def twin_tables(
    pipelines: tuple[Pipeline, ...],
    routes: tuple[Route, ...],
    catalog: Catalog,
    source: Source | None = None,
    readers: tuple[Reader, ...] = (),
) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    for way in routes:
        pipeline, database = everyone.get(way.pipeline), catalog.database(way.pipeline)
        schema = pipeline.schema(way.schema) if pipeline else None
        if schema is None or database is None or schema.name in REPLICATORS:
            continue
        found: dict[tuple[str, Severity], list[str]] = {}
        for table in schema.data_tables:
            twin = _twin(table, way, database)
            if twin and not _is_known(twin, source) and not _is_told(twin, database, readers):
                severity = Severity.WARNING if _has_dlt_columns(twin) else Severity.INFO
                found.setdefault((twin.schema, severity), []).append(twin.name)
        for (place, severity), names in found.items():
            yield _note(way, place, severity, names, database)


def _twin(table: SchemaTable, way: Route, database: Database) -> Table | None:
    """What a bare name leads to in place of the final table, if it looks like a copy of it."""
    final = database.table(way.final, table.name)
    if final is None:
        return None
    before = itertools.takewhile(lambda schema: schema != way.final, database.bare_path.schemas)
    twin = next((t for place in before if (t := database.table(place, table.name))), None)
    if twin is None or twin.schema == way.staging or _is_of_dlt(twin.schema, database):
        return None
    told = {(way.final, table.name), (way.staging, table.name)}  # DD605 speaks of views of staging
    return twin if _is_alike(twin, table) and not _reads(twin, told, database.views) else None


def _is_of_dlt(schema: str, database: Database) -> bool:
    return database.is_dataset(schema) or database.is_staging_shaped(schema)


def _is_alike(twin: Table, table: SchemaTable) -> bool:
    if _has_dlt_columns(twin):
        return True
    there = {c.name for c in twin.columns}
    own = {c.name for c in table.columns if c.data_type and not c.name.startswith("_dlt_")}
    return len(own & there) >= max(2, ALIKE * len(own))


def _has_dlt_columns(twin: Table) -> bool:
    """True for what dlt once loaded, or what was copied from it."""
    return twin.has("_dlt_id") or twin.has("_dlt_load_id")


def _reads(twin: Table, sources: AbstractSet[tuple[str | None, str]], views: Iterable[ViewReference]) -> bool:
    """True for a view of one of the sources, through however many others: of the final table it is the cure."""
    reads: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for view in views:
        reads.setdefault((view.schema, view.view), []).append((view.reads_schema, view.reads_table))
    waiting, seen = [(twin.schema, twin.name)], set[tuple[str, str]]()
    while waiting:
        place = waiting.pop()
        if place not in seen:
            seen.add(place)
            waiting += reads.get(place, [])
    return bool(seen & sources)


def _is_known(twin: Table, source: Source | None) -> bool:
    """True when the project itself names the twin: it may be what the pipeline reads from."""
    return source is not None and any(
        r.schema == twin.schema and r.table in (None, twin.name) for r in source.references
    )


def _is_told(twin: Table, database: Database, readers: Sequence[Reader]) -> bool:
    """True where DD603 says it of a declared reader."""
    return any(
        t.name == twin.name and t.resolved == twin.schema
        for reader in readers
        if reader.database == database.target.key
        for t in reader.tables
    )


def _note(way: Route, place: str, severity: Severity, names: Sequence[str], database: Database) -> Note:
    twins = [relation(place, n) for n in names]
    finals = [relation(way.final, n) for n in names]
    bare = listed(names)
    return Note(
        message=f"whoever asks for {bare} without a schema gets {listed(twins)}, not {listed(finals)}, "
        f"which {way.pipeline} loads",
        pipeline=way.pipeline,
        dataset=way.final,
        table=names[0] if len(names) == 1 else None,
        evidence=(
            Evidence(f"the search path is {', '.join(database.bare_path.schemas)}", database.bare_path.origin),
            *_facts(place, names, database),
        ),
        remedy=Remedy(
            f"Compare the copies. Then let readers name {way.final}, or put a view of the final table in {place}",
            "manual",
            command("dltdoctor", "where", names[0]),
        ),
        severity=severity,
        identity=place,
    )


def _facts(place: str, names: Sequence[str], database: Database) -> Iterator[Evidence]:
    for name in names[:5]:
        twin = database.tables[place, name]
        kind = KINDS.get(twin.kind, "a relation")
        yield Evidence(f"{relation(place, name)} is {kind} with {count(len(twin.columns), 'column')}", "pg_class")
