"""A project on a real database: real dlt runs its scripts, then the doctor looks at what is left."""

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from dltdoctor.diagnosis import Diagnosis
from tests.examining import diagnose
from tests.worlds import digest_database, digest_tree, run_pipeline, write_project

# Page N of a shop: orders 3N-2 to 3N, each with one item, merged behind a cursor.
SHOP = """
import sys, dlt

@dlt.resource(name="orders", primary_key="id", write_disposition="merge")
def orders(page, new=dlt.sources.incremental("id")):
    for i in range(3 * page - 2, 3 * page + 1):
        yield {"id": i, "amount": i * 10, "items": [{"sku": f"s{i}"}]}

pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
for page in sys.argv[1:]:
    pipeline.run(orders(int(page)))
"""


class RealWorld(msgspec.Struct, frozen=True):
    """A project, what dlt keeps of it, and its database; all of it only this test's."""

    root: Path
    dsn: str

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def pipelines_dir(self) -> Path:
        return self.root / "data" / "pipelines"

    @property
    def elsewhere(self) -> Path:
        """An empty directory: the pipelines dir, or the project, of another machine."""
        place = self.root / "elsewhere"
        place.mkdir(parents=True, exist_ok=True)
        return place

    def write(self, **files: str) -> None:
        """Write files of the project; `config` and `secrets` are dlt's, the others Python scripts."""
        places = {"config": ".dlt/config.toml", "secrets": ".dlt/secrets.toml"}
        write_project(self.project, self.dsn, {places.get(n, f"{n}.py"): text for n, text in files.items()})

    def run(self, script: str, *arguments: str, fails: str | None = None, env: Mapping[str, str] | None = None) -> str:
        """Run a Python text as the project's `load.py`; with `fails`, it has to end with these words."""
        if not (self.project / ".dlt" / "secrets.toml").exists():
            self.write(load=script)
        (self.project / "load.py").write_text(script, encoding="utf-8")
        done = run_pipeline("load.py", *arguments, project=self.project, data_dir=self.root / "data", env=env)
        assert (done.returncode == 0) == (fails is None), done.stdout
        assert fails is None or fails in done.stdout, done.stdout
        return done.stdout

    def execute(self, *statements: str, dsn: str | None = None) -> None:
        """Execute SQL as the owner, or as whoever the DSN says."""
        with psycopg.connect(dsn or self.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, table: str) -> int:
        """How many rows there are."""
        with psycopg.connect(self.dsn) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchall()[0][0])

    def lose(self, place: str) -> None:
        """Remove something of the pipelines dir."""
        shutil.rmtree(self.pipelines_dir / place)

    def age(self, seconds: float = 3600) -> None:
        """Make every file older, so that no load looks as if it were still at work."""
        then = time.time() - seconds
        for path in (self.root / "data").rglob("*"):
            os.utime(path, (then, then))

    def glance(self, pipelines_dir: Path | None = None, *, project: Path | None = None, **changes: Any) -> Diagnosis:
        """The diagnosis, also of what changes meanwhile."""
        return diagnose(project or self.project, pipelines_dir or self.pipelines_dir, **changes)

    def examine(self, pipelines_dir: Path | None = None, **changes: Any) -> Diagnosis:
        """The diagnosis; it has changed nothing in the files and in the database (law 3)."""
        before = digest_tree(self.root), digest_database(self.dsn)
        diagnosis = self.glance(pipelines_dir, **changes)
        assert (digest_tree(self.root), digest_database(self.dsn)) == before
        assert not [s for s in diagnosis.skipped if "crashed" in s.reason]
        return diagnosis

    def found(self, pipelines_dir: Path | None = None, **changes: Any) -> list[tuple[str, str]]:
        """Every finding as (code, severity), sorted; one that is there twice stands there twice."""
        return verdicts(self.examine(pipelines_dir, **changes))


def verdicts(diagnosis: Diagnosis) -> list[tuple[str, str]]:
    """Every finding as (code, severity), sorted."""
    return sorted((f.code, f.severity.value) for f in diagnosis.findings)


def messages(diagnosis: Diagnosis, code: str) -> list[str]:
    """What the findings of one check say."""
    return [f.message for f in diagnosis.findings if f.code == code]
