"""Rows of loads that were never recorded, in tables to which a load appends: read again they would be doubled."""

from collections.abc import Iterable

from psycopg.sql import SQL, Identifier, Literal

from dltdoctor.snapshot import Database, Value
from dltdoctor.world.postgres.session import Session

LOAD_ID = "_dlt_load_id"
LOADS = "_dlt_loads"
SECONDS = 60

_ROWS = SQL("""
SELECT t._dlt_load_id::text, count(*) FROM {table} AS t
WHERE t._dlt_load_id::text COLLATE "C" > {after}
  AND NOT EXISTS (SELECT FROM {loads} AS l WHERE l.load_id::text = t._dlt_load_id::text)
GROUP BY 1 ORDER BY 1""")


class Uncommitted(Value):
    """Rows of one unrecorded load in one table; both None where the rows do not tell their load."""

    dataset: str
    table: str
    load_id: str | None = None
    rows: int | None = None


def read_uncommitted(
    session: Session, database: Database, tables: Iterable[tuple[str, str]], after: str
) -> tuple[Uncommitted, ...]:
    """What loads newer than `after` have left in these final tables. Every row is looked at, a minute a table at most.

    Raises `FailedReadError`.
    """
    found: list[Uncommitted] = []
    for dataset, name in tables:
        table = database.table(dataset, name)
        if table is None:
            continue
        if not table.has(LOAD_ID):
            found.append(Uncommitted(dataset=dataset, table=name))
            continue
        statement = _ROWS.format(
            table=Identifier(dataset, name), loads=Identifier(dataset, LOADS), after=Literal(after)
        )
        rows = session.fetch(statement, settings={"statement_timeout": f"{SECONDS}s"})
        found += [Uncommitted(dataset=dataset, table=name, load_id=load_id, rows=n) for load_id, n in rows]
    return tuple(found)
