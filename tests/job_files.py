"""Completed job files of real packages, staged into scratch tables and held against the final ones."""

from collections.abc import Iterable
from pathlib import Path

import psycopg
from psycopg import sql

from dltdoctor.world.job_files import JobFile, open_job_file, stage

SCRATCH = "job_files_scratch"
_COLUMNS = """
    SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
    WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""


def completed(pipelines_dir: Path, table: str, known: tuple[str, ...] = ()) -> list[JobFile]:
    """Every completed job of the table that holds rows, oldest load first."""
    paths = sorted(pipelines_dir.glob(f"*/load/loaded/*/completed_jobs/{table}.*"))
    return [open_job_file(str(path), known) for path in paths if ".sql" not in path.suffixes]


def types_of(connection: psycopg.Connection, table: tuple[str, str]) -> dict[str, str]:
    """Postgres' names of the column types."""
    return dict(connection.execute(_COLUMNS, (sql.Identifier(*table).as_string(connection),)).fetchall())


def columns_in_database(dsn: str, table: tuple[str, str]) -> dict[str, str]:
    """The table's columns with their types, in the order in which dlt has made them."""
    with psycopg.connect(dsn) as connection:
        return types_of(connection, table)


def restaged(dsn: str, final: tuple[str, str], files: Iterable[JobFile]) -> tuple[int, int, int]:
    """Rows staged from the files, and of them and of the final table those that the other has not."""
    into = (SCRATCH, final[1])
    with psycopg.connect(dsn, client_encoding="utf8") as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCRATCH)))
        connection.execute(sql.SQL("CREATE TABLE {} (LIKE {})").format(sql.Identifier(*into), sql.Identifier(*final)))
        types = types_of(connection, final)
        rows = sum(stage(connection, file, into, types) for file in files)
        counts = [
            connection.execute(
                sql.SQL("SELECT count(*) FROM (SELECT t::text FROM {} t EXCEPT ALL SELECT t::text FROM {} t) x").format(
                    sql.Identifier(*one), sql.Identifier(*other)
                )
            ).fetchall()[0][0]
            for one, other in ((into, final), (final, into))
        ]
        connection.rollback()
    return rows, counts[0], counts[1]
