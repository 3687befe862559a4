"""Several loads share one staging dataset.

A layout without `%s` gives every dataset the same staging dataset; and pipelines that load into one
dataset share its staging dataset by nature. At the start of a load dlt empties the staging tables it
is going to use, and its merge takes every row it finds there, whoever put it in.

*Why it matters.* When two such loads overlap in time, or one is resumed after the other ran, rows
vanish, or rows of one dataset are merged into the other, and both loads report success.

*Fix safety.* Giving each pipeline a staging layout of its own changes where the next load stages its
rows; rows that are stranded in the old place have to be moved first (DD201). For pipelines that merge
one table on purpose there is nothing to rewrite: run them one after the other, never at once.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.remedies import rewrite
from dltdoctor.snapshot import Catalog, Config, Pipeline, Route, SchemaTable, Snapshot
from dltdoctor.words import listed

LAYOUT = "staging_dataset_name_layout"


def _static_layout() -> Snapshot:
    names = ("shop_loader", "mart_loader")
    return sketch.world(
        *(sketch.pipeline(n, dataset=n.split("_")[0]) for n in names),
        routes=[sketch.route(n, n.split("_")[0], "_dlt_staging", layout="_dlt_staging") for n in names],
        settings=[sketch.setting(LAYOUT, "_dlt_staging")],
    )


def _one_table_two_pipelines() -> Snapshot:
    return sketch.world(sketch.pipeline("scores"), sketch.pipeline("concepts"))


def _one_dataset_two_tables() -> Snapshot:
    return sketch.world(
        sketch.pipeline("scores"), sketch.pipeline("concepts", tables=[sketch.table("concepts", "label")])
    )


@check(
    "DD103",
    Severity.ERROR,
    Severity.WARNING,
    sick=[_static_layout, _one_table_two_pipelines],
    well=[_one_dataset_two_tables, sketch.world],
    url=f"{DLT_ISSUES}/4297",
)
def shared_staging(
    routes: tuple[Route, ...], pipelines: tuple[Pipeline, ...], config: Config, catalog: Catalog | None = None
) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    groups: dict[tuple[str, str], list[Route]] = defaultdict(list)
    for way in routes:
        if way.staging is not None and way.staging != way.final:
            groups[_database(catalog, way), way.staging].append(way)
    for (_, staging), ways in groups.items():
        finals = {w.final for w in ways}
        if len(finals) > 1:
            yield _of_several_datasets(staging, ways, everyone, config)
        yield from _of_one_dataset(staging, ways, everyone)


def _database(catalog: Catalog | None, way: Route) -> str:
    return catalog.of_pipeline.get(way.pipeline, "") if catalog else ""


def staged_tables(pipeline: Pipeline | None, way: Route) -> Mapping[str, SchemaTable]:
    """The root tables that this pipeline brings through staging."""
    schema = pipeline.schema(way.schema) if pipeline else None
    return {
        t.name: t
        for t in (schema.data_tables if schema else ())
        if not t.is_nested
        and (
            t.disposition == "merge"
            or (t.disposition == "replace" and t.replace_strategy not in (None, "truncate-and-insert"))
        )
    }


def _writers(ways: Iterable[Route], everyone: Mapping[str, Pipeline]) -> Mapping[str, list[Route]]:
    writers: dict[str, list[Route]] = defaultdict(list)
    for way in ways:
        for name in staged_tables(everyone.get(way.pipeline), way):
            writers[name].append(way)
    return writers


def _of_several_datasets(staging: str, ways: list[Route], everyone: Mapping[str, Pipeline], config: Config) -> Note:
    finals = sorted({w.final for w in ways})
    shared = sorted(t for t, by in _writers(ways, everyone).items() if len({w.final for w in by}) > 1)
    static = next((w for w in ways if w.layout is not None and "%s" not in w.layout), ways[0])
    danger = (
        f"they all stage {listed(shared)} there, so one load can empty or merge the other's rows"
        if shared
        else "their table names do not overlap yet"
    )
    return Note(
        message=f"datasets {listed(finals)} share the staging dataset {staging}: {danger}",
        severity=Severity.ERROR if shared else Severity.WARNING,
        pipeline=static.pipeline,
        dataset=staging,
        table=shared[0] if len(shared) == 1 else None,
        evidence=tuple(
            Evidence(f"pipeline {w.pipeline} stages {w.final} in {staging}", f"layout {w.layout!r}, {w.layout_origin}")
            for w in sorted(ways, key=lambda w: (w.final, w.pipeline))
        ),
        remedy=rewrite(
            static.pipeline, config.of(static.pipeline)[LAYOUT].winner, 'Put "%s" into the layout, e.g. "%s_staging"'
        ),
        identity=",".join(finals),
    )


def _of_one_dataset(staging: str, ways: list[Route], everyone: Mapping[str, Pipeline]) -> Iterable[Note]:
    for final in sorted({w.final for w in ways}):
        here = [w for w in ways if w.final == final]
        for table, by in sorted(_writers(here, everyone).items()):
            names = sorted({w.pipeline for w in by})
            if len(names) > 1:
                yield Note(
                    message=f"pipelines {listed(names)} merge {final}.{table} through {staging}.{table}: "
                    "they must never run at the same time",
                    severity=Severity.WARNING,
                    dataset=final,
                    table=table,
                    evidence=tuple(Evidence(f"pipeline {w.pipeline} stages {table}", _origin(everyone, w)) for w in by),
                    remedy=Remedy("Run them one after the other, or give each a staging layout of its own", "manual"),
                    identity=",".join(names),
                )


def _origin(everyone: Mapping[str, Pipeline], way: Route) -> str:
    pipeline = everyone.get(way.pipeline)
    schema = pipeline.schema(way.schema) if pipeline else None
    return schema.origin if schema else way.schema
