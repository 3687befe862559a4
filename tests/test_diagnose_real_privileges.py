"""What a loader may not do: privileges revoked one at a time, said before dlt fails and cured by the printed GRANT."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from dltdoctor.diagnosis import Diagnosis
from tests.conftest import LOADER, LOADER_PASSWORD, _dsn
from tests.real import SHOP, RealWorld, verdicts
from tests.worlds import digest_database, digest_tree, write_project

DENIED = ("DD502", "error")
FLAT = SHOP.replace(', "items": [{"sku": f"s{i}"}]', "")
UPSERT = FLAT.replace('"merge"', '{"disposition": "merge", "strategy": "upsert"}')
REPLACE = FLAT.replace('"merge"', '"replace"')
SHOPS = {"nested": SHOP, "flat": FLAT, "upsert": UPSERT, "replace": REPLACE, "append": FLAT.replace("merge", "append")}


class Shop(RealWorld, frozen=True):
    """A world whose loader owns what it made, in a database that is the superuser's."""

    admin: str

    def rule(self, *statements: str) -> None:
        """Execute SQL as the superuser."""
        self.execute(*statements, dsn=self.admin)

    def examine(self, pipelines_dir: Path | None = None, **changes: Any) -> Diagnosis:
        """The diagnosis; the loader may not read everything, so it is the superuser who looks whether anything changed."""
        before = digest_tree(self.root), digest_database(self.admin)
        diagnosis = self.glance(pipelines_dir, **changes)
        assert (digest_tree(self.root), digest_database(self.admin)) == before
        return diagnosis

    def denied(self, **changes: Any) -> str:
        """The command of the only finding there is."""
        diagnosis = self.examine(**changes)
        assert DENIED in verdicts(diagnosis), [f.message for f in diagnosis.findings]
        assert len([f for f in diagnosis.findings if f.code == "DD502"]) == 1
        found = next(f for f in diagnosis.findings if f.code == "DD502")
        assert found.remedy
        assert found.remedy.command
        return found.remedy.command


@pytest.fixture
def shop(tmp_path: Path, database: str) -> Shop:
    with psycopg.connect(database, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f'REVOKE ALL ON DATABASE "{name}" FROM public'.encode())
        connection.execute(f'GRANT CONNECT, CREATE, TEMPORARY ON DATABASE "{name}" TO {LOADER}'.encode())
    dsn = _dsn(database, user=LOADER, password=LOADER_PASSWORD)
    return Shop(root=tmp_path / "world", dsn=dsn, admin=database)


def database_of(shop: Shop) -> str:
    return str(psycopg.conninfo.conninfo_to_dict(shop.admin)["dbname"])


REVOKED = {
    "delete": ("flat", "DELETE ON shop.orders", "GRANT DELETE ON shop.orders TO {role};"),
    "nested-delete": ("nested", "DELETE ON shop.orders__items", "GRANT DELETE ON shop.orders__items TO {role};"),
    "temporary": ("nested", 'TEMPORARY ON DATABASE "{db}"', "GRANT TEMPORARY ON DATABASE {db} TO {role};"),
    "update": ("upsert", "UPDATE ON shop.orders", "GRANT UPDATE ON shop.orders TO {role};"),
    "staging": ("flat", "TRUNCATE ON shop_staging.orders", "GRANT TRUNCATE ON shop_staging.orders TO {role};"),
    "staging-usage": ("flat", "ALL ON SCHEMA shop_staging", "GRANT USAGE ON SCHEMA shop_staging TO {role};"),
    "usage": ("flat", "ALL ON SCHEMA shop", "GRANT USAGE ON SCHEMA shop TO {role};"),
    "version": ("flat", "SELECT ON shop._dlt_version", "GRANT SELECT ON shop._dlt_version TO {role};"),
    "truncate": ("replace", "TRUNCATE ON shop.orders", "GRANT TRUNCATE ON shop.orders TO {role};"),
    "insert": ("append", "INSERT, DELETE ON shop.orders", "GRANT INSERT ON shop.orders TO {role};"),
    "loads": ("append", "INSERT ON shop._dlt_loads", "GRANT INSERT ON shop._dlt_loads TO {role};"),
    "state": ("append", "INSERT ON shop._dlt_pipeline_state", "GRANT INSERT ON shop._dlt_pipeline_state TO {role};"),
}


@pytest.mark.fires("DD502")
@pytest.mark.parametrize("case", REVOKED)
def test_a_revoked_privilege_is_said_before_dlt_fails(shop: Shop, case: str) -> None:
    script, what, grant = (text.format(db=database_of(shop), role=LOADER) for text in REVOKED[case])
    shop.run(SHOPS[script], "1", "2")
    shop.rule(f"REVOKE {what} FROM {LOADER}")
    command = shop.denied()
    assert command == grant
    shop.run(SHOPS[script], "3", fails="permission denied")
    assert shop.denied() == grant
    assert shop.denied(dsn=shop.admin) == grant
    shop.rule(command)
    shop.run(SHOPS[script], "4")  # dlt finishes the pending load first, and leaves page 4 to the next run
    shop.run(SHOPS[script], "4")
    # Without USAGE dlt stops before it extracts page 3, in any other case page 3 is pending.
    assert shop.rows("shop.orders") == {"truncate": 3, "usage": 9}.get(case, 12)
    assert [found for found in shop.found() if found[0] != "DD504"] == []


@pytest.mark.fires("DD502")
def test_no_staging_dataset_and_no_right_to_make_one(shop: Shop) -> None:
    shop.run(FLAT, "1")
    shop.rule("DROP SCHEMA shop_staging CASCADE", f'REVOKE CREATE ON DATABASE "{database_of(shop)}" FROM {LOADER}')
    command = shop.denied()
    shop.run(FLAT, "2", fails="permission denied for database")
    shop.rule(command)
    shop.run(FLAT, "3")
    assert shop.rows("shop.orders") == 6
    assert DENIED not in shop.found()


@pytest.mark.fires("DD502")
def test_a_staging_dataset_that_somebody_made_and_did_not_give(shop: Shop) -> None:
    shop.run(FLAT, "1")
    shop.rule("DROP SCHEMA shop_staging CASCADE", "CREATE SCHEMA shop_staging")
    command = shop.denied()
    assert command == f"GRANT USAGE, CREATE ON SCHEMA shop_staging TO {LOADER};"
    shop.run(FLAT, "2", fails="shop_staging")
    shop.rule(command)
    shop.run(FLAT, "3")
    assert shop.rows("shop.orders") == 6
    assert DENIED not in shop.found()


@pytest.mark.fires("DD502")
def test_an_optimized_replace_needs_the_table_itself(shop: Shop) -> None:
    shop.write(config='[destination.postgres]\nreplace_strategy = "staging-optimized"\n')
    shop.run(REPLACE, "1", "2")
    shop.rule("ALTER TABLE shop.orders OWNER TO postgres", f"GRANT ALL ON shop.orders TO {LOADER}")
    shop.rule(f"ALTER SCHEMA shop OWNER TO postgres; GRANT ALL ON SCHEMA shop TO {LOADER}")
    command = shop.denied()
    assert command == f"ALTER TABLE shop.orders OWNER TO {LOADER};"
    shop.run(REPLACE, "3", fails="must be owner")
    shop.rule(command)
    shop.run(REPLACE, "4")
    assert DENIED not in shop.found()


@pytest.mark.quiet("DD502")
@pytest.mark.parametrize("script", SHOPS)
def test_the_least_that_a_loader_needs(shop: Shop, script: str) -> None:
    """Tables are another's, and the loader has exactly what its disposition needs: dlt loads, nothing is said."""
    own = {"nested": "SELECT, INSERT, DELETE", "upsert": "SELECT, INSERT, UPDATE", "replace": "INSERT, TRUNCATE"}
    shop.run(SHOPS[script], "1", "2")
    shop.rule(
        "DO $$ DECLARE r record; BEGIN FOR r IN SELECT oid::regclass AS t FROM pg_class WHERE relkind = 'r' AND "
        "relnamespace::regnamespace::text LIKE 'shop%' LOOP EXECUTE format('ALTER TABLE %s OWNER TO postgres', r.t); "
        "EXECUTE format('REVOKE ALL ON %s FROM " + LOADER + "', r.t); END LOOP; END $$",
        f"ALTER SCHEMA shop OWNER TO postgres; GRANT USAGE ON SCHEMA shop TO {LOADER}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {LOADER}" if script != "append" else "SELECT 1",
        f"GRANT SELECT ON shop._dlt_loads, shop._dlt_pipeline_state, shop._dlt_version TO {LOADER}",
        f"GRANT INSERT ON shop._dlt_loads, shop._dlt_pipeline_state TO {LOADER}",
        f'REVOKE CREATE ON DATABASE "{database_of(shop)}" FROM {LOADER}',
        f"GRANT {own.get(script, 'INSERT' if script == 'append' else own['nested'])} ON shop.orders TO {LOADER}",
    )
    if script in ("nested", "flat", "upsert"):
        shop.rule(
            f"ALTER SCHEMA shop_staging OWNER TO postgres; GRANT USAGE ON SCHEMA shop_staging TO {LOADER}",
            f"GRANT SELECT, INSERT, TRUNCATE ON ALL TABLES IN SCHEMA shop_staging TO {LOADER}",
        )
    if script == "nested":
        shop.rule(f"GRANT {own['nested']} ON shop.orders__items TO {LOADER}")
    else:
        shop.rule(f'REVOKE TEMPORARY ON DATABASE "{database_of(shop)}" FROM {LOADER}')
    assert DENIED not in shop.found()
    assert DENIED not in shop.found(dsn=shop.admin)
    shop.run(SHOPS[script], "3")
    assert DENIED not in shop.found()


@pytest.mark.quiet("DD502")
def test_a_loader_that_nobody_knows_is_not_judged(shop: Shop) -> None:
    shop.run(FLAT, "1")
    shop.rule(f"REVOKE DELETE ON shop.orders FROM {LOADER}")
    diagnosis = shop.examine(shop.elsewhere, project=shop.elsewhere, dsn=shop.admin)
    assert verdicts(diagnosis) == []


@pytest.mark.quiet("DD502")
def test_a_loader_of_another_database_is_not_judged_here(shop: Shop, loader_database: str) -> None:
    shop.run(FLAT, "1")
    shop.rule(f"REVOKE DELETE ON shop.orders FROM {LOADER}")
    text = (shop.project / ".dlt" / "secrets.toml").read_text(encoding="utf-8")
    other = str(psycopg.conninfo.conninfo_to_dict(loader_database)["dbname"])
    shop.write(secrets=text.replace(database_of(shop), other))
    assert DENIED not in shop.found(dsn=shop.admin)


@pytest.mark.fires("DD502")
def test_a_new_column_needs_the_table_itself(shop: Shop) -> None:
    noted = FLAT.replace('"amount": i * 10', '"amount": i * 10, "note": "new"')
    shop.run(FLAT, "1")
    shop.rule("ALTER TABLE shop.orders OWNER TO postgres", f"GRANT ALL ON shop.orders TO {LOADER}")
    assert DENIED not in shop.found()
    shop.run(noted, "2", fails="must be owner of table orders")
    command = shop.denied()
    assert command == f"ALTER TABLE shop.orders OWNER TO {LOADER};"
    shop.rule(command)
    shop.run(noted, "3")
    assert shop.rows("shop.orders WHERE note IS NOT NULL") == 3
    assert DENIED not in shop.found()


@pytest.mark.fires("DD502")
def test_a_new_table_needs_the_schema(shop: Shop) -> None:
    more = FLAT + 'pipeline.run([{"id": 1}], table_name="prices")\n'
    shop.run(FLAT, "1")
    shop.rule(f"ALTER SCHEMA shop OWNER TO postgres; GRANT USAGE ON SCHEMA shop TO {LOADER}")
    assert DENIED not in shop.found()
    shop.run(more, "2", fails="permission denied for schema shop")
    command = shop.denied()
    assert command == f"GRANT CREATE ON SCHEMA shop TO {LOADER};"
    shop.rule(command)
    shop.run(more, "3")
    assert DENIED not in shop.found()


@pytest.mark.quiet("DD502")
def test_a_role_that_only_looks_is_no_loader(shop: Shop, database: str) -> None:
    """The project of another machine names a role that reads; the one that loads is named elsewhere."""
    world = Shop(root=shop.root, dsn=database, admin=database)
    world.run(FLAT, "1")
    world.rule(
        f"GRANT USAGE ON SCHEMA shop, shop_staging TO {LOADER}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA shop, shop_staging TO {LOADER}",
    )
    world.lose("shop")
    write_project(world.project, shop.dsn, {})
    diagnosis = world.examine()
    assert verdicts(diagnosis) == []
    assert {row.verdict for row in diagnosis.ledger} <= {"healthy", "leftover"}
