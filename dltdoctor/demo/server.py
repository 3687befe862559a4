"""A throw-away Postgres on a free port of 127.0.0.1, which ends with the process that started it.

A small shell (guard.sh) makes the cluster, serves it and removes it. It lives in a session of its own
and waits for the end of a pipe, so that Ctrl-C does not reach it and even SIGKILL of this process ends
the server. Postgres refuses to run as root: root's server runs as `postgres` or `nobody`.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
from psycopg import sql

from dltdoctor.demo.account import Account, server_account
from dltdoctor.demo.programs import Origin, Programs, copy_wheel, find_programs, no_programs
from dltdoctor.errors import CouldNotLookError

GUARD = Path(__file__).with_name("guard.sh").read_text(encoding="utf-8")
HOST = "127.0.0.1"
ATTEMPTS = 5  # another process may take the port between our choice and Postgres' bind
PATIENCE = 60.0  # seconds until a start or a stop is given up
SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # their paths may be at most 107 bytes long, temp dirs are longer
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "16MB",
    "autovacuum": "off",  # nothing changes behind the back of who looks
    "jit": "off",
    "timezone": "UTC",
}


class Server:
    """A running Postgres, which only passwords open; `pid` is that of its postmaster."""

    def __init__(self, guard: subprocess.Popen[str], home: Path, port: int, password: str) -> None:
        self.home = home
        self.port = port
        self.pid = int(_postmaster(home)[0])
        self.is_kept = False
        self._guard = guard
        self._password = password

    @property
    def admin_dsn(self) -> str:
        """The superuser's DSN of the database `postgres`."""
        return self.dsn("postgres")

    @property
    def stop_command(self) -> str:
        """A shell line that ends a kept server; the guard removes its directory then."""
        return f"kill -INT {self.pid}"

    def dsn(self, database: str, user: str = "postgres", password: str | None = None) -> str:
        """The address of a database as a URL, which both libpq and dlt read."""
        place = f"{HOST}:{self.port}/{quote(database, safe='')}"
        return f"postgresql://{quote(user, safe='')}:{password or self._password}@{place}"

    def create_role(self, name: str) -> str:
        """Create a role that may log in and nothing else; its password."""
        password = secrets.token_hex(12)
        statement = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        self._execute(statement.format(sql.Identifier(name), sql.Literal(password)))
        return password

    def create_database(self, name: str, owner: str = "postgres") -> str:
        """Create an empty database; the superuser's DSN of it."""
        statement = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0")
        self._execute(statement.format(sql.Identifier(name), sql.Identifier(owner)))
        return self.dsn(name)

    def keep(self) -> None:
        """Let the server outlive the block and this process, until `stop_command` ends it."""
        self.is_kept = True
        _tell(self._guard, "keep")
        self._guard.returncode = 0  # as far as we are concerned: else Popen warns that it still runs

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            connection.execute(statement)


@contextlib.contextmanager
def start_server(origins: tuple[Origin, ...] = tuple(Origin)) -> Iterator[Server]:
    """A server for the block; one that was told to `keep` lives on after it."""
    account = server_account()
    programs = _startable(account, origins)
    with contextlib.ExitStack() as undo:
        server = _start(programs, account, undo)
        try:
            yield server
        finally:
            if server.is_kept:
                undo.pop_all()


def _startable(account: Account, origins: tuple[Origin, ...]) -> Programs:
    for programs in find_programs(origins):
        if programs.origin is Origin.WHEEL or account.may_run(programs.directory / "postgres"):
            return programs  # the wheel's can be copied to where the account reaches them
    raise no_programs()


def _start(programs: Programs, account: Account, undo: contextlib.ExitStack) -> Server:
    for _ in range(ATTEMPTS):
        home = account.temporary_root() / f"dltdoctor-postgres-{secrets.token_hex(8)}"
        undo.callback(shutil.rmtree, home, ignore_errors=True)  # before it exists: no gap for a Ctrl-C
        if server := _try_port(programs, account, home, undo):
            return server
    raise CouldNotLookError("Postgres did not get a free port", "try again")


def _try_port(programs: Programs, account: Account, home: Path, undo: contextlib.ExitStack) -> Server | None:
    """A server that is ready, or None when its port was taken."""
    password = secrets.token_hex(12)
    directory = _furnish(home, programs, password, account)
    port = _free_port()
    with tempfile.TemporaryFile("w+") as log:
        guard = _launch(home, directory, port, account, log)
        undo.callback(_dismiss, guard, home)
        if _is_ready(guard, home):
            return Server(guard, home, port, password)
        log.seek(0)
        words = log.read()
    if "could not bind" in words:
        return None
    last = words.strip().splitlines()[-1:] or ["no message"]
    raise CouldNotLookError(f"Postgres did not start: {last[0]}", f"its programs are in {programs.directory}")


def _furnish(home: Path, programs: Programs, password: str, account: Account) -> Path:
    """Make the server's directory with all that the guard needs; the directory of the programs to run."""
    home.mkdir(mode=0o700)
    secret = home / "password"
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="utf-8")
    directory = programs.directory
    if not account.may_run(directory / "postgres"):
        directory = copy_wheel(programs, home / "programs")
    account.own(home)
    return directory


def _launch(home: Path, directory: Path, port: int, account: Account, log: IO[str]) -> subprocess.Popen[str]:
    settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    environment["LC_ALL"] = "C"  # the words "could not bind" are looked for
    command = ["/bin/sh", "-c", GUARD, "guard", str(home), str(directory), str(port)]
    return account.start([*command, *settings], cwd=home, output=log, env=environment)


def _is_ready(guard: subprocess.Popen[str], home: Path) -> bool:
    """Wait for the word that Postgres itself writes when it takes connections, as pg_ctl does."""
    deadline = time.monotonic() + PATIENCE
    while guard.poll() is None and time.monotonic() < deadline:
        if [line.strip() for line in _postmaster(home)][7:] == ["ready"]:
            return True
        time.sleep(0.01)
    return False


def _postmaster(home: Path) -> list[str]:
    try:
        return (home / "data" / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def _dismiss(guard: subprocess.Popen[str], home: Path) -> None:
    _tell(guard, "")
    try:
        guard.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        guard.kill()
        guard.wait()
    if guard.returncode < 0:  # somebody killed the guard itself
        _end_orphan(home)
    shutil.rmtree(home, ignore_errors=True)


def _end_orphan(home: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while (lines := _postmaster(home)) and time.monotonic() < deadline:
        try:
            os.kill(int(lines[0]), signal.SIGQUIT)
        except ProcessLookupError:
            return
        time.sleep(0.05)


def _tell(guard: subprocess.Popen[str], word: str) -> None:
    if guard.stdin is None or guard.stdin.closed:
        return
    with contextlib.suppress(BrokenPipeError):
        guard.stdin.write(word)
        guard.stdin.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
