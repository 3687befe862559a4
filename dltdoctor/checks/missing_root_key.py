"""A nested table with rows lacks the root key that a merge needs.

The resource was appended or replaced before and is merged now. dlt wants to add `_dlt_root_id` NOT NULL to
the nested tables, which Postgres refuses while they hold rows.

*Why it matters.* Every load stops before it begins, its package stays pending and the final tables stale;
resuming it fails in the same way.

*Fix safety.* `fix` adds the column, fills it from `_dlt_parent_id` up to the root table, and makes it NOT NULL,
as if the rows had been merged from the start. It is refused when a nested row has no root row. Undo drops the
column again, until another load is recorded.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.deduced.applied import without_root_key
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.sketch.tables import created
from dltdoctor.snapshot import Catalog, Database, Pipeline, Route, SchemaColumn, SchemaTable, Snapshot
from dltdoctor.words import command, count, relation


def _nested(**changes: object) -> SchemaTable:
    root_key = SchemaColumn(name="_dlt_root_id", data_type="text", nullable=False, root_key=True)
    parent_key = SchemaColumn(name="_dlt_parent_id", data_type="text", nullable=False, parent_key=True)
    table = sketch.table("orders__items", "sku", root="orders", parent="orders")
    return sketch.table(
        "orders__items", root="orders", parent="orders", columns=(*table.columns, parent_key, root_key), **changes
    )


def _switched_to_merge(**changes: object) -> Snapshot:
    facts: dict[str, object] = {"without": ["shop.orders__items._dlt_root_id"], "stored": "v0", **changes}
    return created(sketch.table("orders"), _nested(), **facts)  # type: ignore[arg-type]


def _dropped_by_hand() -> Snapshot:
    return _switched_to_merge(stored="v1")


def _no_rows() -> Snapshot:
    return _switched_to_merge(rows=0)


def _scd2() -> Snapshot:
    facts = {"without": ["shop.orders__items._dlt_root_id"], "stored": "v0"}
    return created(
        sketch.table("orders", merge_strategy="scd2"),
        _nested(merge_strategy="scd2"),
        **facts,  # type: ignore[arg-type]
    )


def _has_it() -> Snapshot:
    return created(sketch.table("orders"), _nested())


def _does_without() -> Snapshot:
    nested = sketch.table("orders__items", "_dlt_parent_id", root="orders", parent="orders")
    return created(sketch.table("orders"), nested)


@check(
    "DD405",
    Severity.ERROR,
    sick=[_switched_to_merge, _dropped_by_hand],
    well=[_no_rows, _scd2, _has_it, _does_without],
    url=f"{DLT_ISSUES}/4041",
)
def missing_root_key(pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    seen: set[tuple[str, str, str]] = set()
    for route in routes:
        pipeline, database = everyone.get(route.pipeline), catalog.database(route.pipeline)
        schema = pipeline.schema(route.schema) if pipeline else None
        for table in schema.data_tables if schema and database else ():
            root_key = without_root_key(table, database, route.final) if database else None
            place = (database.target.key if database else "", route.final, table.name)
            if pipeline and database and root_key and place not in seen:
                seen.add(place)
                yield _note(pipeline, database, route, table, root_key)


def _note(pipeline: Pipeline, database: Database, route: Route, table: SchemaTable, root_key: SchemaColumn) -> Note:
    place = relation(route.final, table.name)
    rows = database.counts[route.final, table.name]
    schema = pipeline.schema(route.schema)
    pending = f", and {count(len(pipeline.pending), 'pending package')} wait" if pipeline.pending else ""
    return Note(
        message=f"{place} has rows and no {root_key.name}: {table.root} is merged now, dlt cannot add the column NOT NULL, "
        f"and every load stops before it begins{pending}",
        pipeline=pipeline.name,
        dataset=route.final,
        table=table.name,
        evidence=(
            Evidence(f"no column {root_key.name}", f"pg_attribute of {place}"),
            Evidence(count(rows.rows, "row", exact=rows.exact), place),
            Evidence(
                f"{table.root} is merged by {table.merge_strategy}, and {root_key.name} is NOT NULL",
                schema.origin if schema else route.schema,
            ),
        ),
        remedy=Remedy(
            f"Add {root_key.name}, fill it from the rows above, make it NOT NULL"
            + (", then let dlt finish the pending load" if pending else ""),
            "safe",
            command("dltdoctor", "fix", pipeline.name, *(() if pending else ("--select", "DD405"))),
        ),
    )
