"""The use case `fix`: from a diagnosis to a plan, from a plan to a proof; and its way back, `undo`."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from dltdoctor import __version__
from dltdoctor.cures import config, migrate, recover, resume, rows, structure, wipe
from dltdoctor.cures.recovery.clobbered import Sample
from dltdoctor.cures.recovery.outcome import Recovery
from dltdoctor.doctor import chosen
from dltdoctor.errors import CouldNotLookError, RefusedError, UsageError
from dltdoctor.examine import examine
from dltdoctor.finding import Finding, Severity
from dltdoctor.ledger import Ledger, LedgerRow, draw_up
from dltdoctor.plan import Cure, HeldBack, Plan
from dltdoctor.receipt import Receipt
from dltdoctor.repair import Workshop
from dltdoctor.situation import Situation
from dltdoctor.snapshot import Snapshot, Value
from dltdoctor.steps.step import FinishLoad, Replay, RunSql
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.directory_steps import drop_archives
from dltdoctor.world.dlt_merge import warmed_up
from dltdoctor.world.finish_load import credentials_environ, finish
from dltdoctor.world.postgres.session import open_session
from dltdoctor.world.postgres.writing import drop_captures
from dltdoctor.world.receipts import Receipts, state_dir
from dltdoctor.world.survey import Progress, Request, Survey, project_of, take

MOST_REHEARSED = 200_000
MOST_REPLAYED = 16 * 1024 * 1024
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
        wipes, refused = wipe.plan(findings, snapshot, ledger, shed, progress)
        cures += wipes
        held += refused
    admitted = [c for c in cures if c.safety == "safe" or (c.safety == "unsafe" and wish.unsafe)]
    held += [_held_back(c, request) for c in cures if c not in admitted]
    target, admitted, others = _one_database(admitted, snapshot)
    held += others
    made = Plan(
        version=1,
        tool=__version__,
        made_at=time.time(),
        target=target,
        cures=tuple(admitted),
        held_back=tuple(held),
    )
    way_in = survey.ways_in.get(target or "")
    everything, _ = examine(chosen((), ()), snapshot, ledger)
    return Prepared(
        plan=_sealed(made),
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


def _held_back(cure: Cure, request: Request) -> HeldBack:
    flag = {"DD201": "--migrate", "DD202": "--migrate", "DD203": "--migrate"}.get(cure.code, "")
    if any(isinstance(s, Replay) for s in cure.steps):
        flag = "--recover"
    words = ["dltdoctor", "fix", *([cure.pipeline] if cure.pipeline else []), *([flag] if flag else []), "--unsafe"]
    return HeldBack(
        code=cure.code,
        pipeline=cure.pipeline,
        message=cure.message,
        reason=f"unsafe: {cure.cost}",
        command=Situation(request).command(" ".join(words)),
    )


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


def _sealed(plan: Plan) -> Plan:
    """The plan with a digest of itself, so that an edited or truncated file is noticed."""
    return msgspec.structs.replace(plan, digest=_digest(plan))


def _digest(plan: Plan) -> str:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(plan, digest=""))).hexdigest()


def write_plan(plan: Plan, path: Path) -> None:
    """The plan as a file for `--plan`. Raises `UsageError`."""
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=1))
    except OSError as error:
        raise UsageError(f"the plan cannot be written to {path}: {error.strerror}", "Name another file.") from None


def read_plan(path: Path) -> Plan:
    """A plan that was written by this version. Raises `RefusedError` for one that is edited or not whole."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the plan {path} cannot be read: {error.strerror}", "Name a file that --plan-out wrote."
        ) from None
    try:
        plan = msgspec.json.decode(content, type=Plan)
    except msgspec.DecodeError:
        raise RefusedError(f"{path} is not a whole plan of this version", "Make it again with --plan-out.") from None
    if plan.digest != _digest(plan):
        raise RefusedError(f"{path} has been edited since it was written", "Make it again with --plan-out.")
    if plan.tool != __version__:
        raise RefusedError(f"{path} was made by dltdoctor {plan.tool}", "Make it again with this version.")
    return plan


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


def bench(
    request: Request, way_in: Credentials | None, progress: Progress, *, fallback_home: str = "public"
) -> Workshop:
    """Receipts, the way into the database, and dlt itself."""

    def run(step: FinishLoad, say: Progress) -> str:
        return finish(step, _secrets(step, way_in, request), say).line

    return Workshop(
        receipts=receipts(request), way_in=way_in, finish=run, progress=progress, fallback_home=fallback_home
    )


def _secrets(step: FinishLoad, way_in: Credentials | None, request: Request) -> Mapping[str, str]:
    """What leads dlt to the database that was examined; for its environment only."""
    if way_in is None:
        return {}
    with open_session(way_in) as session:
        target = session.target
    return credentials_environ(step.pipeline, step.destination_name, way_in, target, request.environ)


def receipts(request: Request) -> Receipts:
    """The receipts of this user."""
    return Receipts(state_dir(request.environ, request.home))


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


def way_into(request: Request, receipt: Receipt, *, progress: Progress) -> Credentials | None:
    """The way into a receipt's database, as the project or --dsn gives it. Raises `CouldNotLookError`."""
    if receipt.target is None or not (receipt.has_changed_database or receipt.is_unfinished):
        return None
    found: Mapping[str, Credentials] = take(request, progress).ways_in
    way_in = found.get(receipt.target)
    if way_in is None and request.dsn is not None and len(found) == 1:
        way_in = next(iter(found.values()))  # the same database under another host name: its receipts decide
    if way_in is None:
        raise CouldNotLookError(
            f"the database of receipt {receipt.id}, {receipt.target}, was not reached",
            "Run it in the project, or pass --dsn.",
        )
    return way_in


def title(plan: Plan) -> str:
    """One line that names a plan among others."""
    return "; ".join(dict.fromkeys(f"{c.steps[0].title if c.steps else c.message} ({c.code})" for c in plan.cures))[
        :200
    ]


def _replayed_bytes(plan: Plan) -> int:
    files = (Path(f.path) for s in plan.steps if isinstance(s, Replay) for f in s.files)
    return sum(file.stat().st_size for file in files if file.is_file())


def is_worth_rehearsing(prepared: Prepared, *, thorough: bool, asked: bool) -> bool:
    """A rehearsal does the work and throws it away: not for millions of rows that nobody is asked about."""
    if thorough:
        return True
    if _replayed_bytes(prepared.plan) > MOST_REPLAYED:
        return False  # planning has measured it already
    staged = sum(r.staging.rows or 0 for r in prepared.ledger)
    return asked and staged <= MOST_REHEARSED


def forget(receipt: Receipt, request: Request, *, progress: Progress) -> None:
    """Remove a receipt and what its captures keep in the database."""
    way_in = way_into(request, receipt, progress=progress) if receipt.has_changed_database else None
    if way_in:
        drop_captures(way_in, receipt)
    drop_archives(receipt.archives)
    receipts(request).remove(receipt)
