"""Staging a gzip `insert_values` job file of dlt, beside psql's COPY of the same rows from CSV.

`python -m benchmarks.job_files [--rows 5000000] [--rounds 3] [--dsn DSN]` prints a Markdown table. Real dlt
loads the first 100,000 rows; the job file that it wrote and the CSV that psql makes of its table are then
both repeated until they have as many rows as were asked for. Whole processes are measured, in turns.
"""

import argparse
import contextlib
import gzip
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg

from benchmarks.measure import race
from benchmarks.migrate import _settle
from benchmarks.shop import Shop, _database
from dltdoctor.demo.server import start_server
from dltdoctor.demo.stage import Stage, run_script
from dltdoctor.world.job_files import open_job_file, stage

SCRIPT = Path(__file__).with_name("readings.py")
ROOT = Path(__file__).parent.parent
SEED = 100_000
LEAST, MOST = 0.5, 200.0
INTO = ("scratch", "readings")
TYPES = (
    "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute"
    " WHERE attrelid = 'scratch.readings'::regclass AND attnum > 0"
)


def main() -> int:
    """0 when speed and memory are kept."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.job_files", description=__doc__)
    options.add_argument("--rows", type=int, default=5_000_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--dsn", help="a superuser's; without it a throw-away server is started")
    options.add_argument("--stage", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.stage:
        stage_into_scratch(given.stage)
        return 0
    with contextlib.ExitStack() as stack:
        admin = given.dsn
        if admin is None:
            admin = stack.enter_context(start_server()).admin_dsn
            _settle(admin)
        return compare(admin, given.rows, given.rounds)


def compare(admin: str, rows: int, rounds: int) -> int:
    """Print the table; 0 when speed and memory are kept."""
    with _loaded(admin, min(rows, SEED)) as shop:
        job, table = _grown(shop, rows)
        ours = shop.program(sys.executable, "-m", "benchmarks.job_files", "--stage", str(job))
        ours = msgspec.structs.replace(ours, environ={**ours.environ, "PYTHONPATH": str(ROOT)})
        psql = shop.program(
            "psql", "-qc", "TRUNCATE scratch.readings", "-c", f"\\copy scratch.readings FROM '{table}' CSV"
        )
        staged, copied = race(ours, psql, rounds=rounds)
    speed = copied.seconds / staged.seconds
    print(f"| {rows:,} rows | wall s | processor s | speed | target | peak memory |")
    print("|---|---:|---:|---:|---:|---:|")
    print(f"| psql's COPY from CSV | {copied.seconds:.1f} | {copied.processor:.1f} | 1.00 | | {copied.peak:.0f} MB |")
    print(
        f"| staged from `insert_values.gz` | {staged.seconds:.1f} | {staged.processor:.1f} | {speed:.2f} | ≥ {LEAST} | {staged.peak:.0f} MB |"
    )
    return 0 if speed >= LEAST and staged.peak <= MOST else 1


def stage_into_scratch(path: str) -> None:
    """What is measured: the rows of the file, in one transaction, into a table that is emptied first."""
    with psycopg.connect(client_encoding="utf8") as connection:
        connection.execute("TRUNCATE scratch.readings")
        types = dict(connection.execute(TYPES).fetchall())
        print(stage(connection, open_job_file(path), INTO, types), "rows")


@contextlib.contextmanager
def _loaded(admin: str, rows: int) -> Iterator[Shop]:
    """A shop with one load of so many rows, and an empty table like the one they are in."""
    with tempfile.TemporaryDirectory(prefix="dltdoctor-benchmark-") as name, _database(admin) as login:
        shop = Shop(Stage(Path(name).resolve(), login, lambda _: None))
        (shop.stage.root / "home").mkdir()
        (shop.stage.project / ".dlt").mkdir(parents=True)
        (shop.stage.project / ".dlt" / "secrets.toml").write_text(login.toml, encoding="utf-8")
        shutil.copyfile(SCRIPT, shop.stage.project / SCRIPT.name)
        done = run_script(SCRIPT.name, str(rows), project=shop.stage.project, environ=shop.stage.environ)
        if done.returncode != 0:
            raise RuntimeError(f"{SCRIPT.name} failed:\n{done.stdout}")
        with shop.connect() as connection:
            connection.execute("CREATE SCHEMA scratch")
            connection.execute("CREATE TABLE scratch.readings (LIKE readings.readings)")
        yield shop


def _grown(shop: Shop, rows: int) -> tuple[Path, Path]:
    """The job file and the CSV of its table, each repeated to so many rows."""
    jobs = shop.stage.pipelines_dir.glob("readings/load/loaded/*/completed_jobs/readings.*.insert_values.gz")
    head, first = _rows_of(next(jobs))
    out = "COPY readings.readings TO STDOUT (FORMAT csv)"
    with shop.connect() as connection, connection.cursor() as cursor, cursor.copy(out) as copy:
        table = b"".join(copy)
    job, csv = shop.stage.root / "readings.grown.0.insert_values.gz", shop.stage.root / "readings.csv"
    times, rest = divmod(rows, len(first))
    with gzip.open(job, "wb") as packed, csv.open("wb") as plain:
        packed.write(head)
        block = b",\n".join(first)
        for at in range(times):
            packed.write((b",\n" if at else b"") + block)
            plain.write(table)
        if rest:
            raise ValueError(f"{rows} is no multiple of {len(first)} rows")
        packed.write(b";")
    return job, csv


def _rows_of(path: Path) -> tuple[bytes, list[bytes]]:
    """The two lines before the rows, and the rows without what parts them."""
    with gzip.open(path, "rb") as file:
        head = file.readline() + file.readline()
        return head, [line.rstrip(b",;\n") for line in file]


if __name__ == "__main__":
    sys.exit(main())
