"""A load is running right now.

Its staged rows are not in the final table yet, as it should be: another session has the tables locked
for writing, the package was written to within the last minute, or the load is young and its role is connected.

*Why it matters.* Looked at in this moment a healthy load looks like a stranded one. Look again when
it is over.

*Fix safety.* There is nothing to repair, and every repair refuses while a load is running.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import Note, check
from dltdoctor.finding import Evidence, Severity
from dltdoctor.ledger import Ledger
from dltdoctor.snapshot import Activity, Catalog, Package, Pipeline, Route, Snapshot
from dltdoctor.verdict import StagedVerdict
from dltdoctor.words import count, moment, relation


def _locked() -> Snapshot:
    busy = Activity(locked=frozenset({("shop_staging", "orders")}))
    return sketch.world(on=sketch.database(staged=(sketch.staged(),), activity=busy))


def _fresh_package() -> Snapshot:
    fresh = sketch.package(sketch.LATEST, "normalized", sketch.job(status="started"), is_fresh=True)
    return sketch.world(sketch.pipeline(packages=[fresh]), on=sketch.database(staged=(sketch.staged(),)))


def _one_long_job() -> Snapshot:
    """The package's files do not change while Postgres works on one of them."""
    busy = Activity(locked=frozenset({("shop", "orders")}))
    package = sketch.package(sketch.LATEST, "normalized", sketch.job(status="started"))
    return sketch.world(sketch.pipeline(packages=[package]), on=sketch.database(activity=busy))


def _old_and_quiet() -> Snapshot:
    return sketch.world(on=sketch.database(staged=(sketch.staged(),)))


@check("DD210", Severity.INFO, sick=[_locked, _fresh_package, _one_long_job], well=[_old_and_quiet, sketch.world])
def in_flight_load(
    pipelines: tuple[Pipeline, ...],
    routes: tuple[Route, ...],
    ledger: Ledger | None = None,
    catalog: Catalog | None = None,
) -> Iterable[Note]:
    told: set[tuple[str, str]] = set()
    for entry in ledger.entries if ledger else ():
        for load in entry.loads_with("in-flight"):
            key = (entry.row.pipeline, load.staged.load_id or entry.row.table)
            if key not in told:
                told.add(key)
                place = relation(load.staged.staging, entry.row.table)
                yield Note(
                    message=f"{_load(load)} seems to be running ({load.why}): its staged rows are on their way. "
                    "Look again when it is over",
                    pipeline=entry.row.pipeline,
                    dataset=entry.row.final.dataset,
                    table=entry.row.table,
                    evidence=(
                        Evidence(load.why, load.package.path if load.package else "pg_locks, pg_stat_activity"),
                        Evidence(f"{count(load.staged.rows, 'row')} staged", place),
                    ),
                    identity=load.staged.load_id or "",
                )
    for pipeline in pipelines:
        for package, sign in running(pipeline, routes, catalog):
            if (pipeline.name, package.load_id) not in told:
                told.add((pipeline.name, package.load_id))  # while dlt normalises, a package has two places
                yield Note(
                    message=f"the load of {moment(package.load_id)} is being prepared or loaded right now",
                    pipeline=pipeline.name,
                    evidence=(Evidence(sign, package.path),),
                    identity=package.load_id,
                )


def running(pipeline: Pipeline, routes: Iterable[Route], catalog: Catalog | None) -> Iterable[tuple[Package, str]]:
    """Pending packages at which somebody is at work, and what says so."""
    database = catalog.database(pipeline.name) if catalog else None
    datasets = {name for w in routes if w.pipeline == pipeline.name for name in (w.final, w.examined_staging)}
    written = {t: s for s, t in sorted(database.activity.locked) if s in datasets} if database else {}
    for package in pipeline.pending:
        locked = next((j.table for j in package.jobs if j.table in written), None)
        if package.is_fresh and not package.failures:
            yield package, "its package was written to within the last minute"
        elif locked is not None and package.stage == "normalized":
            yield package, f"another session is writing {relation(written[locked], locked)}"


def _load(verdict: StagedVerdict) -> str:
    load_id = verdict.staged.load_id
    return f"the load of {moment(load_id)}" if load_id else "a load"
