"""Final rows of a load that was never completed.

The load stopped after some of its tables had been filled, and nothing is going to finish it. dlt writes the
row of `_dlt_loads` last, so these rows have a load id that it does not list.

*Why it matters.* Readers see a part of a load. When the source is read again from before it, an append loads
the same rows a second time; when the cursor has moved on, these rows are all that will ever arrive.

*Fix safety.* Nothing is done by itself: whether the rows are wanted depends on what the source will be asked for
next. The command sets them aside in tables of their own and removes them from the final tables, in one transaction.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.deduced.chains import below, can_be_followed, nested_first
from dltdoctor.deduced.wedges import wedged_loads
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.ledger import Ledger
from dltdoctor.snapshot import (
    Activity,
    Catalog,
    Database,
    Looks,
    Package,
    Pipeline,
    Route,
    Schema,
    Snapshot,
    UnlistedRows,
)
from dltdoctor.verdict import StagedVerdict, Verdict, load_time
from dltdoctor.words import count, listed, literal, moment, relation

AN_HOUR, A_DAY = 3600.0, 86_400.0
WAITING: tuple[Verdict, ...] = ("resumable", "in-flight", "false-commit")


class _Writer(NamedTuple):
    """A pipeline that loads into a table, with the schema that knows it."""

    pipeline: Pipeline
    route: Route
    schema: Schema


def _partly_loaded(load_id: str = sketch.LATEST, stage: str = "aborted", **changes: Any) -> Snapshot:
    table = sketch.table("orders", "amount", disposition="append", merge_strategy=None)
    packages = [sketch.package(load_id, stage, sketch.job())] if stage else []
    seen = UnlistedRows(dataset="shop", table="orders", load_id=load_id, rows=3, **changes)
    return sketch.world(
        sketch.pipeline(tables=[table], packages=packages),
        on=sketch.database({"shop.orders": 6}, looks=Looks(unlisted=(seen,))),
    )


def _without_package() -> Snapshot:
    """A load on another machine, a day ago."""
    return _partly_loaded(stage="")


def _pending() -> Snapshot:
    return _partly_loaded(stage="normalized")


def _ledger_purged() -> Snapshot:
    """Older than the oldest row of `_dlt_loads`, which somebody keeps short."""
    return _partly_loaded("1599999999.0")


def _copied_from_another_dataset() -> Snapshot:
    return _partly_loaded(listed_in=("shop_of_old",))


def _not_dlts_load_id() -> Snapshot:
    return _partly_loaded("nightly", stage="")


def _young() -> Snapshot:
    return _partly_loaded(f"{sketch.NOW - 300}", stage="")


def _running_elsewhere() -> Snapshot:
    busy = Activity(sessions_by_role={"loader": 1})
    seen = UnlistedRows(dataset="shop", table="orders", load_id=f"{sketch.NOW - 7200}", rows=3)
    return sketch.world(on=sketch.database({"shop.orders": 6}, looks=Looks(unlisted=(seen,)), activity=busy))


def _merge_is_stranded() -> Snapshot:
    """Another table of the load did not arrive: DD201 says so, and its repair records the load."""
    return _stranded(sketch.package(sketch.LATEST, "aborted", sketch.job()))


def _stranded_without_package() -> Snapshot:
    """The repair of DD201 cannot know that all of the load has arrived, and does not record it."""
    return _stranded()


def _stranded(*packages: Package) -> Snapshot:
    events = sketch.table("events", disposition="append", merge_strategy=None)
    seen = UnlistedRows(dataset="shop", table="events", load_id=sketch.LATEST, rows=3)
    return sketch.world(
        sketch.pipeline(tables=[sketch.table("orders", "amount"), events], packages=packages),
        on=sketch.database(staged=(sketch.staged(),), looks=Looks(unlisted=(seen,))),
    )


def _brought_from_staging() -> Snapshot:
    """The staged rows were merged by a repair that could not record the load: DD201 was about them."""
    seen = UnlistedRows(dataset="shop", table="orders", load_id=sketch.LATEST, rows=3)
    return sketch.world(on=sketch.database(staged=(sketch.staged(arrived=3),), looks=Looks(unlisted=(seen,))))


@check(
    "DD205",
    Severity.WARNING,
    sick=[_partly_loaded, _without_package, _stranded_without_package],
    well=[
        _pending,
        _ledger_purged,
        _copied_from_another_dataset,
        _not_dlts_load_id,
        _young,
        _running_elsewhere,
        _merge_is_stranded,
        _brought_from_staging,
        sketch.world,
    ],
    url=f"{DLT_ISSUES}/4023",
)
def uncommitted_final_rows(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog, ledger: Ledger
) -> Iterable[Note]:
    said = {load.staged.load_id for e in ledger.entries for load in e.loads if _is_said(load)}
    merged = {(v.staged.final, v.staged.table, v.staged.load_id) for e in ledger.entries for v in e.loads}
    for database in catalog.databases:
        here = [p for p in pipelines if catalog.of_pipeline.get(p.name) == database.target.key]
        quiet = said.union(*(wedged_loads(p, routes, catalog) for p in here))
        by_load: dict[tuple[str, str], list[UnlistedRows]] = defaultdict(list)
        for rows in database.looks.unlisted:
            writers = _writers(rows, here, routes)
            if (rows.dataset, rows.table, rows.load_id) in merged:
                continue
            if writers and rows.load_id not in quiet and _is_over(rows, writers, database):
                by_load[rows.dataset, rows.load_id].append(rows)
        for (_, load_id), found in by_load.items():
            yield _note(found, _loader(load_id, _writers(found[0], here, routes), database), database)


def _is_said(load: StagedVerdict) -> bool:
    """Another finding is about the load, and what cures it records the load, too."""
    return load.verdict in WAITING or (load.verdict == "stranded" and load.package is not None)


def _writers(rows: UnlistedRows, pipelines: Iterable[Pipeline], routes: Iterable[Route]) -> list[_Writer]:
    """The pipelines that load into the table, each by the schema that knows it."""
    named = {p.name: p for p in pipelines}
    found: dict[str, _Writer] = {}
    for way in routes:
        schema = named[way.pipeline].schema(way.schema) if way.pipeline in named else None
        if schema and way.final == rows.dataset and schema.table(rows.table):
            found.setdefault(way.pipeline, _Writer(named[way.pipeline], way, schema))
    return list(found.values())


def _is_over(rows: UnlistedRows, writers: list[_Writer], database: Database) -> bool:
    """No row of `_dlt_loads` is missing on purpose, and nothing is going to add one."""
    began = load_time(rows.load_id)
    mine = {w.route.schema for w in writers}
    loads = [s for s in database.loads if s.dataset == rows.dataset and s.schema_name in mine]
    if began is None or rows.listed_in or not loads or began < min(s.oldest for s in loads):
        return False
    packages = [p for w in writers if (p := w.pipeline.package(rows.load_id))]
    if packages:
        return not any(p.is_pending for p in packages)
    if began < max(load_time(s.newest_load_id) or 0.0 for s in loads):
        return True  # dlt loads one package after the other: another one has been completed since
    table = database.table(rows.dataset, rows.table)
    is_connected = table is not None and table.owner in database.activity.sessions_by_role
    is_locked = any(schema == rows.dataset for schema, _ in database.activity.locked)
    age = database.read_at - began
    return not is_locked and age > (A_DAY if is_connected else AN_HOUR)


def _loader(load_id: str, writers: list[_Writer], database: Database) -> _Writer:
    """Whose load it was: who has its package, or stored a state with it, or just the first who may."""
    stored = {s.pipeline_name for s in database.states if s.load_id == load_id}
    return max(writers, key=lambda w: (w.pipeline.package(load_id) is not None, w.pipeline.name in stored))


def _note(found: list[UnlistedRows], writer: _Writer, database: Database) -> Note:
    dataset, load_id = found[0].dataset, found[0].load_id
    places = listed(f"{_rows(r)} in {relation(dataset, r.table)}" for r in found)
    package = writer.pipeline.package(load_id)
    return Note(
        message=f"the load of {moment(load_id)} was never completed, and left {places}",
        pipeline=writer.pipeline.name,
        dataset=dataset,
        table=found[0].table if len(found) == 1 else None,
        evidence=(
            *(
                Evidence(
                    f"{_rows(r)} of load {load_id}",
                    f"select count(*) from {relation(dataset, r.table)} where _dlt_load_id = {literal(load_id)}",
                )
                for r in found
            ),
            Evidence("no row for this load", relation(dataset, "_dlt_loads")),
            *([Evidence(f"the package is {package.stage}", package.path)] if package else []),
        ),
        remedy=Remedy(
            "When the source is read again from before this load, set its rows aside first, or an append has them "
            "twice. When it is not, keep them: they are the only copy",
            "manual",
            _set_aside(found, writer, database),
        ),
        identity=load_id,
    )


def _rows(rows: UnlistedRows) -> str:
    return f"{'' if rows.exact else 'at least '}{count(rows.rows, 'row')}"


def _set_aside(found: list[UnlistedRows], writer: _Writer, database: Database) -> str:
    """The rows of the load, and what is nested in them, copied and deleted in one transaction."""
    copies: list[str] = []
    deletions: list[str] = []
    for rows in found:
        chain = nested_first(writer.schema, rows.table, database, rows.dataset)
        root = writer.schema.table(rows.table)
        tables = chain if can_be_followed(chain, database, rows.dataset) else (root,) if root else ()
        of_load = f"_dlt_load_id = {literal(rows.load_id)}"
        for table in tables:
            place = relation(rows.dataset, table.name)
            aside = relation(rows.dataset, f"{table.name[:40]}_of_{rows.load_id.partition('.')[0]}")
            condition = below(writer.schema, table, of_load, dataset=rows.dataset)
            copies.append(f"CREATE TABLE {aside} AS SELECT * FROM {place} WHERE {condition};")
            deletions.append(f"DELETE FROM {place} WHERE {condition};")
    return "\n".join(["BEGIN;", *copies, *deletions, "COMMIT;"])
