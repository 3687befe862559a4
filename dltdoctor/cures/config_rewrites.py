"""What each finding about configuration asks to be rewritten, tried out on a draft of the project.

A layout that is written always holds "%s" and something besides.
"""

import re
from collections.abc import Callable, Iterator, Mapping

from dltdoctor.checks.shadowed_config import identity_of
from dltdoctor.deduced.dev_mode import would_skip
from dltdoctor.finding import Finding, Safety, fingerprint
from dltdoctor.snapshot import ConfigValue, Pipeline, Route, Value
from dltdoctor.words import command, listed
from dltdoctor.world.dotenv import lines_that_set
from dltdoctor.world.draft import Draft

LAYOUT = "staging_dataset_name_layout"
OWN_LAYOUT = "%s__dlt_staging"
FRONT_LAYOUT = "stg_%s"  # it differs in the first bytes, where Postgres does not cut
MOST_PLACES = 50
_TYPO = re.compile(r"[{}]|%(?!s)")


class NotOfferedError(Exception):
    """Nothing can be rewritten: why, and the line that does it instead."""

    def __init__(self, reason: str, line: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.command = line


class Change(Value):
    """What was edited in a draft. `moves_staging`: rows staged before are not looked for there any more."""

    pipelines: tuple[str, ...]
    files: tuple[str, ...] = ()
    safety: Safety = "safe"
    cost: str = ""
    note: str = ""
    moves_staging: bool = False


Rewrite = Callable[[Finding, Draft], Change]


def default_layout(finding: Finding, draft: Draft) -> Change:
    """DD101 and DD102: every bad layout goes, until the one that wins is fine."""
    pipeline = pipeline_of(finding, draft)
    _refuse_cured(is_sane(Draft(draft.request, draft.snapshot), pipeline))
    for _ in range(MOST_PLACES):
        if is_sane(draft, pipeline):
            break
        winner = draft.config(pipeline)[LAYOUT].winner
        if winner is None or winner.provider == "default":
            _set_own_layout(draft, pipeline, FRONT_LAYOUT)
        elif winner.value == FRONT_LAYOUT:
            break
        else:
            draft.remove(_editable(winner, draft, pipeline), pipeline)
    _require_sane(draft, pipeline)
    return Change(pipelines=(pipeline.name,), note="Without a layout dlt uses %s_staging.")


def placeholder(finding: Finding, draft: Draft) -> Change:
    """DD103: a layout without %s gets one, so that each dataset has a staging dataset of its own."""
    if finding.pipeline is None:
        raise NotOfferedError("they share one dataset by nature: run them one after the other, never at once")
    names = {w.pipeline for w in draft.snapshot.routes if w.staging == finding.dataset}
    pipelines = [p for p in draft.pipelines() if p.name in names]
    _refuse_cured(not pipelines)
    for pipeline in pipelines:
        winner = draft.config(pipeline)[LAYOUT].winner
        layout = winner.value if winner else None
        if winner is None or not isinstance(layout, str) or "%s" in layout:
            continue
        if not layout or "%" in layout:
            raise NotOfferedError(f"{winner.location}: {winner.display} is no layout; remove it first (DD102)")
        draft.replace(_editable(winner, draft, pipeline), pipeline, f"%s_{layout}")
    for pipeline in pipelines:
        _require_sane(draft, pipeline)
    places = {(w.staging, w.final) for p in pipelines for w in draft.routes(p)}
    if len({staging for staging, _ in places}) < len({final for _, final in places}):
        raise NotOfferedError("their names are still the same with %s in the layout: choose other dataset names")
    return Change(
        pipelines=tuple(p.name for p in pipelines),
        note="The old staging dataset stays where it is.",
        moves_staging=True,
    )


def own_layout(finding: Finding, draft: Draft) -> Change:
    """DD104: this pipeline stages elsewhere; the others keep what they have."""
    pipeline = pipeline_of(finding, draft)
    winner = draft.config(pipeline)[LAYOUT].winner
    if winner is not None and (winner.provider == "argument" or winner.pipeline_scoped):
        if winner.value == OWN_LAYOUT:
            raise NotOfferedError(f"{winner.location} has {winner.display} already: choose another layout")
        draft.replace(_editable(winner, draft, pipeline), pipeline, OWN_LAYOUT)
    else:
        _set_own_layout(draft, pipeline, OWN_LAYOUT)
    _require_sane(draft, pipeline)
    note = "Rows that were truncated already have to be loaded again by the pipeline they belonged to."
    return Change(pipelines=(pipeline.name,), note=note, moves_staging=True)


def no_dev_mode(finding: Finding, draft: Draft) -> Change:
    """DD106: whatever switches dev mode on goes."""
    pipeline = pipeline_of(finding, draft)
    if draft.config(pipeline).value("dev_mode") is not True:
        raise NotOfferedError("nothing in the configuration or the source switches dev mode on any more")
    for _ in range(MOST_PLACES):
        winner = draft.config(pipeline)["dev_mode"].winner
        if winner is None or winner.value is not True:
            break
        draft.remove(_editable(winner, draft, pipeline), pipeline)
    note = "The next run loads into the dataset without the timestamp; rows of the other stay there."
    catalog = draft.snapshot.catalog
    database = catalog.database(pipeline.name) if catalog else None
    if any(would_skip(pipeline, way.final, database) for way in draft.snapshot.routes_of(pipeline.name)):
        cost = (
            f"the cursors stay, and rows up to them never arrive in {finding.dataset} unless the working dir is archived "
            f"before the next run: {command('dltdoctor', 'clean-cache', pipeline.name, '--unsafe')}"
        )
        return Change(pipelines=(pipeline.name,), safety="unsafe", cost=cost, note=note)
    return Change(pipelines=(pipeline.name,), note=note)


def without_loser(finding: Finding, draft: Draft) -> Change:
    """DD110: a value that no pipeline can ever see, because an argument in source stands before it."""
    pipeline = pipeline_of(finding, draft)
    examined = Draft(draft.request, draft.snapshot)
    found = next((c for c in _contests(examined, pipeline) if finding.fingerprint == _fingerprint(pipeline, *c)), None)
    if found is None:
        raise NotOfferedError("it stands in a section that dlt does not read for this pipeline: move it or remove it")
    now = next((c for c in _contests(draft, pipeline) if _place(*c) == _place(*found)), None)
    if now is None:  # another finding's rewrite has settled it
        return Change(pipelines=(pipeline.name,))
    winner, loser = now
    if "env" in (winner.provider, loser.provider):
        raise environment(winner if winner.provider == "env" else loser, draft, pipeline)
    if winner.provider != "argument":
        raise NotOfferedError(
            f"{winner.location} may not exist on every machine, and {loser.display} counts without it"
        )
    if not draft.is_in_project(loser, pipeline):
        raise NotOfferedError(f"{loser.location} belongs to every project of this user")
    if not loser.pipeline_scoped and _has_computed_names(draft):
        raise NotOfferedError("a pipeline whose name is computed may rely on it")
    before = {p.name: _winners(draft, p) for p in draft.pipelines()}
    draft.remove(loser, pipeline)
    changed = sorted(p.name for p in draft.pipelines() if _winners(draft, p) != before[p.name])
    if changed:
        raise NotOfferedError(f"{listed(changed)} would be configured differently without it")
    return Change(pipelines=(pipeline.name,), note="Nothing that dlt does changes.")


def _contests(draft: Draft, pipeline: Pipeline) -> Iterator[tuple[ConfigValue, ConfigValue]]:
    for setting in draft.config(pipeline).settings.values():
        for loser in setting.shadowed:
            if setting.winner:
                yield setting.winner, loser


def _fingerprint(pipeline: Pipeline, winner: ConfigValue, loser: ConfigValue) -> str:
    return fingerprint("DD110", pipeline.name, None, None, identity_of(winner, loser))


def _place(winner: ConfigValue, loser: ConfigValue) -> tuple[object, ...]:
    """What stays the same when lines move."""
    return tuple((v.provider, v.sections, v.key, v.value, v.location.rpartition(":")[0]) for v in (winner, loser))


def _winners(draft: Draft, pipeline: Pipeline) -> Mapping[str, object]:
    settings = draft.config(pipeline).settings
    return {key: setting.winner and (setting.winner.value, setting.winner.problem) for key, setting in settings.items()}


def _has_computed_names(draft: Draft) -> bool:
    made = (call for call in draft.source.calls if call.function == "pipeline")
    return any(not isinstance(call.literal("pipeline_name"), str) for call in made)


# ------------------------------------------------------------------------------------------ shared


def pipeline_of(finding: Finding, draft: Draft) -> Pipeline:
    """The finding's pipeline, when this project is where it is configured."""
    for pipeline in draft.pipelines():
        if pipeline.name == finding.pipeline:
            return pipeline
    raise NotOfferedError("its source and configuration are not in this project")


def is_sane(draft: Draft, pipeline: Pipeline) -> bool:
    """True when every schema of the pipeline has a staging dataset of its own."""
    return all(_is_sane(way) for way in draft.routes(pipeline))


def _is_sane(way: Route) -> bool:
    layout = way.layout or ""
    is_typo = "%s" not in layout and _TYPO.search(layout) is not None
    return way.staging is not None and way.staging != way.final and not way.layout_error and not is_typo


def _require_sane(draft: Draft, pipeline: Pipeline) -> None:
    if not is_sane(draft, pipeline):
        raise NotOfferedError(f"no rewrite gives {pipeline.name} a staging dataset that differs from the final one")
    if victim := taken(draft, pipeline):
        raise NotOfferedError(f"{pipeline.name} would then stage its rows in {victim}, which is somebody's dataset")


def taken(draft: Draft, pipeline: Pipeline) -> str | None:
    """The staging dataset of the pipeline that is another's final one."""
    catalog = draft.snapshot.catalog
    database = catalog.database(pipeline.name) if catalog else None
    places = catalog.of_pipeline if catalog else {}
    others = {
        w.final
        for w in draft.snapshot.routes
        if w.pipeline != pipeline.name and places.get(w.pipeline) == places.get(pipeline.name)
    }
    stagings = [w.staging for w in draft.routes(pipeline) if w.staging]
    return next((s for s in stagings if s in others or (database and database.is_dataset(s))), None)


def _refuse_cured(cured: bool) -> None:  # noqa: FBT001 - reads as a sentence
    if cured:
        raise NotOfferedError("the files have changed since: there is nothing left to rewrite")


def _set_own_layout(draft: Draft, pipeline: Pipeline, layout: str) -> None:
    """A layout in the pipeline's own section, which beats everything but an argument."""
    sections = (pipeline.name, "destination", draft.config(pipeline).destination_name)
    draft.add(pipeline, sections, LAYOUT, layout)
    winner = draft.config(pipeline)[LAYOUT].winner
    if winner is None or winner.value != layout:
        where = winner.location if winner else "somewhere else"
        raise NotOfferedError(f"{where} would still win over [{'.'.join(sections)}]")


def _editable(value: ConfigValue, draft: Draft, pipeline: Pipeline) -> ConfigValue:
    if value.provider == "env":
        raise environment(value, draft, pipeline)
    return value


def environment(value: ConfigValue, draft: Draft, pipeline: Pipeline) -> NotOfferedError:
    """The line that takes a variable back; a file that seems to set it is named."""
    name = value.location
    if not re.fullmatch(r"\w+", name):
        return NotOfferedError(f"{name} is mounted: remove it where the secrets of this machine are managed")
    files = lines_that_set(name, draft.project(pipeline))
    where = f"{listed(files)} sets it" if files else "unset it wherever it is exported"
    wait = ", then run dltdoctor fix --config again" if draft.edited else ""
    return NotOfferedError(f"{name} is an environment variable: {where}{wait}", command("unset", name))
