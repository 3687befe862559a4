"""The use case `clean-cache`: from a snapshot to the judgement of each working dir, and to what is purged."""

import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from dltdoctor import __version__, repair
from dltdoctor.cures.wipe import Shed, archived, facts_of, looked_for_doubled, recorded_loads
from dltdoctor.deduced.restore_objections import Objection
from dltdoctor.doctor import did_you_mean
from dltdoctor.errors import DoctorError, RefusedError, UsageError
from dltdoctor.ledger import Ledger, draw_up
from dltdoctor.plan import Cure, Plan
from dltdoctor.purge.hopes import Hope, hopes
from dltdoctor.purge.judgement import Purge, judge, prunable
from dltdoctor.purge.objections import BLIND
from dltdoctor.receipt import Receipt
from dltdoctor.situation import Situation
from dltdoctor.snapshot import Pipeline, Snapshot, Value
from dltdoctor.steps.step import ArchiveDirectory
from dltdoctor.words import count, listed
from dltdoctor.workbench import bench, receipts
from dltdoctor.world.directory_steps import tidy
from dltdoctor.world.room import megabytes
from dltdoctor.world.survey import Progress, Request, Survey, take
from dltdoctor.world.trees import check_name, holders

_SPAN = re.compile(r"(\d+)([hdw])")
_SECONDS = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}


class Wish(Value):
    """What was asked for: working dirs, or with `keep` only all but the newest of their completed packages.

    `older_than` are seconds since a working dir, or with `keep` a package, was last written to.
    """

    everyone: bool = False
    older_than: float | None = None
    keep: int | None = None
    unsafe: bool = False


class Job(Value):
    """A judgement with the step that it allows: None when it is refused or there is nothing to remove."""

    purge: Purge
    refusals: tuple[Objection, ...]
    step: ArchiveDirectory | None


class Prepared(Value):
    """Everything that would be done, pipeline by pipeline. `spared` are those that were used too lately."""

    jobs: tuple[Job, ...]
    snapshot: Snapshot
    ledger: Ledger
    wish: Wish
    request: Request
    spared: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    @property
    def to_do(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs if job.step)

    @property
    def exit_code(self) -> int:
        """0, or 4 when something was refused, or 3 when all of that only because nothing could be looked at."""
        refused = [job for job in self.jobs if job.refusals]
        blind = [job for job in refused if {o.kind for o in job.refusals} <= BLIND]
        return 0 if not refused else 3 if len(blind) == len(refused) else 4


class Outcome(Value):
    """What became of one job: its receipt, or the error that stopped it."""

    job: Job
    receipt: Receipt | None = None
    error: str = ""
    hint: str = ""
    exit_code: int = 0


def seconds(text: str) -> float:
    """A span such as "30d", "12h" or "2w" in seconds. Raises `UsageError`."""
    found = _SPAN.fullmatch(text.strip())
    if not found:
        raise UsageError(f"{text!r} is no span of time", "Write hours, days or weeks, as 12h, 30d or 2w.")
    return int(found[1]) * _SECONDS[found[2]]


def prepare(request: Request, wish: Wish, *, progress: Progress) -> Prepared:
    """Look at everything, and judge each working dir that was asked for. Changes nothing."""
    for name in request.names:
        check_name(name)
    survey = take(request, progress)
    snapshot = Situation(request).placed(survey.snapshot)
    chosen = _chosen(request, survey, snapshot)
    ledger = draw_up(snapshot)
    shed = Shed(request=request, survey=survey, archives=receipts(request).archives)
    recorded = recorded_loads(chosen, snapshot, shed)
    progress("looking at the working dirs")
    trees = {p.name: facts_of(p, shed) for p in chosen}
    open_by = holders(p.working_dir for p in chosen if p.working_dir)
    jobs: list[Job] = []
    spared: list[str] = []
    for pipeline in chosen:
        facts = msgspec.structs.replace(trees[pipeline.name], holders=open_by.get(pipeline.working_dir or "", ()))
        if wish.keep is None and wish.older_than is not None and snapshot.taken_at - facts.newest < wish.older_than:
            spared.append(pipeline.name)
            continue
        purge = judge(pipeline, snapshot, ledger, recorded.get(pipeline.name, {}), facts)
        if purge.is_cure and wish.keep is None:
            progress(f"looking for rows of {pipeline.name} that a purge would double")
            purge = looked_for_doubled(purge, ledger, snapshot, shed)
        jobs.append(_job(purge, wish, snapshot, request))
    without = tuple(p.name for p in snapshot.pipelines if p.name in request.names and p.working_dir is None)
    return Prepared(
        jobs=tuple(jobs),
        snapshot=snapshot,
        ledger=ledger,
        wish=wish,
        request=request,
        spared=tuple(spared),
        without=without,
    )


def _chosen(request: Request, survey: Survey, snapshot: Snapshot) -> list[Pipeline]:
    """The pipelines asked for that have a working dir. Raises `UsageError` for a name nobody knows."""
    known = {p.name for p in snapshot.pipelines}
    missing = next((n for n in request.names if n not in known), None)
    if missing is not None:
        places = listed(f"{d.path} ({d.origin})" for d in survey.dirs)
        raise UsageError(
            f"there is no pipeline {missing!r}", f"{did_you_mean(missing, known)}It was looked for in {places}."
        )
    return [
        p for p in snapshot.pipelines if p.working_dir is not None and (not request.names or p.name in request.names)
    ]


def _job(purge: Purge, wish: Wish, snapshot: Snapshot, request: Request) -> Job:
    if wish.keep is not None:
        before = None if wish.older_than is None else snapshot.taken_at - wish.older_than
        purge = msgspec.structs.replace(purge, prunes=prunable(purge.shelf, wish.keep, before))
    refusals = purge.refusals(unsafe=wish.unsafe)
    if refusals or purge.prunes == ():
        return Job(purge=purge, refusals=refusals, step=None)
    try:
        parts = ("",) if purge.prunes is None else _parts(purge)
        step = archived(purge, parts, receipts(request).archives)
    except RefusedError as error:
        refused = Objection(kind="place", reason=f"{error.message}. {error.hint}")
        return Job(purge=purge, refusals=(refused,), step=None)
    return Job(purge=purge, refusals=(), step=step)


def _parts(purge: Purge) -> tuple[str, ...]:
    """The packages' directories as seen from the working dir."""
    return tuple(str(Path(p.path).relative_to(purge.working_dir)) for p in purge.prunes or ())


def hopes_of(prepared: Prepared) -> Mapping[str, tuple[Hope, ...]]:
    """What people may hope for, by pipeline."""
    everyone = {p.name: p for p in prepared.snapshot.pipelines}
    jobs = [job.purge for job in prepared.jobs]
    return {p.pipeline: hopes(everyone[p.pipeline], p, prepared.snapshot, prepared.ledger) for p in jobs}


def pasteable(request: Request) -> Callable[[str], str]:
    """Gives a command the options of this request, and dlt's own the places that they stand for."""
    situation = Situation(request)

    def change(line: str) -> str:
        if not line.startswith("dlt "):
            return situation.command(line)
        if request.pipelines_dir is not None:
            place = shlex.quote(str(request.pipelines_dir))
            line = line.replace("dlt pipeline ", f"dlt pipeline --pipelines-dir {place} ", 1)
        return f"cd {shlex.quote(str(request.project))} && {line}" if request.project is not None else line

    return change


def carry_out(prepared: Prepared, *, progress: Progress) -> Iterator[Outcome]:
    """Purge one working dir after another, each with a receipt of its own; one that fails stops no other."""
    workshop = bench(prepared.request, None, progress)
    for pipelines_dir in {Path(job.purge.working_dir).parent for job in prepared.to_do}:
        tidy(pipelines_dir)
    for job in prepared.to_do:
        try:
            receipt = repair.apply(_plan(job), workshop, title=_title(job))
        except DoctorError as error:
            yield Outcome(job=job, error=error.message, hint=error.hint, exit_code=error.exit_code)
        else:
            yield Outcome(job=job, receipt=receipt)


def _plan(job: Job) -> Plan:
    purge = job.purge
    cure = Cure(
        code="DD207" if purge.is_cure else "purge",
        fingerprint="",
        pipeline=purge.pipeline,
        message=_title(job),
        safety="safe" if not purge.objections else "unsafe",
        steps=(job.step,) if job.step else (),
        cost="; ".join(o.reason for o in purge.objections),
    )
    return Plan(version=1, tool=__version__, made_at=time.time(), target=None, cures=(cure,))


def _title(job: Job) -> str:
    purge = job.purge
    if purge.prunes is not None:
        return f"{count(len(purge.prunes), 'completed load package')} of {purge.pipeline} archived and removed"
    return f"the working dir of {purge.pipeline} ({megabytes(purge.facts.size)}) archived and removed"
