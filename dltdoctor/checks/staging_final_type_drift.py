"""A column has another type in staging than in the final table, and the merge cannot carry its values over.

dlt copies staged rows with INSERT … SELECT. Somebody changed the type of a column in one of the two datasets
only, or dropped one of the tables, which dlt then made with the types of today.

*Why it matters.* The merge fails, at every run or at the first value that does not fit; or it succeeds and
changes values on their way, e.g. rounds them. Types that merely hold more are not reported.

*Fix safety.* Changing a type rewrites the table under an exclusive lock. Where values do not fit, Postgres
refuses and changes nothing.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.applied import column_of, held, is_created
from dltdoctor.deduced.pg_types import trouble
from dltdoctor.deduced.unfinished import is_staged
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.sketch.tables import created
from dltdoctor.snapshot import Catalog, Column, Database, Pipeline, Route, SchemaColumn, SchemaTable, Snapshot, Value
from dltdoctor.words import identifier, listed, relation

# What dlt makes of its own types, by the first word.
_OF_DLT = {
    "text": "character",
    "bigint": "bigint",
    "double": "double",
    "bool": "boolean",
    "timestamp": "timestamp",
    "date": "date",
    "time": "time",
    "decimal": "numeric",
    "wei": "numeric",
    "json": "json",
    "binary": "bytea",
}


def _to_bigint(**changes: object) -> Snapshot:
    table = sketch.table("orders", "amount", **changes)
    return created(table, types={"shop.orders.amount": "bigint"})


def _fewer_digits_of_a_second() -> Snapshot:
    moment = SchemaColumn(name="at", data_type="timestamp")
    table = sketch.table("orders")
    return created(
        sketch.table("orders", columns=(*table.columns, moment)),
        types={"shop.orders.at": "timestamp(0) with time zone"},
    )


def _key_of_another_family() -> Snapshot:
    return created(types={"shop.orders.id": "character varying"})


def _wider() -> Snapshot:
    return created(
        types={
            "shop_staging.orders.amount": "character varying(20)",
            "shop.orders.amount": "text",
            "shop_staging.orders.id": "integer",
        }
    )


def _whole_table_moves() -> Snapshot:
    return _to_bigint(disposition="replace", merge_strategy=None, replace_strategy="staging-optimized")


def _not_staged_any_more() -> Snapshot:
    return _to_bigint(disposition="append", merge_strategy=None)


@check(
    "DD404",
    Severity.WARNING,
    sick=[_to_bigint, _fewer_digits_of_a_second, _key_of_another_family],
    well=[created, _wider, _whole_table_moves, _not_staged_any_more],
    url=f"{DLT_DOCS}/dlt-ecosystem/staging",
)
def staging_final_type_drift(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog
) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    seen: set[tuple[str, str, str]] = set()
    for route in routes:
        pipeline, database = everyone.get(route.pipeline), catalog.database(route.pipeline)
        schema = pipeline.schema(route.schema) if pipeline else None
        for table in schema.data_tables if schema else ():
            place = (database.target.key if database else "", route.final, table.name)
            drifts = _drifts(database, route, table) if database and place not in seen else ()
            if drifts:
                seen.add(place)
                yield _note(route, table, drifts)


class _Drift(Value):
    """One column: its two types, and what becomes of its values."""

    column: SchemaColumn
    staging: Column
    final: Column
    why: str


def _drifts(database: Database, route: Route, table: SchemaTable) -> tuple[_Drift, ...]:
    is_copied = is_created(table) and is_staged(table, None) and table.replace_strategy != "staging-optimized"
    if not is_copied or route.staging in (None, route.final):
        return ()
    staging, final = held(database, route.staging, table.name), held(database, route.final, table.name)
    if staging is None or final is None or staging.columns == final.columns:
        return ()
    found = []
    for column in table.columns:
        one = column_of(staging, column.name) if column.data_type else None
        other = column_of(final, column.name)
        is_key = table.disposition == "merge" and (
            column.primary_key or column.merge_key or column.row_key or column.root_key or column.parent_key
        )
        why = trouble(one.type, other.type, is_key=is_key) if one and other else None
        if one and other and why:
            found.append(_Drift(column=column, staging=one, final=other, why=why))
    return tuple(found)


def _note(route: Route, table: SchemaTable, drifts: tuple[_Drift, ...]) -> Note:
    staging, final = relation(route.staging or "", table.name), relation(route.final, table.name)
    what = listed(f"{d.column.name} is {d.staging.type} there and {d.final.type} here ({d.why})" for d in drifts)
    return Note(
        message=f"{staging} does not fit into {final}: {what}",
        pipeline=route.pipeline,
        dataset=route.final,
        table=table.name,
        evidence=tuple(
            Evidence(
                f"{d.column.name}: {d.staging.type} in staging, {d.final.type} in the final table, {d.column.data_type} in "
                "dlt's schema",
                "pg_attribute",
            )
            for d in drifts
        ),
        remedy=Remedy(
            "Give the columns one type, here that of the table which has what dlt's schema says",
            "manual",
            _alter(route, table, drifts),
        ),
    )


def _alter(route: Route, table: SchemaTable, drifts: tuple[_Drift, ...]) -> str:
    by_table: dict[str, list[str]] = {}
    for drift in drifts:
        is_dlts = drift.staging.type.startswith(_OF_DLT.get(drift.column.data_type or "", " "))
        dataset, right = (route.final, drift.staging) if is_dlts else (route.staging or "", drift.final)
        wrong = drift.final if is_dlts else drift.staging
        name = identifier(wrong.name)
        by_table.setdefault(relation(dataset, table.name), []).append(
            f"ALTER COLUMN {name} TYPE {right.type} USING {name}::{right.type}"
        )
    return " ".join(f"ALTER TABLE {place} {', '.join(changes)};" for place, changes in by_table.items())
