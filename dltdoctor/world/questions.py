"""What a look into final tables is to find out, for each table whose schema gives a reason to ask."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dltdoctor.deduced.unfinished import is_staged
from dltdoctor.deduced.wedges import known_table
from dltdoctor.snapshot import Database, Package, Pipeline, Route, Rows, SchemaTable, Table, Value
from dltdoctor.world.postgres.facts import HOLDS_ROWS, Key
from dltdoctor.world.postgres.proof import LOAD_ID, PARENT_KEY, ROW_KEY

LOADS = "_dlt_loads"
VARIANT = "__v_"


class Unlisted(Value, gc=False):
    """Which loads of the table's rows `_dlt_loads` does not list."""

    table: Table


class OfLoad(Value, gc=False):
    """How many rows of the load there are."""

    table: Table
    load_id: str


class Repeated(Value, gc=False):
    """Which values of the columns stand in several rows; of scd2, among those whose `valid_to` is NULL."""

    table: Table
    columns: tuple[str, ...]
    valid_to: str | None = None


class Orphaned(Value, gc=False):
    """How many rows have no row above them, to which `link` leads."""

    table: Table
    above: Table
    link: str


class Variant(Value, gc=False):
    """How many rows have a value in the variant column, and how many in the column that it stands beside."""

    table: Table
    column: str
    variant: str


Question = Unlisted | OfLoad | Repeated | Orphaned | Variant


def questions(
    pipelines: Sequence[Pipeline], ways: Sequence[Route], database: Database, counts: Mapping[Key, Rows]
) -> Iterator[Question]:
    """Every question about the final tables of these ways; an empty table raises none."""
    for (dataset, name), writers in _written(pipelines, ways).items():
        table = _filled(database, counts, dataset, name)
        if table is not None:
            yield from _of_table(table, writers, database)
    yield from _of_doubled(pipelines, ways, database)


def _written(pipelines: Sequence[Pipeline], ways: Sequence[Route]) -> Mapping[Key, list[SchemaTable]]:
    schemas = {(p.name, s.name): s for p in pipelines for s in p.schemas}
    found: dict[Key, list[SchemaTable]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    for way in ways:
        schema = schemas.get((way.pipeline, way.schema))
        if schema is None or (way.final, way.schema) in seen:
            continue
        seen.add((way.final, way.schema))
        for table in schema.data_tables:
            found[way.final, table.name].append(table)
    return found


def _filled(database: Database, counts: Mapping[Key, Rows], dataset: str, name: str) -> Table | None:
    table = database.table(dataset, name)
    if table is None or not table.readable or table.kind not in HOLDS_ROWS:
        return None
    known = counts.get((dataset, name))
    return None if known and known.rows == 0 else table


def _of_table(table: Table, writers: Sequence[SchemaTable], database: Database) -> Iterator[Question]:
    if not any(t.is_nested for t in writers):
        loads = database.table(table.schema, LOADS)
        if table.has(LOAD_ID) and loads and loads.readable and loads.has("load_id"):
            yield Unlisted(table=table)
        yield from _keys(table, writers)
    elif writers[0].is_nested:
        yield from _above(table, writers[0], database)
    yield from _row_key(table, writers)
    for name in dict.fromkeys(c.name for t in writers for c in t.columns if c.variant):
        beside = name.rpartition(VARIANT)[0]
        if table.has(name) and table.has(beside):
            yield Variant(table=table, column=beside, variant=name)


def _keys(table: Table, writers: Sequence[SchemaTable]) -> Iterator[Question]:
    """Only where every schema that knows the table declares the same key, and merges by it."""
    first = writers[0]
    key = first.primary_key
    merged = all(t.disposition == "merge" and t.primary_key == key for t in writers)
    if not merged or not key or not all(table.has(c) for c in key):
        return
    if any(t.merge_strategy == "scd2" for t in writers):
        valid_to = next((c.name for c in first.columns if c.valid_to), None)
        if valid_to and table.has(valid_to) and all(t.merge_strategy == "scd2" for t in writers):
            yield Repeated(table=table, columns=key, valid_to=valid_to)
    else:
        yield Repeated(table=table, columns=key)


def _row_key(table: Table, writers: Sequence[SchemaTable]) -> Iterator[Question]:
    """Only where nothing in Postgres keeps it unique; scd2's is a hash, which versions share."""
    unique = all(any(c.name == ROW_KEY and c.unique for c in t.columns) for t in writers)
    if unique and table.has(ROW_KEY) and not table.has_row_key_index:
        yield Repeated(table=table, columns=(ROW_KEY,))


def _above(table: Table, known: SchemaTable, database: Database) -> Iterator[Question]:
    above = database.table(table.schema, known.parent or "")
    if above is None or not above.readable or not above.has(ROW_KEY) or not table.has(PARENT_KEY):
        return
    yield Orphaned(table=table, above=above, link=PARENT_KEY)


def _of_doubled(pipelines: Sequence[Pipeline], ways: Iterable[Route], database: Database) -> Iterator[Question]:
    """Of jobs that Postgres refused because their rows are there already (failure-modes FM-12)."""
    pipelines_by_name = {p.name: p for p in pipelines}
    packages = {p.name: [k for k in p.packages if any(j.is_doubled for j in k.jobs)] for p in pipelines}
    asked: set[tuple[str, str, str]] = set()
    for way in ways:
        for package in packages.get(way.pipeline, ()):
            if package.schema_name != way.schema:
                continue
            for name in _roots_of_doubled(pipelines_by_name[way.pipeline], package):
                table = database.table(way.final, name)
                place = (way.final, name, package.load_id)
                if table and table.readable and table.has(LOAD_ID) and place not in asked:
                    asked.add(place)
                    yield OfLoad(table=table, load_id=package.load_id)


def _roots_of_doubled(pipeline: Pipeline, package: Package) -> Iterator[str]:
    for job in package.jobs:
        table = known_table(pipeline, package, job) if job.is_doubled else None
        if table and not table.is_nested and (job.is_followup or not is_staged(table, None)):
            yield table.name
