"""The statements that count rows, estimate them, and count NULLs."""

from collections.abc import Sequence

from psycopg.sql import SQL, Composed, Identifier, Literal

from dltdoctor.snapshot import Table
from dltdoctor.world.postgres.batches import template
from dltdoctor.world.postgres.dlt_sql import LOADS
from dltdoctor.world.requests import NullsByWriter


def count(part: int, table: Table) -> Composed:
    """Every row."""
    return SQL("SELECT {}, count(*) FROM {}").format(Literal(part), _name(table))


def holds_rows(part: int, table: Table) -> Composed:
    """Whether there is a row at all: a file may hold nothing but dead ones."""
    return SQL("SELECT {}, EXISTS (SELECT FROM {})").format(Literal(part), _name(table))


def explain(tables: Sequence[Table]) -> Composed:
    """The plan of counting each table; an aggregate each, so that partitions are not mixed up."""
    counts = (SQL("(SELECT count(*) FROM {})").format(_name(table)) for table in tables)
    return SQL("EXPLAIN (FORMAT JSON) {}").format(SQL(" UNION ALL ").join(counts))


def nulls(part: int, request: NullsByWriter, *, share: float, most_rows: int | None) -> Composed:
    """Rows scanned, and those of them that a load of the schema wrote with all columns NULL.

    `share` is the percentage of pages to look at, `most_rows` None for all rows.
    """
    flags = [Identifier(f"c{i}") for i in range(len(request.columns))]
    columns = zip(request.columns, flags, strict=True)
    sampled = SQL("TABLESAMPLE SYSTEM ({}) REPEATABLE (0)").format(Literal(share))
    return SQL(template("nulls")).format(
        part=Literal(part),
        all_null=SQL(" AND ").join(SQL("t.{}").format(flag) for flag in flags),
        columns=SQL("").join(SQL(", t.{} IS NULL AS {}").format(Identifier(name), flag) for name, flag in columns),
        loads=Identifier(request.dataset, LOADS),
        schema_name=Literal(request.schema_name),
        after=_first_load(request),
        table=Identifier(request.dataset, request.table),
        sampled=sampled if share < 100 else SQL(""),
        most_rows=SQL("ALL") if most_rows is None else Literal(most_rows),
    )


def _first_load(request: NullsByWriter) -> Composed:
    """The id of the first load of those who fill the columns; ids are times, all of the same length before the dot."""
    statement = "coalesce((SELECT min(l.load_id::text) FROM {} AS l WHERE l.schema_name::text = ANY ({}::text[])), '')"
    return SQL(statement).format(Identifier(request.dataset, LOADS), Literal(list(request.filled_by)))


def _name(table: Table) -> Identifier:
    return Identifier(table.schema, table.name)
