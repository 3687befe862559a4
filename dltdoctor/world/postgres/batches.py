"""Many small reads in few round trips, so that one table that cannot be read spoils only itself.

Parts are joined by UNION ALL; when a batch fails, its parts are read one by one. Each part selects
its own index as the first column.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from dltdoctor.world.postgres.failures import CANCELLED, FailedReadError
from dltdoctor.world.postgres.session import Row, Session, load_query

if TYPE_CHECKING:
    from psycopg.sql import Composed

BATCH = 50
MOST_TIMEOUTS = 3
ALONE = {"lock_timeout": "250ms"}

Progress = Callable[[int, int], None]
"""Called with the number of reads done and the number of all."""


class Batches(NamedTuple):
    """The rows of every part that could be read, and the failures of the others by index."""

    rows: list[Row]
    failures: dict[int, FailedReadError]


def read_parts(
    session: Session,
    parts: "Iterable[Composed]",
    *,
    size: int = BATCH,
    settings: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    of: int = 0,
) -> Batches:
    """Read every part; after three that time out, the rest of their batches is not tried.

    A part is made when its batch is read: ten thousand at a time would weigh more than what they read.
    `of` is their number, which `progress` is told.
    """
    reading = Batches([], {})
    waiting, start = iter(parts), 0
    while batch := list(itertools.islice(waiting, size)):
        try:
            reading.rows.extend(session.fetch(_union(batch), settings=settings))
        except FailedReadError as failure:
            if len(batch) == 1:
                reading.failures[start] = failure
            else:
                _one_by_one(session, batch, start, settings or {}, reading)
        start += len(batch)
        if progress:
            progress(start, of)
    return reading


def template(name: str) -> str:
    """The text of `queries/<name>.sql`, to be filled in by `psycopg.sql`."""
    return load_query(name).decode()


def _one_by_one(
    session: Session, batch: "Sequence[Composed]", start: int, settings: Mapping[str, str], reading: Batches
) -> None:
    for i, part in enumerate(batch, start):
        timeouts = [f for f in reading.failures.values() if f.sqlstate == CANCELLED]
        if len(timeouts) >= MOST_TIMEOUTS:
            reading.failures[i] = timeouts[-1]
            continue
        try:
            # The batch has waited for the lock already: waiting as long for each table adds nothing.
            reading.rows.extend(session.fetch(part, settings={**settings, **ALONE}))
        except FailedReadError as failure:
            reading.failures[i] = failure


def _union(parts: "Sequence[Composed]") -> "Composed":
    from psycopg import sql  # noqa: PLC0415 - not before a connection is wanted

    return sql.SQL("\nUNION ALL\n").join(sql.SQL("({})").format(part) for part in parts)
