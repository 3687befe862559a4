"""The session: one read-only moment, errors of one line, and no password in any of them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

import dltdoctor
from dltdoctor.errors import CouldNotLookError
from dltdoctor.world.postgres.batches import read_parts
from dltdoctor.world.postgres.catalog import read_catalog
from dltdoctor.world.postgres.facts import read_facts
from dltdoctor.world.postgres.failures import FailedReadError, first_line
from dltdoctor.world.postgres.session import open_session
from tests.postgres_opened import credentials, opened, run_sql

ROOT = Path(dltdoctor.__file__).parents[1]
SECRET = "correct-horse-%40-battery"


def show(session, *names):
    return [session.fetch(f"SHOW {name}".encode())[0][0] for name in names]


def test_it_is_one_read_only_repeatable_read_transaction(database):
    with opened(database) as session:
        names = ("transaction_read_only", "transaction_isolation", "application_name", "search_path", "row_security")
        assert show(session, *names) == ["on", "repeatable read", "dltdoctor", "pg_catalog", "off"]
        assert show(session, "statement_timeout", "lock_timeout") == ["20s", "300ms"]


def test_it_says_where_it_is(database):
    with opened(database) as session:
        parts = credentials(database).parameters
        assert session.target.database == parts["dbname"]
        assert session.target.key == f"{parts['host']}:{parts.get('port', 5432)}/{parts['dbname']}"
        assert session.target.origin == "the test"
        assert session.role == parts["user"]
        assert session.server_version >= 100_000
        assert session.read_at > 1_600_000_000


def test_it_cannot_write(database):
    run_sql(database, "CREATE TABLE public.t (i int)")
    with opened(database) as session:
        for statement in (b"INSERT INTO public.t VALUES (1)", b"CREATE TABLE public.u ()", b"TRUNCATE public.t"):
            with pytest.raises(FailedReadError, match="read-only"):
                session.fetch(statement + b" RETURNING 1" if statement.startswith(b"INSERT") else statement)


def test_what_is_read_is_one_moment(database):
    run_sql(database, "CREATE TABLE public.t (i int)")
    with opened(database) as session:
        run_sql(database, "INSERT INTO public.t VALUES (1)")
        assert session.fetch(b"SELECT count(*) FROM public.t") == [(0,)]


def test_a_failed_read_leaves_the_session_usable(database):
    with opened(database) as session:
        with pytest.raises(FailedReadError) as failed:
            session.fetch(b"SELECT * FROM public.absent")
        assert failed.value.code == "DD002"
        assert session.fetch(b"SELECT 1") == [(1,)]


def test_settings_of_one_read_end_with_it(database):
    with opened(database) as session:
        session.fetch(b"SELECT 1", settings={"enable_seqscan": "off"})
        assert show(session, "enable_seqscan") == ["on"]


def test_no_lock_outlives_its_read(database):
    run_sql(database, *(f"CREATE TABLE public.t{i} (i int)" for i in range(60)))
    with opened(database) as session:
        relations = read_catalog(session)
        names = [sql.Identifier("public", f"t{i}") for i in range(60)]
        parts = [sql.SQL("SELECT {}, count(*) FROM {}").format(i, name) for i, name in enumerate(names)]
        assert len(read_parts(session, parts).rows) == 60
        read_facts(session, list(relations.tables.values()))
        locks = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation WHERE c.relname LIKE 't%'"
        assert session.fetch(f"{locks} AND l.pid = pg_backend_pid()".encode()) == [(0,)]


def test_row_level_security_is_a_failure_and_not_emptiness(database, loader_database):
    run_sql(
        loader_database,
        "CREATE TABLE public.t (i int)",
        "INSERT INTO public.t VALUES (1)",
        "ALTER TABLE public.t ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE public.t FORCE ROW LEVEL SECURITY",
    )
    with opened(loader_database) as session:
        with pytest.raises(FailedReadError) as failed:
            session.fetch(b"SELECT count(*) FROM public.t")
        assert failed.value.code == "DD003"
        assert not read_catalog(session).tables["public", "t"].readable


@pytest.mark.parametrize(
    ("changes", "reason", "hint"),
    [
        ({"dbname": "no such database"}, 'database "no such database" does not exist', "database name"),
        ({"host": "no-such-host.invalid"}, "resolve|name or service|translate", "host name"),
        ({"host": "127.0.0.1", "port": "1"}, "refused", "host and port"),
        ({"user": "nobody-here"}, "nobody-here", "user and password"),
        ({"sslmode": "verify-full", "sslrootcert": "/absent"}, "root certificate|SSL", "sslmode"),
        ({"sslmode": "sideways"}, "sslmode", "sslmode|spelling"),
        ({"shoe_size": "44"}, "invalid connection option", "spelling"),
    ],
)
def test_what_hinders_a_connection_is_one_line_and_a_hint(database, changes, reason, hint):
    secret = {} if "dbname" in changes else {"password": SECRET}  # the database's name is told to no stranger
    with pytest.raises(CouldNotLookError) as failed, opened(database, **secret | changes):
        pass
    assert failed.value.exit_code == 3
    assert re.search(reason, failed.value.message)
    assert re.search(hint, failed.value.hint)
    assert "\n" not in failed.value.message
    assert SECRET not in failed.value.message + failed.value.hint + repr(failed.value)
    assert failed.value.__cause__ is None


def test_a_wrong_password_says_so_and_is_not_repeated(loader_database):
    with pytest.raises(CouldNotLookError, match="password authentication failed") as failed:
        log_in_wrongly(loader_database)
    assert "user and password" in failed.value.hint
    assert SECRET not in failed.value.message + failed.value.hint


def log_in_wrongly(dsn):
    with opened(dsn, password=SECRET):
        pytest.skip("this server trusts everyone")


def test_a_password_that_a_server_repeats_is_masked(database):
    with pytest.raises(CouldNotLookError) as failed, opened(database, user=f"x {SECRET} y", password=SECRET):
        pass
    assert SECRET not in failed.value.message


def test_too_many_connections(database):
    run_sql(database, "CREATE ROLE dltdoctor_test_narrow LOGIN PASSWORD 'pw' CONNECTION LIMIT 0")
    narrow = {"user": "dltdoctor_test_narrow", "password": "pw"}
    try:
        with pytest.raises(CouldNotLookError, match="too many connections") as failed, opened(database, **narrow):
            pass
        assert "later" in failed.value.hint
    finally:
        run_sql(database, "DROP ROLE dltdoctor_test_narrow")


def test_a_server_gone_in_the_middle(database):
    with opened(database) as session:
        terminate(database, session)
        with pytest.raises(CouldNotLookError, match="lost the connection") as failed:
            session.fetch(b"SELECT 1")
    assert "\n" not in failed.value.message
    assert not isinstance(failed.value, FailedReadError)


def test_a_server_gone_while_rows_stream(database):
    with opened(database) as session:
        rows = session.stream(b"SELECT i, repeat('x', 1000) FROM generate_series(1, 1000000) AS i")
        process = session._connection.info.backend_pid
        next(rows)
        run_sql(database, f"SELECT pg_terminate_backend({process}, 5000)")
        with pytest.raises(CouldNotLookError, match="lost the connection"):
            list(rows)


def terminate(dsn, session):
    process = session.fetch(b"SELECT pg_backend_pid()")[0][0]
    run_sql(dsn, f"SELECT pg_terminate_backend({process}, 5000)")


def test_a_statement_timeout(database):
    with open_session(credentials(database), statement_timeout_ms=50) as session:
        with pytest.raises(FailedReadError, match="took too long"):
            session.fetch(b"SELECT pg_sleep(5)")
        assert session.fetch(b"SELECT 1") == [(1,)]


def test_nothing_is_left_behind(database):
    with opened(database) as session:
        session.fetch(b"SELECT 1")
    with psycopg.connect(database) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dltdoctor' AND datname = current_database()"
        assert connection.execute(query).fetchone() == (0,)


def test_psycopg_is_imported_with_the_first_connection_and_not_before():
    rooms = ("session", "catalog", "dlt_tables", "staged", "rows", "activity")
    imports = "; ".join(f"import dltdoctor.world.postgres.{room}" for room in rooms)
    code = f"import sys; {imports}; sys.exit('psycopg' in sys.modules or 'dlt' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize(
    ("text", "line"),
    [("\n\n  FEHLER:  nein\nHINT: x", "FEHLER:  nein"), ("a\x1b[31mb\x9bc", "a [31mb c"), ("", "")],
)
def test_only_the_first_line_of_a_servers_text_is_kept(text, line):
    assert first_line(text) == line


def test_text_that_is_not_utf_8_is_one_clear_line(database):
    name = credentials(database).parameters["dbname"] + "_ascii"
    run_sql(database, f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        with psycopg.connect(database, dbname=name, autocommit=True, client_encoding="latin1") as connection:
            connection.execute('CREATE TABLE "\xe9\xe8" (i int)')
        with opened(database, dbname=name) as session:
            with pytest.raises(FailedReadError, match="not UTF-8"):
                read_catalog(session)
            assert session.fetch(b"SELECT 1") == [(1,)]
    finally:
        run_sql(database, f"DROP DATABASE {name}")
