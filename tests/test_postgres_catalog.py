"""The catalog: everything that is there, what the role may not see, and names of every kind."""

import psycopg
import pytest
from psycopg import sql

from dltdoctor.snapshot import Column, ViewReference
from dltdoctor.world.postgres.catalog import read_catalog
from tests.postgres_opened import opened, run_sql

ODD_NAMES = [
    'say "hi"',
    "it's",
    "100%s %(x)s",
    "表テーブル",
    "é" * 31,
    "x" * 63,
    "two\nlines",
    "a\ttab",
    "!bang",
    "[bold]red[/]\x1b[31m",
    "back\\slash",
    "{0}",
    ";--",
]


def test_relations_of_every_kind_with_their_columns(database):
    run_sql(
        database,
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.orders (id bigint NOT NULL, v varchar(7), n numeric(38,9), t timestamptz[], _dlt_id varchar UNIQUE)",
        "CREATE TABLE shop.dropped (a int, b int)",
        "ALTER TABLE shop.dropped DROP COLUMN a",
        "CREATE TABLE shop.bare ()",
        "CREATE TABLE shop.parts (id int, _dlt_id text) PARTITION BY RANGE (id)",
        "CREATE INDEX ON shop.parts (_dlt_id)",
        "CREATE VIEW shop.seen AS SELECT id, v FROM shop.orders",
        "CREATE MATERIALIZED VIEW shop.kept AS SELECT id FROM shop.seen",
        "CREATE TEMP TABLE passing (i int)",
    )
    with opened(database) as session:
        found = read_catalog(session)
    assert list(found.tables) == sorted(found.tables)
    kinds = {name: table.kind for (schema, name), table in found.tables.items() if schema == "shop"}
    assert kinds == {"orders": "r", "dropped": "r", "bare": "r", "parts": "p", "seen": "v", "kept": "m"}
    assert found.tables["shop", "orders"].columns == (
        Column(name="id", type="bigint", not_null=True),
        Column(name="v", type="character varying(7)", not_null=False),
        Column(name="n", type="numeric(38,9)", not_null=False),
        Column(name="t", type="timestamp with time zone[]", not_null=False),
        Column(name="_dlt_id", type="character varying", not_null=False),
    )
    assert [c.name for c in found.tables["shop", "dropped"].columns] == ["b"]
    assert found.tables["shop", "bare"].columns == ()
    assert found.views == (
        ViewReference(schema="shop", view="kept", reads_schema="shop", reads_table="seen"),
        ViewReference(schema="shop", view="seen", reads_schema="shop", reads_table="orders"),
    )
    assert not [s for s in found.schemas if s.startswith("pg_") or s == "information_schema"]


@pytest.mark.parametrize(
    ("index", "can_look_up"),
    [
        ("CREATE UNIQUE INDEX ON t (_dlt_id)", True),
        ("CREATE INDEX ON t (_dlt_id, i)", True),
        ("CREATE INDEX ON t (i, _dlt_id)", False),
        ("CREATE INDEX ON t (_dlt_id) WHERE i > 0", False),
        ("CREATE INDEX ON t (lower(_dlt_id))", False),
        ("SELECT", False),
    ],
)
def test_an_index_that_finds_a_row_key(database, index, can_look_up):
    run_sql(database, "CREATE TABLE t (gone int, i int, _dlt_id varchar)", "ALTER TABLE t DROP COLUMN gone", index)
    with opened(database) as session:
        assert read_catalog(session).tables["public", "t"].has_row_key_index is can_look_up


def test_a_table_without_statistics_has_no_estimate(database):
    run_sql(database, "CREATE TABLE a (i int)", "CREATE TABLE b (i int)", "INSERT INTO b SELECT generate_series(1, 9)")
    run_sql(database, "ANALYZE b")
    with opened(database) as session:
        tables = read_catalog(session).tables
    assert tables["public", "a"].estimate in {-1, 0}  # 0 before Postgres 14
    assert tables["public", "b"].estimate == 9


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_read_as_they_are(database, name):
    create = sql.SQL("CREATE SCHEMA {0}; CREATE TABLE {0}.{0} ({0} int NOT NULL, b text)").format(sql.Identifier(name))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(create)
    with opened(database) as session:
        found = read_catalog(session)
    assert name in found.schemas
    assert found.tables[name, name].columns == (
        Column(name=name, type="integer", not_null=True),
        Column(name="b", type="text", not_null=False),
    )


def test_a_role_without_rights_sees_that_there_is_something(database, loader_database):
    """pg_catalog compared with information_schema: the difference is what is marked as hidden."""
    role = psycopg.conninfo.conninfo_to_dict(loader_database)["user"]
    password = psycopg.conninfo.conninfo_to_dict(loader_database)["password"]
    run_sql(
        database,
        "CREATE SCHEMA hidden",
        "CREATE TABLE hidden._dlt_version (schema_name text)",
        f"GRANT SELECT ON hidden._dlt_version TO {role}",
        "CREATE SCHEMA half",
        "CREATE TABLE half._dlt_version (schema_name text)",
        "CREATE TABLE half.seen (i int)",
        "CREATE TABLE half.unseen (i int)",
        f"GRANT USAGE ON SCHEMA half TO {role}",
        f"GRANT SELECT ON half.seen, half._dlt_version TO {role}",
        "CREATE SCHEMA elsewhere",
        "CREATE TABLE elsewhere.t (i int)",
        "CREATE SCHEMA open",
        "CREATE TABLE open._dlt_version (schema_name text)",
        f"GRANT USAGE ON SCHEMA open TO {role}",
        f"GRANT SELECT ON open._dlt_version TO {role}",
    )
    with opened(database, user=role, password=password) as session:
        found = read_catalog(session)
        shown = set(session.fetch(b"SELECT table_schema::text, table_name::text FROM information_schema.tables"))
    assert set(found.hidden_schemas) == {"hidden", "elsewhere"}
    # information_schema looks at the privileges of tables alone, and so shows a table no one can reach.
    assert {k for k, t in found.tables.items() if t.readable} == (shown & set(found.tables)) - {
        ("hidden", "_dlt_version")
    }
    unread = {u.dataset: u for u in found.hidden(session.role)}
    assert set(unread) == {"hidden", "half"}
    assert unread["hidden"].code == "DD003"
    assert unread["hidden"].hint.endswith(f'GRANT USAGE ON SCHEMA "hidden" TO "{role}";')
    assert "1 relation" in unread["half"].what
    assert {u.dataset for u in found.hidden(session.role, {"elsewhere"})} == {"hidden", "half", "elsewhere"}


def test_a_database_of_someone_else_is_just_empty(database):
    with opened(database) as session:
        found = read_catalog(session)
    assert set(found.schemas) == {"public"}
    assert found.tables == {}
    assert found.views == ()


def test_an_owner_who_gave_up_a_privilege_does_not_read(loader_database):
    run_sql(
        loader_database,
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.untouched (a int)",
        "CREATE TABLE shop.shared (a int)",
        "CREATE TABLE shop.given_up (a int)",
        "GRANT SELECT ON shop.shared TO PUBLIC",
        "REVOKE SELECT ON shop.given_up FROM CURRENT_USER",
    )
    with opened(loader_database) as session:
        tables = read_catalog(session).tables
    assert {name: t.readable for (_, name), t in tables.items()} == {
        "untouched": True,
        "shared": True,
        "given_up": False,
    }
