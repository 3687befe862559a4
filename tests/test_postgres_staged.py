"""Staged rows against real merges of real dlt, and against tables made by hand."""

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dltdoctor.world.postgres.catalog import read_catalog
from dltdoctor.world.postgres.staged import read_staged
from dltdoctor.world.requests import StagedTable
from tests.postgres_opened import LINEAGES, load, opened, run_sql

FORBID = """
    CREATE FUNCTION public.forbid() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE check_violation; END $$;
    CREATE TRIGGER no BEFORE INSERT OR UPDATE ON {}.orders EXECUTE FUNCTION public.forbid()"""
OLD, NEW = "1700000000.5", "1700000100.5"


def ask(table="t", *, final="f", staging="s", **more):
    lineage = LINEAGES.get(table, (table,))
    return StagedTable(staging=staging, final=final, table=table, lineage=lineage, loads_of=(final,), **more)


def read(dsn, *requests, deep=False):
    with opened(dsn) as session:
        return read_staged(session, requests, read_catalog(session).tables, deep=deep)


def only(dsn, *requests, deep=False):
    staged, unread = read(dsn, *requests, deep=deep)
    assert unread == ()
    (one,) = staged
    return one


def orders(dataset, **more):
    return [
        ask(
            table, final=dataset, staging=f"{dataset}_staging", primary_key=("id",) if table == "orders" else (), **more
        )
        for table in LINEAGES
    ]


def pair(dsn, columns, staged, final, *, index=""):
    """Two tables of the same columns, `s.t` and `f.t`, with rows given as SQL values."""
    run_sql(dsn, "CREATE SCHEMA s", "CREATE SCHEMA f")
    for schema, rows in (("s", staged), ("f", final)):
        run_sql(dsn, f"CREATE TABLE {schema}.t ({columns})")
        if rows:
            run_sql(dsn, f"INSERT INTO {schema}.t VALUES {rows}")
    if index:
        run_sql(dsn, f"CREATE INDEX ON f.t ({index})")


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert", "scd2", "insert-only"])
def test_every_merge_strategy_arrives_and_strands(database, tmp_path, strategy):
    """The second load repeats a key, so that strategies that keep or key rows by content are told apart."""
    assert load(database, tmp_path, "shop", range(1, 4), range(3, 6), strategy=strategy) == ""
    requests = orders("shop", merge_strategy=strategy, hard_delete="gone")
    for deep in (False, True):
        staged, unread = read(database, *requests, deep=deep)
        assert unread == ()
        assert [s.table for s in staged] == list(LINEAGES)
        for one in staged:
            assert (one.rows, one.exact, one.sampled, one.arrived, one.proof) == (3, True, 3, 3, "row-key")
            assert one.committed_in == ("shop",)
    run_sql(database, FORBID.format("shop"))
    assert load(database, tmp_path, "shop", range(5, 9), strategy=strategy) == "failed"
    staged, _ = read(database, *requests)
    # scd2 and insert-only cannot tell a row that is there already from one that has arrived.
    known = 1 if strategy == "insert-only" else 0
    assert [(s.rows, s.arrived, s.superseded, s.committed_in) for s in staged] == [(4, known, 0, ())] * 3


def test_rows_replaced_by_a_newer_load_are_superseded(database):
    columns = "id int, _dlt_load_id varchar, _dlt_id varchar UNIQUE"
    staged = f"(1, '{OLD}', 'a'), (2, '{OLD}', 'b'), (3, '{OLD}', 'c')"
    final = f"(1, '{OLD}', 'a'), (2, '{NEW}', 'x')"
    pair(database, columns, staged, final, index="id")
    for deep in (False, True):
        one = only(database, ask(primary_key=("id",)), deep=deep)
        assert (one.sampled, one.arrived, one.superseded, one.proof) == (3, 1, 1, "row-key")
    assert only(database, ask()).superseded == 0


def test_hard_deleted_rows_are_not_looked_for(database):
    columns = "gone boolean, at timestamptz, _dlt_load_id varchar, _dlt_id varchar UNIQUE"
    staged = f"(true, now(), '{OLD}', 'a'), (false, NULL, '{OLD}', 'b'), (NULL, NULL, '{OLD}', 'c')"
    pair(database, columns, staged, "")
    assert only(database, ask()).sampled == 3
    assert only(database, ask(hard_delete="gone")).sampled == 2
    assert only(database, ask(hard_delete="at")).sampled == 2
    assert only(database, ask(hard_delete="absent")).rows == 3


def test_loads_are_told_apart_and_sampled_each(database):
    columns = "_dlt_load_id varchar, _dlt_id varchar UNIQUE"
    run_sql(database, "CREATE SCHEMA s", "CREATE SCHEMA f", *(f"CREATE TABLE {x}.t ({columns})" for x in "sf"))
    run_sql(
        database,
        f"INSERT INTO s.t SELECT '{OLD}', 'o' || i FROM generate_series(1, 30000) AS i",
        f"INSERT INTO s.t SELECT '{NEW}', 'n' || i FROM generate_series(1, 3) AS i",
        "INSERT INTO s.t SELECT NULL, 'x' || i FROM generate_series(1, 2) AS i",
        f"INSERT INTO f.t SELECT * FROM s.t WHERE _dlt_load_id = '{OLD}'",
        "CREATE TABLE f._dlt_loads (load_id varchar, status int)",
        f"INSERT INTO f._dlt_loads VALUES ('{OLD}', 3)",
    )
    staged, unread = read(database, ask())
    assert unread == ()
    found = {s.load_id: (s.rows, s.sampled, s.arrived, s.committed_in) for s in staged}
    assert found == {OLD: (30000, 20, 20, ("f",)), NEW: (3, 3, 0, ()), None: (2, 2, 0, ())}
    deep = {s.load_id: (s.sampled, s.arrived) for s in read(database, ask(), deep=True)[0]}
    assert deep == {OLD: (30000, 30000), NEW: (3, 0), None: (2, 0)}


def test_nested_rows_are_led_to_their_load_with_and_without_root_keys(database):
    run_sql(
        database,
        "CREATE SCHEMA s",
        "CREATE SCHEMA f",
        "CREATE TABLE s.orders (_dlt_load_id varchar, _dlt_id varchar, gone boolean)",
        f"INSERT INTO s.orders VALUES ('{OLD}', 'r1', NULL), ('{NEW}', 'r2', true)",
        "CREATE TABLE s.orders__items (_dlt_parent_id varchar, _dlt_id varchar, _dlt_root_id varchar)",
        "INSERT INTO s.orders__items VALUES ('r1', 'i1', 'r1'), ('r2', 'i2', 'r2'), ('r9', 'i9', 'r9')",
        "CREATE TABLE s.orders__items__parts (_dlt_parent_id varchar, _dlt_id varchar)",
        "INSERT INTO s.orders__items__parts VALUES ('i1', 'p1'), ('i1', 'p2'), ('i2', 'p3')",
        "CREATE TABLE f.orders__items (_dlt_id varchar)",
        "INSERT INTO f.orders__items VALUES ('i1')",
        "CREATE TABLE f.orders__items__parts (_dlt_id varchar)",
    )
    staged, unread = read(database, ask("orders__items", hard_delete="gone"), ask("orders__items__parts"))
    assert unread == ()
    found = {(s.table, s.load_id): (s.rows, s.sampled, s.arrived) for s in staged}
    assert found == {
        ("orders__items", OLD): (1, 1, 1),
        ("orders__items", NEW): (1, 0, 0),  # its root is hard-deleted
        ("orders__items", None): (1, 1, 0),  # its root is not staged
        ("orders__items__parts", OLD): (2, 2, 0),
        ("orders__items__parts", NEW): (1, 1, 0),
    }


def test_plain_tables_are_compared_by_key_and_tell_lost_columns(database):
    columns = "submission_id text, trust_score float, app_concept text"
    staged = "('a', 63.6, NULL), ('b', 88.8, NULL), ('c', NULL, 'z')"
    pair(database, columns, staged, "('a', NULL, 'x'), ('b', 88.8, 'y')")
    for deep in (False, True):
        one = only(database, ask(primary_key=("submission_id",)), deep=deep)
        assert (one.load_id, one.rows, one.sampled, one.arrived) == (None, 3, 3, 1)
        assert (one.proof, one.differing) == ("primary-key", ("trust_score",))


def test_keys_of_different_types_are_compared_as_text(database):
    run_sql(
        database,
        "CREATE SCHEMA s",
        "CREATE SCHEMA f",
        "CREATE TABLE s.t (id text, doc json)",
        "INSERT INTO s.t VALUES ('1', '{}'), ('x', '[]')",
        "CREATE TABLE f.t (id bigint, doc json)",
        "INSERT INTO f.t VALUES (1, '{}')",
    )
    assert only(database, ask(primary_key=("id",))).arrived == 1
    assert only(database, ask(primary_key=("id", "doc"))).arrived == 1
    assert only(database, ask(primary_key=("id", "doc")), deep=True).arrived == 1


def test_without_any_key_all_common_columns_of_a_small_table_are_compared(database):
    pair(database, "a int, b text, c json", "(1, NULL, '{}'), (2, 'x', NULL)", "(1, NULL, '{}'), (2, 'y', NULL)")
    for deep in (False, True):
        one = only(database, ask(), deep=deep)
        assert (one.sampled, one.arrived, one.proof) == (2, 1, "columns")


def test_a_large_final_table_without_an_index_is_scanned_only_by_a_deep_look(database):
    pair(database, "id int, _dlt_load_id varchar, _dlt_id varchar", f"(1, '{OLD}', 'a')", "")
    run_sql(database, "INSERT INTO f.t SELECT i, '1600000000.0', 'b' || i FROM generate_series(1, 40000) AS i")
    quick, deep = only(database, ask(primary_key=("id",))), only(database, ask(primary_key=("id",)), deep=True)
    assert (quick.rows, quick.sampled, quick.proof) == (1, 0, "none")
    assert (deep.sampled, deep.arrived, deep.superseded, deep.proof) == (1, 0, 0, "row-key")


def test_of_several_staged_rows_of_a_key_one_arrives_for_all(database):
    """dlt keeps one of them: its key came with the very load that the others were staged by."""
    columns = "id int, _dlt_load_id varchar, _dlt_id varchar"
    pair(database, columns, f"(1, '{OLD}', 'a'), (1, '{OLD}', 'b')", f"(1, '{OLD}', 'b')", index="_dlt_id")
    one = only(database, ask(primary_key=("id",)))
    assert (one.sampled, one.arrived, one.superseded) == (2, 2, 0)


def test_an_index_is_used_whatever_the_planner_believes(database):
    """Without statistics a scan of a large table looks cheap to it."""
    columns = "id int, _dlt_load_id varchar, _dlt_id varchar"
    pair(database, columns, f"(1, '{OLD}', 'a'), (2, '{OLD}', 'b')", "", index="_dlt_id")
    run_sql(
        database,
        "ALTER TABLE f.t SET (autovacuum_enabled = off)",
        f"INSERT INTO f.t SELECT i, '{OLD}', 'x' || i FROM generate_series(1, 40000) AS i",
        f"INSERT INTO f.t VALUES (1, '{OLD}', 'a')",
        "SELECT pg_stat_reset()",
    )
    assert only(database, ask()).arrived == 1
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT pg_sleep(0.6)")
        assert connection.execute("SELECT seq_scan FROM pg_stat_user_tables WHERE schemaname = 'f'").fetchone() == (0,)


def test_empty_and_absent_tables_yield_nothing(database):
    pair(database, "id int", "", "")
    assert read(database, ask(), ask("absent")) == ((), ())
    run_sql(database, "INSERT INTO s.t VALUES (1)", "DELETE FROM s.t")
    assert read(database, ask()) == ((), ())


def test_an_absent_final_table_proves_nothing(database):
    run_sql(database, "CREATE SCHEMA s", "CREATE TABLE s.t (id int)", "INSERT INTO s.t VALUES (1), (2)")
    one = only(database, ask(primary_key=("id",)))
    assert (one.rows, one.sampled, one.proof) == (2, 0, "none")


def test_tables_of_any_name(database):
    names = ['say "hi"', "it's", "100%s %(x)s {0}", "表", "x" * 63, "two\nlines", ";--"]
    with psycopg.connect(database, autocommit=True) as connection:
        for name in names:
            text = "CREATE SCHEMA {0}; CREATE SCHEMA {1}; CREATE TABLE {0}.{2} ({2} int, _dlt_load_id text); INSERT INTO {0}.{2} VALUES (1, {3}); CREATE TABLE {1}.{2} AS TABLE {0}.{2}"
            final, staging = sql.Identifier("f" + name[:62]), sql.Identifier("s" + name[:62])
            connection.execute(sql.SQL(text).format(staging, final, sql.Identifier(name), name))
    requests = [ask(n, final="f" + n[:62], staging="s" + n[:62], primary_key=(n,)) for n in names]
    staged, unread = read(database, *requests)
    assert unread == ()
    assert [(s.table, s.load_id, s.arrived) for s in staged] == [(n, n, 1) for n in names]


def test_a_locked_table_is_unread_and_the_others_are_not(database):
    run_sql(database, "CREATE SCHEMA s", "CREATE SCHEMA f")
    run_sql(
        database, *(f"CREATE TABLE s.t{i} AS SELECT 1 AS id; CREATE TABLE f.t{i} AS TABLE s.t{i}" for i in range(9))
    )
    requests = [ask(f"t{i}", primary_key=("id",)) for i in range(9)]
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE s.t3, f.t5 IN ACCESS EXCLUSIVE MODE")
        staged, unread = read(database, *requests)
    assert [(s.table, s.proof) for s in staged if s.proof == "none"] == [("t5", "none")]
    assert {s.table for s in staged} == {f"t{i}" for i in range(9)} - {"t3"}
    assert [(u.code, u.dataset, u.what) for u in unread] == [("DD002", "f", "f.t5"), ("DD002", "s", "s.t3")]


def test_what_the_role_may_not_read_is_unread(database, loader_database):
    login = {k: conninfo_to_dict(loader_database)[k] for k in ("user", "password")}
    pair(database, "id int, _dlt_load_id text", f"(1, '{OLD}')", f"(1, '{OLD}')")
    run_sql(database, "CREATE TABLE f._dlt_loads (load_id text)", "CREATE TABLE s.u AS TABLE s.t")
    run_sql(database, f"GRANT USAGE ON SCHEMA s, f TO {login['user']}", f"GRANT SELECT ON s.t, f.t TO {login['user']}")
    with opened(database, **login) as session:
        staged, unread = read_staged(session, [ask(), ask("u")], read_catalog(session).tables, deep=False)
    assert [(s.table, s.committed_in) for s in staged] == [("t", ())]
    assert [(u.code, u.dataset, u.what) for u in unread] == [("DD003", "s", "s.u"), ("DD003", "f", "f._dlt_loads")]


def test_a_bounded_count_says_so(database, monkeypatch):
    monkeypatch.setattr("dltdoctor.world.postgres.staged_sql.MOST_ROWS", 100)
    pair(database, "id int", "", "(1)")
    run_sql(database, "INSERT INTO s.t SELECT generate_series(1, 500)")
    quick, deep = only(database, ask()), only(database, ask(), deep=True)
    assert (quick.rows, quick.exact) == (100, False)
    assert (deep.rows, deep.exact) == (500, True)
