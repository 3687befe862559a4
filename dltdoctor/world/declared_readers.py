"""The declared readers, looked up in every database that was read."""

from collections.abc import Mapping, Sequence

from dltdoctor.errors import CouldNotLookError
from dltdoctor.snapshot import Database, Reader, Unread
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.request import Progress, Request


def declared_readers(
    request: Request, databases: Sequence[Database], ways_in: Mapping[str, Credentials], progress: Progress
) -> tuple[tuple[Reader, ...], tuple[Unread, ...]]:
    """What each declared reader finds, and what could not be looked at for them."""
    if not request.contracts:
        return (), ()
    if not databases:
        reason = "--offline" if request.offline else "no database could be read"
        return (), (Unread(code="offline", what="the declared readers", reason=reason, hint="", areas=("readers",)),)
    from dltdoctor.world.postgres.readers import read_readers  # noqa: PLC0415 - offline needs none
    from dltdoctor.world.postgres.session import open_session  # noqa: PLC0415

    progress("looking for what the declared readers read")
    readers: list[Reader] = []
    unread: list[Unread] = []
    for database in databases:
        try:
            with open_session(ways_in[database.target.key]) as session:
                found, missed = read_readers(session, database, request.contracts, deep=request.deep)
        except CouldNotLookError as error:
            what = f"the declared readers in {database.target.key}"
            unread.append(Unread(code="DD002", what=what, reason=error.message, hint=error.hint, areas=("readers",)))
            continue
        readers += found
        unread += missed
    return tuple(readers), tuple(unread)
