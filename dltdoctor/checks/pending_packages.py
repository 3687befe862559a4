"""Extracted data waits on this machine and is not in the destination.

A package was extracted or normalised and never loaded. The next `run()` loads it first, and then exits
without extracting anything new.

*Why it matters.* A run that only finishes old packages looks like "no new data". While the package waits,
it may be the only copy of its rows: do not delete the working dir.

*Fix safety.* dlt itself loads the package.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.checks.in_flight_load import running
from dltdoctor.checks.resumable_load import half_way
from dltdoctor.deduced.merge_statement import cannot_be_finished, delete_insert_instead, merged_so
from dltdoctor.deduced.wedges import wedged_loads
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.ledger import Ledger
from dltdoctor.remedies import resume
from dltdoctor.snapshot import Activity, Catalog, Database, Package, Pipeline, Route, Snapshot
from dltdoctor.words import count, listed, moment


def _extracted() -> Snapshot:
    return sketch.world(
        sketch.pipeline(packages=[sketch.package(sketch.LATEST, "extracted", sketch.job(status="new"))]),
        on=sketch.database(),
    )


def _half_way() -> Snapshot:
    merge = sketch.job(kind="sql", status="new", error="permission denied")
    return sketch.world(
        sketch.pipeline(packages=[sketch.package(sketch.LATEST, "normalized", sketch.job(), merge)]),
        on=sketch.database(staged=(sketch.staged(),)),
    )


def _running_now() -> Snapshot:
    fresh = sketch.package(sketch.LATEST, "extracted", sketch.job(status="new"), is_fresh=True)
    return sketch.world(sketch.pipeline(packages=[fresh]), on=sketch.database())


def _being_normalised() -> Snapshot:
    extracted = sketch.package(sketch.LATEST, "extracted", sketch.job(status="new"))
    fresh = sketch.package(sketch.LATEST, "new", sketch.job(status="new"), is_fresh=True)
    return sketch.world(sketch.pipeline(packages=[extracted, fresh]), on=sketch.database())


def _one_long_job() -> Snapshot:
    busy = Activity(locked=frozenset({("shop", "orders")}))
    package = sketch.package(sketch.LATEST, "normalized", sketch.job(status="started"))
    return sketch.world(sketch.pipeline(packages=[package]), on=sketch.database(activity=busy))


@check(
    "DD206",
    Severity.WARNING,
    sick=[_extracted],
    well=[_half_way, _running_now, _being_normalised, _one_long_job, sketch.world],
    url=f"{DLT_ISSUES}/3227",
)
def pending_packages(
    pipelines: tuple[Pipeline, ...],
    routes: tuple[Route, ...],
    ledger: Ledger | None = None,
    catalog: Catalog | None = None,
) -> Iterable[Note]:
    for pipeline in pipelines:
        wedged = wedged_loads(pipeline, routes, catalog)
        waiting = [
            p
            for p in pipeline.pending
            if not p.is_fresh and p.load_id not in wedged and not (ledger and half_way(ledger, pipeline.name, p))
        ]
        # At work on one package, dlt has the others in its queue.
        if waiting and not any(running(pipeline, routes, catalog)):
            yield _note(pipeline, waiting, catalog.database(pipeline.name) if catalog else None)


def _note(pipeline: Pipeline, waiting: list[Package], database: Database | None) -> Note:
    tables = sorted({j.table for p in waiting for j in p.jobs if not j.table.startswith("_dlt_")})
    dataset = pipeline.state.dataset_name if pipeline.state else None
    errors = [j for p in waiting for j in p.jobs if j.error]
    return Note(
        message=f"{_packages(waiting)} on this machine, not loaded, with rows of {listed(tables) or 'no table'}: "
        "the next run loads that first and extracts nothing new",
        pipeline=pipeline.name,
        dataset=dataset,
        evidence=(
            *(Evidence(f"{p.stage}, not loaded", p.path) for p in waiting[:5]),
            *(Evidence(f"{j.table}: {j.error}", j.path) for j in errors[:2]),
        ),
        remedy=_remedy(pipeline, waiting, database),
    )


def _remedy(pipeline: Pipeline, waiting: list[Package], database: Database | None) -> Remedy:
    stuck = next((p for p in waiting if cannot_be_finished(p, pipeline, database)), None)
    if stuck:
        return delete_insert_instead(pipeline, merged_so(stuck.schema or pipeline.schema(stuck.schema_name)))
    return resume(pipeline.name, "Let dlt load what is pending")


def _packages(waiting: list[Package]) -> str:
    oldest = moment(min(p.load_id for p in waiting))
    if len(waiting) == 1:
        return f"the load package of {oldest} waits"
    return f"{count(len(waiting), 'load package')} wait, the oldest of {oldest},"
