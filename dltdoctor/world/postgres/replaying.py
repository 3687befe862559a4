"""Load packages replayed in temporary tables: what a `Replay` step does before its statements."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dltdoctor.errors import RefusedError
from dltdoctor.steps.step import Replay, SqlStep
from dltdoctor.words import qualified
from dltdoctor.world.job_files import open_job_file, stage
from dltdoctor.world.unreadable import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

TEMPORARY = "pg_temp"


def file_digest(path: str) -> str:
    """The SHA-256 of a file, read in pieces. Raises `UnreadableError`."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UnreadableError(path, error.strerror or "it cannot be read", "Nothing was changed.") from None


def check_files(steps: Iterable[SqlStep]) -> None:
    """Every job file must be as the plan found it. Raises `RefusedError`."""
    for file in (f for step in steps if isinstance(step, Replay) for f in step.files):
        if not Path(file.path).is_file():
            raise RefusedError(f"{file.path} is not there any more", "Nothing was changed. Run the command again.")
        if file_digest(file.path) != file.digest:
            raise RefusedError(
                f"{file.path} has changed since the plan was made",
                "Nothing was changed. Run the command again to plan anew.",
            )


def lay_out(connection: "psycopg.Connection[Any]", step: Replay, progress: "Callable[[str], None]") -> None:
    """Make the temporary tables, as all packages together leave them. Raises `UnreadableError`."""
    types: dict[str, dict[str, str]] = {}
    waiting: list[str] = []
    for at, part in enumerate(step.scratch, start=1):
        if isinstance(part, str):
            waiting.append(part)
            continue
        _run(connection, waiting)
        progress(f"{step.title}: part {at} of {len(step.scratch)}, {Path(part.path).name}")
        known = types.get(part.into) or types.setdefault(part.into, _types(connection, part.into))
        stage(connection, open_job_file(part.path, part.columns), (TEMPORARY, part.into), known)
    _run(connection, waiting)


def remove(connection: "psycopg.Connection[Any]", step: Replay) -> None:
    """Drop the temporary tables."""
    _run(connection, list(step.removals))


def _run(connection: "psycopg.Connection[Any]", waiting: list[str]) -> None:
    """Execute the statements in one round trip; none is left waiting."""
    if waiting:
        connection.execute(";\n".join(waiting).encode())
        waiting.clear()


def _types(connection: "psycopg.Connection[Any]", table: str) -> dict[str, str]:
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        (qualified(TEMPORARY, table),),
    ).fetchall()
    return dict(rows)
