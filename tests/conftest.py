"""A real Postgres for the suite, and a machine on which the developer's own settings do not exist."""

import contextlib
import itertools
import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dltdoctor.demo.server import start_server
from tests.witness import witness

GIVEN_DSN = "DLTDOCTOR_TEST_DSN"
DOCKER_IMAGE = "postgres:17-alpine"
LOADER, LOADER_PASSWORD = "dltdoctor_test_loader", "s3cret-of-the-loader"
BARE_SETTINGS = {
    "CREDENTIALS",
    "DATASET_NAME",
    "DATASET_NAME_LAYOUT",
    "DEV_MODE",
    "ENABLE_DATASET_NAME_NORMALIZATION",
    "FULL_REFRESH",
    "NAMING",
    "PIPELINE_NAME",
    "PIPELINES_DIR",
    "PROGRESS",
    "REFRESH",
    "REPLACE_STRATEGY",
    "RESTORE_FROM_DESTINATION",
    "STAGING_DATASET_NAME_LAYOUT",
    "TRUNCATE_STAGING_DATASET",
    "USE_SINGLE_DATASET",
}
TERMINAL = {"NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES"}
_numbers = itertools.count(1)


def _heed_signals() -> None:
    """Under nohup or as a job in the background the suite is deaf to some signals; what it starts must not be."""
    with contextlib.suppress(ValueError):  # not the main thread
        for number, handler in ((signal.SIGHUP, lambda *_: None), (signal.SIGINT, signal.default_int_handler)):
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, handler)


_heed_signals()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: "differential" not in item.nodeid)


@pytest.fixture(autouse=True)
def witnessed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test marked with `fires` or `quiet` has to see what it says."""
    yield from witness(request, monkeypatch)


@pytest.fixture(autouse=True)
def clean_machine(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty home, an empty working directory, and none of dlt's and libpq's variables; the home."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        ours = name.startswith(("DLT_", "DLTDOCTOR_", "PG", "XDG_")) and name != GIVEN_DSN
        if ours or "__" in name or name in BARE_SETTINGS | TERMINAL:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("DLT_DATA_DIR", str(home / "dlt"))  # root's would be /var/dlt, whatever HOME says
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    cwd = home / "cwd"
    cwd.mkdir()
    monkeypatch.chdir(cwd)
    return home


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary directory like /tmp that only this test uses, and that is this process' own for it.

    pytest's are closed to the user that root's server runs as.
    """
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve()
        root.chmod(0o1777)
        monkeypatch.setenv("TMPDIR", str(root))
        monkeypatch.setattr(tempfile, "tempdir", str(root))
        yield root


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The superuser's DSN of a real server: a given one, Docker's, or one started from programs."""
    with contextlib.ExitStack() as stack:
        dsn = os.environ.get(GIVEN_DSN) or _docker(stack)
        if dsn is None:
            # With neither programs nor wheel this fails every test that asks, and says what to install.
            dsn = stack.enter_context(start_server()).admin_dsn
        _ensure_loader(dsn)
        yield dsn


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The superuser's DSN of a database that only this test has."""
    with _fresh_database(postgres, owner=None) as name:
        yield _dsn(postgres, dbname=name)


@pytest.fixture
def loader_database(postgres: str) -> Iterator[str]:
    """The DSN of an ordinary role for a database that only this test has, and that the role owns."""
    with _fresh_database(postgres, owner=LOADER) as name:
        yield _dsn(postgres, dbname=name, user=LOADER, password=LOADER_PASSWORD)


def _dsn(base: str, **changes: str) -> str:
    """The DSN as a URL, which dlt reads, too."""
    parts = conninfo_to_dict(base) | changes
    secret = f":{parts['password']}" if parts.get("password") else ""
    return f"postgresql://{parts['user']}{secret}@{parts['host']}:{parts.get('port', 5432)}/{parts['dbname']}"


@contextlib.contextmanager
def _fresh_database(admin: str, owner: str | None) -> Iterator[str]:
    name = f"dltdoctor_test_{os.getpid()}_{next(_numbers)}"
    identifier = sql.Identifier(name)
    with psycopg.connect(admin, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
        connection.execute(create.format(identifier))
        if owner is not None:
            change = sql.SQL("ALTER DATABASE {} OWNER TO {}")
            connection.execute(change.format(identifier, sql.Identifier(owner)))
        try:
            yield name
        finally:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))


def _ensure_loader(admin: str) -> None:
    create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(LOADER), LOADER_PASSWORD)
    with (
        psycopg.connect(admin, autocommit=True) as connection,
        # A given server keeps the role from the last run, and another xdist worker may be first.
        contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation),
    ):
        connection.execute(create)


def _docker(stack: contextlib.ExitStack) -> str | None:
    """The DSN of a container, or None when no Docker engine answers."""
    if not _docker_answers(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")):
        return None
    from testcontainers.community.postgres import PostgresContainer

    container = stack.enter_context(PostgresContainer(DOCKER_IMAGE, driver=None))
    url: str = container.get_connection_url()
    return url


def _docker_answers(host: str) -> bool:
    """Whether an engine is there; the client library would ask, too, but leaks a socket if there is none."""
    place = urlsplit(host)
    family, address = (socket.AF_UNIX, place.path) if place.scheme == "unix" else (socket.AF_INET, None)
    with socket.socket(family) as connection:
        connection.settimeout(3)
        try:
            connection.connect(address or (place.hostname or "localhost", place.port or 2375))
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(64)
        except OSError:
            return False
