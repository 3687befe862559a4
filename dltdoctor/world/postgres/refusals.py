"""Why Postgres refused a repair's statement: in a line, with table and constraint, without row values."""

from typing import TYPE_CHECKING

from dltdoctor.errors import RefusedError
from dltdoctor.steps.step import RunSql
from dltdoctor.words import identifier

if TYPE_CHECKING:
    import psycopg

NOTHING = "Nothing was changed."


def refusal(error: "psycopg.Error", step: RunSql | None) -> RefusedError:
    """The refusal as an error of ours; everything is rolled back by then."""
    import psycopg  # noqa: PLC0415

    diagnostics = error.diag
    place = f"{diagnostics.schema_name}.{diagnostics.table_name}" if diagnostics.table_name else ""
    doing = f" while it was doing: {step.title}" if step else ""
    if isinstance(error, psycopg.errors.IntegrityError):
        what = (
            f"constraint {diagnostics.constraint_name}"
            if diagnostics.constraint_name
            else f"column {diagnostics.column_name}"
        )
        kind = {"23505": "unique", "23503": "foreign key", "23514": "check", "23502": "NOT NULL"}.get(
            error.sqlstate or "", ""
        )
        return RefusedError(
            f"staged rows violate the {kind} {what} of {place}{doing}",
            f"{NOTHING} Correct the constraint or the rows, then run the command again.",
        )
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
