"""The load packages of a working dir, by what would be lost with them."""

from collections.abc import Mapping

from dltdoctor.ledger import Ledger
from dltdoctor.snapshot import Database, Package, Pipeline, Value
from dltdoctor.verdict import load_time


class Shelf(Value):
    """Packages by state; every package is in one of the first four.

    `failed` were aborted, or loaded with failed jobs (dlt before 1.0). Of them, `sole_copies` have rows
    that are not known to have arrived or to be read again. Of the `completed`, `committed` are recorded in
    the destination, and `unrecorded` should be but are not.
    """

    completed: tuple[Package, ...] = ()
    pending: tuple[Package, ...] = ()
    failed: tuple[Package, ...] = ()
    extracted: tuple[Package, ...] = ()
    sole_copies: tuple[Package, ...] = ()
    committed: tuple[Package, ...] = ()
    unrecorded: tuple[Package, ...] = ()


def sorted_out(pipeline: Pipeline, ledger: Ledger, recorded: Mapping[str, int], database: Database | None) -> Shelf:
    """The shelf of a pipeline; without a database nothing counts as committed or as missing there."""
    packages = pipeline.packages
    failed = tuple(p for p in packages if p.stage == "aborted" or (p.stage == "loaded" and _has_failed_jobs(p)))
    completed = tuple(p for p in packages if p.stage == "loaded" and p not in failed)
    false = {
        v.staged.load_id
        for e in ledger.entries
        if e.row.pipeline == pipeline.name
        for v in e.loads_with("false-commit")
    }
    oldest = min((s.oldest for s in database.loads), default=0.0) if database else 0.0
    return Shelf(
        completed=completed,
        pending=tuple(p for p in packages if p.stage == "normalized"),
        failed=failed,
        extracted=tuple(p for p in packages if p.stage in ("extracted", "new")),
        sole_copies=tuple(
            p for p in failed if has_rows(p) and not _has_arrived(p, recorded, false) and not _is_rewound(p, pipeline)
        ),
        committed=tuple(p for p in completed if p.load_id in recorded and p.load_id not in false),
        unrecorded=tuple(
            p
            for p in completed
            if database and has_rows(p) and p.load_id not in recorded and (load_time(p.load_id) or 0.0) >= oldest
        ),
    )


def has_rows(package: Package) -> bool:
    """Whether the package has files with rows of the user's tables."""
    return any(not j.is_followup and not j.table.startswith("_dlt_") for j in package.jobs)


def _has_failed_jobs(package: Package) -> bool:
    return any(j.status == "failed" for j in package.jobs)


def _has_arrived(package: Package, recorded: Mapping[str, int], false: set[str | None]) -> bool:
    """Recorded, as `fix --migrate` does at the end, and no file of rows was left behind."""
    left_behind = any(j.status != "completed" and not j.is_followup for j in package.jobs)
    return package.load_id in recorded and package.load_id not in false and not left_behind


def _is_rewound(package: Package, pipeline: Pipeline) -> bool:
    """From 1.30 on an abort restores the cursor: the rows are read again, or were by a later load."""
    if package.stage != "aborted" or not package.can_rewind:
        return False
    if package.state_version is None:
        return True
    state = pipeline.state
    later = [p.state_version for p in pipeline.packages if p.load_id > package.load_id and p.state_version is not None]
    is_behind = state is not None and state.version < package.state_version
    return is_behind or any(version <= package.state_version for version in later)
