"""Counts and estimates, NULLs by writer, and who else is at work."""

import psycopg
import pytest
from psycopg import sql

from dltdoctor.snapshot import Rows
from dltdoctor.world.postgres.activity import read_activity
from dltdoctor.world.postgres.catalog import read_catalog
from dltdoctor.world.postgres.rows import MOST_SCANNED, read_counts, read_nulls
from dltdoctor.world.requests import NullsByWriter
from tests.postgres_opened import credentials, opened, run_sql

UNKNOWN = Rows(rows=None, exact=False)


def count(dsn, *, deep=False, progress=None):
    with opened(dsn) as session:
        tables = read_catalog(session).tables
        counts = read_counts(session, list(tables.values()), deep=deep, progress=progress)
    return {name: rows for (_, name), rows in counts.items()}


def nulls(dsn, *columns, deep=False, schema="a", filled_by=()):
    request = NullsByWriter(dataset="d", table="t", schema_name=schema, columns=columns, filled_by=filled_by)
    with opened(dsn) as session:
        return read_nulls(session, [request], read_catalog(session).tables, deep=deep)


def test_small_tables_are_counted_and_empty_ones_are_known(database):
    run_sql(
        database,
        "CREATE TABLE empty (i int)",
        "CREATE TABLE small AS SELECT generate_series(1, 100) AS i",
        "CREATE TABLE dead AS SELECT generate_series(1, 40000) AS i",
        "DELETE FROM dead",
        "CREATE VIEW seen AS SELECT * FROM small",
        "CREATE MATERIALIZED VIEW kept AS SELECT * FROM small",
        "CREATE TABLE parts (i int) PARTITION BY RANGE (i)",
        "CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (1000)",
        "INSERT INTO parts SELECT * FROM small",
        "ANALYZE parts",
    )
    found = count(database)
    assert found == {
        "empty": Rows(rows=0),
        "small": Rows(rows=100),
        "dead": Rows(rows=0),
        "seen": UNKNOWN,
        "kept": Rows(rows=100),
        "parts": Rows(rows=100, exact=False),
        "part": Rows(rows=100),
    }
    assert count(database, deep=True)["parts"] == Rows(rows=100)


@pytest.mark.parametrize("analysed", [True, False])
def test_a_large_table_is_estimated_unless_a_deep_look_is_wanted(database, analysed):
    run_sql(
        database,
        "CREATE TABLE a (i int, t text) WITH (autovacuum_enabled = off)",
        "CREATE TABLE b (LIKE a) WITH (autovacuum_enabled = off)",
        "INSERT INTO a SELECT i, 'x' FROM generate_series(1, 50000) AS i",
        "INSERT INTO b SELECT i, 'x' FROM generate_series(1, 20000) AS i",
        *(["ANALYZE a", "ANALYZE b"] if analysed else []),
    )
    found = count(database)
    assert not found["a"].exact
    assert 0 < found["b"].rows < found["a"].rows
    if analysed:
        assert found == {"a": Rows(rows=50000, exact=False), "b": Rows(rows=20000, exact=False)}
    steps = []
    assert count(database, deep=True, progress=lambda *step: steps.append(step)) == {
        "a": Rows(rows=50000),
        "b": Rows(rows=20000),
    }
    assert steps == [(1, 2), (2, 2)]


def test_a_locked_table_has_no_count_and_the_others_do(database):
    run_sql(database, *(f"CREATE TABLE t{i} AS SELECT 1 AS i" for i in range(60)))
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE t7 IN ACCESS EXCLUSIVE MODE")
        found = count(database)
    assert found == {f"t{i}": Rows(rows=1) for i in range(60)} | {"t7": UNKNOWN}


def test_nulls_are_counted_by_who_wrote_the_row(database):
    run_sql(
        database,
        "CREATE SCHEMA d",
        "CREATE TABLE d._dlt_loads (load_id varchar, schema_name varchar, status bigint)",
        "INSERT INTO d._dlt_loads VALUES ('1.1', 'a', 0), ('2.2', 'b', 0), ('3.3', 'a', 0)",
        'CREATE TABLE d.t (id int, "tru%st" float, "say ""hi""" text, _dlt_load_id varchar)',
        "INSERT INTO d.t VALUES (1, NULL, NULL, '1.1'), (2, NULL, 'x', '1.1'), (3, 1, 'x', '3.3'), (4, NULL, NULL, '2.2')",
    )
    (both,) = nulls(database, "tru%st", 'say "hi"')
    assert (both.rows, both.exact, both.columns) == (1, True, ("tru%st", 'say "hi"'))
    assert nulls(database, "tru%st")[0].rows == 2
    assert nulls(database, "tru%st", schema="b")[0].rows == 1
    assert nulls(database, "tru%st", schema="it's nobody")[0].rows == 0
    assert nulls(database, "tru%st", filled_by=("b",))[0].rows == 0, "what b loaded later cannot have been lost"
    assert nulls(database, "tru%st", schema="b", filled_by=("a",))[0].rows == 1
    assert nulls(database, "absent") == ()
    run_sql(database, "DROP TABLE d._dlt_loads")
    assert nulls(database, "tru%st") == ()


@pytest.mark.parametrize("analysed", [True, False])
def test_nulls_of_a_large_table_are_sampled(database, analysed):
    run_sql(
        database,
        "CREATE SCHEMA d",
        "CREATE TABLE d._dlt_loads (load_id varchar, schema_name varchar)",
        "INSERT INTO d._dlt_loads VALUES ('1.1', 'a')",
        "CREATE TABLE d.t (_dlt_load_id varchar, v int) WITH (autovacuum_enabled = off)",
        "INSERT INTO d.t SELECT '1.1', NULL FROM generate_series(1, 150000)",
        *(["ANALYZE d.t"] if analysed else []),
    )
    (quick,), (deep,) = nulls(database, "v"), nulls(database, "v", deep=True)
    assert not quick.exact
    assert MOST_SCANNED // 2 < quick.rows <= MOST_SCANNED + 1
    assert (deep.rows, deep.exact) == (150000, True)


def test_who_else_is_at_work(database, loader_database):
    run_sql(database, "CREATE TABLE t (i int)", "CREATE TABLE read (i int)", 'CREATE TABLE "other%s" (i int)')
    relations = [("public", "t"), ("public", "read"), ("public", "absent")]
    owner = credentials(database).parameters["user"]
    with psycopg.connect(database) as writer, psycopg.connect(database) as reader, opened(database):
        writer.execute("INSERT INTO t VALUES (1)")
        writer.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(sql.Identifier("other%s")))
        reader.execute("SELECT * FROM read")
        with opened(database) as session:
            seen = read_activity(session, relations)
            assert seen.locked == {("public", "t")}
            assert seen.sessions_by_role == {owner: 2}
            writer.rollback()
            assert read_activity(session, relations).locked == frozenset()
        parts = credentials(loader_database).parameters
        login = {name: parts[name] for name in ("user", "password")}
        writer.execute("INSERT INTO t VALUES (1)")
        with opened(database, **login) as session:  # a role that may not look at others' sessions
            seen = read_activity(session, relations)
            assert seen.locked == {("public", "t")}
            assert seen.sessions_by_role[owner] == 2
