"""The newest stored state is hidden from dlt: a fresh machine would begin at an older cursor, or anew.

dlt restores the newest state whose load stands in `_dlt_loads` with status 0. Somebody has taken that row
away, or has set its status to another number, as is done to chain transformations.

*Why it matters.* This machine goes on with its local state and nothing shows. A container, a new machine
or a purge of the working dir starts from an older state or from none: it reads rows again that are there,
and an append has them twice.

*Fix safety.* Setting the status back, or recording the load again, only tells dlt what is true: its rows are
there. Older loads that were taken out of `_dlt_loads` hide nothing and are not reported.
"""

from collections.abc import Iterable

import msgspec

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.stored_states import Gap, histories, is_purged, moved
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.sketch import states
from dltdoctor.snapshot import Catalog, Config, Database, LoadSummary, Pipeline, Route, RowsAround, Snapshot, StateRow
from dltdoctor.verdict import is_young
from dltdoctor.words import literal, moment, relation


def _all_purged() -> Snapshot:
    stored = states.history(before=(sketch.LOADED, 1, "3", None), after=(sketch.LATEST, 2, "6", None))
    return _on(stored, loads=(), present=(sketch.LOADED, sketch.LATEST))


def _status_bumped() -> Snapshot:
    return _on(states.history(after=(sketch.LATEST, 2, "6", 1)))


def _purged_by_age() -> Snapshot:
    kept = LoadSummary(
        dataset="shop",
        schema_name="shop_loader",
        rows=1,
        oldest=1700090000.0,
        newest=1700090000.0,
        newest_load_id="1700090000.0",
    )
    stored = states.history(before=(sketch.LOADED, 1, "3", None), after=(sketch.LATEST, 2, "6", None))
    return _on(stored, loads=(kept,), present=(sketch.LATEST,))


def _old_ones_bumped() -> Snapshot:
    return _on(states.history(before=(sketch.LOADED, 1, "3", 2), after=(sketch.LATEST, 2, "6", 0)))


def _old_ones_purged() -> Snapshot:
    return _on(states.history(before=(sketch.LOADED, 1, "3", None), after=(sketch.LATEST, 2, "6", 0)))


def _bumped_without_cursors() -> Snapshot:
    stored = states.history(before=(sketch.LOADED, 1, None, 0), after=(sketch.LATEST, 2, None, 1))
    return _on(stored)


def _first_load_failed() -> Snapshot:
    return _on((states.stored_state(sketch.LATEST, 1, "3", None),), loads=())


def _never_restored() -> Snapshot:
    made = _status_bumped()
    database = made.catalog.databases[0] if made.catalog else sketch.database()
    off = sketch.setting("restore_from_destination", value=False)
    return sketch.world(on=database, settings=[off])


def _on(
    stored: states.States, *, present: Iterable[str] = (), loads: tuple[LoadSummary, ...] | None = None
) -> Snapshot:
    around = tuple(RowsAround(dataset="shop", table="orders", load_id=i, rows=3, older=0) for i in present)
    return sketch.world(on=msgspec.structs.replace(sketch.database(states=stored, loads=loads), around=around))


@check(
    "DD408",
    Severity.WARNING,
    sick=[_all_purged, _status_bumped, _purged_by_age],
    well=[
        _old_ones_bumped,
        _old_ones_purged,
        _bumped_without_cursors,
        _first_load_failed,
        _never_restored,
        sketch.world,
    ],
    url=f"{DLT_DOCS}/general-usage/destination-tables",
)
def tampered_ledger(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog, config: Config
) -> Iterable[Note]:
    stored = {d.target.key: histories(d) for d in catalog.databases}
    for pipeline in pipelines:
        database = catalog.database(pipeline.name)
        if database is None or config.of(pipeline.name).value("restore_from_destination") is False:
            continue
        for dataset in dict.fromkeys(w.final for w in routes if w.pipeline == pipeline.name):
            rows = stored[database.target.key].get((dataset, pipeline.name), ())
            committed = next((r for r in rows if r.committed), None)
            before = committed.state if committed else None
            gaps = tuple(moved(rows[0].state, before)) if rows and _is_hidden(rows[0], pipeline, database) else ()
            if gaps:
                yield _note(pipeline, rows[0], committed, gaps)


def _is_hidden(row: StateRow, pipeline: Pipeline, database: Database) -> bool:
    """Its load was completed, and dlt would not restore it."""
    if row.status is not None:
        return row.status != 0
    readable = all(key != (row.dataset, "_dlt_loads") for key in database.unread) and database.is_dataset(row.dataset)
    is_under_way = pipeline.package(row.load_id) is None and is_young(row.load_id, database.read_at)
    return readable and not is_under_way and is_purged(row, pipeline, database)


def _note(pipeline: Pipeline, row: StateRow, committed: StateRow | None, gaps: tuple[Gap, ...]) -> Note:
    loads, states = relation(row.dataset, "_dlt_loads"), relation(row.dataset, "_dlt_pipeline_state")
    why = "is not in _dlt_loads" if row.status is None else f"has status {row.status} in _dlt_loads"
    begins = f"the state of {moment(committed.load_id)}" if committed else "no state at all"
    return Note(
        message=f"the load of {moment(row.load_id)}, which stored the newest state of {pipeline.name}, {why}: a fresh "
        f"machine would start from {begins} and read rows again that are there",
        pipeline=pipeline.name,
        dataset=row.dataset,
        evidence=(
            Evidence(f"the newest state, version {row.version}, belongs to load {row.load_id}", states),
            Evidence(f"load {row.load_id} {why}", loads),
            *(_cursor(gap, states) for gap in gaps[:5]),
        ),
        remedy=_remedy(pipeline, row, loads),
        identity=row.load_id,
    )


def _cursor(gap: Gap, states: str) -> Evidence:
    restored = f"at {gap.after.last_value}" if gap.after else "at the beginning"
    return Evidence(
        f"{gap.resource}.{gap.path} stands at {gap.upto.last_value}; a fresh machine would begin {restored}", states
    )


def _remedy(pipeline: Pipeline, row: StateRow, loads: str) -> Remedy:
    load_id = literal(row.load_id)
    if row.status is not None:
        return Remedy(
            "Set the status of the newest load back to 0, and mark what is transformed in a table of your own",
            "manual",
            f"UPDATE {loads} SET status = 0 WHERE load_id = {load_id};",
        )
    package = pipeline.package(row.load_id)
    state = row.state
    schema = (package and package.schema_name) or (state and state.default_schema_name) or pipeline.name
    return Remedy(
        "Record the load again, which was completed; when rows of _dlt_loads are removed by age, keep the one of the "
        "newest stored state of each pipeline",
        "manual",
        f"INSERT INTO {loads} (load_id, schema_name, status, inserted_at) "
        f"VALUES ({load_id}, {literal(schema)}, 0, to_timestamp({load_id}::float8));",
    )
