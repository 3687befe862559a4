"""The destination could not be reached.

No connection, a wrong password, no such database, or no credentials at all. What is in the tables
is unknown: this is not the same as nothing being wrong.

*Why it matters.* Without the destination nobody can tell leftover rows from stranded ones.

*Fix safety.* Nothing is changed. `--dsn` overrides what the configuration says; `--offline` asks for
the checks that need no database.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Snapshot, Unread


def _wrong_password() -> Snapshot:
    closed = Unread(
        code="DD002",
        what="postgresql://loader:***@db:5432/warehouse",
        reason='password authentication failed for user "loader"',
        hint="correct the password in .dlt/secrets.toml:2, or give another one with --dsn",
        areas=("catalog",),
        pipeline="shop_loader",
    )
    return sketch.world(unread=(closed,))


@check("DD002", Severity.ERROR, sick=[_wrong_password], well=[sketch.world])
def unreachable_destination(unread: tuple[Unread, ...]) -> Iterable[Note]:
    for part in unread:
        if part.code == "DD002":
            yield Note(
                message=f"could not look into {part.what}: {part.reason}",
                pipeline=part.pipeline,
                evidence=(Evidence(part.reason, part.what),),
                remedy=Remedy(part.hint, "manual") if part.hint else None,
                identity=part.what,
            )
