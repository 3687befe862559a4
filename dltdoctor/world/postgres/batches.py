"""Many small reads in few round trips, so that one table that cannot be read spoils only itself.

Parts are joined by UNION ALL; when a batch fails, its parts are read one by one. Each part selects
its own index as the first column.
"""

from collections.abc import Callable, Mapping, Sequence
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
    parts: "Sequence[Composed]",
    *,
    size: int = BATCH,
    settings: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Batches:
    """Read every part; after three that time out, the rest of their batches is not tried."""
    reading = Batches([], {})
    for start in range(0, len(parts), size):
        batch = range(start, min(start + size, len(parts)))
        try:
            reading.rows.extend(session.fetch(_union([parts[i] for i in batch]), settings=settings))
        except FailedReadError as failure:
            if len(batch) == 1:
                reading.failures[start] = failure
            else:
                _one_by_one(session, parts, batch, settings or {}, reading)
        if progress:
            progress(batch.stop, len(parts))
    return reading


def template(name: str) -> str:
    """The text of `queries/<name>.sql`, to be filled in by `psycopg.sql`."""
    return load_query(name).decode()


def _one_by_one(
    session: Session, parts: "Sequence[Composed]", batch: range, settings: Mapping[str, str], reading: Batches
) -> None:
    for i in batch:
        timeouts = [f for f in reading.failures.values() if f.sqlstate == CANCELLED]
        if len(timeouts) >= MOST_TIMEOUTS:
            reading.failures[i] = timeouts[-1]
            continue
        try:
            # The batch has waited for the lock already: waiting as long for each table adds nothing.
            reading.rows.extend(session.fetch(parts[i], settings={**settings, **ALONE}))
        except FailedReadError as failure:
            reading.failures[i] = failure


def _union(parts: "Sequence[Composed]") -> "Composed":
    from psycopg import sql  # noqa: PLC0415 - not before a connection is wanted

    return sql.SQL("\nUNION ALL\n").join(sql.SQL("({})").format(part) for part in parts)
