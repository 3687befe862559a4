"""The pipeline state is neither stored in the destination nor restored from it.

With `restore_from_destination = false` dlt keeps the cursors in the working dir alone. `dlt.pipeline()` takes
an argument of that name and ignores it: only the environment and the TOML files count.

*Why it matters.* On a fresh container, another machine or after the working dir is lost, the pipeline starts
from the beginning: appended rows are there twice, and what the source no longer has is missing.

*Fix safety.* Without the setting the next run stores its state again. It keeps this machine's cursors, unless
the destination has the state of a newer version: then that one wins.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Severity
from dltdoctor.remedies import rewrite
from dltdoctor.snapshot import Config, Pipeline, Snapshot
from dltdoctor.words import count

RESTORE = "restore_from_destination"


def _switched_off() -> Snapshot:
    return sketch.world(settings=[sketch.setting(RESTORE, value=False)])


def _by_variable() -> Snapshot:
    name = RESTORE.upper()
    return sketch.world(settings=[sketch.setting(RESTORE, value=False, provider="env", location=name)])


def _default() -> Snapshot:
    return sketch.world(settings=[sketch.setting(RESTORE, value=True, provider="default", location="dlt's default")])


@check(
    "DD506",
    Severity.WARNING,
    sick=[_switched_off, _by_variable],
    well=[_default, sketch.world],
    url=f"{DLT_DOCS}/general-usage/state",
)
def state_not_restored(config: Config, pipelines: tuple[Pipeline, ...] = ()) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    for pipeline, settings in config.pipelines.items():
        winner = settings[RESTORE].winner
        if winner is None or winner.value is not False:
            continue
        state = everyone[pipeline].state if pipeline in everyone else None
        evidence = [Evidence(f"{RESTORE} = {winner.display}", winner.location)]
        if state and state.cursors:
            evidence.append(Evidence(f"{count(len(state.cursors), 'cursor')} in this state alone", state.origin))
        yield Note(
            message="the state is kept in the working dir alone: where that is missing, the pipeline starts from the "
            "beginning",
            pipeline=pipeline,
            evidence=tuple(evidence),
            remedy=rewrite(pipeline, winner, f"Take {RESTORE} out, so that the destination keeps the state"),
        )
