"""Something reads the staging dataset.

A script, a SQL file or a view reads `<dataset>_staging`. It is the advice of many answers to "the
values are NULL in production": read where the values are.

*Why it matters.* The next load truncates the staging tables at its start, and they hold only the rows
of one load. A reader sees an empty table, a part of the rows, or rows whose load has failed.

*Fix safety.* Reading the final table instead is safe when the ledger calls it healthy; if it is not,
repair that first.
"""

from collections.abc import Iterable

import msgspec

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Catalog, Contract, Route, Snapshot, Source, TextReference, ViewReference
from dltdoctor.words import relation


def _script() -> Snapshot:
    found = TextReference(
        file="score_batch.py", line=4, schema="shop_staging", table="orders", text="SELECT * FROM shop_staging.orders"
    )
    return sketch.world(source=Source(root=".", references=(found,)))


def _view() -> Snapshot:
    found = ViewReference(schema="api", view="orders", reads_schema="shop_staging", reads_table="orders")
    return sketch.world(on=sketch.database(views=(found,)))


def _declared() -> Snapshot:
    contract = Contract(name="scoring", tables=("shop_staging.orders",), origin="dltdoctor.toml:1")
    return sketch.world(contracts=(contract,))


def _while_the_layout_is_broken() -> Snapshot:
    way = msgspec.structs.replace(sketch.route(layout=None, layout_error="None is not a name"), staging=None)
    return msgspec.structs.replace(_script(), routes=(way,))


def _final_reader() -> Snapshot:
    found = TextReference(
        file="score.py", line=4, schema="city_staging", table="orders", text="SELECT * FROM city_staging.orders"
    )
    return sketch.world(source=Source(root=".", references=(found,)))


@check(
    "DD605",
    Severity.WARNING,
    sick=[_script, _view, _declared, _while_the_layout_is_broken],
    well=[_final_reader, sketch.world],
    url=f"{DLT_DOCS}/dlt-ecosystem/staging",
)
def reader_reads_staging(
    routes: tuple[Route, ...], source: Source, contracts: tuple[Contract, ...], catalog: Catalog | None = None
) -> Iterable[Note]:
    stagings = {staging: w for w in routes if (staging := _staging(w)) != w.final}
    for reference in source.references:
        way = stagings.get(reference.schema) or stagings.get(reference.schema.lower())
        if way:
            yield _in_source(reference, way)
    for contract in contracts:
        for declared in contract.tables:
            schema, _, table = declared.replace('"', "").rpartition(".")
            if way := stagings.get(schema):
                yield _declared_reader(contract, declared, table, schema, way)
    for database in catalog.databases if catalog else ():
        for view in database.views:
            way = stagings.get(view.reads_schema)
            if way and catalog and catalog.of_pipeline.get(way.pipeline) == database.target.key:
                yield _in_view(view, way)


def _staging(way: Route) -> str:
    """The staging dataset; while dlt cannot use the layout, the one it has without a layout."""
    return way.staging or f"{way.final}_staging"


def _in_source(reference: TextReference, way: Route) -> Note:
    table = reference.table
    instead = relation(way.final, table) if table else way.final
    return Note(
        message=f"{reference.file}:{reference.line} reads the staging dataset {_staging(way)}"
        f"{f' (table {table})' if table else ''}: the next load truncates it",
        pipeline=way.pipeline,
        dataset=_staging(way),
        table=table,
        evidence=(Evidence(reference.text, f"{reference.file}:{reference.line}"),),
        remedy=Remedy(f"Read {instead} instead", "manual"),
        identity=f"{reference.file} {' '.join(reference.text.split())}",
    )


def _in_view(view: ViewReference, way: Route) -> Note:
    place = relation(view.schema, view.view)
    return Note(
        message=f"the view {place} reads {relation(view.reads_schema, view.reads_table)}: the next load truncates it",
        pipeline=way.pipeline,
        dataset=_staging(way),
        table=view.reads_table,
        evidence=(Evidence(f"{place} depends on {relation(view.reads_schema, view.reads_table)}", "pg_depend"),),
        remedy=Remedy(f"Let it read {relation(way.final, view.reads_table)} instead", "manual"),
        identity=place,
    )


def _declared_reader(contract: Contract, declared: str, table: str, staging: str, way: Route) -> Note:
    return Note(
        message=f"the reader {contract.name!r} is declared to read {declared}: the next load truncates it",
        pipeline=way.pipeline,
        dataset=staging,
        table=table,
        evidence=(Evidence(f"{contract.name!r} reads {declared}", contract.origin),),
        remedy=Remedy(f"Let it read {relation(way.final, table)} instead", "manual"),
        identity=f"{contract.name} {declared}",
    )
