"""Rows of a job file, brought into Postgres by COPY: data only, whatever the file holds."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from dltdoctor.words import qualified
from dltdoctor.world.job_files import csv_file, insert_values, jsonl, parquet, stream
from dltdoctor.world.job_files.blame import not_the_files, refused_row
from dltdoctor.world.job_files.file import JobFile, UnreadableFileError
from dltdoctor.world.job_files.texts import Text, json_line_text, plain_text

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import Composable, Composed


def stage(connection: "psycopg.Connection[Any]", file: JobFile, into: tuple[str, str], types: Mapping[str, str]) -> int:
    """COPY the file's rows into the relation (schema, table) that is there; the number of rows.

    `types` are Postgres' names of the relation's column types by column; a column of the file that is
    not among them is refused, one that the file lacks gets its default (NULL). Runs in the caller's
    transaction: on `UnreadableFileError` (file, row, what is wrong; never a value) the caller rolls
    back. psycopg's errors that are not the file's fault are let through.
    """
    import psycopg  # noqa: PLC0415

    columns = matched(file, types)
    try:
        if file.format == "insert_values":
            return _insert_values(connection, file, into, columns)
        if file.format == "csv":
            return _csv(connection, file, into, columns)
        return _rows(connection, file, into, columns, types)
    except psycopg.Error as error:
        if not_the_files(error):
            raise
        raise refused_row(error, file, into, columns, types) from None


def matched(file: JobFile, types: Mapping[str, str]) -> tuple[str, ...]:
    """The relation's columns in the order of the file's; dlt folds what it loads to lower case.

    Raises `UnreadableFileError` for a column that the relation has not.
    """
    found = tuple(name if name in types else name.lower() for name in file.columns)
    missing = [name for name, column in zip(file.columns, found, strict=True) if column not in types]
    if missing:
        reason = f"it has columns that its table has not: {', '.join(missing)}"
        raise UnreadableFileError(file.path, reason, hint="The table was altered since; add the columns first.")
    if len(set(found)) < len(found):
        raise UnreadableFileError(file.path, "two of its columns are one in the table")
    return found


def iterate(file: JobFile) -> Iterator[Mapping[str, str | None]]:
    """The rows as Postgres' input texts by column, NULL as None; one at a time, for few rows.

    Raises `UnreadableFileError` when it comes to a bad row.
    """
    if file.format == "insert_values":
        yield from insert_values.iterate(file)
    elif file.format == "csv":
        yield from csv_file.iterate(file)
    else:
        for row in _texts(file, [""] * len(file.columns)):
            yield dict(zip(file.columns, row, strict=True))


def _insert_values(
    connection: "psycopg.Connection[Any]", file: JobFile, into: tuple[str, str], columns: tuple[str, ...]
) -> int:
    from psycopg import sql  # noqa: PLC0415

    rows = 0
    with connection.cursor() as cursor:
        with cursor.copy(_copy(into, columns, sql.SQL(insert_values.COPY_OPTIONS))) as copy:
            for block, count in insert_values.translated(file):
                copy.write(block)
                rows += count
        if cursor.rowcount != rows:
            raise UnreadableFileError(file.path, f"Postgres took {cursor.rowcount} of its {rows} rows")
    return rows


def _csv(connection: "psycopg.Connection[Any]", file: JobFile, into: tuple[str, str], columns: tuple[str, ...]) -> int:
    """The same COPY that dlt runs (`PostgresCsvCopyJob`): an empty value is NULL where the column may be."""
    from psycopg import sql  # noqa: PLC0415

    options: list[Composable] = [
        sql.SQL("FORMAT csv, NULL '', ENCODING 'UTF8', DELIMITER {}").format(sql.Literal(file.delimiter))
    ]
    if file.has_header:
        options.append(sql.SQL("HEADER true"))
    required = _not_null(connection, into)
    nullable = [sql.Identifier(name) for name in columns if name not in required]
    if nullable:
        options.append(sql.SQL("FORCE_NULL ({})").format(sql.SQL(", ").join(nullable)))
    with connection.cursor() as cursor:
        with cursor.copy(_copy(into, columns, sql.SQL(", ").join(options))) as copy:
            for block in stream.blocks(file.path):
                copy.write(block)
        return cursor.rowcount


def _rows(
    connection: "psycopg.Connection[Any]",
    file: JobFile,
    into: tuple[str, str],
    columns: tuple[str, ...],
    types: Mapping[str, str],
) -> int:
    import psycopg  # noqa: PLC0415
    from psycopg import sql  # noqa: PLC0415

    kinds = [types[column] for column in columns]
    with connection.cursor() as cursor:
        with cursor.copy(_copy(into, columns, sql.SQL("FORMAT text"))) as copy:
            for number, row in enumerate(_texts(file, kinds), start=1):
                try:
                    copy.write_row(row)
                except (psycopg.DataError, UnicodeEncodeError):
                    reason = "there is a character that Postgres cannot store"
                    raise UnreadableFileError(file.path, reason, row=number) from None
        return cursor.rowcount


def _texts(file: JobFile, kinds: Sequence[str]) -> Iterator[list[str | None]]:
    """The rows of JSON lines or Parquet as Postgres' input texts, for columns of these types."""
    rows: Iterator[Sequence[object]]
    makers: list[Text]
    if file.format == "parquet":
        rows = chain.from_iterable(zip(*batch, strict=True) for batch in parquet.batches(file))
        makers = [plain_text for _ in kinds]
    else:
        rows = ([row.get(name) for name in file.columns] for row in jsonl.rows(file))
        makers = [json_line_text(kind) for kind in kinds]
    for number, row in enumerate(rows, start=1):
        try:
            yield [text(value) for text, value in zip(makers, row, strict=True)]
        except ValueError as error:
            raise UnreadableFileError(file.path, str(error), row=number) from None


def _copy(into: tuple[str, str], columns: Sequence[str], options: "Composable") -> "Composed":
    from psycopg import sql  # noqa: PLC0415

    return sql.SQL("COPY {} ({}) FROM STDIN ({})").format(
        sql.Identifier(*into), sql.SQL(", ").join(map(sql.Identifier, columns)), options
    )


def _not_null(connection: "psycopg.Connection[Any]", into: tuple[str, str]) -> frozenset[str]:
    """The columns that the relation declares NOT NULL."""
    found = connection.execute(
        "SELECT attname FROM pg_catalog.pg_attribute"
        " WHERE attrelid = pg_catalog.to_regclass(%s) AND attnum > 0 AND attnotnull",
        (qualified(*into),),
    )
    return frozenset(name for (name,) in found)
