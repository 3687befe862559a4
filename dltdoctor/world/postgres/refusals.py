"""Why Postgres refused a repair's statement: in a line, with table and constraint, without row values."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dltdoctor.errors import RefusedError
from dltdoctor.steps.step import RunSql, SqlStep
from dltdoctor.words import count, identifier, qualified, quoted, relation

if TYPE_CHECKING:
    import psycopg

NOTHING = "Nothing was changed."
COPY = "CREATE TEMPORARY TABLE "
_KINDS = {"23505": "unique", "23503": "foreign key", "23514": "check", "23502": "NOT NULL"}


def refusal(error: "psycopg.Error", step: SqlStep | None, offending: int | None = None) -> RefusedError:
    """The refusal as an error of ours; everything is rolled back. `offending` counts staged rows."""
    import psycopg  # noqa: PLC0415

    diagnostics = error.diag
    doing = f" while it was doing: {step.title}" if step else ""
    if isinstance(error, psycopg.errors.IntegrityError):
        return _violation(error, doing, offending)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        text = (diagnostics.message_primary or "").strip()
        return RefusedError(f"{text}{doing}", f"{NOTHING} {_grant(text)}")
    if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
        return RefusedError(f"another session holds a lock{doing}", f"{NOTHING} Try again when its load has ended.")
    if isinstance(error, psycopg.errors.QueryCanceled):
        return RefusedError(f"the server cancelled the statement{doing}", f"{NOTHING} Try again.")
    if isinstance(error, psycopg.errors.DiskFull):
        return RefusedError(f"the server's disk is full{doing}", f"{NOTHING} --no-undo needs less room.")
    text = (diagnostics.message_primary or type(error).__name__).splitlines()[0]
    return RefusedError(f"Postgres refused a statement ({error.sqlstate}): {text}{doing}", NOTHING)


def _violation(error: "psycopg.Error", doing: str, offending: int | None) -> RefusedError:
    diagnostics = error.diag
    place = relation(diagnostics.schema_name or "", diagnostics.table_name) if diagnostics.table_name else ""
    kind = _KINDS.get(error.sqlstate or "", "")
    what = (
        f"constraint {diagnostics.constraint_name}"
        if diagnostics.constraint_name
        else f"column {diagnostics.column_name}"
    )
    who = "staged rows violate" if offending is None else f"{count(offending, 'staged row')} violate"
    return RefusedError(
        f"{who}{'s' if offending == 1 else ''} the {kind} {what} of {place}{doing}",
        f"{NOTHING} Correct the constraint or the rows, then run the command again.",
    )


def offending_rows(
    connection: "psycopg.Connection[Any]", error: "psycopg.Error", done: Sequence[str], step: SqlStep | None
) -> int | None:
    """How many staged rows break the constraint that a statement ran into; None where that cannot be counted.

    `done` are the statements before it: they run once more, so that the rows are counted as it met them,
    and are rolled back.
    """
    import psycopg  # noqa: PLC0415

    if not isinstance(error, psycopg.errors.IntegrityError) or not isinstance(step, RunSql):
        return None
    source = _staged(step, error)
    if source is None:
        return None
    name = quoted(source[1])
    is_copied = any(s.startswith(f"{COPY}{name} ") for s in step.statements)
    place = f"pg_temp.{name}" if is_copied else qualified(*source)
    try:
        connection.rollback()
        connection.execute(b"SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)")
        for statement in done:
            connection.execute(statement.encode())
        condition = _condition(connection, error, place)
        if condition is None:
            return None
        row = connection.execute(f"SELECT count(*) FROM {place} AS s WHERE {condition}".encode()).fetchone()
    except psycopg.Error:
        return None
    return int(row[0]) if row and row[0] else None


def _staged(step: RunSql, error: "psycopg.Error") -> tuple[str, str] | None:
    """The staging table of the table that refused: the locked one of that name in another schema."""
    held = error.diag.schema_name, error.diag.table_name
    return next((place for place in step.locks if place[1] == held[1] and place != held), None)


def _condition(connection: "psycopg.Connection[Any]", error: "psycopg.Error", staged: str) -> str | None:
    """What is true of the staged rows that break the constraint."""
    import psycopg  # noqa: PLC0415

    diagnostics = error.diag
    if isinstance(error, psycopg.errors.NotNullViolation) and diagnostics.column_name:
        return f"s.{quoted(diagnostics.column_name)} IS NULL"
    final = qualified(diagnostics.schema_name or "", diagnostics.table_name or "")
    if isinstance(error, psycopg.errors.CheckViolation):
        row = connection.execute(
            "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = %s AND conrelid = %s::regclass",
            (diagnostics.constraint_name, final),
        ).fetchone()
        return f"NOT ({row[0]})" if row and row[0] else None
    if isinstance(error, psycopg.errors.UniqueViolation):
        row = connection.execute(
            "SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_index i JOIN pg_class c ON c.oid = indexrelid"
            " JOIN pg_attribute a ON a.attrelid = indrelid AND a.attnum = ANY (indkey)"
            " WHERE c.relname = %s AND indrelid = %s::regclass AND indpred IS NULL AND indexprs IS NULL",
            (diagnostics.constraint_name, final),
        ).fetchone()
        return _twice(row[0], final, staged) if row and row[0] else None
    return None


def _twice(columns: Sequence[str], final: str, staged: str) -> str:
    """That a staged row's values are in the final table already, or staged more than once."""
    mine = ", ".join(f"s.{quoted(c)}" for c in columns)
    names = ", ".join(quoted(c) for c in columns)
    return (
        f"({mine}) IN (SELECT {names} FROM {final})"
        f" OR ({mine}) IN (SELECT {names} FROM {staged} GROUP BY {names} HAVING count(*) > 1)"
    )


def _grant(message: str) -> str:
    """The GRANT that the message asks for, as far as its English tells."""
    words = message.split()
    if message.startswith("permission denied for schema"):
        return f"Its owner can: GRANT USAGE, CREATE ON SCHEMA {identifier(words[-1])} TO the role."
    if message.startswith("permission denied to create temporary tables in database"):
        return f"The database's owner can: GRANT TEMPORARY ON DATABASE {words[-1]} TO the role."
    if message.startswith("permission denied for database"):
        return f"The database's owner can: GRANT CREATE ON DATABASE {identifier(words[-1])} TO the role."
    if message.startswith(("permission denied for table", "must be owner of table")):
        return f"Its owner can: GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER ON {identifier(words[-1])} TO the role."
    return "Give the role the privilege that it lacks, or connect as the role that loads."
