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

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.ahead import remedy
from dltdoctor.deduced.restore import Restoration, foresee
from dltdoctor.deduced.stored_states import (
    Gap,
    histories,
    is_less,
    is_purged,
    moved,
    rows_around,
    tables_of,
    unrecorded,
)
from dltdoctor.deduced.strangers import has_loaded, knows
from dltdoctor.finding import Evidence, Severity
from dltdoctor.ledger import Ledger
from dltdoctor.sketch import states
from dltdoctor.snapshot import (
    Catalog,
    Config,
    Database,
    Looks,
    Package,
    Pipeline,
    Route,
    RowsAround,
    Snapshot,
    Source,
    StateRow,
    UnlistedRows,
)
from dltdoctor.words import relation

_WAITING = ("stranded", "resumable", "false-commit", "in-flight")
COMMITTED = states.stored_state(sketch.LOADED, 1, "3", 0)
ORPHAN = states.stored_state(sketch.LATEST, 2, "6", None)


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
    return _shop(states.stored_state(sketch.LATEST, 2, "6", 0), COMMITTED)


def _remote_is_newer() -> Snapshot:
    return _shop(states.stored_state(sketch.LATEST, 3, "9", 0), COMMITTED)


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
    return _shop(states.stored_state(sketch.LATEST, 2, "6", 1), COMMITTED)


def _arrived() -> Snapshot:
    there = RowsAround(dataset="shop", table="orders", load_id=sketch.LATEST, rows=3, older=3)
    return _shop(ORPHAN, COMMITTED, around=(there,))


def _staged_only() -> Snapshot:
    return _shop(ORPHAN, COMMITTED, staged=(sketch.staged(),))


def _states_removed() -> Snapshot:
    return _shop()


def _loaded_by_its_package() -> Snapshot:
    return _shop(COMMITTED, packages=[sketch.package(sketch.LATEST, "loaded", sketch.job(), state_version=2)])


def _never_stored() -> Snapshot:
    """The run had restore_from_destination = false in its environment."""
    return sketch.world(sketch.pipeline(state={"was_extracted": False}), on=sketch.database(states=(COMMITTED,)))


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
        _states_removed,
        _loaded_by_its_package,
        _never_stored,
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
    stored = {d.target.key: histories(d) for d in catalog.databases}
    for pipeline in pipelines:
        database = catalog.database(pipeline.name)
        if database is None or not _is_comparable(pipeline):
            continue
        ways = seen.routes_of(pipeline.name)
        mine = stored[database.target.key]
        rows = tuple(r for way in dict.fromkeys(w.final for w in ways) for r in mine.get((way, pipeline.name), ()))
        if not _is_ahead(pipeline, rows, database) or not _is_known(pipeline, ways, database):
            continue
        recorded = {r.load_id: r.status for r in rows if r.status is not None}
        found = foresee(pipeline, seen, database, recorded)
        if found is None or found.is_off or not found.is_known or not _is_readable(found.dataset, database):
            continue
        rows = mine.get((found.dataset, pipeline.name), ())
        gaps = tuple(_gaps(pipeline, rows, database, ledger)) if found.is_local_ahead else ()
        if gaps:
            yield _note(pipeline, found, gaps, database, ledger)


def _is_comparable(pipeline: Pipeline) -> bool:
    """There is a whole local state that dlt means to store, and nothing waits to be loaded."""
    state = pipeline.state
    if pipeline.working_dir is None or state is None or state.partial or state.dev_mode:
        return False
    return state.was_extracted is not False and not pipeline.pending


def _is_ahead(pipeline: Pipeline, rows: tuple[StateRow, ...], database: Database) -> bool:
    """No load that was completed has stored this state, by what is stored and by the packages that are kept."""
    if not rows and {s.name for s in pipeline.schemas} & {s.schema_name for s in database.loads}:
        return False  # every first load stores a state: somebody has removed them
    done = [r.version for r in rows if r.status is not None or is_purged(r, pipeline, database)]
    done += [p.state_version or 0 for p in pipeline.packages if p.stage == "loaded" and not p.failures]
    return pipeline.state is not None and pipeline.state.version > max(done, default=0)


def _is_known(pipeline: Pipeline, ways: tuple[Route, ...], database: Database) -> bool:
    """The destination could be read, knows the pipeline, and the next run goes on in the same dataset."""
    finals = {w.final for w in ways}
    if any(w.next_final != w.final for w in ways) or any(dataset in finals for dataset, _ in database.unread):
        return False
    return knows(database, pipeline, finals) or not has_loaded(pipeline)


def _is_readable(dataset: str, database: Database) -> bool:
    own = [database.table(dataset, name) for name in ("_dlt_loads", "_dlt_pipeline_state")]
    return all(table is not None and table.readable for table in own)


def _gaps(pipeline: Pipeline, rows: tuple[StateRow, ...], database: Database, ledger: Ledger) -> Iterator[Gap]:
    """Cursors that are ahead, without those whose rows have arrived or are told of as staged."""
    committed = next((r for r in rows if r.committed), None)
    arrived = {a.table for r in unrecorded(rows) for a in rows_around(database, r.dataset, r.load_id) if a.rows}
    staged = {e.row.table for e in ledger.entries if e.row.pipeline == pipeline.name and _waits(e.row.verdict)}
    for gap in moved(pipeline.state, committed.state if committed else None):
        tables = {t.name for t in tables_of(gap.resource, pipeline.schemas)}
        is_back = gap.after is not None and is_less(gap.upto, gap.after)
        if not is_back and not tables & (arrived | staged):
            yield gap


def _has_staged(pipeline: Pipeline, ledger: Ledger) -> bool:
    return any(e.row.pipeline == pipeline.name and _waits(e.row.verdict) for e in ledger.entries)


def _waits(verdict: str) -> bool:
    return verdict in _WAITING


def _note(pipeline: Pipeline, found: Restoration, gaps: tuple[Gap, ...], database: Database, ledger: Ledger) -> Note:
    states = relation(found.dataset, "_dlt_pipeline_state")
    origin = pipeline.state.origin if pipeline.state else ""
    committed = f"load {found.load_id} with version {found.version}" if found.load_id else "no recorded load"
    skipped = "; ".join(f"{g.resource} with {g.path} {_after(g)}up to {g.upto.last_value}" for g in gaps[:3])
    return Note(
        message=f"the next run would skip {skipped}: the local cursor is ahead of what was loaded, and no package waits",
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
        remedy=remedy(pipeline, found, gaps, database, has_staged=_has_staged(pipeline, ledger)),
    )


def _after(gap: Gap) -> str:
    return f"after {gap.after.last_value} " if gap.after else ""


def _begin(gap: Gap) -> str:
    return gap.after.last_value or "" if gap.after else "none"
