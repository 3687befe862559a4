"""A load never ended, and the cursor went on from it: its rows are lost.

dlt stores the pipeline's state in every load, and records the load only when all of it is done. Here a
stored state belongs to no recorded load, and a later recorded one went on behind its cursor. It comes
from an aborted load (dlt 1.0 to 1.29 keeps the advanced cursor), or from load packages that were removed
while the state was kept.

*Why it matters.* No run reads these rows again. Nothing but the order of the stored states tells that
they are missing, and exactly which.

*Fix safety.* `fix --recover` merges the rows of the load package as dlt would have and records the load.
Without the package the range has to be read from the source again: with `end_value` dlt leaves the cursor
alone. A load whose state moved no incremental cursor is not reported: nothing tells what it would have read.
"""

from collections.abc import Iterable, Iterator

import msgspec

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.deduced.overtaken import obstacle, safety
from dltdoctor.deduced.stored_states import Gap, Overtaken, histories, is_purged, overtaken, rows_around, tables_of
from dltdoctor.finding import Evidence, Remedy, Safety, Severity
from dltdoctor.remedies import recover
from dltdoctor.sketch import states
from dltdoctor.snapshot import Catalog, Cursor, Database, Package, Pipeline, Route, RowsAround, Snapshot, StateRow
from dltdoctor.verdict import is_young
from dltdoctor.words import command, count, listed, literal, moment, relation

MOST = 10
LOST, LATER = "1700000150.0", sketch.LATEST


def _aborted() -> Snapshot:
    return _shop(states.history((LOST, 2, "6", None)))


def _no_package() -> Snapshot:
    return sketch.world(on=_shop_database(states.history((LOST, 2, "6", None))))


def _committed_since() -> Snapshot:
    return _shop(states.history((LOST, 2, "6", 0)))


def _read_again() -> Snapshot:
    return _shop(states.history((LOST, 2, "6", None), after=(LATER, 2, "9", 0)))


def _nothing_later() -> Snapshot:
    return _shop(states.history((LOST, 2, "6", None))[1:])


def _begun_anew() -> Snapshot:
    return _shop(states.history((LOST, 2, "6", None), after=(LATER, 3, "5", 0)))


def _cursor_forgotten() -> Snapshot:
    return _shop(states.history((LOST, 2, "6", None), after=(LATER, 3, None, 0)))


def _no_cursor_moved() -> Snapshot:
    return _shop(states.history((LOST, 2, "3", None)))


def _arrived() -> Snapshot:
    return _shop(states.history((LOST, 2, "6", None)), rows=3)


def _table_made_anew() -> Snapshot:
    return _shop(states.history((LOST, 2, "6", None)), older=0)


def _ledger_purged() -> Snapshot:
    made = _no_package()
    database = made.catalog.databases[0] if made.catalog else sketch.database()
    kept = msgspec.structs.replace(database.loads[0], oldest=1700000180.0)
    return sketch.world(on=msgspec.structs.replace(database, loads=(kept,)))


def _pending() -> Snapshot:
    return _shop(states.history((LOST, 2, "6", None)), stage="normalized")


def _shop(states: states.States, *, rows: int = 0, older: int = 3, stage: str = "aborted") -> Snapshot:
    job = sketch.job(status="completed" if rows else "failed")
    local = sketch.pipeline(version=3, packages=[sketch.package(LOST, stage, job)])
    return sketch.world(local, on=_shop_database(states, rows=rows, older=older))


def _shop_database(states: states.States, *, rows: int = 0, older: int = 3) -> Database:
    around = RowsAround(dataset="shop", table="orders", load_id=LOST, rows=rows, older=older)
    return sketch.database(states=states, around=(around,))


@check(
    "DD204",
    Severity.ERROR,
    sick=[_aborted, _no_package],
    well=[
        _committed_since,
        _read_again,
        _nothing_later,
        _begun_anew,
        _cursor_forgotten,
        _no_cursor_moved,
        _arrived,
        _table_made_anew,
        _ledger_purged,
        _pending,
        sketch.world,
    ],
    url=f"{DLT_ISSUES}/3375",
)
def lost_load(pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog) -> Iterable[Note]:
    stored = {d.target.key: histories(d) for d in catalog.databases}
    for pipeline in pipelines:
        database = catalog.database(pipeline.name)
        if database is None:
            continue
        datasets = dict.fromkeys(w.final for w in routes if w.pipeline == pipeline.name)
        for dataset in datasets:
            rows = stored[database.target.key].get((dataset, pipeline.name), ())
            lost = [each for each in _lost(rows, pipeline, tuple(datasets), database) if each.gaps]
            yield from (_note(pipeline, dataset, each, database) for each in lost[:MOST])
            if lost[MOST:]:
                yield _older(pipeline, dataset, lost[MOST:])


def _lost(
    rows: tuple[StateRow, ...], pipeline: Pipeline, datasets: tuple[str, ...], database: Database
) -> Iterator[Overtaken]:
    """The overtaken loads, newest first, with the gaps whose rows did not arrive."""
    for each in overtaken(rows):
        package = pipeline.package(each.row.load_id)
        # dlt moves a package only when it has ended; without one only the time can tell
        is_under_way = package.is_pending if package else is_young(each.row.load_id, database.read_at)
        if not is_under_way and not is_purged(each.row, pipeline, database):
            gaps = (gap for gap in each.gaps if not _has_arrived(gap, each, pipeline, datasets, database))
            yield msgspec.structs.replace(each, gaps=tuple(gaps))


def _has_arrived(gap: Gap, lost: Overtaken, pipeline: Pipeline, datasets: tuple[str, ...], database: Database) -> bool:
    """Rows of the load are in a table of the resource; or the table was made anew since, with the cursor."""
    tables = {t.name for t in tables_of(gap.resource, pipeline.schemas)}
    package = pipeline.package(lost.row.load_id)
    seen = [a for d in datasets for a in rows_around(database, d, lost.row.load_id) if a.table in tables]
    if gap.after is not None and seen and all(a.exact and not a.older for a in seen):
        return True
    return any(a.rows for a in seen) and not (package and _is_half_loaded(package, tables))


def _is_half_loaded(package: Package, tables: set[str]) -> bool:
    """Some files of the tables were loaded, and others were not."""
    data = [j for j in package.jobs_of(*tables) if not j.is_followup]
    return any(j.status != "completed" for j in data) and len({j.file_id for j in data}) > 1


def _note(pipeline: Pipeline, dataset: str, lost: Overtaken, database: Database) -> Note:
    row = lost.row
    tables = [t.name for gap in lost.gaps for t in tables_of(gap.resource, pipeline.schemas)]
    return Note(
        message=f"the load of {moment(row.load_id)} never ended and the cursor went on from it: "
        f"{'; '.join(_range(gap) for gap in lost.gaps[:3])} "
        f"{'were' if len(lost.gaps) > 1 else 'was'} not loaded",
        pipeline=pipeline.name,
        dataset=dataset,
        table=tables[0] if len(set(tables)) == 1 else None,
        evidence=tuple(_evidence(pipeline, dataset, lost)),
        remedy=_remedy(pipeline, dataset, lost, database),
        identity=row.load_id,
    )


def _range(gap: Gap) -> str:
    begin = f"after {gap.after.last_value} " if gap.after else "from the beginning "
    return f"{gap.resource} with {gap.path} {begin}up to {gap.upto.last_value}"


def _evidence(pipeline: Pipeline, dataset: str, lost: Overtaken) -> Iterator[Evidence]:
    states, loads = relation(dataset, "_dlt_pipeline_state"), relation(dataset, "_dlt_loads")
    row, after = lost.row, lost.after
    yield Evidence(f"state version {row.version} was stored by load {row.load_id}", states)
    yield Evidence(f"load {row.load_id} is not recorded", loads)
    yield Evidence(f"load {after.load_id} went on from it, with state version {after.version}", states)
    for gap in lost.gaps:
        begin, now = gap.after.last_value if gap.after else "none", gap.now.last_value if gap.now else "none"
        yield Evidence(
            f"missing: {gap.resource}.{gap.path} in ({begin}, {gap.upto.last_value}]; the next state had {now}", states
        )
    package = pipeline.package(row.load_id)
    if package:
        yield Evidence(f"the load package is {package.stage}", package.path)


def _remedy(pipeline: Pipeline, dataset: str, lost: Overtaken, database: Database) -> Remedy:
    package = pipeline.package(lost.row.load_id)
    tables = [t.name for gap in lost.gaps for t in tables_of(gap.resource, pipeline.schemas)]
    is_kept = package is not None and any(not j.is_followup for j in package.jobs_of(*tables))
    why_not = obstacle(package, pipeline, tables) if package and is_kept else None
    if package and is_kept and not why_not:
        return _recover(pipeline, safety(package, pipeline, dataset, database))
    gap = lost.gaps[0]
    appends = any(t.disposition == "append" for t in tables_of(gap.resource, pipeline.schemas))
    states, load_id = relation(dataset, "_dlt_pipeline_state"), literal(lost.row.load_id)
    others = f", and so for {listed(g.resource for g in lost.gaps[1:])}" if lost.gaps[1:] else ""
    return Remedy(
        f"{f'Its load package does not help: {why_not}. ' if why_not else ''}Load the range again: give the resource {gap.resource} this range once{others}, and run the pipeline with "
        "it. With end_value dlt leaves the cursor where it is. When the rows are there, forget the state of the "
        f"load that never ended: DELETE FROM {states} WHERE _dlt_load_id = {load_id}",
        "manual",
        _incremental(gap, is_open=appends),
    )


def _recover(pipeline: Pipeline, safe: Safety) -> Remedy:
    title = "Merge the rows of its load package as dlt would have, and record the load"
    if safe == "safe":
        return recover(pipeline.name, title)
    doubt = "rows that later loads brought or deleted may be changed: the plan says which"
    return Remedy(f"{title} ({doubt})", "unsafe", command("dltdoctor", "fix", pipeline.name, "--recover", "--unsafe"))


def _incremental(gap: Gap, *, is_open: bool) -> str:
    """The line of Python; the value at the beginning is there already, which only an append would double."""
    begin = _value(gap.after) if gap.after else "..."
    start = ', range_start="open"' if is_open and gap.after else ""
    return (
        f"{gap.resource}.apply_hints(incremental=dlt.sources.incremental({gap.path!r}, initial_value={begin}, "
        f'end_value={_value(gap.upto)}{start}, range_end="closed"))'
    )


def _value(cursor: Cursor) -> str:
    """A cursor's value in Python, of the type that dlt has in its state."""
    value = cursor.last_value or ""
    if cursor.kind == "number":
        return value
    if cursor.kind == "decimal":
        return f"decimal.Decimal({value!r})"
    parsed = {"datetime": f"dlt.common.pendulum.parse({value!r})", "date": f"datetime.date.fromisoformat({value!r})"}
    return parsed.get(cursor.kind, repr(value))


def _older(pipeline: Pipeline, dataset: str, lost: list[Overtaken]) -> Note:
    newest, oldest = lost[0].row.load_id, lost[-1].row.load_id
    return Note(
        message=f"{count(len(lost), 'older load')} never ended either and the cursor went on from them, between "
        f"{moment(oldest)} and {moment(newest)}; of these at most 50 are looked at",
        pipeline=pipeline.name,
        dataset=dataset,
        evidence=tuple(
            Evidence(
                f"load {each.row.load_id}: {'; '.join(map(_range, each.gaps[:3]))}",
                relation(dataset, "_dlt_pipeline_state"),
            )
            for each in lost
        ),
        identity="older",
    )
