"""The use case `fix`: from a diagnosis to a plan, from a plan to a proof; and its way back, `undo`."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from dltdoctor import __version__
from dltdoctor.cures import config, migrate, recover, resume, rows, structure, wipe
from dltdoctor.cures.recovery.clobbered import Sample
from dltdoctor.cures.recovery.outcome import Recovery
from dltdoctor.doctor import chosen
from dltdoctor.errors import RefusedError, UsageError
from dltdoctor.examine import examine
from dltdoctor.finding import Finding, Severity
from dltdoctor.ledger import Ledger, LedgerRow, draw_up
from dltdoctor.plan import Cure, HeldBack, Plan
from dltdoctor.plan_file import sealed
from dltdoctor.receipt import Receipt
from dltdoctor.situation import Situation
from dltdoctor.snapshot import Snapshot, Value
from dltdoctor.steps.step import FinishLoad, Replay, RunSql
from dltdoctor.workbench import bench, receipts
from dltdoctor.workshop import Workshop
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.dlt_merge import warmed_up
from dltdoctor.world.survey import Progress, Request, Survey, project_of, take

MOST_REHEARSED = 200_000
MOST_REPLAYED = 16 * 1024 * 1024
MOST_FILES = 500
SHARED = ("DD301",)  # about a table of several pipelines: each of their names selects it


class Wish(Value):
    """What `fix` was asked to do. Without a kind, everything; `codes` and `ignored` narrow the checks."""

    config: bool = False
    migrate: bool = False
    resume: bool = False
    recover: bool = False
    unsafe: bool = False
    codes: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        return not (self.config or self.migrate or self.resume or self.recover)


class Prepared(Value):
    """A plan with the diagnosis it was made from, and the way into its database.

    `known` are the fingerprints of all that was found, whatever was asked for; `samples` show what a recovery brings back; they hold values, and are never stored.
    """

    plan: Plan
    findings: tuple[Finding, ...]
    ledger: tuple[LedgerRow, ...]
    way_in: Credentials | None
    request: Request
    samples: tuple[Sample, ...] = ()
    known: frozenset[str] = frozenset()


class Proof(Value):
    """What a repair has changed: the ledger before and after, the findings that are gone and that came."""

    receipt: Receipt
    before: tuple[LedgerRow, ...]
    after: tuple[LedgerRow, ...]
    gone: tuple[Finding, ...]
    remaining: tuple[Finding, ...]
    new: tuple[Finding, ...]


def prepare(request: Request, wish: Wish, *, progress: Progress) -> Prepared:
    """Diagnose, and plan a cure for each finding that has one. Changes nothing."""
    with warmed_up(wanted=wish.migrate or wish.recover):
        survey, snapshot, ledger, findings = _examined(request, wish, progress)
        everything, _ = examine(chosen((), ()), snapshot, ledger)
        progress("planning")
        cures, held = _cures(wish, findings, ledger, snapshot, survey, request)
        recovery = Recovery()
        if wish.is_open or wish.recover:
            now, _ = structure.later(findings, cures, snapshot)
            recovery = recover.plan(now, ledger, snapshot, survey.ways_in, progress)
    cures += recovery.cures
    held += recovery.held
    if wish.is_open:
        shed = wipe.Shed(request=request, survey=survey, archives=receipts(request).archives)
        wipes, refused = wipe.plan(findings, everything, snapshot, ledger, shed, progress)
        cures += wipes
        held += refused
    admitted = [c for c in cures if c.safety == "safe" or (c.safety == "unsafe" and wish.unsafe)]
    held += [_held_back(c) for c in cures if c not in admitted]
    admitted, waiting = rows.after_others(admitted, snapshot)
    held += waiting
    target, admitted, others = _one_database(admitted, snapshot)
    held += others
    made = Plan(
        version=1,
        tool=__version__,
        made_at=time.time(),
        target=target,
        cures=tuple(admitted),
        held_back=tuple(_pasteable(each, request) for each in held),
    )
    way_in = survey.ways_in.get(target or "")
    return Prepared(
        plan=sealed(made),
        findings=findings,
        ledger=ledger.rows,
        way_in=way_in,
        request=request,
        samples=recovery.samples,
        known=frozenset(f.fingerprint for f in everything),
    )


def _examined(request: Request, wish: Wish, progress: Progress) -> tuple[Survey, Snapshot, Ledger, tuple[Finding, ...]]:
    checks = chosen(wish.codes, wish.ignored)
    survey = take(request, progress)
    snapshot = Situation(request).placed(survey.snapshot)
    ledger = draw_up(snapshot)
    findings, _ = examine(checks, snapshot, ledger)
    names = set(request.names)
    datasets = {w.final for w in snapshot.routes if w.pipeline in names}
    if names:
        unknown = names - {p.name for p in snapshot.pipelines}
        if unknown:
            raise UsageError(f"there is no pipeline {min(unknown)!r}", "dltdoctor diagnose lists them.")
        written = {(r.final.dataset, r.table) for r in ledger.rows if r.pipeline in names}
        findings = tuple(
            f
            for f in findings
            if f.pipeline in names
            or (f.pipeline is None and f.dataset in datasets)
            or (f.code in SHARED and (f.dataset, f.table) in written)
        )
    return survey, snapshot, ledger, findings


def _cures(
    wish: Wish, findings: tuple[Finding, ...], ledger: Ledger, snapshot: Snapshot, survey: Survey, request: Request
) -> tuple[list[Cure], list[HeldBack]]:
    cures: list[Cure] = []
    held: list[HeldBack] = []
    if wish.is_open:
        made, refused = structure.plan(findings, ledger, snapshot, survey.ways_in)
        cures += made
        held += refused
    now, waiting = structure.later(findings, cures, snapshot)
    held += waiting
    if wish.is_open or wish.migrate:
        made, refused = migrate.plan(
            now, ledger, snapshot, survey.ways_in, also_resumable=wish.migrate and not wish.resume
        )
        cures += made
        held += refused
    if wish.is_open or wish.config:
        settling = {c.pipeline for c in cures if c.pipeline and c.code not in structure.CODES}
        asked = tuple(f for f in findings if wish.codes or f.severity is not Severity.INFO)  # a matter of taste
        made, refused = config.plan(asked, survey.snapshot, request, unsafe=wish.unsafe, settling=settling)
        cures += made
        held += refused
    if wish.is_open or wish.resume:
        around = resume.Surroundings(
            ways_in=survey.ways_in,
            project=project_of(request),
            environ=request.environ,
            follows_last_run=request.project is None,
        )
        made, refused = resume.plan(now, survey.snapshot, ledger, around)
        cures += made
        held += refused
    if wish.is_open:
        made, refused = rows.plan(now, snapshot, survey.ways_in)
        cures += made
        held += refused
    return cures, held


def _held_back(cure: Cure) -> HeldBack:
    flag = {"DD201": "--migrate", "DD202": "--migrate", "DD203": "--migrate"}.get(cure.code, "")
    if any(isinstance(s, Replay) for s in cure.steps):
        flag = "--recover"
    words = ["dltdoctor", "fix", *([cure.pipeline] if cure.pipeline else []), *([flag] if flag else []), "--unsafe"]
    return HeldBack(
        code=cure.code,
        pipeline=cure.pipeline,
        message=cure.message,
        reason=f"unsafe: {cure.cost}",
        command=" ".join(words),
    )


def _pasteable(held: HeldBack, request: Request) -> HeldBack:
    """With the options of this request, so that the command looks at the same world."""
    command = Situation(request).command(held.command) if held.command else None
    return msgspec.structs.replace(held, command=command)


def _one_database(cures: Sequence[Cure], snapshot: Snapshot) -> tuple[str | None, list[Cure], list[HeldBack]]:
    """One plan is one transaction, so it has one database; cures of others wait for their own plan."""
    places = snapshot.catalog.of_pipeline if snapshot.catalog else {}
    target: str | None = None
    kept: list[Cure] = []
    held: list[HeldBack] = []
    for cure in cures:
        needs = any(isinstance(s, RunSql | Replay | FinishLoad) for s in cure.steps)
        place = places.get(cure.pipeline or "") if needs else None
        if place and target and place != target:
            reason = f"it is in another database ({place}); one plan changes one"
            held.append(HeldBack(code=cure.code, pipeline=cure.pipeline, message=cure.message, reason=reason))
            continue
        target = target or place
        kept.append(cure)
    return target, kept, held


def reopen(plan: Plan, request: Request, *, progress: Progress) -> Prepared:
    """A plan from a file, with the diagnosis of now. Raises `RefusedError` when its database is another one."""
    survey, _, ledger, findings = _examined(request, Wish(), progress)
    way_in = survey.ways_in.get(plan.target or "")
    if plan.target and way_in is None:
        there = ", ".join(sorted(survey.ways_in)) or "none"
        raise RefusedError(
            f"the plan is for {plan.target}; the databases of this project are: {there}",
            "Pass --dsn for the plan's database.",
        )
    return Prepared(plan=plan, findings=findings, ledger=ledger.rows, way_in=way_in, request=request)


def workshop(prepared: Prepared, progress: Progress) -> Workshop:
    """The place where a prepared plan is carried out."""
    stagings = [r.staging.dataset for r in prepared.ledger if r.staging.dataset and r.staging.exists]
    return bench(prepared.request, prepared.way_in, progress, fallback_home=stagings[0] if stagings else "public")


def prove(prepared: Prepared, receipt: Receipt, *, progress: Progress) -> Proof:
    """Look again: the findings that were planned for must be gone, and no new ones may have come."""
    progress("looking again")
    _, _, ledger, findings = _examined(prepared.request, Wish(), progress)
    before = prepared.known or {f.fingerprint for f in prepared.findings}
    planned = {c.fingerprint for c in prepared.plan.cures}
    after = {f.fingerprint for f in findings}
    return Proof(
        receipt=receipt,
        before=prepared.ledger,
        after=ledger.rows,
        gone=tuple(f for f in prepared.findings if f.fingerprint not in after),
        remaining=tuple(f for f in findings if f.fingerprint in planned),
        new=tuple(f for f in findings if f.fingerprint not in before),
    )


def title(plan: Plan) -> str:
    """One line that names a plan among others."""
    return "; ".join(dict.fromkeys(f"{c.steps[0].title if c.steps else c.message} ({c.code})" for c in plan.cures))[
        :200
    ]


def _replays_long(plan: Plan) -> bool:
    """Whether what is replayed is large, or is many files: each costs a merge."""
    files = [Path(f.path) for s in plan.steps if isinstance(s, Replay) for f in s.files]
    return len(files) > MOST_FILES or sum(f.stat().st_size for f in files if f.is_file()) > MOST_REPLAYED


def is_worth_rehearsing(prepared: Prepared, *, thorough: bool, asked: bool) -> bool:
    """A rehearsal does the work and throws it away: not for millions of rows that nobody is asked about."""
    if thorough:
        return True
    if _replays_long(prepared.plan):
        return False  # planning has measured it already
    staged = sum(r.staging.rows or 0 for r in prepared.ledger)
    return asked and staged <= MOST_REHEARSED
