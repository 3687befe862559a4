"""A file that dlt or you wrote cannot be read.

A working dir's file (or the project's configuration or source) is truncated, not what its name
says, unreadable, or written by a dlt that this version of dltdoctor does not know. What stands in it
is therefore unknown; everything else was still examined.

*Why it matters.* dlt reads the same files at the start of its next run. A truncated `state.json`
stops it, or makes it start from the state in the destination.

*Fix safety.* Nothing is offered automatically: whether the file can be rebuilt depends on what it
was. Do not delete the working dir before the pending packages in it are safe.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Snapshot, Unread


def _truncated() -> Snapshot:
    broken = Unread(
        code="DD001",
        what="pipelines/shop_loader/state.json",
        reason="is not valid JSON: it ends in the middle (line 1, column 4096)",
        hint="restore it from a backup, or move the working dir aside so that dlt restores the state",
        areas=("pipelines",),
        pipeline="shop_loader",
    )
    return sketch.world(unread=(broken,))


@check("DD001", Severity.ERROR, sick=[_truncated], well=[sketch.world])
def unreadable_state(unread: tuple[Unread, ...]) -> Iterable[Note]:
    for part in unread:
        if part.code == "DD001":
            yield Note(
                message=f"{part.what} {part.reason}",
                pipeline=part.pipeline,
                evidence=(Evidence(part.reason, part.what),),
                remedy=Remedy(part.hint, "manual") if part.hint else None,
                identity=part.what,
            )
