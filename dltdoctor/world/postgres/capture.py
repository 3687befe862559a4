"""Before-images: what statements delete, update and insert is kept by triggers with transition tables.

The triggers live only inside the repair's transaction. They see every way of changing a row that dlt's
SQL uses (DELETE, UPDATE, INSERT, MERGE, TRUNCATE), so that undo needs no knowledge of the SQL.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from dltdoctor.errors import RefusedError
from dltdoctor.receipt import Capture
from dltdoctor.snapshot import Value
from dltdoctor.steps.step import Probe, RunSql, TouchedTable
from dltdoctor.words import count, qualified, quoted, relation

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composed

OPERATION = "_dltdoctor_op"


class Kept(Value):
    """Names of the capture of one table, in the schema `home`."""

    touched: TouchedTable
    home: str
    stem: str

    @property
    def is_by_rows(self) -> bool:
        """False for a table that comes or goes as a whole."""
        return not self.touched.created and self.touched.moved_from is None

    @property
    def gone(self) -> tuple[str, str]:
        return self.home, f"{self.stem}_gone"

    @property
    def come(self) -> tuple[str, str]:
        return self.home, f"{self.stem}_come"


def begin(connection: "psycopg.Connection[Any]", touches: Sequence[TouchedTable], home: str, stem: str) -> list[Kept]:
    """Start keeping what happens to the tables that exist already."""
    kept = [Kept(touched=t, home=home, stem=f"{stem}_{n}") for n, t in enumerate(touches)]
    for each in kept:
        for statement in _begin(each) if each.is_by_rows else ():
            connection.execute(statement)
    return kept


def end(connection: "psycopg.Connection[Any]", kept: Sequence[Kept]) -> tuple[Capture, ...]:
    """Stop keeping, reduce the rows to their first and last state, and count them."""
    captures = []
    for each in kept:
        if each.is_by_rows:
            for statement in _end(each):
                connection.execute(statement)
            if _is_tangled(connection, each):
                for statement in _untangle(connection, each):
                    connection.execute(statement)
        captures.append(_capture(connection, each))
    return tuple(captures)


def digest(connection: "psycopg.Connection[Any]", capture: Capture) -> str:
    """The number of rows that came and the sum of their xmin: any later update or delete changes it.

    Rows that this transaction wrote all have its own id, so that they need not be read again.
    """
    if capture.come is None or capture.is_of_loads:
        row = connection.execute(digest_query(connection, capture).encode()).fetchone()
        return str(row[0]) if row else ""
    row = connection.execute("SELECT pg_current_xact_id()::xid::text::bigint").fetchone()
    return f"{capture.rows_come}:{capture.rows_come * row[0]}" if row else ""


def digest_query(connection: "psycopg.Connection[Any]", capture: Capture) -> str:
    """The query of the digest, to be asked before undo."""
    from psycopg import sql  # noqa: PLC0415

    came: sql.Composable = sql.SQL("true")
    if capture.come is not None and not capture.is_of_loads:
        came = sql.SQL("EXISTS (SELECT 1 FROM {} AS c WHERE {})").format(
            sql.Identifier(*capture.come),
            same_key(capture.key, "t", "c", _nullable(connection, capture.schema, capture.table)),
        )
    statement = sql.SQL(
        "SELECT count(*)::text || ':' || coalesce(sum(t.xmin::text::bigint), 0)::text FROM {} AS t WHERE {}"
    )
    return statement.format(sql.Identifier(capture.schema, capture.table), came).as_string(connection)


def same_key(key: Sequence[str], left: str, right: str, nullable: Collection[str] = ()) -> "Composed":
    """The condition that two rows have the same key; only where NULLs may stand they count as equal.

    IS NOT DISTINCT FROM cannot be hashed: with it every pair of rows would be compared.
    """
    from psycopg import sql  # noqa: PLC0415

    return sql.SQL(" AND ").join(
        sql.SQL("{} " + ("IS NOT DISTINCT FROM" if k in nullable else "=") + " {}").format(
            sql.Identifier(left, k), sql.Identifier(right, k)
        )
        for k in key
    )


def _nullable(connection: "psycopg.Connection[Any]", schema: str, table: str) -> frozenset[str]:
    rows = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
        " AND NOT attnotnull",
        (qualified(schema, table),),
    ).fetchall()
    return frozenset(name for (name,) in rows)


def _begin(kept: Kept) -> "Iterator[Composed]":
    from psycopg import sql  # noqa: PLC0415

    table = sql.Identifier(kept.touched.schema, kept.touched.table)
    gone, come = sql.Identifier(*kept.gone), sql.Identifier(*kept.come)
    operations = sql.Identifier(kept.home, f"{kept.stem}_op")
    keys = sql.SQL(", ").join(sql.Identifier(k) for k in kept.touched.key)
    op = sql.Identifier(OPERATION)
    yield sql.SQL("CREATE SEQUENCE {}").format(operations)
    yield sql.SQL("CREATE TABLE {} AS SELECT 0::bigint AS {}, t.* FROM {} AS t WITH NO DATA").format(gone, op, table)
    yield sql.SQL("CREATE TABLE {} AS SELECT 0::bigint AS {}, {} FROM {} WITH NO DATA").format(come, op, keys, table)
    next_op = sql.SQL("nextval({})").format(sql.Literal(operations.as_string(None)))
    keep_old = sql.SQL("INSERT INTO {} SELECT (SELECT {}), r.* FROM old_rows AS r;").format(gone, next_op)
    keep_new = sql.SQL("INSERT INTO {} SELECT (SELECT {}), {} FROM new_rows;").format(come, next_op, keys)
    keep_all = sql.SQL("INSERT INTO {} SELECT (SELECT {}), r.* FROM {} AS r;").format(gone, next_op, table)
    old, new = sql.SQL("OLD TABLE AS old_rows"), sql.SQL("NEW TABLE AS new_rows")
    for event, referencing, body in (
        ("DELETE", old, keep_old),
        ("INSERT", new, keep_new),
        ("UPDATE", sql.SQL("{} {}").format(old, new), sql.SQL("{} {}").format(keep_old, keep_new)),
        ("TRUNCATE", None, keep_all),
    ):
        function = sql.Identifier(kept.home, f"{kept.stem}_{event.lower()}")
        source = sql.SQL("BEGIN {} RETURN NULL; END").format(body).as_string(None)
        yield sql.SQL("CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS {}").format(
            function, sql.Literal(source)
        )
        yield sql.SQL("CREATE TRIGGER {} {} ON {} {} FOR EACH STATEMENT EXECUTE FUNCTION {}()").format(
            sql.Identifier(f"{kept.stem}_{event.lower()}"),
            sql.SQL(("BEFORE " if event == "TRUNCATE" else "AFTER ") + event),
            table,
            sql.SQL("REFERENCING {}").format(referencing) if referencing else sql.SQL(""),
            function,
        )


def _end(kept: Kept) -> "Iterator[Composed]":
    from psycopg import sql  # noqa: PLC0415

    for event in ("delete", "insert", "update", "truncate"):
        name = f"{kept.stem}_{event}"
        # Only a table's owner may drop its triggers, but ours goes with our function.
        yield sql.SQL("DROP FUNCTION {}() CASCADE").format(sql.Identifier(kept.home, name))
    yield sql.SQL("DROP SEQUENCE {}").format(sql.Identifier(kept.home, f"{kept.stem}_op"))


def _is_tangled(connection: "psycopg.Connection[Any]", kept: Kept) -> bool:
    """True when something was deleted or updated after something else had come: perhaps the same row."""
    from psycopg import sql  # noqa: PLC0415

    statement = sql.SQL("SELECT (SELECT max({op}) FROM {gone}) > (SELECT min({op}) FROM {come})").format(
        op=sql.Identifier(OPERATION), gone=sql.Identifier(*kept.gone), come=sql.Identifier(*kept.come)
    )
    row = connection.execute(statement).fetchone()
    return bool(row and row[0])


def _untangle(connection: "psycopg.Connection[Any]", kept: Kept) -> "Iterator[Composed]":
    from psycopg import sql  # noqa: PLC0415

    key, nullable = kept.touched.key, _nullable(connection, kept.touched.schema, kept.touched.table)
    table = sql.Identifier(kept.touched.schema, kept.touched.table)
    gone, come, op = sql.Identifier(*kept.gone), sql.Identifier(*kept.come), sql.Identifier(OPERATION)
    # A row that the transaction made and removed again was never there.
    yield sql.SQL("DELETE FROM {} AS g WHERE EXISTS (SELECT 1 FROM {} AS c WHERE {} AND c.{} < g.{})").format(
        gone, come, same_key(key, "g", "c", nullable), op, op
    )
    # What came and is not there any more needs no removal.
    yield sql.SQL("DELETE FROM {} AS c WHERE NOT EXISTS (SELECT 1 FROM {} AS t WHERE {})").format(
        come, table, same_key(key, "c", "t", nullable)
    )
    # What came more than once is there once.
    yield sql.SQL("DELETE FROM {} AS c USING {} AS d WHERE {} AND c.{} < d.{}").format(
        come, come, same_key(key, "c", "d", nullable), op, op
    )


def _capture(connection: "psycopg.Connection[Any]", kept: Kept) -> Capture:
    from psycopg import sql  # noqa: PLC0415

    touched = kept.touched
    names = [kept.come, kept.gone] if kept.is_by_rows else [(touched.schema, touched.table)]
    counts = [
        connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(*name))).fetchone() or (0,)
        for name in names
    ]
    made = Capture(
        schema=touched.schema,
        table=touched.table,
        key=touched.key,
        gone=kept.gone if kept.is_by_rows else None,
        come=kept.come if kept.is_by_rows else None,
        rows_come=counts[0][0],
        rows_gone=counts[1][0] if kept.is_by_rows else 0,
        created=touched.created,
        moved_from=touched.moved_from,
    )
    return msgspec.structs.replace(made, digest=digest(connection, made))


def undo_step(connection: "psycopg.Connection[Any]", capture: Capture, home: str, stem: str) -> RunSql:
    """The step that puts one table back, refused when the rows that came have changed since.

    Raises `RefusedError` when what it needs was dropped.
    """
    _refuse_if_dropped(connection, capture)
    place = relation(capture.schema, capture.table)
    unchanged = Probe(
        what=f"{place} ({'the record of loads' if capture.is_of_loads else 'the rows that the repair wrote'})",
        query=digest_query(connection, capture),
        expected=msgspec.json.encode((capture.digest,)).decode(),
    )
    here = (capture.schema, capture.table)
    if capture.created or capture.moved_from:
        target = capture.moved_from or (home, stem)
        return RunSql(
            title=f"Move {place} to {relation(*target)}",
            statements=_move(here, target),
            touches=(TouchedTable(schema=target[0], table=target[1], key=capture.key, moved_from=here),),
            before=(unchanged,),
            locks=(here,),
        )
    changed = capture.rows_gone + capture.rows_come
    doing = f"Put back {count(capture.rows_gone, 'row')} and remove {count(capture.rows_come, 'row')} in {place}"
    return RunSql(
        title=doing if changed else f"Leave {place} as it is",
        statements=_put_back(connection, capture) if changed else (),
        touches=(TouchedTable(schema=capture.schema, table=capture.table, key=capture.key),),
        before=(unchanged,),
        locks=(here,),
    )


def _refuse_if_dropped(connection: "psycopg.Connection[Any]", capture: Capture) -> None:
    here = (capture.schema, capture.table)
    for place in (here, *(p for p in (capture.gone, capture.come) if p)):
        row = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (qualified(*place),)).fetchone()
        if row is None or not row[0]:
            what = "the repaired table" if place == here else "what this repair kept for undo"
            raise RefusedError(
                f"{relation(*place)} was dropped: it is {what}",
                "Nothing was changed. Only a backup of the database can bring it back.",
            )


def _move(source: tuple[str, str], target: tuple[str, str]) -> tuple[str, ...]:
    rename = f"ALTER TABLE {qualified(*source)} RENAME TO {quoted(target[1])}" if source[1] != target[1] else ""
    move = f"ALTER TABLE {qualified(source[0], target[1])} SET SCHEMA {quoted(target[0])}"
    return (rename, move) if rename else (move,)


def _put_back(connection: "psycopg.Connection[Any]", capture: Capture) -> tuple[str, ...]:
    from psycopg import sql  # noqa: PLC0415

    if capture.gone is None or capture.come is None:
        return ()
    table = sql.Identifier(capture.schema, capture.table)
    columns = [
        name
        for (name,) in connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND attgenerated = '' ORDER BY attnum",
            (table.as_string(connection),),
        ).fetchall()
    ]
    names = sql.SQL(", ").join(sql.Identifier(c) for c in columns)
    remove = sql.SQL("DELETE FROM {} AS t USING {} AS c WHERE {}").format(
        table,
        sql.Identifier(*capture.come),
        same_key(capture.key, "t", "c", _nullable(connection, capture.schema, capture.table)),
    )
    put_back = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}").format(
        table, names, names, sql.Identifier(*capture.gone)
    )
    return (remove.as_string(connection), put_back.as_string(connection))
