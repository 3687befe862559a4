"""Bad input from outside: one clear line, what to do, the documented exit code, and the rest is still read."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.captured import UnpackedWorld, world
from tests.command_line import COMMAND, Done, codes, complaint, dltdoctor, is_quiet, report

SECRET = "Hunter-2-pässword"
QUOTED = "Hunter-2-p%C3%A4ssword"
NOBODY = 65534
STATE = {
    "_state_version": 3,
    "_state_engine_version": 4,
    "_version_hash": "h",
    "pipeline_name": "sick",
    "dataset_name": "shop",
}


@pytest.fixture
def offline(tmp_path) -> UnpackedWorld:
    """A pipeline with an error that is told without a database; it has to be told beside anything."""
    return world("1.31.0", "staging-is-final").unpack(tmp_path / "world")


@pytest.fixture
def stranded(tmp_path, database) -> tuple[UnpackedWorld, str]:
    captured = world("1.31.0", "stranded-merge")
    captured.restore(database)
    return captured.unpack(tmp_path / "world"), database


def places(unpacked: UnpackedWorld) -> tuple[str, ...]:
    return ("--project", str(unpacked.project), "--pipelines-dir", str(unpacked.pipelines_dir))


def diagnose_both(*arguments: str, cwd: Path | None = None, env=None) -> tuple[Done, Done]:
    """As text and as JSON; both end alike, and neither tells the secret."""
    text = dltdoctor("diagnose", *arguments, cwd=cwd, env=env)
    as_json = dltdoctor("diagnose", *arguments, "--format", "json", cwd=cwd, env=env)
    assert text.returncode == as_json.returncode
    for done in (text, as_json):
        assert_secret_kept(done)
    return text, as_json


def assert_secret_kept(done: Done) -> None:
    for spelling in (SECRET, QUOTED, SECRET.encode("ascii", "backslashreplace").decode(), "Hunter", "ässword"):
        assert spelling not in done.stdout + done.stderr


# ------------------------------------------------------------------------------- local files


def a_sick_state(content: bytes):
    def make(working_dir: Path) -> None:
        (working_dir / "state.json").write_bytes(content)

    return make


def a_huge_state(working_dir: Path) -> None:
    with (working_dir / "state.json").open("wb") as file:
        file.truncate(200 * 1024 * 1024)


def a_directory(working_dir: Path) -> None:
    (working_dir / "state.json").mkdir()


def a_link_to_itself(working_dir: Path) -> None:
    (working_dir / "state.json").symlink_to("state.json")


def a_pipe(working_dir: Path) -> None:
    os.mkfifo(working_dir / "state.json")


def an_unknown_schema(working_dir: Path) -> None:
    (working_dir / "state.json").write_text(json.dumps(STATE))
    (working_dir / "schemas").mkdir()
    (working_dir / "schemas" / "sick.schema.json").write_text(json.dumps({"name": "sick", "engine_version": 999}))


@pytest.mark.fires("DD001", "DD101")
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(a_sick_state(b""), id="empty"),
        pytest.param(a_sick_state(b'{"pipeline_name": "si'), id="truncated"),
        pytest.param(a_sick_state(bytes(range(256)) * 8), id="binary"),
        pytest.param(a_sick_state(b"[1, 2]"), id="no object"),
        pytest.param(a_sick_state(b"[" * 200_000), id="deep"),
        a_huge_state,
        a_directory,
        a_link_to_itself,
        a_pipe,
        an_unknown_schema,
    ],
)
def test_a_sick_file_beside_a_sick_pipeline(make, offline) -> None:
    working_dir = offline.pipelines_dir / "sick"
    working_dir.mkdir()
    make(working_dir)
    text, as_json = diagnose_both(*places(offline), "--offline")
    assert text.returncode == 1
    assert {"DD001", "DD101"} <= codes(as_json)
    finding = next(f for f in report(as_json).findings if f.code == "DD001")
    assert "\n" not in finding.message
    assert finding.remedy
    assert finding.remedy.title
    alone = dltdoctor("diagnose", "sick", "--pipelines-dir", offline.pipelines_dir, "--offline")
    assert alone.returncode == 3


def as_an_ordinary_user(*arguments: str, cwd: Path) -> Done:
    """Root may do everything, so give that up once every module is loaded: the user may not read those."""
    program = f"""
import os, sys
from typer.testing import CliRunner
from dltdoctor.cli import app, main
if os.geteuid() == 0:
    CliRunner().invoke(app, sys.argv[1:])
    os.setuid({NOBODY})
main()
"""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_an_unreadable_file_beside_a_sick_pipeline() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        unpacked = world("1.31.0", "staging-is-final").unpack(root / "world")
        working_dir = unpacked.pipelines_dir / "sick"
        working_dir.mkdir()
        (working_dir / "state.json").write_text(json.dumps(STATE))
        (working_dir / "state.json").chmod(0o000)
        done = as_an_ordinary_user("diagnose", *places(unpacked), "--offline", "-f", "json", cwd=root)
    assert {"DD001", "DD101"} <= codes(done), done.stderr
    assert "ermission denied" in done.stdout


@pytest.mark.parametrize("kind", ["file", "missing", "loop"])
def test_a_pipelines_dir_that_is_none(kind, tmp_path) -> None:
    place = tmp_path / "pipelines"
    if kind == "file":
        place.write_text("not a directory")
    if kind == "loop":
        place.symlink_to(place)
    text, as_json = diagnose_both("--pipelines-dir", str(place), "--offline")
    assert text.returncode == 3
    assert codes(as_json) == {"DD001"}
    assert "--pipelines-dir" in text.stdout


def test_a_loop_of_directories_is_passed_by(offline) -> None:
    (offline.pipelines_dir / "loop").symlink_to(offline.pipelines_dir)
    (offline.project / "loop").symlink_to(offline.project)
    text, as_json = diagnose_both(*places(offline), "--offline")
    assert text.returncode == 1
    assert "DD101" in codes(as_json)


@pytest.mark.parametrize("kind", ["file", "missing"])
def test_a_project_that_is_none(kind, tmp_path) -> None:
    place = tmp_path / "project"
    if kind == "file":
        place.write_text("not a directory")
    done = dltdoctor("diagnose", "--project", place)
    assert (done.returncode, done.stdout) == (3, "")
    assert "is not a directory" in complaint(done)


@pytest.mark.parametrize("name", ["config.toml", "secrets.toml"])
def test_invalid_toml_is_told_with_file_line_and_column(name, offline) -> None:
    content = f'[destination.postgres]\ncredentials = "postgresql://loader:{SECRET}@db/x" oops\n'
    (offline.project / ".dlt" / name).write_text(content, encoding="utf-8")
    text, as_json = diagnose_both(*places(offline), "--offline")
    finding = next(f for f in report(as_json).findings if f.code == "DD001")
    said = f"{finding.message} {finding.evidence}"
    assert f".dlt/{name}" in said
    assert ":2" in said or "line 2" in said
    assert "column" in said or ":2:" in said
    assert text.returncode in (1, 3)  # the setting that made it sick may stand in the broken file


HOSTILE = [
    'it"s',
    "it's",
    "50%s",
    "two\nlines",
    "[red]alert[/red]",
    "\x1b[31mred\x1b[2J",
    "x" * 200,
    "中文数据管道",
    "\u202ereversed",
    "-rf",
    "a b;c",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_pipelines_datasets_and_tables(name, tmp_path, database) -> None:
    schema = name.encode()[:50].decode("utf-8", "ignore")
    with psycopg.connect(database, autocommit=True) as connection:
        for place in (schema, f"{schema}_staging"):
            for statement in (
                sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(place)),
                sql.SQL("CREATE TABLE {} AS SELECT 1 AS id, 'x' AS v").format(sql.Identifier(place, schema)),
            ):
                connection.execute(statement.as_string(connection).encode())
    working_dir = tmp_path / "pipelines" / name
    working_dir.mkdir(parents=True)
    state = {"pipeline_name": name, "dataset_name": schema, "schema_names": [], "destination_type": "postgres"}
    (working_dir / "state.json").write_text(json.dumps(state))

    options = ("--pipelines-dir", str(tmp_path / "pipelines"), "--dsn", database)
    done = dltdoctor("diagnose", *options, "-f", "json", "--", name)
    assert done.returncode in (0, 1, 3)
    assert report(done).version == 1
    where = dltdoctor("where", "--", schema, env={"DLTDOCTOR_DSN": database})
    assert where.returncode == 0, where.stderr
    assert "2 copies" in where.stdout


# ------------------------------------------------------------------------------ connections


def secret_role(dsn: str, *, readable: bool = False) -> str:
    """A role whose password must not be told; its name."""
    name = f"dltdoctor_secret_{conninfo_to_dict(dsn)['dbname']}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), sql.Literal(SECRET))
        )
        if readable:
            connection.execute(sql.SQL("GRANT pg_read_all_data TO {}").format(sql.Identifier(name)))
    return name


@contextlib.contextmanager
def secret_login(dsn: str, *, readable: bool = False) -> Iterator[str]:
    role = secret_role(dsn, readable=readable)
    parts = conninfo_to_dict(dsn)
    try:
        yield f"postgresql://{role}:{QUOTED}@{parts['host']}:{parts['port']}/{parts['dbname']}"
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
                connection.execute(sql.SQL(statement).format(sql.Identifier(role)))


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def refused(database) -> dict[str, str]:
    """DSNs that lead nowhere, each with the secret in it."""
    parts = conninfo_to_dict(database)
    host, port, name = parts["host"], parts["port"], parts["dbname"]
    return {
        "password": f"postgresql://dltdoctor_nobody:{QUOTED}@{host}:{port}/{name}",
        "database": f"postgresql://dltdoctor_test_loader:s3cret-of-the-loader@{host}:{port}/no_such_database",
        "port": f"postgresql://loader:{QUOTED}@127.0.0.1:{closed_port()}/x",
        "host": f"postgresql://loader:{QUOTED}@no-such-host.invalid/x",
        "keywords": f"host=127.0.0.1 port={closed_port()} user=loader password={SECRET} dbname=x",
    }


@pytest.mark.fires("DD002", "DD101")
@pytest.mark.parametrize("kind", ["password", "database", "port", "host", "keywords"])
def test_no_connection(kind, refused, offline) -> None:
    options = (*places(offline), "--dsn", refused[kind])
    text, as_json = diagnose_both(*options)
    assert text.returncode == 1  # the configuration is sick all the same
    assert {"DD002", "DD101"} <= codes(as_json)
    finding = next(f for f in report(as_json).findings if f.code == "DD002")
    assert finding.message.count("postgresql://") == 1
    assert "\n" not in finding.message
    assert finding.remedy
    assert finding.remedy.title
    alone = dltdoctor("diagnose", "--dsn", refused[kind])
    assert alone.returncode == 3
    where = dltdoctor("where", "orders", "--dsn", refused[kind])
    assert (where.returncode, where.stdout) == (3, "")
    for done in (alone, where):
        assert_secret_kept(done)
        assert "s3cret" not in done.stdout + done.stderr
    assert "could not look into postgresql://" in complaint(where)


@pytest.mark.parametrize(
    "dsn",
    [
        f"mysql://loader:{QUOTED}@db/x",
        f"postgresql://loader:{QUOTED}@db:port/x",
        f"postgresql://loader:{SECRET}@more@db/x",
        f"{SECRET}",
        f"host=db password='{SECRET}",
        f"host=db passwort={SECRET}",
        "",
    ],
)
def test_an_unparsable_dsn_is_a_usage_error(dsn) -> None:
    for env in (None, {"DLTDOCTOR_DSN": dsn}):
        given = ("--dsn", dsn) if env is None else ()
        done = dltdoctor("diagnose", *given, env=env)
        assert_secret_kept(done)
        assert done.returncode == (2 if given or dsn else 3)
        assert complaint(done)


def in_secrets(project: Path, dsn: str) -> dict[str, str]:
    text = f"[destination.postgres]\ncredentials = {json.dumps(dsn, ensure_ascii=False)}\n"
    (project / ".dlt").mkdir(exist_ok=True)
    (project / ".dlt" / "secrets.toml").write_text(text, encoding="utf-8")
    return {}


def in_source(project: Path, dsn: str) -> dict[str, str]:
    (project / "load.py").write_text(
        f"import dlt\np = dlt.pipeline('sales', destination=dlt.destinations.postgres({dsn!r}), dataset_name='shop')\n",
        encoding="utf-8",
    )
    shutil.rmtree(project / ".dlt", ignore_errors=True)
    return {}


def in_environment(project: Path, dsn: str) -> dict[str, str]:
    shutil.rmtree(project / ".dlt", ignore_errors=True)
    return {"DESTINATION__POSTGRES__CREDENTIALS": dsn}


def in_libpq(project: Path, dsn: str) -> dict[str, str]:
    shutil.rmtree(project / ".dlt", ignore_errors=True)
    parts = conninfo_to_dict(dsn)
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    return {variable: parts[name] for name, variable in names.items()}


@pytest.mark.parametrize("write", [in_secrets, in_source, in_environment, in_libpq])
@pytest.mark.parametrize("opens", [True, False])
def test_a_password_is_never_told_wherever_it_stands(write, opens, stranded) -> None:
    unpacked, database = stranded
    for script in unpacked.project.glob("*.py"):
        script.unlink()
    with secret_login(database, readable=True) as dsn:
        env = write(unpacked.project, dsn if opens else dsn.rpartition("/")[0] + "/no_such_database")
        text, as_json = diagnose_both(*places(unpacked), env=env)
        where = dltdoctor("where", "orders", *places(unpacked), env=env)
        assert_secret_kept(where)
    assert text.returncode == (1 if opens else 3), text.stdout
    assert ("DD201" if opens else "DD002") in codes(as_json)


# ------------------------------------------------------------------- trouble in the middle


def test_a_role_without_rights_cannot_see_which_is_not_empty(stranded) -> None:
    unpacked, database = stranded
    with secret_login(database) as dsn:
        text, as_json = diagnose_both(*places(unpacked), "--dsn", dsn)
        where = dltdoctor("where", "shop.orders", *places(unpacked), "--dsn", dsn)
    assert text.returncode in (1, 3)
    assert "DD003" in codes(as_json)
    assert "DD109" not in codes(as_json)
    assert "DD401" not in codes(as_json)
    assert where.returncode == 0
    assert "this role may not read it" in where.stdout


@pytest.mark.fires("DD002")
@pytest.mark.quiet("DD201", "DD203", "DD302", "DD401")
@pytest.mark.parametrize("locked", ["shop_staging.orders", "shop.orders", "shop._dlt_loads", "shop._dlt_version"])
@pytest.mark.parametrize("name", ["healthy-merge", "stranded-merge"])
def test_a_lock_of_another_session_makes_unknown_and_neither_healthy_nor_sick(locked, name, tmp_path, database) -> None:
    captured = world("1.31.0", name)
    captured.restore(database)
    unpacked = captured.unpack(tmp_path / "world")
    with psycopg.connect(database) as blocker:
        blocker.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(*locked.split("."))))
        done = dltdoctor("diagnose", *places(unpacked), "--dsn", database, "-f", "json")
    assert done.returncode == 3
    errors = {f.code for f in report(done).findings if f.severity == "error"}
    assert errors == {"DD002"}
    tables = {row.table: row.verdict for row in report(done).ledger}
    if locked.endswith(".orders"):
        assert tables["orders"] == "unknown"
        assert tables["events"] == "healthy"
    if locked.endswith("._dlt_loads"):
        assert set(tables.values()) == {"unknown"}


def test_where_reads_the_rest_beside_a_lock(stranded) -> None:
    unpacked, database = stranded
    with psycopg.connect(database) as blocker:
        blocker.execute("LOCK TABLE shop_staging.orders IN ACCESS EXCLUSIVE MODE")
        where = dltdoctor("where", "orders", *places(unpacked), "--dsn", database)
    assert where.returncode == 0
    assert "3 rows" in where.stdout
    assert "another session holds a lock" in where.stdout


def test_a_server_that_goes_away_in_the_middle(stranded) -> None:
    unpacked, database = stranded
    with psycopg.connect(database) as blocker, psycopg.connect(database, autocommit=True) as executioner:
        blocker.execute("LOCK TABLE shop._dlt_loads IN ACCESS EXCLUSIVE MODE")
        process = subprocess.Popen(
            [*COMMAND, "diagnose", *places(unpacked), "--dsn", database, "-f", "json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        executioner_done = threading.Event()
        for _ in range(100):
            killed = executioner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dltdoctor'"
                " AND datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchall()
            if killed:
                executioner_done.set()
                break
            time.sleep(0.05)
        out, err = process.communicate(timeout=30)
    assert executioner_done.is_set()
    assert process.returncode == 3, err
    assert "Traceback" not in err
    done = subprocess.CompletedProcess([], process.returncode, out, err)
    finding = next(f for f in report(done).findings if f.code == "DD002")
    assert "lost the connection" in finding.message or "terminat" in finding.message


# ----------------------------------------------------------------------------- odd machines


def test_no_home(offline) -> None:
    for home in (None, "", "/nonexistent"):
        done = dltdoctor("diagnose", *places(offline), "--offline", "-f", "json", env={"HOME": home})
        assert "DD101" in codes(done), home


def test_a_current_directory_that_may_not_be_written() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        unpacked = world("1.31.0", "staging-is-final").unpack(root / "world")
        for folder in (root, unpacked.root, unpacked.project, unpacked.pipelines_dir):
            folder.chmod(0o555)
        options = ("--pipelines-dir", str(unpacked.pipelines_dir), "--offline", "-f", "json")
        done = as_an_ordinary_user("diagnose", *options, cwd=unpacked.project)
        for folder in (root, unpacked.root, unpacked.project, unpacked.pipelines_dir):
            folder.chmod(0o755)
    assert is_quiet(done)
    assert "DD101" in codes(done)


@pytest.mark.parametrize("command", ["diagnose", "where orders", "demo healthy"])
def test_a_current_directory_that_is_gone(command, tmp_path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f'cd "{gone}" && rmdir "{gone}" && exec "{sys.executable}" -m dltdoctor {command}'
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "")
    assert complaint(done) == "dltdoctor: the current directory does not exist any more"
