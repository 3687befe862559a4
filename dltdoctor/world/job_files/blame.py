"""Which row of a job file it was that Postgres refused, and why; the value itself is never told."""

import re
from collections.abc import Mapping
from itertools import accumulate, count
from typing import TYPE_CHECKING

from dltdoctor.world.job_files import insert_values
from dltdoctor.world.job_files.file import JobFile, UnreadableFileError

if TYPE_CHECKING:
    import psycopg

# classes of SQLSTATE: data exception, integrity constraint violation
_DATA = ("22", "23")
_REASONS: Mapping[str, str] = {
    "22001": "the value is too long",
    "22003": "the number is out of range",
    "22021": "it is not UTF-8",
    "22P03": "it is binary",
    "22P04": "it is no row of these columns",
    "22P05": "the value has characters that the database's encoding has not",
    "23502": "the value is missing, and the column is NOT NULL",
    "23505": "the value is there already, and has to be unique",
    "23514": "the value is against a CHECK of the table",
}
_HINT = "The file is not what dlt loaded into such a table: compare the column types with the package's schema.json."


def not_the_files(error: "psycopg.Error") -> bool:
    """Whether Postgres refused something else than what stands in the file: locks, privileges, the connection."""
    return not (error.sqlstate or "").startswith(_DATA)


def refused_row(
    error: "psycopg.Error", file: JobFile, into: tuple[str, str], columns: tuple[str, ...], types: Mapping[str, str]
) -> UnreadableFileError:
    """What Postgres said of the file, without the value that it quotes."""
    state = error.sqlstate or ""
    line, column = _place(error.diag.context or "", into[1], columns)
    column = column or (error.diag.column_name if error.diag.column_name in columns else None)
    reason = _REASONS.get(state) or (f"the value is no {types[column]}" if column else f"Postgres refused it ({state})")
    if column:
        reason = f"column {column}: {reason}"
    if line is not None and file.format == "csv":
        # a text may span lines, and the file is not read a second time to count its rows
        reason = f"line {line:,}: {reason}"
    return UnreadableFileError(file.path, reason, row=_row(file, line), hint=_HINT)


def _place(context: str, table: str, columns: tuple[str, ...]) -> tuple[int | None, str | None]:
    """Line and column in Postgres' `COPY t, line 3, column x: "…"`, in whatever language it speaks."""
    # a type that reads its text by itself, as json does, has a line of its own before
    found = re.search(rf"^COPY {re.escape(table)}\D*(\d+)(?:\W+\w+ )?(.*)", context, re.DOTALL | re.MULTILINE)
    if found is None:
        return None, None
    named = [column for column in columns if re.match(rf"{re.escape(column)}\s*(?::|$)", found[2])]
    return int(found[1]), max(named, key=len, default=None)


def _row(file: JobFile, line: int | None) -> int | None:
    """The row at a line of what was sent, in which a text may span lines."""
    if line is None or file.format == "csv":
        return None
    if file.format != "insert_values":
        return line
    lines = map(_lines, count(1), insert_values.rows_one_by_one(file))
    return next((number for number, end in enumerate(accumulate(lines), start=1) if end >= line), None)


def _lines(number: int, row: bytes) -> int:
    """How many lines Postgres counts in a row: before it has seen a line end it takes it for a CR."""
    return row.count(b"\n") if number > 1 else 1 + row.count(b"\r")
