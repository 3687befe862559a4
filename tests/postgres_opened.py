"""Sessions for tests of the Postgres room, and the plain SQL and real dlt runs that they look at."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from dltdoctor.world.credentials import Credentials
from dltdoctor.world.postgres.session import Session, open_session

LOADING = """
import sys
import dlt

from dlt.pipeline.exceptions import PipelineStepFailed

dsn, pipelines_dir, dataset, strategy, *ranges = sys.argv[1:]
write = {"disposition": "merge", "strategy": strategy}

@dlt.resource(name="orders", primary_key="id", write_disposition=write, columns={"gone": {"hard_delete": True}})
def orders(first, last):
    for i in range(first, last):
        yield {"id": i, "v": f"{first}-{i}", "gone": None, "items": [{"sku": "a", "parts": [{"n": i}]}]}

pipeline = dlt.pipeline(
    dataset, destination=dlt.destinations.postgres(credentials=dsn), dataset_name=dataset, pipelines_dir=pipelines_dir
)
for first, last in (map(int, each.split("-")) for each in ranges):
    try:
        pipeline.run(orders(first, last))
    except PipelineStepFailed:
        print("failed")
"""
LINEAGES = {
    "orders": ("orders",),
    "orders__items": ("orders__items", "orders"),
    "orders__items__parts": ("orders__items__parts", "orders__items", "orders"),
}


def credentials(dsn: str, **changes: str) -> Credentials:
    parts = {k: str(v) for k, v in conninfo_to_dict(dsn).items() if v is not None}
    return Credentials(parameters=parts | changes, origin="the test")


@contextlib.contextmanager
def opened(dsn: str, **changes: str) -> Iterator[Session]:
    with open_session(credentials(dsn, **changes), lock_timeout_ms=300, statement_timeout_ms=20_000) as session:
        yield session


def run_sql(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def load(dsn: str, directory: Path, dataset: str, *rows: range, strategy: str = "delete-insert") -> str:
    """Merge orders with nested items and parts by real dlt, one load a range; what the script said."""
    arguments = [dsn, str(directory), dataset, strategy, *(f"{r.start}-{r.stop}" for r in rows)]
    done = subprocess.run([sys.executable, "-c", LOADING, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
