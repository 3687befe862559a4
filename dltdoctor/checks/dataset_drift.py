"""The dataset that the configuration names is not the one that holds the rows.

dlt keeps the dataset name and the incremental cursors in the pipeline's state. The configuration or
the source now gives another name, so the next run loads there.

*Why it matters.* When the new dataset exists already, the cursors survive: only rows newer than them
arrive, and the history stays in the old schema. When it does not exist, dlt drops the whole working
dir and loads everything again, and the old schema stays behind as a stale copy that readers may use.

*Fix safety.* Rewriting the name alone is exactly what does the damage. Either set the old name again,
or move tables and state to the new schema together.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Catalog, Config, Pipeline, Route, Snapshot
from dltdoctor.words import identifier


def _renamed() -> Snapshot:
    on = sketch.database({"shop.orders": 3, "shop_v2.orders": 2})
    return sketch.world(
        on=on, routes=[sketch.route(next_final="shop_v2")], settings=[sketch.setting("dataset_name", "shop_v2")]
    )


def _renamed_to_nothing() -> Snapshot:
    return sketch.world(
        on=sketch.database(),
        routes=[sketch.route(next_final="shop_v2")],
        settings=[sketch.setting("dataset_name", "shop_v2")],
    )


@check("DD105", Severity.ERROR, Severity.WARNING, sick=[_renamed, _renamed_to_nothing], well=[sketch.world])
def dataset_drift(
    routes: tuple[Route, ...], pipelines: tuple[Pipeline, ...], config: Config, catalog: Catalog | None = None
) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    for way in routes:
        pipeline = everyone.get(way.pipeline)
        state = pipeline.state if pipeline else None
        if way.next_final == way.final or state is None:
            continue
        database = catalog.database(way.pipeline) if catalog else None
        exists = None if database is None else database.is_dataset(way.next_final)
        survives = bool(state.cursors) and exists is not False
        winner = config.of(way.pipeline)["dataset_name"].winner
        said_by = winner.location if winner else "the project's source"
        yield Note(
            message=f"the rows are in {way.final}, the next run loads into {way.next_final}: {_harm(exists=exists, survives=survives)}",
            severity=Severity.ERROR if survives else Severity.WARNING,
            pipeline=way.pipeline,
            dataset=way.final,
            evidence=(
                Evidence(f"dataset_name is {state.dataset_name!r}", state.origin),
                Evidence(f"dataset_name is {winner.display if winner else repr(way.next_final)}", said_by),
                *(
                    Evidence(f"cursor {c.resource}.{c.path} is at {c.last_value}", state.origin)
                    for c in state.cursors[:3]
                ),
            ),
            remedy=Remedy(
                f"Set the name back to {way.final!r}; or move data and state together: rename the schema, then set the new name",
                "unsafe",
                f"ALTER SCHEMA {identifier(way.final)} RENAME TO {identifier(way.next_final)};"
                if exists is False
                else None,
            ),
            identity=way.schema,
        )


def _harm(*, exists: bool | None, survives: bool) -> str:
    if survives and exists:
        return "that dataset exists, so the cursors survive and only newer rows will arrive there"
    if exists is False:
        return "that dataset does not exist, so dlt will drop the working dir and load everything again"
    if survives:
        return "if that dataset exists, the cursors survive and only newer rows will arrive there"
    return "the old schema stays behind as a stale copy"
