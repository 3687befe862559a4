"""The use cases: the only room where world, checks and repair meet."""

import difflib
from collections.abc import Collection, Iterable

import msgspec

from dltdoctor.check import Check
from dltdoctor.checks import BY_CODE, CHECKS
from dltdoctor.diagnosis import Diagnosis, PipelineLine, Whereabouts, why_it_matters
from dltdoctor.errors import CouldNotLookError, UsageError
from dltdoctor.examine import CRASHED, examine
from dltdoctor.finding import Finding, Severity, SkippedCheck
from dltdoctor.ledger import Ledger, draw_up
from dltdoctor.situation import Situation
from dltdoctor.snapshot import Database, Pipeline, Snapshot, Unread
from dltdoctor.whereabouts import locate
from dltdoctor.words import listed
from dltdoctor.world.pipelines import pipeline_names
from dltdoctor.world.survey import Progress, Request, Survey, take

# Codes that mean "could not look", which is never the same as "nothing found".
BLIND = ("DD001", "DD002", "DD003")


def diagnose(
    request: Request,
    *,
    select: Collection[str] = (),
    ignore: Collection[str] = (),
    progress: Progress = lambda _: None,
) -> Diagnosis:
    """Read everything once, judge it, and put the findings of the pipelines asked for into words.

    Raises `UsageError` for a code or a pipeline that does not exist, `CouldNotLookError` when there is
    nothing to look at.
    """
    return examined(request, chosen(select, ignore), progress)[0]


def examined(
    request: Request, checks: tuple[Check, ...], progress: Progress = lambda _: None
) -> tuple[Diagnosis, Snapshot]:
    """The same with the checks as they are, and with the snapshot that was judged."""
    situation = Situation(request)
    survey = take(request, progress)
    progress("judging")
    snapshot = situation.placed(survey.snapshot)
    _refuse_unknown_names(request, survey)
    ledger = draw_up(snapshot)
    findings, skipped = examine(checks, snapshot, ledger)
    diagnosis = Diagnosis(
        findings=findings,
        ledger=ledger.rows,
        skipped=skipped,
        pipelines=tuple(_line(snapshot, ledger, p) for p in snapshot.pipelines),
        checks=len(checks),
        why={code: why_it_matters(BY_CODE[code].doc) for code in {f.code for f in findings}},
        taken_at=snapshot.taken_at,
        blind=any(u.code in BLIND for u in snapshot.unread) or _has_crashed(skipped),
    )
    narrowed = _narrowed(diagnosis, snapshot, request.names) if request.names else diagnosis
    return situation.told(narrowed), snapshot


def where(name: str, request: Request, *, progress: Progress = lambda _: None) -> tuple[Whereabouts, ...]:
    """Every copy of a table, in each database that the pipelines lead to.

    Raises `CouldNotLookError` when no database could be read.
    """
    if not name.strip().strip('".'):
        raise UsageError("the table has no name", "Name one, as TABLE or SCHEMA.TABLE.")
    survey = take(request, progress)
    snapshot = survey.snapshot
    found: list[Whereabouts] = []
    failures = [_closed(u) for u in snapshot.unread if u.code == "DD002" and u.dataset is None]
    progress(f"looking for {name}")
    for database in snapshot.catalog.databases if snapshot.catalog else ():
        try:
            found.append(locate(name, snapshot, database, survey.ways_in[database.target.key], deep=request.deep))
        except CouldNotLookError as error:
            failures.append(error)
    if not found:
        raise (
            failures[0]
            if failures
            else CouldNotLookError(
                "there is no database to look into", "Pass --dsn, or --project to use the credentials of a project."
            )
        )
    notes = dict.fromkeys(failure.message for failure in failures)
    first = msgspec.structs.replace(found[0], notes=(*found[0].notes, *notes))
    return (first, *found[1:])


def _closed(unread: Unread) -> CouldNotLookError:
    return CouldNotLookError(f"could not look into {unread.what}: {unread.reason}", unread.hint)


def chosen(select: Collection[str], ignore: Collection[str]) -> tuple[Check, ...]:
    """The checks asked for, by code, name, or the beginning of a code such as "DD2"."""
    wanted = [c for c in CHECKS if not select or any(_is_meant(c, word) for word in select)]
    for word in (*select, *ignore):
        if not any(_is_meant(c, word) for c in CHECKS):
            similar = did_you_mean(word.lower(), [c.name for c in CHECKS]) or did_you_mean(word.upper(), BY_CODE)
            raise UsageError(f"there is no check {word!r}", f"{similar}dltdoctor explain lists them all.")
    return tuple(c for c in wanted if not any(_is_meant(c, word) for word in ignore))


def _is_meant(check: Check, word: str) -> bool:
    plain = word.strip()
    return bool(plain) and (check.name == plain.lower() or check.code.startswith(plain.upper()))


def exit_code(diagnosis: Diagnosis, fail_on: Severity | None) -> int:
    """1 for a sickness at or above `fail_on`, else 3 when something could not be looked at, else 0."""
    sick = [f for f in diagnosis.findings if f.code not in BLIND]
    if fail_on and any(f.severity.rank >= fail_on.rank for f in sick):
        return 1
    return 3 if diagnosis.blind else 0


def _refuse_unknown_names(request: Request, survey: Survey) -> None:
    snapshot = survey.snapshot
    known = {p.name for p in snapshot.pipelines}
    dirs = (f"{d.path} ({d.origin})" for d in survey.dirs)
    places = listed([*dirs, "the source", *(() if request.offline else ("the destination",))])
    could_not_look = [u for u in snapshot.unread if u.code != "offline" and not (u.pipeline or u.dataset)]
    could_not_look += [u for u in snapshot.unread if u.code == "DD002" and u.pipeline]
    missing = next((n for n in request.names if n not in known), None)
    if missing is not None:
        names = sorted(known | set(pipeline_names(survey.dirs)))
        hint = f"{did_you_mean(missing, names)}It was looked for in {places}; known: {listed(names) or 'none'}."
        if could_not_look:
            raise CouldNotLookError(
                f"there is no pipeline {missing!r} in what could be read; {_closed(could_not_look[0]).message}", hint
            )
        raise UsageError(f"there is no pipeline {missing!r}", hint)
    if not known and not could_not_look:
        raise CouldNotLookError(
            f"no dlt pipeline was found in {places}",
            "Pass --pipelines-dir or --project, or --dsn to look at a database without local state.",
        )


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """A question to begin a hint with; "" when no name is like the word."""
    close = difflib.get_close_matches(word, list(names), n=1)
    return f"Did you mean {close[0]}? " if close else ""


def _line(snapshot: Snapshot, ledger: Ledger, pipeline: Pipeline) -> PipelineLine:
    database = snapshot.catalog.database(pipeline.name) if snapshot.catalog else None
    ways = snapshot.routes_of(pipeline.name)
    newest = _newest_load(database, pipeline, {w.final for w in ways})
    blind = any(u.code in ("DD001", "DD002") and u.pipeline == pipeline.name for u in snapshot.unread)
    return PipelineLine(
        name=pipeline.name,
        dataset=ways[0].final if ways else None,
        target=database.target.key if database else None,
        target_origin=database.target.origin if database else None,
        working_dir=pipeline.working_dir,
        last_load_id=newest[0] if newest else None,
        last_load_at=newest[1] if newest else None,
        looked=not blind,
        notes=_notes(pipeline, ledger),
    )


def _newest_load(database: Database | None, pipeline: Pipeline, finals: Collection[str]) -> tuple[str, float] | None:
    names = {s.name for s in pipeline.schemas}
    loads = [
        s for s in (database.loads if database else ()) if s.dataset in finals and (s.schema_name in names or not names)
    ]
    newest = max(loads, key=lambda s: s.newest, default=None)
    return (newest.newest_load_id, newest.newest) if newest else None


def _notes(pipeline: Pipeline, ledger: Ledger) -> tuple[str, ...]:
    notes = []
    if pipeline.origin == "destination":
        notes.append("no working dir on this machine: state and schema were read from the destination")
    if pipeline.origin == "source":
        notes.append("found in the source only: it has not run on this machine")
    if pipeline.state and pipeline.state.partial:
        notes.append("its state.json is incomplete; what is missing was taken for unknown")
    mine = (entry for entry in ledger.entries if entry.row.pipeline == pipeline.name)
    told = (f"{e.row.table}: {v.why}" for e in mine for v in e.loads if v.note in ("rewound", "uncommitted"))
    return tuple(dict.fromkeys((*notes, *told)))


def _narrowed(diagnosis: Diagnosis, snapshot: Snapshot, names: Iterable[str]) -> Diagnosis:
    """Only what concerns the pipelines asked for; the others were read because they may do them harm."""
    wanted = set(names)
    datasets = {w.final for w in snapshot.routes if w.pipeline in wanted}
    return msgspec.structs.replace(
        diagnosis,
        findings=tuple(f for f in diagnosis.findings if _concerns(f, wanted, datasets)),
        ledger=tuple(r for r in diagnosis.ledger if r.pipeline in wanted),
        skipped=tuple(s for s in diagnosis.skipped if s.pipeline is None or s.pipeline in wanted),
        pipelines=tuple(p for p in diagnosis.pipelines if p.name in wanted),
        blind=any(u.code in BLIND and (u.pipeline is None or u.pipeline in wanted) for u in snapshot.unread)
        or _has_crashed(diagnosis.skipped),
    )


def _has_crashed(skipped: Iterable[SkippedCheck]) -> bool:
    """A check that crashed has not looked."""
    return any(s.reason.startswith(CRASHED) for s in skipped)


def _concerns(finding: Finding, names: Collection[str], datasets: Collection[str]) -> bool:
    if finding.pipeline is not None and finding.pipeline in names:
        return True
    shared = finding.pipeline is None or finding.code in ("DD103", "DD301")
    return shared and (finding.dataset is None or finding.dataset in datasets)
