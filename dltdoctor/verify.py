"""The library call `verify_load`: did the rows of a load arrive, asked of the pipeline object that ran it."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from dltdoctor.diagnosis import Diagnosis
from dltdoctor.doctor import BLIND, chosen, examined
from dltdoctor.errors import CouldNotLookError, LoadNotVerifiedError, UsageError
from dltdoctor.finding import Finding, Severity
from dltdoctor.snapshot import Database, Package, Snapshot, Value
from dltdoctor.words import count, listed, moment, relation
from dltdoctor.world.live import LivePipeline, read_live_pipeline
from dltdoctor.world.pipelines_dirs import find_pipelines_dirs
from dltdoctor.world.survey import Request, this_machine

if TYPE_CHECKING:
    from dlt import Pipeline as DltPipeline
    from dlt.common.pipeline import LoadInfo

# What is said of rows that are still on this side, whatever the threshold.
ARRIVAL = ("DD201", "DD202", "DD203", "DD206", "DD208")
LOADS = "_dlt_loads"
MOST_TOLD = 5
NEVER = "never"


def verify_load(
    pipeline: "DltPipeline",
    load_info: "LoadInfo | None" = None,
    *,
    fail_on: Severity | str = "error",
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    deep: bool = False,
) -> Diagnosis:
    """Diagnose the pipeline where it loads to, and return when the load's rows have arrived.

    `load_info` is what `run()` returned; without it every package that is still pending counts as not
    arrived. `fail_on` is "error", "warning", "info" or "never": even then the load itself has to have
    arrived. `select` and `ignore` are codes or names of checks, `deep` counts instead of estimating.

    Raises `LoadNotVerifiedError` with the findings, `CouldNotLookError` when nothing can be known, and
    `UsageError` for arguments that cannot be meant. Writes nothing, prints nothing, holds no connection.
    """
    threshold = _threshold(fail_on)
    checks = chosen(_words(select), _words(ignore))
    live = read_live_pipeline(pipeline, _load_ids(pipeline, load_info))
    diagnosis, snapshot = examined(_request(live, deep=deep), checks)
    sick = [f for f in diagnosis.findings if f.code not in BLIND and _counts(f, threshold)]
    missing = list(_OwnLoads.of(live, snapshot, load_info).missing())
    if sick or missing:
        findings = tuple(sick) or tuple(f for f in diagnosis.findings if f.code in ARRIVAL)
        raise LoadNotVerifiedError(
            _message(live.name, findings, missing), _next_command(findings, live.name), findings, diagnosis
        )
    _refuse_blindness(live.name, diagnosis, snapshot)
    return diagnosis


class _OwnLoads(Value):
    """The loads that the call is about; `failed` have jobs that dlt gave up. `database` is None when unread."""

    ids: tuple[str, ...]
    failed: frozenset[str]
    finals: tuple[str, ...]
    database: Database | None

    @classmethod
    def of(cls, live: LivePipeline, snapshot: Snapshot, load_info: Any) -> "_OwnLoads":
        pipeline = next(p for p in snapshot.pipelines if p.name == live.name)
        pending = {package.load_id for package in pipeline.pending}
        return cls(
            ids=tuple(sorted(pending if live.ended_loads is None else live.ended_loads)),
            failed=_failed(load_info, pipeline.packages),
            finals=tuple(sorted({way.final for way in snapshot.routes_of(live.name)})),
            database=snapshot.catalog.database(live.name) if snapshot.catalog else None,
        )

    def missing(self) -> Iterator[str]:
        """A line for each load that has not arrived; none where the record cannot be seen."""
        if self.database is None or any(map(self._is_hidden, self.finals)):
            return
        recorded = {r.load_id for r in self.database.ended_loads if r.dataset in self.finals and r.status == 0}
        places = listed(relation(final, LOADS) for final in self.finals)
        for load_id in self.ids:
            if load_id not in recorded:
                yield f"the load of {moment(load_id)} ({load_id}) is not recorded in {places}"
            elif load_id in self.failed:
                yield f"the load of {moment(load_id)} ({load_id}) is recorded as done, but jobs of it failed"

    def _is_hidden(self, final: str) -> bool:
        schema = self.database.schemas.get(final) if self.database else None
        table = self.database.table(final, LOADS) if self.database else None
        return (schema is not None and not schema.usable) or (table is not None and not table.readable)


def _failed(load_info: Any, packages: Collection[Package]) -> frozenset[str]:
    told = load_info.load_packages if load_info is not None else ()
    by_info = {str(p.load_id) for p in told if p.state == "loaded" and p.jobs.get("failed_jobs")}
    by_package = {p.load_id for p in packages if any(job.status == "failed" for job in p.jobs)}
    return frozenset(by_info | by_package)


def _load_ids(pipeline: Any, load_info: Any) -> frozenset[str] | None:
    """The ids of the LoadInfo; None without one. Raises `UsageError` when it is about something else."""
    if load_info is None:
        return None
    try:
        name, load_ids = load_info.pipeline.pipeline_name, load_info.loads_ids
    except AttributeError:
        raise UsageError(
            f"load_info is a {type(load_info).__name__}, not a LoadInfo", "Pass what pipeline.run() returned."
        ) from None
    asked = getattr(pipeline, "pipeline_name", None)
    if asked is not None and name != asked:
        raise UsageError(
            f"the LoadInfo is of pipeline {name}, not of {asked}", "Pass what run() of the same pipeline returned."
        )
    loaded_to, now = getattr(load_info, "dataset_name", None), getattr(pipeline, "dataset_name", None)
    if loaded_to and now and loaded_to != now:
        raise UsageError(
            f"the LoadInfo is of a load into dataset {loaded_to}; pipeline {name} loads into {now} by now",
            "Call verify_load after each run(), before the next one.",
        )
    return frozenset(map(str, load_ids))


def _request(live: LivePipeline, *, deep: bool) -> Request:
    """A request of this machine, narrowed to the pipeline; its pipelines dir is named where a command would not find it."""
    here = this_machine()
    place = Path(live.working_dir).parent
    usual = find_pipelines_dirs(None, environ=here.environ, cwd=here.cwd, home=here.home, is_root=here.is_root)
    found = any(os.path.realpath(d.path) == str(place) for d in usual)
    return msgspec.structs.replace(
        here, names=(live.name,), live=live, deep=deep, pipelines_dir=None if found else place
    )


def _threshold(fail_on: Severity | str) -> Severity | None:
    text = str(fail_on).strip().lower()
    try:
        return None if text == NEVER else Severity(text)
    except ValueError:
        raise UsageError(
            f"fail_on is {fail_on!r}", f"It is one of {listed([*(s.value for s in Severity), NEVER])}."
        ) from None


def _words(codes: Collection[str]) -> Collection[str]:
    return (codes,) if isinstance(codes, str) else codes


def _counts(finding: Finding, threshold: Severity | None) -> bool:
    return threshold is not None and finding.severity.rank >= threshold.rank


def _refuse_blindness(name: str, diagnosis: Diagnosis, snapshot: Snapshot) -> None:
    own = {place for way in snapshot.routes_of(name) for place in (way.final, way.examined_staging)}
    for part in snapshot.unread:
        if part.code in BLIND and part.pipeline in (None, name) and (part.dataset is None or part.dataset in own):
            raise CouldNotLookError(
                f"could not look whether the load of {name} has arrived: {part.what}: {part.reason}", part.hint
            )
    for skipped in diagnosis.skipped:
        if "crashed" in skipped.reason:
            raise CouldNotLookError(f"could not look whether the load of {name} has arrived: {skipped.reason}")


def _message(name: str, findings: tuple[Finding, ...], missing: list[str]) -> str:
    """The findings in a few lines, each with its code and the next command."""
    lines = [f"the load of pipeline {name} is not verified"]
    lines += missing[:MOST_TOLD]
    for finding in findings[:MOST_TOLD]:
        lines.append(f"{finding.code} {finding.severity.value}: {finding.message}")
        command = finding.remedy.command if finding.remedy else None
        lines += [f"  next: {line}" for line in (command or "").splitlines()]
    rest = len(findings) - MOST_TOLD
    if rest > 0:
        lines.append(f"and {count(rest, 'more finding')}: dltdoctor diagnose {name}")
    elif not findings:
        lines.append(f"  next: dltdoctor diagnose {name}")
    return "\n".join(lines)


def _next_command(findings: tuple[Finding, ...], name: str) -> str:
    commands = (f.remedy.command for f in findings if f.remedy and f.remedy.command)
    return next(commands, f"dltdoctor diagnose {name}")
