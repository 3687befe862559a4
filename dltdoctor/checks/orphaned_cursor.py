"""The cursor on this machine is past rows that the destination does not have, and no load package brings them.

The local state says how far a resource was read; the state of the last recorded load says less; and no
package waits to be loaded that holds the rows in between. Somebody removed the packages and kept
`state.json`, `load/` was on a disk that did not last, or dlt before 1.30 gave a load up.

*Why it matters.* The next run begins at the local cursor. After it the rows in between are lost for good
(DD204); before it nothing is lost yet.

*Fix safety.* The whole working dir is archived and removed, so that the next run restores the committed state and
reads the rows again; undo brings it back. It is not done where rows would be doubled: a load that appends
may have left some of them already.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from dltdoctor import sketch, sketch_states
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.ledger import Ledger
from dltdoctor.purge_restore import Restoration, foresee
from dltdoctor.remedies import wipe
from dltdoctor.restore_objections import of_restoration
from dltdoctor.snapshot import (
    Catalog,
    Config,
    Database,
    Looks,
    Package,
    Pipeline,
    Route,
    RowsAround,
    SchemaTable,
    Snapshot,
    Source,
    StateRow,
    UnlistedRows,
)
from dltdoctor.stored_states import Gap, is_less, is_purged, moved, of_pipeline, rows_around, tables_of, unrecorded
from dltdoctor.strangers import has_loaded, knows
from dltdoctor.words import command, count, listed, literal, moment, relation

_WAITING = ("stranded", "resumable", "false-commit", "in-flight")
COMMITTED = sketch_states.stored_state(sketch.LOADED, 1, "3", 0)
ORPHAN = sketch_states.stored_state(sketch.LATEST, 2, "6", None)


def _packages_removed() -> Snapshot:
    return _shop(ORPHAN, COMMITTED)


def _never_reached_the_destination() -> Snapshot:
    return _shop(COMMITTED)


def _given_up() -> Snapshot:
    failed = sketch.package(sketch.LATEST, "aborted", sketch.job(status="failed"))
    return _shop(ORPHAN, COMMITTED, packages=[failed])


def _some_appended_already() -> Snapshot:
    appended = sketch.table("events", "kind", disposition="append", merge_strategy=None)
    local = sketch.pipeline(tables=[sketch.table(), appended])
    there = Looks(unlisted=(UnlistedRows(dataset="shop", table="events", load_id=sketch.LATEST, rows=2),))
    return sketch.world(
        local, on=sketch.database({"shop.orders": 3, "shop.events": 2}, states=(ORPHAN, COMMITTED), looks=there)
    )


def _pending() -> Snapshot:
    return _shop(ORPHAN, COMMITTED, packages=[sketch.package(sketch.LATEST, "normalized", sketch.job(status="new"))])


def _committed() -> Snapshot:
    return _shop(sketch_states.stored_state(sketch.LATEST, 2, "6", 0), COMMITTED)


def _remote_is_newer() -> Snapshot:
    return _shop(sketch_states.stored_state(sketch.LATEST, 3, "9", 0), COMMITTED)


def _rewound() -> Snapshot:
    aborted = sketch.package(sketch.LATEST, "aborted", sketch.job(), can_rewind=True, state_version=2)
    local = sketch.pipeline(
        version=1, state={"cursors": COMMITTED.state.cursors if COMMITTED.state else ()}, packages=[aborted]
    )
    return sketch.world(local, on=sketch.database(states=(ORPHAN, COMMITTED)))


def _never_loaded() -> Snapshot:
    return sketch.world(on=sketch.database({"other.orders": 3}, states=(), loads=()))


def _dev_mode() -> Snapshot:
    return sketch.world(sketch.pipeline(state={"dev_mode": True}), on=sketch.database(states=(ORPHAN, COMMITTED)))


def _never_restored() -> Snapshot:
    off = sketch.setting("restore_from_destination", value=False)
    return sketch.world(on=sketch.database(states=(ORPHAN, COMMITTED)), settings=[off])


def _status_bumped() -> Snapshot:
    return _shop(sketch_states.stored_state(sketch.LATEST, 2, "6", 1), COMMITTED)


def _arrived() -> Snapshot:
    there = RowsAround(dataset="shop", table="orders", load_id=sketch.LATEST, rows=3, older=3)
    return _shop(ORPHAN, COMMITTED, around=(there,))


def _staged_only() -> Snapshot:
    return _shop(ORPHAN, COMMITTED, staged=(sketch.staged(),))


def _nothing_incremental() -> Snapshot:
    return sketch.world(sketch.pipeline(state={"cursors": ()}), on=sketch.database(states=(ORPHAN, COMMITTED)))


def _no_local_state() -> Snapshot:
    made = sketch.pipeline()
    stored = msgspec.structs.replace(made, origin="destination", working_dir=None)
    return sketch.world(stored, on=sketch.database(states=(ORPHAN, COMMITTED)))


def _shop(*states: StateRow, packages: Iterable[Package] = (), **facts: Any) -> Snapshot:
    return sketch.world(sketch.pipeline(packages=packages), on=sketch.database(states=states, **facts))


@check(
    "DD207",
    Severity.ERROR,
    sick=[_packages_removed, _never_reached_the_destination, _given_up, _some_appended_already],
    well=[
        _pending,
        _committed,
        _remote_is_newer,
        _rewound,
        _never_loaded,
        _dev_mode,
        _never_restored,
        _status_bumped,
        _arrived,
        _staged_only,
        _nothing_incremental,
        _no_local_state,
    ],
    url=f"{DLT_DOCS}/running-in-production/running#partially-loaded-packages",
)
def orphaned_cursor(
    pipelines: tuple[Pipeline, ...],
    routes: tuple[Route, ...],
    catalog: Catalog,
    config: Config,
    ledger: Ledger,
    source: Source | None = None,
) -> Iterable[Note]:
    seen = Snapshot(pipelines=pipelines, routes=routes, catalog=catalog, config=config, source=source)
    for pipeline in pipelines:
        database = catalog.database(pipeline.name)
        if database is None or not _is_comparable(pipeline, routes, database):
            continue
        stored = {r.load_id: r.status for r in database.states if r.status is not None}
        found = foresee(pipeline, seen, database, stored)
        if found is None or found.is_off or not found.is_known or not _is_ahead(pipeline, found, routes, database):
            continue
        gaps = tuple(_gaps(pipeline, found, database, ledger))
        if gaps:
            yield _note(pipeline, found, gaps, database, ledger)


def _is_comparable(pipeline: Pipeline, routes: Iterable[Route], database: Database) -> bool:
    """There is a whole local state, nothing waits to be loaded, and the destination knows the pipeline."""
    state, finals = pipeline.state, {w.final for w in routes if w.pipeline == pipeline.name}
    if pipeline.working_dir is None or state is None or state.partial or state.dev_mode or pipeline.pending:
        return False
    if any(dataset in finals for dataset, _ in database.unread):
        return False
    return knows(database, pipeline, finals) or not has_loaded(pipeline)


def _is_ahead(pipeline: Pipeline, found: Restoration, routes: Iterable[Route], database: Database) -> bool:
    """No load that was completed has stored this state, and the next run goes on from it in this dataset."""
    moves = any(w.next_final != w.final for w in routes if w.pipeline == pipeline.name)
    if moves or not found.is_local_ahead or not _is_readable(found.dataset, database):
        return False
    rows = of_pipeline(database, found.dataset, pipeline.name)
    done = [r.version for r in rows if r.status is not None or is_purged(r, pipeline, database)]
    return pipeline.state is not None and pipeline.state.version > max(done, default=0)


def _is_readable(dataset: str, database: Database) -> bool:
    own = [database.table(dataset, name) for name in ("_dlt_loads", "_dlt_pipeline_state")]
    return all(table is not None and table.readable for table in own)


def _gaps(pipeline: Pipeline, found: Restoration, database: Database, ledger: Ledger) -> Iterator[Gap]:
    """Cursors that are ahead, without those whose rows have arrived or are told of as staged."""
    rows = of_pipeline(database, found.dataset, pipeline.name)
    committed = next((r for r in rows if r.committed), None)
    newer = {r.load_id for r in unrecorded(rows)}
    arrived = {a.table for i in newer for a in rows_around(database, found.dataset, i) if a.rows}
    staged = {e.row.table for e in ledger.entries if e.row.pipeline == pipeline.name and _waits(e.row.verdict)}
    for gap in moved(pipeline.state, committed.state if committed else None):
        tables = {t.name for t in tables_of(gap.resource, pipeline.schemas)}
        is_back = gap.after is not None and is_less(gap.upto, gap.after)
        if not is_back and not tables & (arrived | staged):
            yield gap


def _waits(verdict: str) -> bool:
    return verdict in _WAITING


def _note(pipeline: Pipeline, found: Restoration, gaps: tuple[Gap, ...], database: Database, ledger: Ledger) -> Note:
    states = relation(found.dataset, "_dlt_pipeline_state")
    origin = pipeline.state.origin if pipeline.state else ""
    committed = f"load {found.load_id} with version {found.version}" if found.load_id else "no recorded load"
    begins = "; ".join(f"{g.resource} would begin after {g.upto.last_value}, loaded is {_loaded(g)}" for g in gaps[:3])
    return Note(
        message=f"the local state of {pipeline.name} is ahead of what was loaded, and no package waits: {begins}",
        pipeline=pipeline.name,
        dataset=found.dataset,
        evidence=(
            Evidence(f"state version {found.local_version}", origin),
            Evidence(f"the newest committed state is of {committed}", states),
            *(
                Evidence(f"the next run would skip {g.resource}.{g.path} in ({_begin(g)}, {g.upto.last_value}]", origin)
                for g in gaps
            ),
        ),
        remedy=_remedy(pipeline, found, gaps, database, ledger),
    )


def _loaded(gap: Gap) -> str:
    return f"only up to {gap.after.last_value}" if gap.after else "nothing"


def _begin(gap: Gap) -> str:
    return gap.after.last_value or "" if gap.after else "none"


def _remedy(
    pipeline: Pipeline, found: Restoration, gaps: tuple[Gap, ...], database: Database, ledger: Ledger
) -> Remedy:
    name = pipeline.name
    waiting = [e for e in ledger.entries if e.row.pipeline == name and _waits(e.row.verdict)]
    if waiting:
        what = "Let the staged rows reach their tables first (DD201); do not run the pipeline before"
        return Remedy(what, "manual", command("dltdoctor", "fix", name, "--migrate"))
    for objection in of_restoration(pipeline, found):
        what = f"Do not run the pipeline. A wipe of the working dir is not the cure here: {objection.reason}"
        return Remedy(what, "manual", objection.command or command("dltdoctor", "clean-cache", name, "--dry-run"))
    kept = [p for p in pipeline.packages if p.load_id > (found.load_id or "") and _holds(p, pipeline, gaps)]
    if kept:
        return Remedy(
            f"Do not run the pipeline: the package of {moment(kept[0].load_id)} holds the rows. When the source still has them, "
            "archive and remove the working dir, and the next run reads them again",
            "unsafe",
            command("dltdoctor", "clean-cache", name, "--unsafe"),
        )
    doubled = _doubled(pipeline, found, database)
    return _delete_first(pipeline, doubled) if doubled else wipe(name)


def _delete_first(pipeline: Pipeline, doubled: list[UnlistedRows]) -> Remedy:
    roots = {t.root for s in pipeline.schemas for t in s.data_tables if t.is_nested}
    tables = listed(relation(d.dataset, d.table) for d in doubled)
    has_nested = any(d.table in roots for d in doubled)
    deletes = (
        f"DELETE FROM {relation(d.dataset, d.table)} WHERE _dlt_load_id = {literal(d.load_id)};" for d in doubled
    )
    return Remedy(
        f"Do not run the pipeline. Delete the {count(sum(d.rows for d in doubled), 'row')} of the unfinished load in "
        f"{tables} first{', with what is nested in them' if has_nested else ''}: the next run appends them again. "
        f"Then: {command('dltdoctor', 'fix', pipeline.name)}",
        "manual",
        command("dltdoctor", "where", doubled[0].table) if has_nested else " ".join(deletes),
    )


def _holds(package: Package, pipeline: Pipeline, gaps: tuple[Gap, ...]) -> bool:
    tables = {t.name for gap in gaps for t in tables_of(gap.resource, pipeline.schemas)}
    return any(not j.is_followup for j in package.jobs_of(*tables))


def _is_keyless(table: SchemaTable) -> bool:
    return table.disposition == "merge" and not (table.primary_key or table.merge_keys)


def _doubled(pipeline: Pipeline, found: Restoration, database: Database) -> list[UnlistedRows]:
    """Rows of newer loads that nobody recorded, in tables to which the next run appends them again."""
    appended = {
        t.name
        for s in pipeline.schemas
        for t in s.data_tables
        if not t.is_nested and (t.disposition == "append" or _is_keyless(t))
    }
    after = found.load_id or ""
    mine = [u for u in database.looks.unlisted if u.dataset == found.dataset and u.table in appended]
    return [u for u in mine if u.load_id > after]
