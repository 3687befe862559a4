"""`fix --migrate` against the same SQL in psql, a hand-written INSERT, and pg_dump piped into psql.

`python -m benchmarks.migrate [--rows 5000000] [--rounds 1] [--dsn DSN]` prints a Markdown table. Every run gets its own copy of the
same database: a real dlt merge that failed, its staging table grown by SQL. fsync is on.
"""

import argparse
import contextlib
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from benchmarks.measure import Cost, Program, run
from benchmarks.shop import _database, script
from dltdoctor.demo.server import start_server
from dltdoctor.demo.stage import Login, Stage, run_script
from dltdoctor.plan import Plan
from dltdoctor.steps.step import RunSql

SCRIPT = Path(__file__).with_name("facts.py")
COLUMNS = "id, name, score, seen, _dlt_load_id, _dlt_id"
# The story's fourth cure, made to run: staged rows straight into the final table.
BY_HAND = f"INSERT INTO shop.facts ({COLUMNS}) SELECT {COLUMNS} FROM shop_staging.facts ON CONFLICT DO NOTHING"
PIPED = (
    "pg_dump --data-only -t shop_staging.facts | sed 's/shop_staging[.]facts/shop.facts/' | psql -q -v ON_ERROR_STOP=1"
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=5_000_000)
    options.add_argument("--rounds", type=int, default=1)
    options.add_argument("--dsn", help="a superuser's; without it a throw-away server is started")
    given = options.parse_args()
    with contextlib.ExitStack() as stack:
        admin = given.dsn or stack.enter_context(start_server()).admin_dsn
        for line in table(admin, given.rows, given.rounds):
            print(line, flush=True)


def table(admin: str, rows: int, rounds: int) -> Iterator[str]:
    """The lines of the table, as they are measured."""
    yield f"| {rows:,} staged rows | wall s | of psql with dlt's SQL | target | peak memory of the client |"
    yield "|---|---:|---:|---:|---:|"
    with contextlib.ExitStack() as stack:
        _settle(admin)
        stage = stack.enter_context(_stranded(admin, rows))
        base = stage.login.database
        plan_file = stage.root / "plan.json"
        fix = (script("dltdoctor"), "fix", "facts", "--migrate", "--unsafe")
        planning = _measure(admin, base, stage, (*fix, "--plan-out", str(plan_file)), rounds)
        plan = msgspec.json.decode(plan_file.read_bytes(), type=Plan)
        statements = [s for step in plan.steps if isinstance(step, RunSql) for s in step.statements]
        (stage.root / "merge.sql").write_text(";\n".join(statements) + ";\n", encoding="utf-8")
        psql = ("psql", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-f", str(stage.root / "merge.sql"))
        scan = _measure(admin, base, stage, ("psql", "-qAtc", "SELECT count(_dlt_id) FROM shop_staging.facts"), rounds)
        rival = _measure(admin, base, stage, psql, rounds)
        yield _line("psql with dlt's SQL", rival, rival, "")
        for name, command, target in (
            ("`fix --migrate --no-undo`", (*fix, "--yes", "--no-undo"), "≤ 1.15"),
            ("`fix --migrate`, undo kept", (*fix, "--yes"), "≤ 2.0"),
            (
                "by hand: `INSERT … SELECT … ON CONFLICT` (leaves old rows beside new ones)",
                ("psql", "-qc", BY_HAND),
                "",
            ),
            ("`pg_dump` piped into `psql` (fails on every key that is there)", ("sh", "-c", PIPED), ""),
        ):
            yield _line(name, _measure(admin, base, stage, command, rounds), rival, target)
        allowed = 1 + 1.2 * scan.seconds
        yield f"| planning alone (`--plan-out`) | {planning.seconds:.1f} | | ≤ 1 s + 1.2 scans = {allowed:.1f} s | {planning.peak:.0f} MB |"


def _line(name: str, cost: Cost, rival: Cost, target: str) -> str:
    return f"| {name} | {cost.seconds:.1f} | {cost.seconds / rival.seconds:.2f} | {target} | {cost.peak:.0f} MB |"


def _measure(admin: str, base: str, stage: Stage, command: tuple[str, ...], rounds: int) -> Cost:
    """The median of runs, each on a copy of the database of its own."""
    costs = []
    for _ in range(rounds):
        copy = f"{base}_copy"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    *map(sql.Identifier, (copy, base, stage.login.username))
                )
            )
            connection.execute("CHECKPOINT")
        try:
            costs.append(run(_program(stage, copy, command)))
        finally:
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(copy)))
    return Cost(
        code=0,
        seconds=statistics.median(c.seconds for c in costs),
        processor=statistics.median(c.processor for c in costs),
        peak=statistics.median(c.peak for c in costs),
    )


def _program(stage: Stage, database: str, command: tuple[str, ...]) -> Program:
    login = stage.login
    dsn = make_conninfo(login.dsn, dbname=database)
    own = {
        "PGHOST": login.host,
        "PGPORT": str(login.port),
        "PGDATABASE": database,
        "PGUSER": login.username,
        "PGPASSWORD": login.password,
        "DLTDOCTOR_DSN": dsn,
        "DLTDOCTOR_TRACEBACK": "1",
        "XDG_STATE_HOME": str(stage.root / "state"),
    }
    return Program(command=command, environ=stage.environ | own, cwd=stage.project)


def _settle(admin: str) -> None:
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = on")
        connection.execute("ALTER SYSTEM SET max_wal_size = '8GB'")
        connection.execute("SELECT pg_reload_conf()")


@contextlib.contextmanager
def _stranded(admin: str, rows: int) -> Iterator[Stage]:
    """A stage whose second load is stranded, grown to `rows` staged rows over half as many final ones."""
    with tempfile.TemporaryDirectory(prefix="dltdoctor-benchmark-") as name, _database(admin) as login:
        stage = Stage(Path(name).resolve(), login, lambda _: None)
        (stage.root / "home").mkdir()
        (stage.project / ".dlt").mkdir(parents=True)
        (stage.project / ".dlt" / "secrets.toml").write_text(login.toml, encoding="utf-8")
        shutil.copyfile(SCRIPT, stage.project / SCRIPT.name)
        run_script(SCRIPT.name, "0", "10", project=stage.project, environ=stage.environ)
        stage.execute("REVOKE DELETE ON shop.facts FROM " + sql.Identifier(login.username).as_string(None))
        run_script(SCRIPT.name, "5", "15", project=stage.project, environ=stage.environ)
        stage.execute("GRANT DELETE ON shop.facts TO " + sql.Identifier(login.username).as_string(None))
        shutil.rmtree(stage.pipelines_dir / "facts")
        _grow(login, rows)
        yield stage


def _grow(login: Login, rows: int) -> None:
    grown = (
        "INSERT INTO {} (" + COLUMNS + ") SELECT g, 'fact ' || g, g / 4.0, now(), (SELECT max(_dlt_load_id) FROM {}),"
        " md5(%s || g) FROM generate_series(%s, %s) AS g"
    )
    with psycopg.connect(login.dsn, autocommit=True) as connection:
        for schema, first, last in (("shop", 15, rows // 2), ("shop_staging", 15, rows)):
            place = sql.Identifier(schema, "facts")
            connection.execute(sql.SQL(grown).format(place, place), (schema, first, last))
            connection.execute(sql.SQL("VACUUM ANALYZE {}").format(place))


if __name__ == "__main__":
    main()
