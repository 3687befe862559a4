"""DD504 to DD506 in configuration and source: settings that go, and the replace strategy that readers do not notice."""

from collections.abc import Callable

from dltdoctor.checks.non_atomic_replace import STRATEGY, is_not_atomic
from dltdoctor.checks.refresh_left_on import REFRESH, identity_of, refreshing
from dltdoctor.checks.state_not_restored import RESTORE
from dltdoctor.cures.config_rewrites import (
    MOST_PLACES,
    Change,
    NotOfferedError,
    environment,
    is_sane,
    pipeline_of,
    taken,
)
from dltdoctor.deduced.versions import release
from dltdoctor.finding import Finding, fingerprint
from dltdoctor.snapshot import Database, Pipeline, Route
from dltdoctor.words import command, listed
from dltdoctor.world.draft import Draft

ATOMIC = "insert-from-staging"
# Measured: 1.28.1 does not make the missing staging tables of a schema that it knows, 1.29.1 does.
MAKES_STAGING_TABLES = (1, 29)
_STORAGE_SINCE_1_30 = "1.0.2"


def no_refresh(finding: Finding, draft: Draft) -> Change:
    """DD505: the refresh goes, from the settings or from the runs that always ask for it."""
    pipelines = (finding.pipeline,) if finding.pipeline else ()
    note = "The next run goes on from the cursors that the last one stored."
    for (name, file, mode), calls in refreshing(draft.source).items():
        known = name if finding.pipeline else None
        if finding.fingerprint == fingerprint("DD505", known, None, None, identity_of(file, mode)):
            for _ in calls:
                _withdraw(draft, (name, file, mode))
            return Change(pipelines=pipelines, note=note)
    _remove_while(finding, draft, REFRESH, lambda value: isinstance(value, str))
    return Change(pipelines=pipelines, note=note)


def restored_state(finding: Finding, draft: Draft) -> Change:
    """DD506: nothing keeps dlt from storing its state in the destination."""
    pipeline = _remove_while(finding, draft, RESTORE, lambda value: value is False)
    newer = _newer_states(draft, pipeline)
    return Change(
        pipelines=(pipeline.name,),
        safety="unsafe" if newer else "safe",
        cost=f"{newer}: dlt would go back to its cursors, and load again what came after them" if newer else "",
        note="The next run stores the state in the destination.",
    )


def _newer_states(draft: Draft, pipeline: Pipeline) -> str:
    """The stored state that would replace this machine's, which has cursors of its own; empty when there is none."""
    state, catalog = pipeline.state, draft.snapshot.catalog
    if state is None or pipeline.working_dir is None or not state.cursors:
        return ""
    database = catalog.database(pipeline.name) if catalog else None
    if database is None:
        raise NotOfferedError("the destination may hold an older state with a higher version, and it was not looked at")
    stored = [row for row in database.states if row.pipeline_name == pipeline.name and row.committed]
    newest = max(stored, key=lambda row: row.version, default=None)
    if newest is None or newest.version < state.version:
        return ""
    same = newest.state is not None and newest.state.version_hash == state.version_hash
    return "" if same else f"{newest.dataset} holds a state of version {newest.version}, here it is {state.version}"


def atomic_replace(finding: Finding, draft: Draft) -> Change:
    """DD504: replaced tables are staged first, where this dlt makes the staging tables that it needs."""
    pipeline = pipeline_of(finding, draft)
    _refuse_unfit(draft, pipeline)
    winner = draft.config(pipeline)[STRATEGY].winner
    if winner is not None and winner.value == ATOMIC:
        raise NotOfferedError(f"{winner.location} asks for {ATOMIC} already")
    if winner is None or winner.provider == "default":
        sections = (pipeline.name, "destination", draft.config(pipeline).destination_name)
        draft.add(pipeline, sections, STRATEGY, ATOMIC)
    elif winner.provider == "env":
        raise NotOfferedError(
            f"{winner.location} is an environment variable", command("export", f"{winner.location}={ATOMIC}")
        )
    else:
        draft.replace(winner, pipeline, ATOMIC)
    if draft.config(pipeline).value(STRATEGY) != ATOMIC:
        raise NotOfferedError("another value would still win")
    return Change(pipelines=(pipeline.name,), note="It counts from the next run on, which makes the staging tables.")


def _remove_while(finding: Finding, draft: Draft, key: str, is_bad: Callable[[object], bool]) -> Pipeline:
    pipeline = pipeline_of(finding, draft)
    for attempt in range(MOST_PLACES):
        winner = draft.config(pipeline)[key].winner
        if winner is None or winner.provider == "default" or not is_bad(winner.value):
            if attempt == 0 and not draft.edited:
                raise NotOfferedError(f"nothing in the configuration or the source sets {key} any more")
            break
        if winner.provider == "env":
            raise environment(winner, draft, pipeline)
        draft.remove(winner, pipeline)
    return pipeline


def _withdraw(draft: Draft, place: tuple[str, str, str]) -> None:
    calls = refreshing(draft.source).get(place, [])
    for call in calls:
        program = draft.program(call.file)
        ordinals = [i for i in program.ordinals(call) if program.has(i, REFRESH)]
        if len(ordinals) != 1:
            raise NotOfferedError(f"{call.file}:{call.line}: it cannot be told which call passes {REFRESH} by name")
        draft.withdraw(call.file, ordinals[0], REFRESH)
        return


def _refuse_unfit(draft: Draft, pipeline: Pipeline) -> None:
    """A staging dataset that is the final one would be emptied; a missing staging table would stop the load."""
    if not is_sane(draft, pipeline) or taken(draft, pipeline):
        raise NotOfferedError("its staging dataset is another's or the final one: cure the layout first")
    if pipeline.pending:
        raise NotOfferedError(
            "a load is pending, which was made for the old strategy",
            command("dltdoctor", "fix", pipeline.name, "--resume"),
        )
    catalog = draft.snapshot.catalog
    database = catalog.database(pipeline.name) if catalog else None
    for way in draft.routes(pipeline):
        if database is None or (way.staging or "") in database.schemas:
            missing = _missing(way, pipeline, database)
            if missing and not _makes_staging_tables(draft, pipeline):
                raise NotOfferedError(
                    f"dlt before 1.29 does not make the missing staging tables ({listed(missing)}), and the load fails: "
                    "upgrade dlt first"
                )
        elif (lacking := database.lacking.get(pipeline.name)) and "CREATE" in lacking.database:
            raise NotOfferedError(f"{lacking.role} may not create the staging dataset {way.staging}")


def _missing(way: Route, pipeline: Pipeline, database: Database | None) -> list[str]:
    """The replaced tables and those nested in them that have no staging table, or may have none."""
    schema = pipeline.schema(way.schema)
    tables = [t.name for t in (schema.data_tables if schema else ()) if is_not_atomic(t)]
    return [name for name in tables if database is None or (way.staging or "", name) not in database.tables]


def _makes_staging_tables(draft: Draft, pipeline: Pipeline) -> bool:
    """True only where it is certain: the project's dlt, else the mark that a newer one left in the working dir."""
    if version := release(draft.source.dlt_version):
        return version >= MAKES_STAGING_TABLES
    return pipeline.storage_version == _STORAGE_SINCE_1_30
