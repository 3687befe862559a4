"""Signs of a load at work: relations locked for writing, and who else is connected."""

import time
from collections.abc import Callable, Collection

from dltdoctor.snapshot import Activity
from dltdoctor.world.postgres.session import Session, load_query

# Between two jobs dlt closes one connection and opens the next: measured up to 12 ms without any.
PATIENCE = 0.6
PAUSE = 0.05


def read_activity(session: Session, relations: Collection[tuple[str, str]] | None = None) -> Activity:
    """Which of `relations` (None: of all) another backend locks for writing or waits to, and other sessions by role.

    Unlike everything else that is read, this is now, not the moment of the snapshot. Sessions of
    dltdoctor itself are left out. Raises `FailedReadError`.
    """
    session.fetch(b"SELECT pg_stat_clear_snapshot()")
    wanted = None if relations is None else set(relations)
    locked = frozenset(
        (schema, name)
        for schema, name in session.fetch(load_query("locks"))
        if wanted is None or (schema, name) in wanted
    )
    return Activity(locked=locked, sessions_by_role=dict(session.fetch(load_query("sessions"))))


def watch_activity(session: Session, seen: Activity, is_enough: Callable[[Activity], bool]) -> Activity:
    """What was seen before and since; looks again for more than half a second until it is enough."""
    until = time.monotonic() + PATIENCE
    while True:
        seen = _joined(seen, read_activity(session))
        if is_enough(seen) or time.monotonic() > until:
            return seen
        time.sleep(PAUSE)


def _joined(one: Activity, other: Activity) -> Activity:
    roles = {*one.sessions_by_role, *other.sessions_by_role}
    most = {r: max(one.sessions_by_role.get(r, 0), other.sessions_by_role.get(r, 0)) for r in roles}
    return Activity(locked=one.locked | other.locked, sessions_by_role=most)
