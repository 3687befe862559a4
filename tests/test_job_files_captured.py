"""Job files of ten dlt versions, as they were captured: read, staged, and held against the tables of their worlds."""

import psycopg
import pytest
from psycopg import sql

from dltdoctor.world.job_files import iterate, open_job_file, stage
from dltdoctor.world.job_rows import count_rows
from dltdoctor.world.jobs import job_name
from tests.captured import CapturedWorld, worlds
from tests.job_files import SCRATCH, types_of

LOADED = [
    world
    for world in worlds()
    if world.is_healthy and world.world in ("healthy-merge", "healthy-append-only", "healthy-csv")
]
VALIDITY = {"_dlt_valid_from", "_dlt_valid_to"}
EXISTING = "SELECT tablename FROM pg_tables WHERE schemaname = %s"


@pytest.mark.parametrize("world", worlds(), ids=lambda world: world.id)
def test_every_completed_job_is_read(world: CapturedWorld, tmp_path):
    for path in _completed(world, tmp_path):
        file = open_job_file(path)
        rows = sum(set(row) == set(file.columns) for row in iterate(file))
        assert rows == count_rows(path, file.format, file.columns)


@pytest.mark.parametrize("world", LOADED, ids=lambda world: world.id)
def test_every_row_of_a_table_comes_from_a_job(world: CapturedWorld, tmp_path, database):
    """Merged tables lose rows to newer ones, so only that way round; what is appended is just what was loaded."""
    world.restore(database)
    with psycopg.connect(database, client_encoding="utf8") as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(SCRATCH)))
        tables = {name for (name,) in connection.execute(EXISTING, (world.dataset,))}
        filled: dict[str, int] = {}
        named: dict[str, set[str]] = {}
        for file in map(open_job_file, _completed(world, tmp_path)):
            final, into = (sql.Identifier(schema, file.table) for schema in (world.dataset, SCRATCH))
            connection.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} (LIKE {})").format(into, final))
            rows = stage(connection, file, (SCRATCH, file.table), types_of(connection, (world.dataset, file.table)))
            filled[file.table] = filled.get(file.table, 0) + rows
            named.setdefault(file.table, set()).update(file.columns)
        assert filled["_dlt_pipeline_state"] == _count(connection, world.dataset, "_dlt_pipeline_state")
        for table in tables - {"_dlt_loads", "_dlt_version"}:
            # the validity of scd2 is written by the merge
            columns = sql.SQL(", ").join(map(sql.Identifier, sorted(named[table] - VALIDITY)))
            lost = sql.SQL("SELECT count(*) FROM (SELECT {0} FROM {1} EXCEPT SELECT {0} FROM {2}) x")
            places = (sql.Identifier(schema, table) for schema in (world.dataset, SCRATCH))
            assert connection.execute(lost.format(columns, *places)).fetchall() == [(0,)], table
        connection.rollback()


def _completed(world: CapturedWorld, place) -> list[str]:
    pipelines_dir = world.unpack(place).pipelines_dir
    found = sorted(map(str, pipelines_dir.glob("*/load/loaded/*/completed_jobs/*")))
    return [path for path in found if (name := job_name(path)) and name.format != "sql"]


def _count(connection: psycopg.Connection, schema: str, table: str) -> int:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
    return int(connection.execute(query).fetchall()[0][0])
