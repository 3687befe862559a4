"""The catalog of many tables: dltdoctor's reader, one psql query, and SQLAlchemy's Inspector.

    python -m benchmarks.catalog DSN

DSN names an empty, throw-away database; its schemas `bench_…` are left in it. Every table has 23
columns, 13 of them of a name no other table has, so that nothing is gained by remembering names.

Each run is a process of its own, and the readers take turns. Timed is connecting and reading: for
Python without the start of the interpreter and imports, for psql the whole process. psql selects
schema, table, column, format_type and attnotnull from pg_attribute, unaligned, to /dev/null.
SQLAlchemy is asked in its bulk form, `Inspector.get_multi_columns`, once a schema.
"""

import argparse
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

STEPS = (2_500, 5_000, 10_000)
TABLES_PER_SCHEMA = 100
SHARED = (
    "id bigint NOT NULL, updated_at timestamptz, name varchar, amount numeric(38,9), flag boolean, payload jsonb,"
    " score double precision, day date, _dlt_load_id varchar NOT NULL, _dlt_id varchar NOT NULL UNIQUE"
)
TYPES = ("varchar", "bigint", "timestamptz", "double precision", "boolean", "numeric(38,9)", "jsonb", "date")
OWN = 13
COLUMNS = 10 + OWN

PSQL = """
    SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""


class Run(NamedTuple):
    """One run of one reader; `peak` is the peak resident size in MB."""

    seconds: float
    peak: float


def main() -> None:
    """Measure every reader on ever more tables and print the table of ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalog")
    parser.add_argument("dsn", help="an empty, throw-away database")
    parser.add_argument("--runs", type=int, default=5, help="runs of each reader")
    parser.add_argument("--read", choices=READERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(READERS[arguments.read](arguments.dsn))
        return
    rows = []
    for before, tables in zip((0, *STEPS), STEPS, strict=False):
        print(f"making {tables:,} tables", file=sys.stderr)
        _make(arguments.dsn, before, tables)
        rows.append((tables, _measure(arguments.dsn, tables, arguments.runs)))
    print(_table(rows))


def _make(dsn: str, first: int, last: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        if first == 0 and connection.execute("SELECT 1 FROM pg_class WHERE oid >= 16384 LIMIT 1").fetchone():
            sys.exit("The database is not empty; give a throw-away one.")
        for start in range(first, last, TABLES_PER_SCHEMA):
            schema = f"bench_{start:05}"
            tables = (
                f"CREATE TABLE {schema}.table_{n:05} ({_columns(n)})" for n in range(start, start + TABLES_PER_SCHEMA)
            )
            connection.execute("; ".join(["BEGIN", f"CREATE SCHEMA {schema}", *tables, "COMMIT"]).encode())
        connection.execute("VACUUM ANALYZE")


def _columns(table: int) -> str:
    own = (f"field_{table:05}_{i:02} {TYPES[i % len(TYPES)]}" for i in range(OWN))
    return ", ".join([SHARED, *own])


def _measure(dsn: str, tables: int, runs: int) -> dict[str, Run]:
    measured: dict[str, list[Run]] = {"dltdoctor": [], "psql": [], "SQLAlchemy": []}
    for turn in range(-1, runs):
        for name, taken in measured.items():
            print(f"{tables:,} tables, run {turn + 1} of {runs}: {name}", file=sys.stderr)
            run = _psql(dsn) if name == "psql" else _child(dsn, name, tables)
            if turn >= 0:  # the first one warms the server's caches
                taken.append(run)
    return {
        name: Run(statistics.median(r.seconds for r in taken), statistics.median(r.peak for r in taken))
        for name, taken in measured.items()
    }


def _child(dsn: str, reader: str, tables: int) -> Run:
    said, _, peak = _run([sys.executable, "-m", "benchmarks.catalog", dsn, "--read", reader])
    seconds, columns = said.split()
    if int(columns) != tables * COLUMNS:
        sys.exit(f"{reader} saw {columns} columns instead of {tables * COLUMNS}")
    return Run(float(seconds), peak)


def _psql(dsn: str) -> Run:
    command = ["psql", "--no-psqlrc", "--no-align", "--tuples-only", "--dbname", dsn, "--command"]
    _, seconds, peak = _run([*command, PSQL], keep=False)
    return Run(seconds, peak)


def _run(command: list[str], *, keep: bool = True) -> tuple[str, float, float]:
    """What the program said, its seconds, and its peak resident size in MB."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE if keep else subprocess.DEVNULL, text=True) as process:
        said = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{command[0]} failed")
    divisor = 1024 * 1024 if sys.platform == "darwin" else 1024
    return said, seconds, usage.ru_maxrss / divisor


def _read_with_dltdoctor(dsn: str) -> str:
    # What is imported here is not timed.
    from dltdoctor.__main__ import GC_THRESHOLDS  # noqa: PLC0415
    from dltdoctor.world.credentials import Credentials  # noqa: PLC0415
    from dltdoctor.world.postgres.catalog import read_catalog  # noqa: PLC0415
    from dltdoctor.world.postgres.session import open_session  # noqa: PLC0415

    gc.set_threshold(*GC_THRESHOLDS)
    parameters = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    start = time.perf_counter()
    with open_session(Credentials(parameters=parameters, origin="argument")) as session:
        found = read_catalog(session)
    seconds = time.perf_counter() - start
    return f"{seconds} {sum(len(table.columns) for table in found.tables.values())}"


def _read_with_sqlalchemy(dsn: str) -> str:
    import sqlalchemy  # noqa: PLC0415
    from sqlalchemy.engine.reflection import ObjectKind  # noqa: PLC0415

    engine = sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(make_conninfo(dsn)))
    start = time.perf_counter()
    inspector = sqlalchemy.inspect(engine)
    columns = 0
    for schema in inspector.get_schema_names():
        if schema != "information_schema":
            found = inspector.get_multi_columns(schema=schema, kind=ObjectKind.ANY)
            columns += sum(map(len, found.values()))
    seconds = time.perf_counter() - start
    return f"{seconds} {columns}"


def _table(rows: list[tuple[int, dict[str, Run]]]) -> str:
    smallest, first = rows[0]
    head = [
        "| tables | columns | dltdoctor | psql | SQLAlchemy | of psql | of SQLAlchemy | per table | peak MB (dltdoctor, psql, SQLAlchemy) |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for tables, runs in rows:
        ours, psql, other = runs["dltdoctor"], runs["psql"], runs["SQLAlchemy"]
        growth = (ours.seconds / tables) / (first["dltdoctor"].seconds / smallest)
        head.append(
            f"| {tables:,} | {tables * COLUMNS:,} | {ours.seconds:.3f} s | {psql.seconds:.3f} s | {other.seconds:.3f} s "
            f"| **{ours.seconds / psql.seconds:.2f}** | **{ours.seconds / other.seconds:.3f}** | {growth:.2f} "
            f"| {ours.peak:.0f}, {psql.peak:.0f}, {other.peak:.0f} |"
        )
    return "\n".join(head)


READERS: dict[str, Callable[[str], str]] = {"dltdoctor": _read_with_dltdoctor, "SQLAlchemy": _read_with_sqlalchemy}

if __name__ == "__main__":
    main()
