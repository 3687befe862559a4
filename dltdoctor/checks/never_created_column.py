"""Columns that dlt knows and has not created, because they have held nothing but NULL so far.

dlt cannot tell the type of a column without a value, so it keeps the name and makes no column of it.

*Why it matters.* Nothing is lost. But a query that names the column fails, and a reader that expects it takes
the whole table for broken.

*Fix safety.* Nothing to repair. A `columns` hint with a data type makes dlt create the column at the next load.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.applied import column_of, held, is_created
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.sketch.tables import created, relation_with
from dltdoctor.snapshot import Catalog, Pipeline, Route, Schema, SchemaColumn, SchemaTable, Snapshot
from dltdoctor.words import count, listed


def _table(name: str, **changes: object) -> SchemaTable:
    table = sketch.table(name)
    notes = (SchemaColumn(name="note"), SchemaColumn(name="remark"))
    return sketch.table(name, columns=(*table.columns, *notes), **changes)


def _all_null() -> Snapshot:
    return created(_table("orders"), _table("people"))


def _never_loaded() -> Snapshot:
    places = ["shop.later", "shop_staging.later"]
    return created(sketch.table("orders"), _table("later", seen_data=False), without=places)


def _made_by_another() -> Snapshot:
    there = relation_with("shop", "orders", "id", "note", "remark", "_dlt_load_id", "_dlt_id")
    return created(_table("orders"), extra={("shop", "orders"): there})


@check(
    "DD304",
    Severity.INFO,
    sick=[_all_null],
    well=[created, _never_loaded, _made_by_another],
    url=f"{DLT_DOCS}/general-usage/schema",
)
def never_created_column(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog
) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    seen: set[tuple[str, str]] = set()
    for route in routes:
        pipeline = everyone.get(route.pipeline)
        schema = pipeline.schema(route.schema) if pipeline else None
        waiting = _waiting(catalog, route, schema) if schema and (route.pipeline, route.final) not in seen else {}
        if schema and waiting:
            seen.add((route.pipeline, route.final))
            yield _note(route, schema, waiting)


def _waiting(catalog: Catalog, route: Route, schema: Schema) -> dict[str, list[str]]:
    """By table, the columns without a type that nobody else has created."""
    database = catalog.database(route.pipeline)
    found: dict[str, list[str]] = {}
    for table in schema.data_tables if database else ():
        there = held(database, route.final, table.name) if database and is_created(table) else None
        names = [c.name for c in table.columns if there and c.data_type is None and column_of(there, c.name) is None]
        if names:
            found[table.name] = names
    return found


def _note(route: Route, schema: Schema, waiting: dict[str, list[str]]) -> Note:
    number = sum(len(names) for names in waiting.values())
    places = [f"{table}.{name}" for table, names in waiting.items() for name in names]
    return Note(
        message=f"{count(number, 'column')} {'have' if number != 1 else 'has'} held nothing but NULL so far, so dlt has not "
        f"created {'them' if number != 1 else 'it'}: {listed(places)}",
        pipeline=route.pipeline,
        dataset=route.final,
        table=next(iter(waiting)) if len(waiting) == 1 else None,
        evidence=tuple(
            Evidence(f"{table}: no data type for {listed(names)}", schema.origin)
            for table, names in list(waiting.items())[:4]
        ),
        remedy=Remedy(
            f'If readers need it, give its type, e.g. columns={{"{next(iter(waiting.values()))[0]}": '
            '{"data_type": "text"}}',
            "manual",
        ),
    )
