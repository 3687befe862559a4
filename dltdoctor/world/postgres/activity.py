"""Signs of a load at work: relations locked for writing, and who else is connected."""

from collections.abc import Collection

from dltdoctor.snapshot import Activity
from dltdoctor.world.postgres.session import Session, load_query


def read_activity(session: Session, relations: Collection[tuple[str, str]]) -> Activity:
    """Which of `relations` another backend has locked for writing, and other sessions by role.

    Unlike everything else that is read, this is now, not the moment of the snapshot. Sessions of
    dltdoctor itself are left out. Raises `FailedReadError`.
    """
    session.fetch(b"SELECT pg_stat_clear_snapshot()")
    wanted = set(relations)
    locked = frozenset(
        (schema, name) for schema, name in session.fetch(load_query("locks")) if (schema, name) in wanted
    )
    return Activity(locked=locked, sessions_by_role=dict(session.fetch(load_query("sessions"))))
