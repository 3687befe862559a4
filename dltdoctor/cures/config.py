"""Cures that rewrite configuration and source: findings become files with new contents, and nothing else.

A cure is offered only when the configuration resolves to two different datasets with it, by dltdoctor's
own resolver and by dlt itself. What cannot be edited, such as an environment variable, is held back with
the exact line that does it.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from dltdoctor.cures.config_replace import insert_from_staging
from dltdoctor.cures.config_rewrites import (
    Change,
    NotOfferedError,
    Rewrite,
    default_layout,
    is_sane,
    no_dev_mode,
    own_layout,
    placeholder,
    taken,
    without_loser,
)
from dltdoctor.cures.config_settings import atomic_replace, no_refresh, restored_state
from dltdoctor.cures.config_upsert import upsert
from dltdoctor.errors import RefusedError
from dltdoctor.finding import Finding
from dltdoctor.plan import Cure, HeldBack
from dltdoctor.snapshot import Snapshot, Value
from dltdoctor.steps.step import WriteFile
from dltdoctor.words import command, listed
from dltdoctor.world.draft import Draft
from dltdoctor.world.naming import effective_name, fold
from dltdoctor.world.survey import Request

REWRITES: Mapping[str, Rewrite] = {
    "DD101": default_layout,
    "DD102": default_layout,
    "DD103": placeholder,
    "DD104": own_layout,
    "DD106": no_dev_mode,
    "DD110": without_loser,
    "DD301": upsert,
    "DD503": insert_from_staging,
    "DD504": atomic_replace,
    "DD505": no_refresh,
    "DD506": restored_state,
}
_STAGED_ROWS = ("DD201", "DD202", "DD203", "DD206", "DD208")


class Planned(Value):
    """A finding with the change that cures it."""

    finding: Finding
    change: Change


def plan(
    findings: Sequence[Finding],
    snapshot: Snapshot,
    request: Request,
    *,
    unsafe: bool = False,
    settling: Collection[str] = (),
) -> tuple[list[Cure], list[HeldBack]]:
    """Cures for the findings that a rewrite cures, and those held back; other findings are left out.

    `unsafe` admits changes that may cost something. `settling` are pipelines whose staged rows the same
    plan moves before it writes files. A file is written by one step: it stands in the first cure that
    touches it, and a cure that needs nothing besides has no steps of its own.
    """
    mine = sorted((f for f in findings if f.code in REWRITES), key=lambda finding: finding.code)
    stranded = {f.pipeline for f in findings if f.code in _STAGED_ROWS and f.pipeline} - set(settling)
    refused: dict[str, NotOfferedError] = {}
    while True:
        draft = Draft(request, snapshot)
        planned: list[Planned] = []
        held: list[HeldBack] = []
        for finding in mine:
            try:
                if finding.fingerprint in refused:
                    raise refused[finding.fingerprint]
                draft, change = _tried(finding, draft, unsafe=unsafe, stranded=stranded)
                planned.append(Planned(finding=finding, change=change))
            except NotOfferedError as error:
                held.append(_held(finding, error))
            except RefusedError as error:
                held.append(_held(finding, NotOfferedError(error.message)))
        news = _harmful(draft, planned) or _refused_by_dlt(draft, planned)
        if not news:
            return _cures(draft, planned), held
        refused |= news


def _tried(finding: Finding, draft: Draft, *, unsafe: bool, stranded: AbstractSet[str]) -> tuple[Draft, Change]:
    """The draft with the finding's change in it; the given one is left as it is."""
    trial = draft.fork()
    change = REWRITES[finding.code](finding, trial)
    if change.safety == "unsafe" and not unsafe:
        words = ("dltdoctor", "fix", *([finding.pipeline] if finding.pipeline else []), "--config", "--unsafe")
        raise NotOfferedError(change.cost, command(*words))
    waiting = sorted(stranded & set(change.pipelines)) if change.moves_staging else []
    if waiting:
        raise NotOfferedError(
            f"{listed(waiting)} has staged rows that a new staging layout would leave behind: move them first",
            command("dltdoctor", "fix", *waiting),
        )
    files = tuple(path for path, content in trial.edited.items() if draft.edited.get(path) != content)
    return trial, msgspec.structs.replace(change, files=files)


def _harmful(draft: Draft, planned: Sequence[Planned]) -> dict[str, NotOfferedError]:
    """Every change, when together they would make a pipeline sick that is not."""
    before = Draft(draft.request, draft.snapshot)
    for pipeline in draft.pipelines() if draft.edited else ():
        was, is_now = (is_sane(d, pipeline) and not taken(d, pipeline) for d in (before, draft))
        if was and not is_now:
            reason = f"{pipeline.name} would then stage its rows in its own or another's final dataset"
            return {one.finding.fingerprint: NotOfferedError(reason) for one in planned if one.change.files}
    return {}


def _refused_by_dlt(draft: Draft, planned: Sequence[Planned]) -> dict[str, NotOfferedError]:
    """The findings whose pipelines dlt would not load as planned, with why."""
    if not draft.edited:
        return {}
    wanted = {name for one in planned for name in one.change.pipelines}
    pipelines = [p for p in draft.pipelines() if p.name in wanted]
    wrong: dict[str, str] = {}
    asked = draft.asked_of_dlt(pipelines)
    for pipeline in pipelines:
        case, answer = asked[pipeline.name]
        expected = [(way.final, way.staging) for way in draft.routes(pipeline)]
        held = [
            tuple(effective_name(fold(name, naming)) for name in names)
            for names, (_, naming) in zip(answer.names, case.ways, strict=False)
        ]
        if answer.error:
            wrong[pipeline.name] = f"dlt refuses the new configuration of {pipeline.name} ({answer.error})"
        elif held != expected or any(final == staging for final, staging in held):
            wrong[pipeline.name] = f"dlt would load {pipeline.name} into other datasets than expected"
        elif answer.dev_mode not in (None, draft.config(pipeline).value("dev_mode") is True):
            wrong[pipeline.name] = f"dlt resolves dev_mode of {pipeline.name} to {answer.dev_mode}"
        for key, value in answer.settings.items():
            if value != draft.config(pipeline).value(key):
                wrong[pipeline.name] = f"dlt resolves {key} of {pipeline.name} to {value}"
    return {
        one.finding.fingerprint: NotOfferedError(wrong[name])
        for one in planned
        for name in one.change.pipelines
        if name in wrong
    }


def _held(finding: Finding, error: NotOfferedError) -> HeldBack:
    return HeldBack(
        code=finding.code,
        pipeline=finding.pipeline,
        message=finding.message,
        reason=error.reason,
        command=error.command,
    )


def _cures(draft: Draft, planned: Sequence[Planned]) -> list[Cure]:
    """One cure for each finding; the step of a file stands in the first unsafe one, else in the first."""
    owner: dict[str, int] = {}
    by_risk = sorted(range(len(planned)), key=lambda i: planned[i].change.safety != "unsafe")
    for index in by_risk:
        for path in planned[index].change.files:
            owner.setdefault(path, index)
    return [
        Cure(
            code=one.finding.code,
            fingerprint=one.finding.fingerprint,
            pipeline=one.finding.pipeline,
            message=one.finding.message,
            safety=one.change.safety,
            steps=tuple(_step(draft, path, planned) for path in one.change.files if owner[path] == index),
            cost=one.change.cost,
        )
        for index, one in enumerate(planned)
    ]


def _step(draft: Draft, path: str, planned: Sequence[Planned]) -> WriteFile:
    before = draft.originals[path]
    notes = dict.fromkeys(one.change.note for one in planned if path in one.change.files and one.change.note)
    return WriteFile(
        title="; ".join(draft.titles[path]),
        path=path,
        before=None if before is None else hashlib.sha256(before).hexdigest(),
        content=draft.edited[path],
        note=" ".join(notes),
    )


def touched(cures: Sequence[Cure]) -> tuple[str, ...]:
    """The files that the cures write."""
    return tuple(s.path for cure in cures for s in cure.steps if isinstance(s, WriteFile))
