"""Why a working dir may not be given up for what dlt would restore: each thing that would be lost by it.

Pure; a reason is a sentence that needs no other.
"""

from collections.abc import Iterator
from typing import Literal

from dltdoctor.deduced.restore import Restoration
from dltdoctor.snapshot import Pipeline, Value
from dltdoctor.words import command, count, listed

Kind = Literal[
    "place",
    "running",
    "unreadable",
    "unreachable",
    "not-postgres",
    "pending-packages",
    "aborted-packages",
    "stranded-rows",
    "unrecorded-loads",
    "nothing-to-restore",
    "restore-is-off",
    "other-dataset",
    "schema-of-another",
    "state-ahead",
    "hidden-state",
    "uncommitted-rows",
    "strange-files",
]


class Objection(Value):
    """Why a purge is refused; `command` is what to run first, where there is such a thing."""

    kind: Kind
    reason: str
    command: str | None = None


def of_restoration(pipeline: Pipeline, found: Restoration) -> Iterator[Objection]:
    if found.is_off:
        yield Objection(
            kind="restore-is-off",
            reason=f"restore_from_destination is false ({found.off_origin}): dlt would restore nothing and begin anew",
        )
    if found.next_dataset != found.dataset:
        yield Objection(kind="other-dataset", reason=_elsewhere(pipeline, found))
    if found.load_id is None:
        yield Objection(
            kind="nothing-to-restore",
            reason=f"{found.dataset} holds no committed state of it: dlt would begin anew, and every row would be read again",
        )
    if found.hidden_loads:
        yield Objection(
            kind="hidden-state",
            reason=f"{count(len(found.hidden_loads), 'load')} newer than the state that dlt would restore "
            f"{'is' if len(found.hidden_loads) == 1 else 'are'} in the destination: its rows would be read and "
            "appended a second time. dlt restores the newest state in that dataset whose load has status 0",
            command=command("dltdoctor", "diagnose", pipeline.name),
        )
    for schema in found.schemas:
        if schema.lacks:
            yield Objection(
                kind="schema-of-another",
                reason=f"the newest stored schema {schema.name} does not know {listed(schema.lacks)}, which this "
                "pipeline has loaded: another pipeline stores its schema under the same name",
            )


def _elsewhere(pipeline: Pipeline, found: Restoration) -> str:
    stored = pipeline.state.dataset_name if pipeline.state else None
    if found.is_sticky:
        return (
            f"the dataset name {stored!r} stands in the local state only: without it dlt would load into "
            f"{found.next_dataset}, from the beginning"
        )
    return (
        f"the state is in {found.dataset}, and the next run loads into {found.next_dataset} (DD105): "
        "it would find no state of this load there"
    )
