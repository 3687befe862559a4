"""A shop: a project whose pipeline real dlt has run, and its own database on the server."""

import contextlib
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from benchmarks.measure import Program
from dltdoctor.demo.stage import Login, Stage, run_script

SCRIPT = Path(__file__).with_name("orders.py")
NAME = "orders"
DATASET, STAGING = "shop", "shop_staging"
DATASETS = (DATASET, STAGING)


class Shop(msgspec.Struct, frozen=True):
    """Where the programs run: a stage, whose role owns the database and is no superuser."""

    stage: Stage

    @property
    def working_dir(self) -> Path:
        return self.stage.pipelines_dir / NAME

    def program(self, *command: str) -> Program:
        """A command that finds the project by its directory, and the database by dlt's secrets or `PG*`."""
        login = self.stage.login
        own = {
            "PGHOST": login.host,
            "PGPORT": str(login.port),
            "PGDATABASE": login.database,
            "PGUSER": login.username,
            "PGPASSWORD": login.password,
            "DLTDOCTOR_TRACEBACK": "1",
        }
        return Program(command=command, environ=self.stage.environ | own, cwd=self.stage.project)

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(self.stage.login.dsn, autocommit=True)


def script(name: str) -> str:
    """A console script of the environment that runs the benchmarks, so that all rivals share one Python."""
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: pip install -e '.[demo,dev]'")
    return str(path)


@contextlib.contextmanager
def open_shop(admin_dsn: str, *, rows: int, days: int) -> Iterator[Shop]:
    """A shop for the block, after `days` runs; its role, database and directory are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="dltdoctor-benchmark-") as name, _database(admin_dsn) as login:
        stage = Stage(Path(name).resolve(), login, lambda _: None)
        (stage.root / "home").mkdir()
        (stage.project / ".dlt").mkdir(parents=True)
        (stage.project / ".dlt" / "secrets.toml").write_text(login.toml, encoding="utf-8")
        shutil.copyfile(SCRIPT, stage.project / SCRIPT.name)
        for day in range(1, days + 1):
            done = run_script(SCRIPT.name, str(day), str(rows), project=stage.project, environ=stage.environ)
            if done.returncode != 0:
                raise RuntimeError(f"{SCRIPT.name} failed:\n{done.stdout}")
        yield Shop(stage)


@contextlib.contextmanager
def _database(admin_dsn: str) -> Iterator[Login]:
    parts = conninfo_to_dict(admin_dsn)
    name, password = f"dltdoctor_benchmark_{os.getpid()}_{secrets.token_hex(3)}", secrets.token_hex(12)
    quoted = sql.Identifier(name)
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(quoted, sql.Literal(password)))
        try:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(quoted, quoted))
            yield Login(str(parts["host"]), int(parts.get("port") or 5432), name, name, password)
        finally:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted))
            connection.execute(sql.SQL("DROP ROLE {}").format(quoted))
