"""A schema of the pipeline has a dataset of its own.

With `use_single_dataset = false` dlt loads only the default schema into the dataset that was named; each
other schema goes to `<dataset>_<schema>`, with its own staging, loads and states.

*Why it matters.* The rows are not where the dataset's name says. And a change of the setting leaves the
old tables behind, which look alike and are never written again.

*Fix safety.* There is nothing to repair. To have all in one dataset, set `use_single_dataset = true`, and move or
load the tables again: the old ones stay as a copy.
"""

from collections.abc import Iterable, Iterator

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Catalog, Config, Database, Pipeline, Route, Schema, Snapshot
from dltdoctor.words import command, listed

SETTING = "use_single_dataset"


def _two_datasets() -> Snapshot:
    ways = [sketch.route(), sketch.route(final="shop_erp", schema="erp")]
    on = sketch.database({"shop.orders": 3, "shop_erp.invoices": 3})
    return sketch.world(on=on, routes=ways, settings=[sketch.setting(SETTING, value=False)])


def _left_behind() -> Snapshot:
    local = sketch.pipeline(state={"schema_names": ("shop_loader", "erp")})
    erp = Schema(name="erp", origin="shop_erp._dlt_version")
    on = sketch.database({"shop.orders": 3, "shop_erp.invoices": 3}, stored_schemas={"shop_erp": (erp,)})
    return sketch.world(local, on=on, routes=[sketch.route(), sketch.route(schema="erp")])


def _not_loaded_yet() -> Snapshot:
    ways = [sketch.route(), sketch.route(final="shop_erp", schema="erp")]
    return sketch.world(on=sketch.database(), routes=ways)


def _anothers_dataset() -> Snapshot:
    other = Schema(name="erp_loader", origin="shop_erp._dlt_version")
    on = sketch.database({"shop.orders": 3, "shop_erp.invoices": 3}, stored_schemas={"shop_erp": (other,)})
    return sketch.world(on=on, routes=[sketch.route(), sketch.route(schema="erp")])


@check(
    "DD107",
    Severity.INFO,
    sick=[_two_datasets, _left_behind],
    well=[_not_loaded_yet, _anothers_dataset, sketch.world],
    url=f"{DLT_DOCS}/general-usage/schema",
)
def schema_suffix_dataset(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], config: Config, catalog: Catalog
) -> Iterable[Note]:
    for pipeline in pipelines:
        database = catalog.database(pipeline.name)
        ways = [w for w in routes if w.pipeline == pipeline.name]
        home = _home(pipeline, ways)
        if database is None or home is None:
            continue
        apart = [w for w in ways if w.final != home.final and w.schema != home.schema and database.is_dataset(w.final)]
        old = list(_left(home, ways, database))
        if apart or old:
            yield _note(pipeline, home, apart, old, config)


def _home(pipeline: Pipeline, ways: Iterable[Route]) -> Route | None:
    """The way of the default schema."""
    default = pipeline.state.default_schema_name if pipeline.state else None
    return next((w for w in ways if w.schema == default), None)


def _left(home: Route, ways: Iterable[Route], database: Database) -> Iterator[tuple[str, str]]:
    """Schemas that are loaded into the one dataset, and have one of their own from another time."""
    for way in ways:
        own = f"{home.final}_{way.schema}"
        known = {s.name for s in database.stored_schemas.get(own, ())}
        if way.final == home.final and way.schema != home.schema and database.is_dataset(own) and way.schema in known:
            yield way.schema, own


def _note(pipeline: Pipeline, home: Route, apart: list[Route], old: list[tuple[str, str]], config: Config) -> Note:
    winner = config.of(pipeline.name)[SETTING].winner
    origin = winner.location if winner else "dlt's default"
    moved = [f"schema {w.schema} is in {w.final}" for w in apart]
    left = [f"{own} holds what schema {schema} loaded before, which nothing updates" for schema, own in old]
    why = f"{SETTING} is {winner.display}" if winner else f"{SETTING} is not set"
    schema = pipeline.schema(apart[0].schema if apart else old[0][0])
    table = next((t.name for t in schema.data_tables if not t.is_nested), None) if schema else None
    return Note(
        message=f"{listed([*moved, *left])}; {home.final} is the dataset of schema {home.schema}",
        pipeline=pipeline.name,
        dataset=home.final,
        evidence=(
            Evidence(why, origin),
            *(Evidence(f"schema {w.schema} is loaded into {w.final}", f"{w.final}._dlt_version") for w in apart),
            *(
                Evidence(f"schema {schema} is loaded into {home.final} now", f"{own}._dlt_version")
                for schema, own in old
            ),
        ),
        remedy=Remedy(
            "Let readers name the schema that holds the rows",
            "manual",
            command("dltdoctor", "where", table) if table else None,
        ),
    )
