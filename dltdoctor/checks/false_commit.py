"""dlt recorded the load as done, and its rows never left staging.

Before 1.0 dlt did not raise when a job failed (`raise_on_failed_jobs` was off, and still can be switched
off): it wrote the row into `_dlt_loads` and went on. Where a newer dlt wrote the dataset and no load package
tells what happened, it is only a remark: the rows were most likely deleted by hand.

*Why it matters.* The ledger says that all is well. Readers see old rows, and the next load truncates
the staged ones.

*Fix safety.* `fix --migrate` runs dlt's own merge for these rows in one transaction. It is unsafe where
no load package proves that the staged rows are the whole load.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.finding import Evidence, Severity
from dltdoctor.ledger import Entry, Ledger
from dltdoctor.remedies import migrate
from dltdoctor.snapshot import Snapshot, StagedLoad
from dltdoctor.verdict import StagedVerdict
from dltdoctor.words import count, moment, relation


def _silent_failure() -> Snapshot:
    failed = sketch.job(kind="sql", status="failed", error="permission denied for table orders")
    load = sketch.staged(committed_in=("shop",))
    return sketch.world(
        sketch.pipeline(packages=[sketch.package(sketch.LATEST, "loaded", sketch.job(), failed)]),
        on=sketch.database(staged=(load,)),
    )


def _no_package() -> Snapshot:
    return sketch.world(on=sketch.database(staged=(sketch.staged(committed_in=("shop",)),)))


def _rows_deleted_elsewhere() -> Snapshot:
    """From dlt 1.0 on, deleted by hand is far more likely than never merged."""
    load = sketch.staged(committed_in=("shop",))
    return sketch.world(sketch.pipeline(engine_version=11), on=sketch.database(staged=(load,)))


def _rows_deleted_since() -> Snapshot:
    merged = sketch.package(sketch.LATEST, "loaded", sketch.job(), sketch.job(kind="sql"))
    load = sketch.staged(committed_in=("shop",))
    return sketch.world(sketch.pipeline(packages=[merged]), on=sketch.database(staged=(load,)))


def _replaced_by_newer_load() -> Snapshot:
    return sketch.world(on=sketch.database(staged=(sketch.staged(committed_in=("shop",), superseded=3),)))


@check(
    "DD203",
    Severity.ERROR,
    Severity.INFO,
    sick=[_silent_failure, _no_package, _rows_deleted_elsewhere],
    well=[_rows_deleted_since, _replaced_by_newer_load, sketch.world],
    url=f"{DLT_ISSUES}/1749",
)
def false_commit(ledger: Ledger) -> Iterable[Note]:
    for entry in ledger.entries:
        if entry.row.parent is None:
            for load in entry.loads_with("false-commit"):
                yield _note(entry, load)
            for load in entry.loads_with("unknown"):
                if load.note == "vanished":
                    yield _vanished(entry, load)


def _evidence(entry: Entry, staged: StagedLoad) -> list[Evidence]:
    final = relation(staged.final, entry.row.table)
    return [
        Evidence(f"load {staged.load_id} is recorded as loaded", relation(staged.final, "_dlt_loads")),
        Evidence(
            f"{staged.arrived} of {count(staged.sampled, 'staged row')} looked up are in {final}", "compared by _dlt_id"
        ),
    ]


def _vanished(entry: Entry, load: StagedVerdict) -> Note:
    staged, row = load.staged, entry.row
    return Note(
        message=f"the rows of the load of {moment(staged.load_id or '')} are not in {relation(staged.final, row.table)} "
        "any more: somebody deleted them since, or dlt ran with raise_on_failed_jobs = false and never merged them",
        severity=Severity.INFO,
        pipeline=row.pipeline,
        dataset=row.final.dataset,
        table=row.table,
        evidence=tuple(_evidence(entry, staged)),
        identity=staged.load_id or "",
    )


def _note(entry: Entry, load: StagedVerdict) -> Note:
    staged, row = load.staged, entry.row
    evidence = _evidence(entry, staged)
    failures = [j for j in (load.package.jobs_of(row.table) if load.package else ()) if j.status == "failed"]
    evidence += [Evidence(f"{j.table}.{j.format} failed: {j.error}", j.path) for j in failures]
    return Note(
        message=f"the load of {moment(staged.load_id or '')} is recorded as done, but its "
        f"{count(staged.rows, 'row', exact=staged.exact)} are only in {relation(staged.staging, row.table)}",
        pipeline=row.pipeline,
        dataset=row.final.dataset,
        table=row.table,
        evidence=tuple(evidence),
        remedy=migrate(
            row.pipeline,
            safety="safe" if failures else "unsafe",
            because=""
            if failures
            else "without the load package nothing proves that the staged rows are the whole load",
        ),
        identity=staged.load_id or "",
    )
