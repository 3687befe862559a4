"""Declared readers on a real Postgres: what they find, what they may see, and which name they get."""

import contextlib
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from dltdoctor import gate
from dltdoctor.finding import Finding
from tests.command_line import dltdoctor
from tests.examining import request
from tests.gated import judged
from tests.worlds import run_pipeline, write_project

ROLE = "dltdoctor_test_anon"
SERVER = "dltdoctor_test_authenticator"
SCRIPT = """\
import dlt

@dlt.resource(name="orders", primary_key="id", write_disposition="merge")
def orders():
    yield [{"id": n, "amount": n * 1.5 if n < 8 else None, "note": "x"} for n in range(10)]

if __name__ == "__main__":
    pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop_data")
    pipeline.run(orders())
"""
CONTRACT = "[[reader]]\nname = 'scoring'\ntables = ['{table}']\n"


class World:
    """A project whose pipeline has loaded, and the superuser's connection to its database."""

    def __init__(self, project: Path, connection: psycopg.Connection) -> None:
        self.project = project
        self.connection = connection

    def run(self, *statements: str) -> None:
        for statement in statements:
            text = sql.SQL(statement).format(role=sql.Identifier(ROLE), server=sql.Identifier(SERVER))
            self.connection.execute(text)

    def found(self, *more: str, table: str = "shop_data.orders", **changes) -> list[Finding]:
        text = CONTRACT.format(table=table) + "\n".join(more) + "\n"
        (self.project / "dltdoctor.toml").write_text(text)
        self.verdict = judged(self.project, **{"offline": False, **changes})
        return [j.finding for j in self.verdict.judged if j.finding.code.startswith("DD6")]

    def codes(self, *more: str, **changes) -> list[str]:
        return [f.code for f in self.found(*more, **changes)]


@pytest.fixture
def world(tmp_path: Path, database: str):
    project = tmp_path / "work" / "project"
    write_project(project, database, {"load.py": SCRIPT})
    done = run_pipeline("load.py", project=project, data_dir=tmp_path / "data")
    assert done.returncode == 0, done.stdout
    with psycopg.connect(database, autocommit=True) as connection:
        made = World(project, connection)
        for role in (ROLE, SERVER):  # another xdist worker may be first
            with contextlib.suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
        yield made
        connection.execute(sql.SQL("DROP OWNED BY {}, {}").format(sql.Identifier(ROLE), sql.Identifier(SERVER)))


@pytest.mark.fires("DD601")
@pytest.mark.quiet("DD602", "DD603")
def test_a_kept_contract_is_quiet(world: World):
    kept = 'columns = { amount = { non_null = 0.8 }, note = {}, id = { non_null = 1 } }\nfresh_within = "1h"'
    assert world.codes(kept) == []
    assert world.codes(kept, table="orders") == ["DD601"], "shop_data is not on the loader's search path"
    assert world.codes(kept, 'search_path = ["shop_data", "public"]', table="orders") == []
    assert world.codes(kept, table='"shop_data"."orders"') == []
    assert world.codes(kept, deep=True) == []
    assert world.verdict.exit_code == 0


def test_a_broken_promise_is_found(world: World):
    (found,) = world.found("columns = { amount = { non_null = 0.95 } }")
    assert "needs 95.0% of shop_data.orders.amount to hold a value: 80.0% of its values are there" in found.message
    assert (found.code, found.pipeline, found.dataset, found.table) == ("DD601", "shop", "shop_data", "orders")
    assert world.verdict.judged[0].location.path == "dltdoctor.toml"
    (found,) = world.found("columns = { amonut = {} }")
    assert "reads amonut of shop_data.orders: there is no such column" in found.message
    (found,) = world.found(table="shop_data.order")
    assert "reads shop_data.order: there is no such table in shop_data" in found.message
    (found,) = world.found(table="nothing")
    assert "there is no such table" in found.message
    world.run("UPDATE shop_data._dlt_loads SET inserted_at = inserted_at - interval '2 days'")
    (found,) = world.found('fresh_within = "36h"')
    assert "at most 36 hours old" in found.message
    assert world.codes('fresh_within = "3d"') == []
    world.run("TRUNCATE shop_data.orders")
    assert any("the table is empty" in f.message for f in world.found("columns = { amount = { non_null = 0.1 } }"))


def test_statistics_are_believed_only_when_they_calm(world: World):
    """A large table: its share comes from pg_stats, unless that says the promise is broken, or is old."""
    world.run(
        "CREATE TABLE public.wide AS SELECT n, CASE WHEN n % 10 > 0 THEN n END AS part, repeat('x', 100) AS filler"
        " FROM generate_series(1, 100000) AS n",
        "ANALYZE public.wide",
    )
    assert world.codes("columns = { part = { non_null = 0.8 } }", table="public.wide") == []
    (found,) = world.found("columns = { part = { non_null = 0.95 } }", table="public.wide")
    assert "90.0% of its values" in found.message
    assert "about" not in found.message
    world.run("UPDATE public.wide SET part = NULL WHERE n % 2 = 0", "SELECT pg_stat_force_next_flush()")
    assert world.codes("columns = { part = { non_null = 0.8 } }", table="public.wide") == ["DD601"]


@pytest.mark.fires("DD602")
def test_privileges_of_the_role_are_read(world: World):
    as_role = f'role = "{ROLE}"'
    found = world.found(as_role)
    assert [f.code for f in found] == ["DD602", "DD602"]
    assert {f.remedy.command for f in found} == {
        f"GRANT USAGE ON SCHEMA shop_data TO {ROLE};",
        f"GRANT SELECT ON shop_data.orders TO {ROLE};",
    }
    for finding in found:  # what is printed is what helps
        world.connection.execute(finding.remedy.command)
    assert world.codes(as_role) == []
    assert world.codes('role = "nobody_of_that_name"') == ["DD602"]


@pytest.mark.fires("DD602")
def test_a_grant_on_columns_is_enough_for_those_columns(world: World):
    world.run("GRANT USAGE ON SCHEMA shop_data TO {role}", "GRANT SELECT (id) ON shop_data.orders TO {role}")
    assert world.codes(f'role = "{ROLE}"', "columns = { id = {} }") == []
    (found,) = world.found(f'role = "{ROLE}"', "columns = { id = {}, amount = {} }")
    assert found.code == "DD602"
    assert "amount" in found.evidence[1].fact


@pytest.mark.fires("DD602")
@pytest.mark.quiet("DD601")
def test_row_level_security_wants_a_policy(world: World):
    world.run(
        "GRANT USAGE ON SCHEMA shop_data TO {role}",
        "GRANT SELECT ON shop_data.orders TO {role}",
        "ALTER TABLE shop_data.orders ENABLE ROW LEVEL SECURITY",
    )
    as_role = f'role = "{ROLE}"'
    (found,) = world.found(as_role)
    assert found.code == "DD602"
    world.run("CREATE POLICY writes ON shop_data.orders FOR INSERT TO {role} WITH CHECK (true)")
    assert world.codes(as_role) == ["DD602"]
    world.connection.execute(found.remedy.command)
    assert world.codes(as_role) == []


@pytest.mark.fires("DD603")
@pytest.mark.quiet("DD111")
def test_a_twin_on_the_search_path_is_found(world: World):
    world.run("CREATE TABLE public.orders (id bigint)", "GRANT SELECT ON public.orders TO {role}")
    world.run("GRANT USAGE ON SCHEMA shop_data TO {role}", "GRANT SELECT ON shop_data.orders TO {role}")
    as_role = f'role = "{ROLE}"'
    (found,) = world.found(as_role, table="orders")
    assert found.code == "DD603"
    assert "gets public.orders: shop loads shop_data.orders" in found.message
    world.run("ALTER ROLE {role} SET search_path = shop_data, public")
    try:
        assert world.codes(as_role, table="orders") == []
        assert world.codes(as_role, 'search_path = ["public"]', table="orders") == ["DD603"]
    finally:
        world.run("ALTER ROLE {role} RESET search_path")


@pytest.mark.fires("DD603")
@pytest.mark.quiet("DD602")
def test_what_resolves_is_what_postgres_resolves(world: World):
    """Postgres itself is asked, as the role and with its search path."""
    world.run("CREATE TABLE public.orders (id bigint)", 'CREATE SCHEMA "Other"', 'CREATE TABLE "Other".orders (id int)')
    world.run("GRANT USAGE ON SCHEMA shop_data TO {role}", "GRANT SELECT ON shop_data.orders TO {role}")
    for path in ("shop_data, public", "public, shop_data", '"Other", shop_data', '"$user", shop_data', "nowhere"):
        world.connection.execute(sql.SQL("ALTER ROLE {} SET search_path = " + path).format(sql.Identifier(ROLE)))
        try:
            world.connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(ROLE)))
            world.connection.execute("SET search_path = " + path)
            (real,) = world.connection.execute("SELECT to_regclass('orders')::oid::regclass::oid").fetchone()
            world.connection.execute("RESET ROLE")
            world.connection.execute("RESET search_path")
            schema = world.connection.execute(
                "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = %s", (real,)
            ).fetchone()
            codes = world.codes(f'role = "{ROLE}"', table="orders")
            expected = ["DD601"] if schema is None else [] if schema[0] == "shop_data" else ["DD603"]
            assert codes == expected, path
        finally:
            world.connection.execute("RESET ROLE")
            world.run("ALTER ROLE {role} RESET search_path")


@pytest.mark.fires("DD604")
@pytest.mark.quiet("DD602")
def test_what_postgrest_does_not_serve_is_found(world: World):
    world.run("GRANT USAGE ON SCHEMA shop_data TO {role}", "GRANT SELECT ON shop_data.orders TO {role}")
    world.run("GRANT {role} TO {server}")
    as_role = f'role = "{ROLE}"'
    database = sql.Identifier(world.connection.info.dbname)
    change = sql.SQL("ALTER ROLE {} IN DATABASE {} SET pgrst.db_schemas = 'public, graphql'")
    world.connection.execute(change.format(sql.Identifier(SERVER), database))
    (found,) = world.found(as_role)
    assert found.code == "DD604"
    assert "PostgREST serves only public, graphql" in found.message
    assert world.codes() == [], "a reader without that role does not come through PostgREST"
    change = sql.SQL("ALTER ROLE {} IN DATABASE {} SET pgrst.db_schemas = 'shop_data, public'")
    world.connection.execute(change.format(sql.Identifier(SERVER), database))
    assert world.codes(as_role) == []
    assert world.codes(as_role, table="orders") == []


@pytest.mark.fires("DD605")
def test_a_declared_reader_of_staging_is_found(world: World):
    assert "DD605" in world.codes(table="shop_data_staging.orders")
    assert world.codes(table="shop_data_staging.orders", offline=True) == ["DD605"]


@pytest.mark.quiet("DD601", "DD602", "DD603", "DD604")
def test_without_the_database_contracts_are_not_kept_but_skipped(world: World):
    assert world.codes(table="orders", offline=True) == []
    skipped = {s.check for s in world.verdict.diagnosis.skipped if s.reason == "--offline"}
    assert {"DD601", "DD602", "DD603", "DD604"} <= skipped


@pytest.mark.fires("DD003")
@pytest.mark.quiet("DD601")
def test_a_share_that_may_not_be_read_is_not_zero(world: World, loader_database: str):
    """The examining role may not read the table: DD003 and exit code 3, not silence."""
    parts = psycopg.conninfo.conninfo_to_dict(loader_database)
    name, secret = parts["user"], parts["password"]
    world.connection.execute(sql.SQL("GRANT USAGE ON SCHEMA shop_data TO {}").format(sql.Identifier(name)))
    for own in ("_dlt_loads", "_dlt_version", "_dlt_pipeline_state"):
        grant = sql.SQL("GRANT SELECT ON {} TO {}")
        world.connection.execute(grant.format(sql.Identifier("shop_data", own), sql.Identifier(name)))
    info = world.connection.info
    dsn = f"postgresql://{name}:{secret}@{info.host}:{info.port}/{info.dbname}"
    world.run("GRANT USAGE ON SCHEMA shop_data TO {role}", "GRANT SELECT ON shop_data.orders TO {role}")
    assert world.found(f'role = "{ROLE}"', "columns = { amount = { non_null = 0.5 } }", dsn=dsn) == []
    assert "DD003" in {j.finding.code for j in world.verdict.judged}
    assert world.verdict.exit_code == 3


@pytest.mark.fires("DD601")
def test_a_fresh_container_knows_what_the_destination_knows(world: World):
    (world.project / "load.py").unlink()
    found = judged(world.project, offline=False)
    assert found.exit_code == 0
    (line,) = found.diagnosis.pipelines
    assert line.name == "shop"
    assert any("no working dir on this machine" in note for note in line.notes)
    assert world.codes("columns = { amount = { non_null = 0.95 } }") == ["DD601"]


def test_a_first_contract_is_suggested_and_kept(world: World):
    world.run("GRANT USAGE ON SCHEMA shop_data TO {role}", "GRANT SELECT ON shop_data.orders TO {role}")
    world.run("CREATE VIEW public.big_orders AS SELECT * FROM shop_data.orders WHERE amount > 3")
    (world.project / "score.py").write_text('QUERY = "SELECT id FROM shop_data_staging.orders"\n')
    done = dltdoctor("check", "--suggest-readers", "--no-local-state", cwd=world.project)
    assert done.returncode == 0, done.stderr
    (world.project / "dltdoctor.toml").write_text(done.stdout)
    contracts = gate.read_settings(request(world.project)).contracts
    assert [(c.name, c.role, c.tables) for c in contracts] == [
        (f"role {ROLE}", ROLE, ("shop_data.orders",)),
        ("view public.big_orders", None, ("shop_data.orders",)),
        ("score.py", None, ("shop_data.orders",)),
    ]
    assert {j.finding.code for j in judged(world.project, offline=False).judged} == {"DD605"}
