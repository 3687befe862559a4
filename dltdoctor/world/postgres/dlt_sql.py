"""The statements that read dlt's own tables, whatever columns the dlt that made them knew.

A column that is missing, or of a type that dlt never used, reads as NULL.
"""

from collections.abc import Mapping

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from dltdoctor.snapshot import Table
from dltdoctor.world.postgres.batches import template
from dltdoctor.world.postgres.facts import Key
from dltdoctor.world.postgres.proof import column

LOADS = "_dlt_loads"
MOST_STATES = 50
MOST_OVERTAKEN = 50

_TIMES = ("timestamp with time zone", "timestamp without time zone")
_INTEGERS = ("smallint", "integer", "bigint")


def loads(part: int, table: Table) -> Composed:
    """Rows, times and newest load id of each schema name."""
    return SQL(template("loads")).format(
        part=Literal(part),
        table=_name(table),
        load_id=_text(table, "load_id"),
        schema_name=_text(table, "schema_name"),
        inserted_at=_epoch(table, "inserted_at"),
    )


def states(part: int, table: Table, tables: Mapping[Key, Table]) -> Composed:
    """The newest states of each pipeline, with the content of the newest committed one and of what is newer.

    Each with the status of its load, and with the number of states in the table that no load records.
    """
    return _states("states", part, table, tables, most=Literal(MOST_STATES))


def overtaken(part: int, table: Table, tables: Mapping[Key, Table]) -> Composed:
    """The states that a later one has overtaken, and the recorded ones before and after them."""
    return _states("overtaken", part, table, tables, most=Literal(MOST_OVERTAKEN))


def _states(name: str, part: int, table: Table, tables: Mapping[Key, Table], *, most: Literal) -> Composed:
    status, loads = _recorded(tables.get((table.schema, LOADS)))
    return SQL(template(name)).format(
        part=Literal(part),
        table=_name(table),
        version=_integer(table, "version"),
        status=status,
        loads=loads,
        most=most,
    )


def stored_schemas(part: int, table: Table, *, with_content: bool) -> Composed:
    """The newest version of each schema."""
    return SQL(template("stored_schemas")).format(
        part=Literal(part),
        table=_name(table),
        version=_integer(table, "version"),
        engine_version=_integer(table, "engine_version"),
        version_hash=_text(table, "version_hash"),
        content=_text(table, "schema") if with_content else SQL("NULL::text"),
        inserted_at=_epoch(table, "inserted_at"),
    )


def listed_loads(part: int, table: Table, load_ids: list[str]) -> Composed:
    """Which of the load ids a `_dlt_loads` table lists, whatever their status."""
    statement = "SELECT DISTINCT {}, t.load_id::text FROM {} AS t WHERE t.load_id::text = ANY ({}::text[])"
    return SQL(statement).format(Literal(part), _name(table), Literal(load_ids))


def load_rows(part: int, table: Table, load_ids: list[str]) -> Composed:
    """The rows of the load ids, with status and time."""
    statement = "SELECT {}, t.load_id::text, {}, {}, {} FROM {} AS t WHERE t.load_id::text = ANY ({}::text[])"
    return SQL(statement).format(
        Literal(part),
        _text(table, "schema_name"),
        _integer(table, "status"),
        _epoch(table, "inserted_at"),
        _name(table),
        Literal(load_ids),
    )


def _recorded(table: Table | None) -> tuple[Composable, Composable]:
    """The status of each state's load, NULL when none is recorded; and the join that it comes from."""
    if table is None or not (table.readable and table.has("load_id")) or _type(table, "status") not in _INTEGERS:
        return SQL("NULL::bigint"), SQL("")
    # Of rows that are there twice, dlt restores by any of status 0.
    rows = (
        " LEFT JOIN (SELECT l.load_id::text AS load_id, min(abs(coalesce(l.status, 0)))::bigint AS status FROM {} AS l"
        " GROUP BY 1) AS l ON l.load_id = t._dlt_load_id::text"
    )
    return SQL("l.status"), SQL(rows).format(_name(table))


def _name(table: Table) -> Identifier:
    return Identifier(table.schema, table.name)


def _text(table: Table, name: str) -> Composable:
    return SQL("t.{}::text").format(Identifier(name)) if table.has(name) else SQL("NULL::text")


def _integer(table: Table, name: str) -> Composable:
    known = _type(table, name) in _INTEGERS
    return SQL("t.{}::bigint").format(Identifier(name)) if known else SQL("NULL::bigint")


def _epoch(table: Table, name: str) -> Composable:
    if _type(table, name) not in _TIMES:
        return SQL("NULL::double precision")
    return SQL("extract(epoch FROM t.{})::double precision").format(Identifier(name))


def _type(table: Table, name: str) -> str | None:
    found = column(table, name)
    return found.type if found else None
