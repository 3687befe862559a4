"""What is cheap to know about a relation before it is read: its size, and what is indexed."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dltdoctor.snapshot import Table
from dltdoctor.world.postgres.batches import ALONE, template
from dltdoctor.world.postgres.failures import FailedReadError
from dltdoctor.world.postgres.session import Row, Session

CHUNK = 500
SMALL = 1024 * 1024
HOLDS_ROWS = ("r", "p", "m")
"""Kinds that are read. A view or a foreign table may run anybody's code, or another server's."""

Key = tuple[str, str]


class Facts(NamedTuple):
    """`size` is the main fork in bytes, None for a partitioned table, which has none of its own.

    `indexed` are the columns that lead a valid index.
    """

    size: int | None
    indexed: frozenset[str]

    @property
    def is_small(self) -> bool:
        return self.size is not None and self.size <= SMALL


class Measured(NamedTuple):
    """The facts of the relations that could be looked at, and the failures of the others."""

    facts: Mapping[Key, Facts]
    failures: Mapping[Key, FailedReadError]


def read_facts(session: Session, tables: Sequence[Table]) -> Measured:
    """Sizes and indexes; a relation under an exclusive lock becomes a failure."""
    measured: dict[Key, Facts] = {}
    failures: dict[Key, FailedReadError] = {}
    for start in range(0, len(tables), CHUNK):
        chunk = tables[start : start + CHUNK]
        try:
            measured |= _of(chunk, _ask(session, chunk))
        except FailedReadError:
            for table in chunk:
                try:
                    measured |= _of([table], _ask(session, [table], ALONE))
                except FailedReadError as failure:
                    failures[table.schema, table.name] = failure
    return Measured(measured, failures)


def _ask(session: Session, tables: Sequence[Table], settings: Mapping[str, str] | None = None) -> list[Row]:
    from psycopg import sql  # noqa: PLC0415 - not before a connection is wanted

    schemas, names = [t.schema for t in tables], [t.name for t in tables]
    query = sql.SQL(template("facts")).format(schemas=schemas, names=names)
    return session.fetch(query, settings=settings)


def _of(tables: Sequence[Table], rows: Sequence[Row]) -> dict[Key, Facts]:
    found: dict[Key, Facts] = {}
    for place, size, indexed in rows:
        table = tables[place - 1]
        found[table.schema, table.name] = Facts(None if table.kind == "p" else size, frozenset(indexed))
    return found
