"""Every run starts with a refresh.

`refresh` is meant for one run. In the configuration, as an environment variable (a bare `REFRESH` is enough),
as an argument of `dlt.pipeline()` or of a `run` that takes place each time, it counts for all of them.
`drop_sources` drops all tables and the whole state of the source, `drop_resources` the tables and the state of
the resources that are loaded, `drop_data` empties their tables and forgets their cursors.

*Why it matters.* Each run throws away what the ones before have loaded. Whatever the source does not deliver
again is gone, grants and indexes on the dropped tables too, and readers find no table or an empty one while it
loads.

*Fix safety.* Removing it touches no row: the next run goes on from the cursors that the last one stored. What
earlier runs dropped does not come back with it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.remedies import rewrite
from dltdoctor.snapshot import Call, Config, Snapshot, Source
from dltdoctor.words import command

REFRESH = "refresh"
_EFFECTS = {
    "drop_sources": "every run drops all tables and the whole state of its source",
    "drop_resources": "every run drops the tables and the state of the resources that it loads",
    "drop_data": "every run empties the tables of the resources that it loads and forgets their cursors",
}
_RUNS = ("run", "extract")


def _variable() -> Snapshot:
    return sketch.world(settings=[sketch.setting(REFRESH, "drop_sources", provider="env", location="REFRESH")])


def _in_toml() -> Snapshot:
    return sketch.world(settings=[sketch.setting(REFRESH, "drop_data")])


def _run(mode: str | None, line: int = 9, **changes: Any) -> Call:
    name = sketch.argument("pipeline_name", "shop_loader")
    given = (sketch.argument(REFRESH, mode, line),) if mode else ()
    facts: dict[str, Any] = {"function": "run", "file": "load.py", "line": line, "arguments": (name, *given), **changes}
    return Call(**facts)


def _at_the_run() -> Snapshot:
    return sketch.world(source=Source(root=".", calls=(_run("drop_sources", reached="always"),)))


def _in_the_only_run() -> Snapshot:
    return sketch.world(source=Source(root=".", calls=(_run("drop_data", reached="if-called"),)))


def _on_demand() -> Snapshot:
    return sketch.world(source=Source(root=".", calls=(_run("drop_sources"), _run(None, 12, reached="always"))))


def _in_a_function_of_its_own() -> Snapshot:
    calls = (_run("drop_sources", reached="if-called"), _run(None, 12, reached="if-called"))
    return sketch.world(source=Source(root=".", calls=calls))


def _unset() -> Snapshot:
    return sketch.world(settings=[sketch.setting(REFRESH, None, provider="default", location="dlt's default")])


@check(
    "DD505",
    Severity.ERROR,
    sick=[_variable, _in_toml, _at_the_run, _in_the_only_run],
    well=[_on_demand, _in_a_function_of_its_own, _unset, sketch.world],
    url=f"{DLT_DOCS}/general-usage/pipeline#refresh-pipeline-data-and-state",
)
def refresh_left_on(config: Config, source: Source | None = None) -> Iterable[Note]:
    for pipeline, settings in config.pipelines.items():
        winner = settings[REFRESH].winner
        if winner is not None and winner.value in _EFFECTS and not winner.problem:
            yield Note(
                message=f"refresh is {winner.value} for every run: {_EFFECTS[str(winner.value)]}",
                pipeline=pipeline,
                evidence=(Evidence(f"refresh = {winner.display}", winner.location),),
                remedy=rewrite(pipeline, winner, "Take refresh out"),
            )
    for (pipeline_name, file, mode), calls in refreshing(source).items():
        name = pipeline_name if pipeline_name in config.pipelines else None
        yield Note(
            message=f"the run in {file} always refreshes with {mode}: {_EFFECTS[mode]}",
            pipeline=name,
            evidence=tuple(
                Evidence(f"refresh={mode!r} in a {c.function} that nothing makes conditional", _place(c)) for c in calls
            ),
            remedy=Remedy(
                "Take refresh= out of the call, or give it only when it is asked for",
                "safe",
                command("dltdoctor", "fix", *((name,) if name else ()), "--config"),
            ),
            identity=identity_of(file, mode),
        )


def refreshing(source: Source | None) -> Mapping[tuple[str, str, str], list[Call]]:
    """The runs that always refresh, by pipeline (empty where the source does not show it), file and mode."""
    found: dict[tuple[str, str, str], list[Call]] = defaultdict(list)
    runs = [call for call in (source.calls if source else ()) if call.function in _RUNS]
    for call in runs:
        mode = call.literal(REFRESH)
        if mode in _EFFECTS and (call.reached == "always" or (call.reached == "if-called" and _is_usual(call, runs))):
            found[str(call.literal("pipeline_name") or ""), call.file, str(mode)].append(call)
    return found


def identity_of(file: str, mode: str) -> str:
    """What stays the same when lines move."""
    return f"{file} {mode}"


def _is_usual(call: Call, runs: Iterable[Call]) -> bool:
    """True when the file has no run of this pipeline without a refresh: then it is no way for special occasions."""
    name = call.literal("pipeline_name")
    mine = [r for r in runs if r.file == call.file and r.literal("pipeline_name") in (name, None)]
    return all(r.literal(REFRESH) in _EFFECTS and r.reached != "perhaps" for r in mine)


def _place(call: Call) -> str:
    argument = call.argument(REFRESH)
    return f"{call.file}:{argument.line if argument else call.line}"
