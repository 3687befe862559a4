"""Staging tables that no pipeline and no stored schema knows.

A staging schema stays when its dataset is dropped, when the layout or the dataset's name changes; a staging
table stays when its resource is dropped with dlt before 1.11.

*Why it matters.* Nobody reads them and nobody writes them: they take room, and rows that look as if they waited
for a merge confuse whoever looks for missing ones.

*Fix safety.* Dropping a table is for good, and what it holds may be nowhere else. Look at the newest rows first.
"""

from collections.abc import Iterable, Iterator

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.deduced.applied import KEEPS_ROWS
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.sketch.tables import created, relation_with
from dltdoctor.snapshot import Catalog, Database, Pipeline, Route, Schema, Snapshot, Table
from dltdoctor.words import count, identifier, listed, relation

_ROW_MARKS = ("_dlt_id", "_dlt_load_id")


def _layout_changed() -> Snapshot:
    old = Schema(name="gone", origin="gone_staging", version_hash="v9")
    tables = {"shop.orders": 3, "shop_staging.orders": 3, "gone_staging.visits": 7}
    return sketch.world(on=sketch.database(tables, stored_schemas={"gone_staging": (old,)}, loads=()))


def _resource_dropped() -> Snapshot:
    left = relation_with("shop_staging", "visits", "_dlt_load_id", "_dlt_id")
    return created(extra={("shop_staging", "visits"): left})


def _of_a_dataset_not_looked_at() -> Snapshot:
    tables = {"shop.orders": 3, "shop_staging.orders": 3, "other.visits": 3, "other_staging.visits": 3}
    return sketch.world(on=sketch.database(tables))


def _same_schema_elsewhere() -> Snapshot:
    schema = Schema(name="visits", origin="", version_hash="v9")
    tables = {"shop.orders": 3, "other.visits": 3, "in_staging.visits": 3}
    both = {"other": (schema,), "in_staging": (schema,)}
    return sketch.world(on=sketch.database(tables, stored_schemas=both))


def _made_by_a_person() -> Snapshot:
    own = relation_with("shop_staging", "my_copy", "id", "amount")
    return created(extra={("shop_staging", "my_copy"): own})


@check(
    "DD209",
    Severity.INFO,
    sick=[_layout_changed, _resource_dropped],
    well=[created, sketch.world, _of_a_dataset_not_looked_at, _same_schema_elsewhere, _made_by_a_person],
    url=f"{DLT_ISSUES}/2534",
)
def orphan_staging(pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog) -> Iterable[Note]:
    for database in catalog.databases:
        ways = [r for r in routes if catalog.of_pipeline.get(r.pipeline) == database.target.key]
        used = {s for way in ways for s in (way.staging, way.staged_in, way.final, way.next_final) if s}
        owners = tuple(s for s in database.schemas if database.is_dataset(s))
        known = {s.name for owner in owners for s in database.stored_schemas.get(owner, ())} | {w.schema for w in ways}
        for name in database.schemas:
            if name in used:
                yield from _left_tables(name, pipelines, ways, database)
            elif _is_orphan(name, owners, known, database):
                yield from _left_schema(name, database)


def _is_orphan(name: str, owners: tuple[str, ...], known: set[str], database: Database) -> bool:
    """A staging dataset of no dataset that is there, whose schemas no dataset stores."""
    if not database.is_staging_shaped(name) or not database.schemas[name].usable or name.startswith(owners):
        return False
    stored = {s.name for s in database.stored_schemas.get(name, ())}
    return bool(stored) and not stored & known


def _left_schema(name: str, database: Database) -> Iterator[Note]:
    tables = [t for t in database.tables_in(name) if t.kind in KEEPS_ROWS and not t.name.startswith("_dlt_")]
    stored = listed(s.name for s in database.stored_schemas[name])
    yield Note(
        message=f"schema {name} has the shape of a staging dataset and belongs to no dataset that is there; "
        f"{count(len(tables), 'table')} in it",
        dataset=name,
        evidence=(
            Evidence("_dlt_version without _dlt_loads", f"pg_class, schema {name}"),
            Evidence(f"it stores schema {stored}, which no dataset stores", relation(name, "_dlt_version")),
            *(_rows(t, database) for t in tables[:8]),
        ),
        remedy=Remedy("If nobody needs it, drop it for good", "unsafe", f"DROP SCHEMA {identifier(name)} CASCADE;"),
    )


def _left_tables(name: str, pipelines: tuple[Pipeline, ...], ways: list[Route], database: Database) -> Iterator[Note]:
    users = [w for w in ways if name in (w.staging, w.staged_in)]
    if not users or not database.is_staging_shaped(name):
        return
    own = [s for p in pipelines if any(w.pipeline == p.name for w in users) for s in _schemas(p)]
    left = _not_in(own, name, database)
    if not left:
        return
    # Costly where there are many datasets, and seldom needed: any of them may have staged here.
    everybody = [*own, *(s for d, stored in database.stored_schemas.items() if database.is_dataset(d) for s in stored)]
    stored = {s.name for s in database.stored_schemas.get(name, ())}
    if not stored or not stored <= {s.name for s in everybody if s.tables}:
        return  # somebody stages here whose tables nobody can tell
    left = _not_in(everybody, name, database)
    if left:
        yield _left(name, users[0], left, database)


def _schemas(pipeline: Pipeline) -> Iterator[Schema]:
    """Every schema of the pipeline, and of its packages."""
    yield from pipeline.schemas
    yield from (p.schema for p in pipeline.packages if p.schema)


def _not_in(schemas: Iterable[Schema], name: str, database: Database) -> list[Table]:
    """Tables of a staging dataset that dlt made and that none of the schemas knows."""
    known = {table for schema in schemas for table in schema.tables}
    return [
        t
        for t in database.tables_in(name)
        if t.kind in KEEPS_ROWS
        and t.name not in known
        and not t.name.startswith("_dlt_")
        and any(t.has(mark) for mark in _ROW_MARKS)
    ]


def _left(name: str, way: Route, left: list[Table], database: Database) -> Note:
    names = listed(relation(name, t.name) for t in left)
    return Note(
        message=f"{names} {'are' if len(left) != 1 else 'is'} in no schema of the pipelines that stage there",
        pipeline=way.pipeline,
        dataset=name,
        table=left[0].name if len(left) == 1 else None,
        evidence=(
            Evidence("not in any schema that is stored here or on this machine", relation(way.final, "_dlt_version")),
            *(_rows(t, database) for t in left[:8]),
        ),
        remedy=Remedy(
            "If nobody needs the rows, drop the tables for good",
            "unsafe",
            f"DROP TABLE {', '.join(relation(name, t.name) for t in left)};",
        ),
        identity=",".join(sorted(t.name for t in left)),
    )


def _rows(table: Table, database: Database) -> Evidence:
    counted = database.counts.get((table.schema, table.name))
    place = relation(table.schema, table.name)
    if counted and counted.rows is not None:
        return Evidence(
            f"{count(counted.rows, 'row', exact=counted.exact)} in {place}", f"select count(*) from {place}"
        )
    estimate = int(table.estimate) if table.estimate >= 0 else None
    return Evidence(f"{count(estimate, 'row', exact=False)} in {place}", "pg_class.reltuples")
