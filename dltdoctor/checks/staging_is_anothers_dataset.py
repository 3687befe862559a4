"""The staging dataset of one pipeline is the final dataset of another.

It happens when production is called `shop` and the staging environment `shop_staging`, or when a
static layout names a dataset that exists. dlt does not guard against it.

*Why it matters.* At the start of its next load the pipeline truncates the other's tables of the same
names and fills them with its own rows. Both pipelines report success.

Of a pipeline that has not run yet nobody knows whether it merges: then it is a warning.

*Fix safety.* Changing the layout protects the other dataset from the next load. Rows that were
truncated already have to be loaded again by the pipeline they belonged to.
"""

from collections.abc import Iterable

import msgspec

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.checks.shared_staging import LAYOUT, staged_tables
from dltdoctor.finding import Evidence, Severity
from dltdoctor.remedies import rewrite
from dltdoctor.snapshot import Catalog, Config, Pipeline, Route, Snapshot
from dltdoctor.words import listed


def _staging_environment() -> Snapshot:
    return sketch.world(sketch.pipeline("prod"), sketch.pipeline("preview", dataset="shop_staging"))


def _ledger_in_staging() -> Snapshot:
    on = sketch.database({"shop.orders": 3, "shop_staging.orders": 3})
    ledger = {("shop_staging", "_dlt_loads"): on.tables["shop", "_dlt_loads"]}
    return sketch.world(on=sketch.database({"shop.orders": 3, "shop_staging.orders": 3}, tables=ledger))


def _not_run_yet() -> Snapshot:
    made = _staging_environment()
    pipelines = tuple(msgspec.structs.replace(p, schemas=(), state=None, origin="source") for p in made.pipelines)
    return msgspec.structs.replace(made, pipelines=pipelines)


def _only_appends() -> Snapshot:
    appending = sketch.table("orders", disposition="append", merge_strategy=None)
    return sketch.world(sketch.pipeline("prod", tables=[appending]), sketch.pipeline("preview", dataset="shop_staging"))


@check(
    "DD104",
    Severity.ERROR,
    Severity.WARNING,
    sick=[_staging_environment, _ledger_in_staging, _not_run_yet],
    well=[_only_appends, sketch.world],
    url=f"{DLT_DOCS}/dlt-ecosystem/staging",
)
def staging_is_anothers_dataset(
    routes: tuple[Route, ...], pipelines: tuple[Pipeline, ...], config: Config, catalog: Catalog | None = None
) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    for way in routes:
        pipeline = everyone.get(way.pipeline)
        mine = staged_tables(pipeline, way)
        is_new = pipeline is not None and pipeline.schema(way.schema) is None  # what it merges is not known yet
        if way.staging is None or way.staging == way.final or not (mine or is_new):
            continue
        evidence = _signs(way, routes, catalog)
        if not evidence:
            continue
        victims = sorted(mine) if catalog is None else [t for t in sorted(mine) if _is_there(catalog, way, t)]
        harm = (
            f"its next load truncates {listed(f'{way.staging}.{t}' for t in victims)}"
            if victims
            else "if it merges, its next load truncates tables of the same names"
            if is_new
            else "a table of the same name would be truncated by its next load"
        )
        yield Note(
            message=f"{way.staging} is the staging dataset of pipeline {way.pipeline} and somebody's final dataset: {harm}",
            severity=Severity.WARNING if is_new else Severity.ERROR,
            pipeline=way.pipeline,
            dataset=way.staging,
            evidence=(Evidence(f"pipeline {way.pipeline} stages {way.final} there", way.layout_origin), *evidence),
            remedy=rewrite(
                way.pipeline,
                config.of(way.pipeline)[LAYOUT].winner,
                'Give this pipeline another layout, e.g. staging_dataset_name_layout = "%s__dlt_staging"',
            ),
            identity=way.schema,
        )


def _signs(way: Route, routes: tuple[Route, ...], catalog: Catalog | None) -> tuple[Evidence, ...]:
    places = catalog.of_pipeline if catalog else {}
    others = tuple(
        Evidence(f"it is the dataset of pipeline {other.pipeline}", "state and configuration of that pipeline")
        for other in routes
        if other.final == way.staging and places.get(other.pipeline) == places.get(way.pipeline)
    )
    database = catalog.database(way.pipeline) if catalog else None
    if database and way.staging and database.is_dataset(way.staging):
        ledger = Evidence(f"{way.staging}._dlt_loads exists; dlt keeps it in final datasets only", "pg_class")
        return (*others, ledger)
    return others


def _is_there(catalog: Catalog, way: Route, table: str) -> bool:
    database = catalog.database(way.pipeline)
    return database is None or database.table(way.staging or "", table) is not None
