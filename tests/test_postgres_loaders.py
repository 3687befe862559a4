"""What is read of loaders' rights: every kind of grant, odd names, and roles that cannot be judged."""

import psycopg
import pytest
from psycopg import sql

from dltdoctor.snapshot import Grant, Lacking
from dltdoctor.world.postgres.loaders import read_bare_path, read_granted, read_lacking
from tests.conftest import LOADER
from tests.postgres_opened import opened, run_sql

ODD = 'it\'s "odd" %(x)s'
ALL = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "OWNERSHIP"})


def lacking(database: str, *schemas: str) -> Lacking:
    with opened(database) as session:
        return read_lacking(session, {LOADER: schemas})[LOADER]


def test_what_a_role_lacks(database: str) -> None:
    odd = sql.Identifier(ODD).as_string()
    run_sql(
        database,
        f"CREATE SCHEMA {odd}",
        f"GRANT USAGE ON SCHEMA {odd} TO {LOADER}",
        f"CREATE TABLE {odd}.mine (id int)",
        f"ALTER TABLE {odd}.mine OWNER TO {LOADER}",
        f"CREATE TABLE {odd}.by_column (id int, v int)",
        f"GRANT SELECT (id), UPDATE (v) ON {odd}.by_column TO {LOADER}",
        f"CREATE TABLE {odd}.anybodys (id int)",
        f"GRANT SELECT, INSERT ON {odd}.anybodys TO PUBLIC",
        f"CREATE TABLE {odd}.nobodys (id int) PARTITION BY LIST (id)",
        f"CREATE VIEW {odd}.seen AS SELECT 1",
    )
    found = lacking(database, ODD, "not there")
    assert found.database == {"CREATE"}
    assert found.schemas == {ODD: {"CREATE", "OWNERSHIP"}}
    assert found.tables == {
        (ODD, "by_column"): ALL - {"SELECT", "UPDATE"},
        (ODD, "anybodys"): ALL - {"SELECT", "INSERT"},
        (ODD, "nobodys"): ALL,
    }


def test_a_member_of_the_owner_may_what_the_owner_may(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        name = connection.info.dbname
        group = sql.Identifier(f"{name}_owners").as_string()
        try:
            for statement in (
                f"CREATE ROLE {group}",
                f"GRANT {group} TO {LOADER}",
                f"CREATE SCHEMA shop AUTHORIZATION {group}",
                "CREATE TABLE shop.orders (id int)",
                f"ALTER TABLE shop.orders OWNER TO {group}",
            ):
                connection.execute(statement.encode())
            found = lacking(database, "shop")
            assert (found.schemas, found.tables) == ({"shop": frozenset()}, {})
        finally:
            connection.execute(f"DROP OWNED BY {group} CASCADE; DROP ROLE {group}".encode())


def test_roles_that_are_not_judged(database: str) -> None:
    with opened(database) as session:
        assert read_lacking(session, {"nobody_of_that_name": ("public",)}) == {}
        assert read_lacking(session, {session.role: ("public",)}) == {session.role: Lacking(role=session.role)}
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    run_sql(database, f'ALTER ROLE {LOADER} IN DATABASE "{name}" SET role = postgres')
    with opened(database) as session:
        assert read_lacking(session, {LOADER: ("public",)}) == {}


def test_grants_and_those_to_come(database: str) -> None:
    run_sql(
        database,
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.orders (id int)",
        "CREATE TABLE shop.prices (id int)",
        f"GRANT SELECT, INSERT ON shop.orders TO {LOADER}",
        "GRANT SELECT ON shop.orders TO PUBLIC",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO {LOADER}",
        "ALTER DEFAULT PRIVILEGES GRANT UPDATE ON TABLES TO PUBLIC",
    )
    with opened(database) as session:
        found = read_granted(session, {"shop"})
        owner = session.role
        assert read_granted(session, ()).tables == {}
    select = Grant(grantee=LOADER, privilege="SELECT")
    public = Grant(grantee="PUBLIC", privilege="SELECT")
    assert found.tables == {("shop", "orders"): {select, public, Grant(grantee=LOADER, privilege="INSERT")}}
    assert found.default("shop", owner) == {select, Grant(grantee="PUBLIC", privilege="UPDATE")}
    assert found.default("other", owner) == {Grant(grantee="PUBLIC", privilege="UPDATE")}
    assert found.default("shop", LOADER) == frozenset()


@pytest.mark.parametrize(
    ("path", "schemas"),
    [
        ('"$user", public', ("public",)),
        ('reports, "Odd, name", public', ("reports", "Odd, name", "public")),
        ("''", ()),
    ],
)
def test_where_a_bare_name_leads(database: str, path: str, schemas: tuple[str, ...]) -> None:
    with opened(database) as session:
        assert read_bare_path(session).origin == "Postgres' default search_path"
    name = psycopg.conninfo.conninfo_to_dict(database)["dbname"]
    run_sql(database, f'ALTER DATABASE "{name}" SET search_path = {path}')
    with opened(database) as session:
        found = read_bare_path(session)
    assert found.schemas == schemas
    assert found.origin == "search_path of the database, pg_db_role_setting"
