"""The verdict on the staged rows of one load in one table, with the reason in a sentence.

The `_dlt_loads` table alone is no proof that a merge happened: dlt before 1.0 recorded loads whose
merge had failed, and a crash can come between the merge and the record. So a verdict weighs three
witnesses: the record, a sample of staged rows looked up in the final table, and the load package.
"""

from typing import Literal

from dltdoctor.snapshot import Database, Package, Pipeline, Route, SchemaTable, StagedLoad, Value

Verdict = Literal[
    "healthy",
    "leftover",
    "stranded",
    "resumable",
    "in-flight",
    "false-commit",
    "missing",
    "hidden",
    "unknown",
]

# The worse verdict names the row when its loads differ.
RANK: dict[Verdict, int] = {
    "healthy": 0,
    "leftover": 1,
    "unknown": 2,
    "in-flight": 3,
    "missing": 4,
    "resumable": 5,
    "hidden": 6,
    "false-commit": 7,
    "stranded": 8,
}

# A running load holds a session of its role, except for a moment between two jobs.
YOUNG_LOAD_SECONDS = 600.0

# Schemas of this engine are written by dlt 1.0 and newer, which records no load with a failed job.
RAISES_SINCE_ENGINE = 10

Remark = Literal["", "purged-ledger", "rewound", "uncommitted", "plain", "emptied", "vanished"]


class StagedVerdict(Value):
    """`note` tells apart the kinds of one verdict that call for other words or another severity."""

    staged: StagedLoad
    verdict: Verdict
    why: str
    package: Package | None = None
    note: Remark = ""


class Case(Value):
    """All witnesses to the staged rows of one load in one table.

    `written` are relations of the same schema, final or staged, that another session is writing.
    `engine_version` is that of the stored schema, 0 when unknown. For rows without a load id `package` is
    the newest that has the table. `has_ended` says that the load is known to be over.
    """

    staged: StagedLoad
    table: SchemaTable
    route: Route
    database: Database
    package: Package | None
    state_version: int | None
    final_exists: bool
    final_rows: int | None
    staging_owner: str = ""
    written: tuple[str, ...] = ()
    engine_version: int = 0
    has_ended: bool = False

    @property
    def chain_failed(self) -> bool:
        """The package says that the job which moves this chain to the final table failed for good."""
        return self._moved("failed")

    @property
    def chain_completed(self) -> bool:
        """The package says that the job which moves this chain to the final table was completed."""
        return self._moved("completed")

    def _moved(self, status: str) -> bool:
        jobs = self.package.jobs_of(self.table.root) if self.package else ()
        return any(job.is_followup and job.status == status for job in jobs)

    def passes(self, verdict: Verdict, why: str, note: Remark = "") -> StagedVerdict:
        return StagedVerdict(staged=self.staged, verdict=verdict, why=why, package=self.package, note=note)


def package_of(pipeline: Pipeline, table: SchemaTable, load: StagedLoad) -> Package | None:
    """The load's package; for rows that do not tell, the newest that stages the table."""
    if load.load_id is not None:
        return pipeline.package(load.load_id)
    staging = [p for p in pipeline.packages if p.stage not in ("extracted", "new") and p.jobs_of(table.root)]
    return max(staging, key=lambda p: p.load_id, default=None)


def load_time(load_id: str | None) -> float | None:
    """When a load began, in Unix seconds: load ids are timestamps."""
    try:
        return float(load_id or "")
    except ValueError:
        return None


def is_young(load_id: str | None, now: float) -> bool:
    """Whether a load began so short a time ago that a session of its role is a sign of it."""
    began = load_time(load_id)
    return began is not None and now - began < YOUNG_LOAD_SECONDS


def judge(case: Case) -> StagedVerdict:
    """The verdict on one load's staged rows in one table."""
    if case.staged.load_id is None or not _has_ledger(case):
        return _without_ledger(case)
    if case.staged.committed_in:
        return _committed(case)
    return _uncommitted(case)


def _has_ledger(case: Case) -> bool:
    return case.database.is_dataset(case.route.final)


def _committed(case: Case) -> StagedVerdict:
    staged = case.staged
    if case.route.final not in staged.committed_in:
        others = ", ".join(staged.committed_in)
        return case.passes("leftover", f"load {staged.load_id} belongs to {others}, which shares this staging")
    if case.chain_failed and not staged.arrived:
        return case.passes(
            "false-commit",
            f"load {staged.load_id} is recorded as loaded, but its merge job failed",
        )
    if staged.arrived or staged.superseded or not staged.sampled:
        return case.passes("leftover", f"load {staged.load_id} was merged; dlt leaves its staged rows behind")
    if not case.final_exists:
        return case.passes("missing", "the load is recorded as loaded, and the final table does not exist")
    if case.final_rows == 0:
        return case.passes("missing", "the load is recorded as loaded, and the final table is empty", "emptied")
    if staged.proof != "row-key":
        return case.passes("leftover", f"load {staged.load_id} is recorded as loaded")
    if case.chain_completed:
        return case.passes("leftover", f"load {staged.load_id} was merged; its rows were deleted or replaced since")
    absent = f"load {staged.load_id} is recorded as loaded, but none of {staged.sampled} staged rows looked up"
    if case.package is None and case.engine_version >= RAISES_SINCE_ENGINE:
        return case.passes("unknown", f"{absent} is in the final table", "vanished")
    return case.passes("false-commit", f"{absent} is in the final table")


def _uncommitted(case: Case) -> StagedVerdict:
    staged = case.staged
    if sign := _sign_of_work(case):
        return case.passes("in-flight", sign)
    if case.package and case.package.is_pending:
        return case.passes("resumable", f"load {staged.load_id} is pending in the working dir; dlt can finish it")
    # A merge is one transaction: where one row has arrived, the others were replaced by newer ones.
    if staged.arrived and staged.arrived + staged.superseded >= staged.sampled:
        return case.passes(
            "leftover",
            f"the rows of load {staged.load_id} are in the final table, the load is not recorded",
            "uncommitted",
        )
    if _was_rewound(case):
        return case.passes(
            "leftover",
            f"load {staged.load_id} was aborted and its cursor rewound; the next run reads the rows again",
            "rewound",
        )
    if _is_older_than_ledger(case):
        return case.passes(
            "unknown",
            f"load {staged.load_id} is older than the oldest row of _dlt_loads, which somebody has pruned",
            "purged-ledger",
        )
    return case.passes("stranded", f"load {staged.load_id} never reached the final table")


def _without_ledger(case: Case) -> StagedVerdict:
    """No load id or no `_dlt_loads`: only the rows themselves can be compared."""
    staged = case.staged
    if sign := _sign_of_work(case):
        return case.passes("in-flight", sign, "plain")
    if case.package and case.package.is_pending:
        return case.passes("resumable", f"load {case.package.load_id} is pending in the working dir; dlt can finish it")
    if case.chain_completed:
        return case.passes("leftover", "the newest load of this table was merged", "plain")
    if not case.final_exists:
        return case.passes("stranded", "the rows are only in staging: the final table does not exist", "plain")
    if staged.proof == "none" or not staged.sampled:
        if case.final_rows is not None and staged.rows > case.final_rows:
            return case.passes(
                "stranded", f"{staged.rows} rows in staging, {case.final_rows} in the final table", "plain"
            )
        return case.passes("leftover", "the final table holds at least as many rows as staging", "plain")
    absent = staged.sampled - staged.arrived
    # A ledger says that loads ended well: then a few absent rows are dedup and deletes at work.
    if _has_ledger(case) and staged.arrived:
        return case.passes("leftover", "staged rows were found in the final table", "plain")
    if absent and staged.differing:
        return case.passes(
            "stranded",
            f"{', '.join(staged.differing)}: values in staging, NULL in the final row of the same key",
            "plain",
        )
    if absent:
        return case.passes("stranded", f"{absent} of {staged.sampled} staged rows are not in the final table", "plain")
    return case.passes("leftover", "the staged rows are in the final table", "plain")


def _sign_of_work(case: Case) -> str | None:
    """What says that the load is running right now.

    A lock counts for every table of the schema: a chain waits in staging until its last table is there.
    """
    package = case.package
    if case.has_ended:
        return None
    if case.written and (package is None or package.is_pending):
        return f"another session is writing {case.written[0]} right now"
    if package is not None:
        fresh = package.is_pending and package.is_fresh and not package.failures
        return "its load package was written to within the last minute" if fresh else None
    is_connected = case.staging_owner in case.database.activity.sessions_by_role
    if is_connected and is_young(case.staged.load_id, case.database.read_at):
        return f"it began in the last ten minutes, and its role {case.staging_owner} is connected"
    return None


def _was_rewound(case: Case) -> bool:
    """From 1.30 on dlt restores the cursor when a package is aborted."""
    package = case.package
    return (
        package is not None
        and package.stage == "aborted"
        and package.can_rewind
        and package.state_version is not None
        and case.state_version is not None
        and case.state_version < package.state_version
    )


def _is_older_than_ledger(case: Case) -> bool:
    oldest = [s.oldest for s in case.database.loads if s.dataset == case.route.final]
    began = load_time(case.staged.load_id)
    return began is not None and bool(oldest) and began < min(oldest)
