"""The merge strategy is written with MERGE, which this server does not have.

dlt's strategies upsert, insert-only and cdc are one MERGE statement. Postgres has it since version 15;
an older server answers `syntax error at or near "MERGE"`.

*Why it matters.* Rows are staged and never merged. dlt takes the error for a passing one and tries again
for ever: the pending load stands before every new one.

*Fix safety.* delete-insert needs no MERGE and merges by the same key. It replaces whole rows: columns
that a load does not bring become NULL, and duplicates within a load are removed. Rows that insert-only
would have left alone are replaced, too. The pending load keeps its MERGE whatever the source says: it
has to be aborted (dlt 1.30 and newer puts the cursor back), so that its rows are read again.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.merge_statement import delete_insert_instead, lacks_merge, merged_so
from dltdoctor.finding import Evidence, Severity
from dltdoctor.snapshot import Catalog, Database, Pipeline, Route, SchemaTable, Snapshot
from dltdoctor.words import listed, relation


def _on(version: int, strategy: str) -> Snapshot:
    table = sketch.table("orders", "amount", merge_strategy=strategy)
    return sketch.world(sketch.pipeline(tables=[table]), on=sketch.database(server_version=version))


def _upsert_on_14() -> Snapshot:
    return _on(140023, "upsert")


def _cdc_on_13() -> Snapshot:
    return _on(130014, "cdc")


def _upsert_on_15() -> Snapshot:
    return _on(150000, "upsert")


def _delete_insert_on_14() -> Snapshot:
    return _on(140023, "delete-insert")


def _scd2_on_14() -> Snapshot:
    return _on(140023, "scd2")


@check(
    "DD501",
    Severity.ERROR,
    sick=[_upsert_on_14, _cdc_on_13],
    well=[_upsert_on_15, _delete_insert_on_14, _scd2_on_14, sketch.world],
    url=f"{DLT_DOCS}/general-usage/merge-loading#upsert-strategy",
)
def merge_needs_postgres_15(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog
) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    for way in routes:
        pipeline, database = everyone.get(way.pipeline), catalog.database(way.pipeline)
        schema = pipeline.schema(way.schema) if pipeline else None
        if pipeline is None or schema is None or database is None or not lacks_merge(database):
            continue
        tables = merged_so(schema)
        if tables:
            yield _note(pipeline, way, tables, database, schema.origin)


def _note(pipeline: Pipeline, way: Route, tables: tuple[SchemaTable, ...], database: Database, origin: str) -> Note:
    version = _version(database.server_version)
    strategies = listed(sorted({t.merge_strategy or "" for t in tables}))
    return Note(
        message=f"{listed([relation(way.final, t.name) for t in tables])} cannot be merged: "
        f"{strategies} needs Postgres 15, and {database.target.database} is on {version}",
        pipeline=pipeline.name,
        dataset=way.final,
        table=tables[0].name if len(tables) == 1 else None,
        evidence=(
            *(Evidence(f"{t.name} is merged with {t.merge_strategy}", origin) for t in tables[:5]),
            Evidence(f"the server is Postgres {version}", "server_version"),
        ),
        remedy=delete_insert_instead(pipeline, tables),
    )


def _version(number: int) -> str:
    """As Postgres writes it: 14.23; 9.6.24 before version 10."""
    if number < 100000:
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return f"{number // 10000}.{number % 10000}"
