"""dlt's merge into a table fails, because its name needs quotes.

With a naming convention that keeps names as they are (`direct`, `duck_case`), a merge by delete-insert into a
table with nested tables makes temporary tables whose names dlt builds from the table's and does not quote.

*Why it matters.* Postgres refuses `CREATE TEMPORARY TABLE my-table_delete_…`. dlt takes that for an error that
passes: every run tries again and fails again, the rows stay in staging and the final table stays empty or stale.

*Fix safety.* `fix --migrate` merges what is staged with names that need no quotes. Only another table name, or
the merge strategy `upsert`, which needs no temporary tables, lets dlt load again by itself. Switch to `upsert`
only while the table is empty: it gives the rows of known keys another `_dlt_id`, and what is nested in the old
rows hangs on nothing then.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.applied import has_unquotable_temp_table, is_created
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.sketch.tables import created
from dltdoctor.snapshot import Catalog, Pipeline, Route, Schema, SchemaTable, Snapshot, Source
from dltdoctor.words import begins_bare, listed, relation

_NAMES_FIRST_SINCE = (1, 7)  # before, the table's name came after "delete_"


def _with_nested(name: str, **changes: object) -> Snapshot:
    root = sketch.table(name, "amount", **changes)
    nested = sketch.table(f"{name}__items", "sku", root=name, parent=name, **changes)
    return created(root, nested, naming="direct")


def _dash() -> Snapshot:
    return _with_nested("my-table")


def _digit_first() -> Snapshot:
    return _with_nested("2024_orders")


def _reserved_word() -> Snapshot:
    return _with_nested("select")


def _letters_beyond_ascii() -> Snapshot:
    return _with_nested("Größe")


def _upserted() -> Snapshot:
    return _with_nested("my-table", merge_strategy="upsert")


def _without_nested() -> Snapshot:
    return created(sketch.table("my-table"), naming="direct")


def _appended() -> Snapshot:
    return _with_nested("my-table", disposition="append", merge_strategy=None)


@check(
    "DD407",
    Severity.ERROR,
    sick=[_dash, _digit_first],
    well=[_reserved_word, _letters_beyond_ascii, _upserted, _without_nested, _appended, created],
    url=f"{DLT_DOCS}/general-usage/naming-convention",
)
def unquotable_temp_table(
    pipelines: tuple[Pipeline, ...],
    routes: tuple[Route, ...],
    catalog: Catalog | None = None,
    source: Source | None = None,
) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    seen: set[tuple[str | None, str, str]] = set()
    for route in routes:
        pipeline = everyone.get(route.pipeline)
        schema = pipeline.schema(route.schema) if pipeline else None
        place = catalog.of_pipeline.get(route.pipeline) if catalog else None
        for table in schema.data_tables if schema else ():
            if schema and _fails(schema, table, source) and (place, route.final, table.name) not in seen:
                seen.add((place, route.final, table.name))
                yield _note(route, schema, table)


def _fails(schema: Schema, table: SchemaTable, source: Source | None) -> bool:
    came_later = table.name[:1].isdecimal() and _is_before(source, _NAMES_FIRST_SINCE)
    return has_unquotable_temp_table(schema, table) and not (came_later and begins_bare(f"_{table.name}"))


def _is_before(source: Source | None, version: tuple[int, ...]) -> bool:
    parts = ((source.dlt_version if source else None) or "").split(".")[:2]
    return all(p.isdigit() for p in parts) and tuple(int(p) for p in parts) < version


def _note(route: Route, schema: Schema, table: SchemaTable) -> Note:
    nested = [t.name for t in schema.chain(table.name) if t.is_nested and is_created(t)]
    return Note(
        message=f"dlt cannot merge into {relation(route.final, table.name)}: it names temporary tables after it without "
        "quotes, which Postgres refuses at every run",
        pipeline=route.pipeline,
        dataset=route.final,
        table=table.name,
        evidence=(
            Evidence(f"naming convention {schema.naming}, table name {table.name!r}", schema.origin),
            Evidence(f"merged by delete-insert, with {listed(nested)} nested in it", schema.origin),
        ),
        remedy=Remedy(
            "Give the resource a table_name of letters, digits and underscores or, while the table is empty, the merge "
            "strategy upsert; rows that are staged already: dltdoctor fix --migrate",
            "manual",
        ),
    )
