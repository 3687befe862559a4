"""A column that dlt created is gone.

The destination stores the present version of the schema, with the column in it; the table does not have it.
Somebody dropped or renamed it, or restored an older copy of the table.

*Why it matters.* dlt compares schema versions by hash, finds its own, and adds nothing: the next load of the
table fails with "column does not exist", and dlt before 1.30 then gives up the load with the cursor moved on.

*Fix safety.* `fix` adds the column exactly as dlt would; the rows that are there have NULL in it, what it held
is gone. A NOT NULL column cannot be added to a table with rows. Undo drops it while it holds no value.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.deduced.applied import Applied, applied_schemas, held, lacking, without_root_key
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.ledger import Ledger
from dltdoctor.sketch.tables import created, relation_with
from dltdoctor.snapshot import Catalog, Pipeline, Route, SchemaColumn, SchemaTable, Snapshot, Source
from dltdoctor.words import columns, command, identifier, listed, relation


def _dropped() -> Snapshot:
    return created(without=["shop.orders.amount"])


def _dropped_in_staging() -> Snapshot:
    return created(without=["shop_staging.orders.amount"])


def _key_dropped() -> Snapshot:
    return created(without=["shop.orders._dlt_id"])


def _not_applied_yet() -> Snapshot:
    return created(without=["shop.orders.amount"], stored="v0", staging_stores="v0")


def _never_created() -> Snapshot:
    table = sketch.table("orders")
    incomplete = SchemaColumn(name="note", data_type=None)
    return created(sketch.table("orders", columns=(*table.columns, incomplete)))


def _never_loaded() -> Snapshot:
    unseen = sketch.table("later", "amount", seen_data=False)
    return created(sketch.table("orders"), unseen, without=["shop.later.amount", "shop_staging.later.amount"])


def _is_a_view() -> Snapshot:
    view = relation_with("shop", "orders", "id", kind="v")
    return created(extra={("shop", "orders"): view})


def _folded() -> Snapshot:
    return created(
        sketch.table("orders", "Amount"),
        naming="own_convention",
        extra={("shop", "orders"): relation_with("shop", "orders", "id", "amount", "_dlt_load_id", "_dlt_id")},
    )


def _staging_will_be_made_again() -> Snapshot:
    return created(without=["shop_staging.orders.amount"], staging_stores="v0")


@check(
    "DD402",
    Severity.ERROR,
    sick=[_dropped, _dropped_in_staging, _key_dropped],
    well=[
        created,
        _not_applied_yet,
        _never_created,
        _never_loaded,
        _is_a_view,
        _folded,
        _staging_will_be_made_again,
    ],
    url=f"{DLT_ISSUES}/1926",
)
def missing_column(
    pipelines: tuple[Pipeline, ...],
    routes: tuple[Route, ...],
    catalog: Catalog,
    ledger: Ledger,
    source: Source | None = None,
) -> Iterable[Note]:
    for applied in applied_schemas(pipelines, routes, catalog, source):
        staged = {t.name for t in applied.staged}
        for table in applied.created:
            final = held(applied.database, applied.route.final, table.name)
            gone = lacking(table, final) if final else ()
            if gone:
                root_key = without_root_key(table, applied.database, applied.route.final)
                yield from _notes(applied, ledger, applied.route.final, table, tuple(c for c in gone if c != root_key))
            staging = held(applied.database, applied.route.staging, table.name) if table.name in staged else None
            is_like_final = not gone and staging and final and staging.columns == final.columns
            if staging and not is_like_final:
                yield from _notes(applied, ledger, applied.route.staging or "", table, lacking(table, staging))


def _notes(
    applied: Applied, ledger: Ledger, dataset: str, table: SchemaTable, gone: tuple[SchemaColumn, ...]
) -> Iterable[Note]:
    if not gone:
        return
    place, names = relation(dataset, table.name), columns([c.name for c in gone])
    yield Note(
        message=f"{place} has lost {names}: dlt's stored schema has {'it' if len(gone) == 1 else 'them'}, so dlt will not "
        "create it again, and the next load of the table fails",
        pipeline=applied.route.pipeline,
        dataset=dataset,
        table=table.name,
        evidence=(
            Evidence(f"no {names}", f"pg_attribute of {place}"),
            Evidence(
                f"schema {applied.schema.name}, version hash {applied.schema.version_hash}, has "
                + listed(f"{c.name} ({c.data_type})" for c in gone),
                relation(dataset, "_dlt_version"),
            ),
        ),
        remedy=_lost_while_staged(dataset, table)
        if ledger.waits_in(dataset, table.name)
        else _remedy(applied, dataset, table, gone),
    )


def _remedy(applied: Applied, dataset: str, table: SchemaTable, gone: tuple[SchemaColumn, ...]) -> Remedy:
    pipeline = applied.route.pipeline
    strict = [c.name for c in gone if not c.nullable]
    rows = applied.database.counts.get((dataset, table.name))
    is_final = dataset == applied.route.final
    if not strict or (is_final and rows is not None and rows.rows == 0 and rows.exact):
        kept = "; rows that are there keep NULL in it" if is_final else ""
        return Remedy(
            f"Add {columns([c.name for c in gone])} as dlt would{kept}",
            "safe",
            command("dltdoctor", "fix", pipeline, "--select", "DD402"),
        )
    if is_final:
        return Remedy(
            f"{listed(strict)} may not be NULL, and what it held is gone: forget the resource's state and load it again "
            "from the start",
            "manual",
            command("dlt", "pipeline", pipeline, "drop", table.resource or table.root),
        )
    return Remedy(
        "When diagnose finds no staged rows that have to be merged, remove the staging table; DD403 then makes it anew",
        "manual",
        f"DROP TABLE {identifier(dataset)}.{identifier(table.name)};",
    )


def _lost_while_staged(dataset: str, table: SchemaTable) -> Remedy:
    return Remedy(
        f"Rows in {relation(dataset, table.name)} wait for their merge and would reach the final table without what was lost: "
        "load them again first, from the source or from their load package",
        "manual",
    )
