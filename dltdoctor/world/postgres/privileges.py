"""What a role needs for a repair, asked of the catalog before the first statement; told as exact GRANTs.

The catalog's answers are the same in every language of the server, and name all that lacks at once.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dltdoctor.errors import RefusedError
from dltdoctor.steps.step import Replay, SqlStep, TouchedTable
from dltdoctor.words import identifier, listed, relation

if TYPE_CHECKING:
    import psycopg

NOTHING = "Nothing was changed."
_WRITES = {
    "delete": ("SELECT", "DELETE"),
    "insert": ("INSERT",),
    "update": ("SELECT", "UPDATE"),
    "merge": ("SELECT", "INSERT", "UPDATE"),
    "truncate": ("TRUNCATE",),
}


def refuse_unless_allowed(connection: "psycopg.Connection[Any]", steps: Sequence[SqlStep], home: str | None) -> None:
    """Raise `RefusedError` with the GRANTs that the role needs for these steps; with `home` undo is kept there."""
    lacking = list(_lacking(connection, steps, keeps_undo=home is not None))
    if not lacking:
        return
    role = _who(connection)
    grants = "; ".join(f"GRANT {', '.join(what)} ON {place} TO {identifier(role)}" for what, place in lacking)
    lacks = listed([f"{', '.join(what)} on {place}" for what, place in lacking], most=9)
    without = any(what == ("TRIGGER",) for what, _ in lacking)
    instead = " Without keeping undo (--no-undo) TRIGGER is not needed." if without else ""
    raise RefusedError(f"the role {role} lacks {lacks}", f"{NOTHING} The owner can: {grants};{instead}")


def lacking_lock(connection: "psycopg.Connection[Any]", schema: str, table: str) -> RefusedError:
    """Why a table could not be locked against other writers."""
    role = _who(connection)
    row = connection.execute(
        "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = %s", (schema,)
    ).fetchone()
    place = relation(schema, table)
    what = f"UPDATE ON {place}" if row and row[0] else f"USAGE ON SCHEMA {identifier(schema)}"
    return RefusedError(
        f"the role {role} may not lock {place} against other writers",
        f"{NOTHING} The owner can: GRANT {what} TO {identifier(role)};",
    )


def _lacking(
    connection: "psycopg.Connection[Any]", steps: Sequence[SqlStep], *, keeps_undo: bool
) -> Iterator[tuple[tuple[str, ...], str]]:
    needs: dict[tuple[str, str], list[str]] = {}
    creates: list[str] = []
    for step in steps:
        for touched in step.touches:
            if touched.created or touched.moved_from:
                creates.append(touched.schema)
            else:
                wanted = needs.setdefault((touched.schema, touched.table), [])
                wanted += (p for p in _needed(step, touched) if p not in wanted)
                wanted += ["TRIGGER"] if keeps_undo and "TRIGGER" not in wanted else []
    for (schema, table), wanted in needs.items():
        yield from _of_table(connection, schema, table, wanted)
    for schema in dict.fromkeys(creates):
        if _is_refused(connection, "has_schema_privilege(to_regnamespace(%s)::oid, 'CREATE')", identifier(schema)):
            yield ("CREATE",), f"SCHEMA {identifier(schema)}"
    temporary = any(isinstance(step, Replay) for step in steps) or any(
        s.lower().startswith(("create temp", "create temporary")) for step in steps for s in step.statements
    )
    if temporary and _is_refused(connection, "has_database_privilege(%s, 'TEMP')", connection.info.dbname):
        yield ("TEMPORARY",), f"DATABASE {identifier(connection.info.dbname)}"


def _of_table(
    connection: "psycopg.Connection[Any]", schema: str, table: str, wanted: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    place = relation(schema, table)
    if _is_refused(connection, "has_schema_privilege(to_regnamespace(%s)::oid, 'USAGE')", identifier(schema)):
        yield ("USAGE",), f"SCHEMA {identifier(schema)}"
        return
    lacking = tuple(p for p in wanted if _is_refused(connection, f"has_table_privilege(%s, '{p}')", place))
    if lacking:
        yield lacking, place


def _needed(step: SqlStep, touched: TouchedTable) -> Iterator[str]:
    """The privileges that the step's statements need on the table, as the first words of each tell."""
    name = f'"{touched.schema}"."{touched.table}"'
    for statement in step.statements:
        verb, _, rest = statement.partition(" ")
        if verb.lower() in _WRITES and name.replace(" ", "") in rest[: len(name) + 12].replace(" ", ""):
            yield from _WRITES[verb.lower()]
            if verb.lower() == "merge" and "THEN DELETE" in statement:
                yield "DELETE"


def _is_refused(connection: "psycopg.Connection[Any]", condition: str, name: str) -> bool:
    """True when the catalog says no; an object that is not there is another refusal's matter."""
    row = connection.execute(f"SELECT {condition}".encode(), (name,)).fetchone()
    return bool(row) and row is not None and row[0] is False


def _who(connection: "psycopg.Connection[Any]") -> str:
    row = connection.execute("SELECT current_user").fetchone()
    return str(row[0]) if row else ""
