"""What a replace takes from readers, and which table their bare names lead to; made by real dlt."""

from pathlib import Path

import psycopg
import pytest

from dltdoctor import repair, treatment, workbench
from dltdoctor.treatment import Wish
from tests.conftest import LOADER
from tests.examining import request
from tests.real import RealWorld, messages, verdicts
from tests.repairing import silent

OPTIMIZED = '[destination.postgres]\nreplace_strategy = "staging-optimized"\n'
FROM_STAGING = '[destination.postgres]\nreplace_strategy = "insert-from-staging"\n'
PRICES = """
import sys, dlt

pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
for page in map(int, sys.argv[1:]):
    prices = dlt.resource([{"id": page, "price": page}], name="prices", write_disposition="replace")
    orders = dlt.resource([{"id": page}], name="orders", write_disposition="append")
    pipeline.run([prices, orders])
"""
LOST = ("DD503", "warning")


def loud(world: RealWorld, pipelines_dir: Path | None = None) -> list[tuple[str, str]]:
    """What is found, but for the note that the default replace is not atomic (DD504)."""
    return [found for found in world.found(pipelines_dir) if found[0] != "DD504"]


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


@pytest.fixture
def reader(postgres: str) -> str:
    """A role that only reads; a given server keeps it."""
    name = "dltdoctor_test_reader"
    with psycopg.connect(postgres, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
            connection.execute(f"CREATE ROLE {name}".encode())
    return name


def prices(world: RealWorld, config: str, *statements: str) -> None:
    """Two replaces, what the owner has granted, and a third replace."""
    world.write(config=config)
    world.run(PRICES, "1", "2")
    world.execute(*statements)
    world.run(PRICES, "3")


def may_read(world: RealWorld, reader: str) -> bool:
    with psycopg.connect(world.dsn) as connection:
        row = connection.execute("SELECT has_table_privilege(%s, 'shop.prices', 'SELECT')", (reader,)).fetchone()
    return bool(row and row[0])


def granted(reader: str) -> tuple[str, str]:
    return f"GRANT USAGE ON SCHEMA shop TO {reader}", f"GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {reader}"


@pytest.mark.fires("DD503")
def test_a_replace_takes_the_grants_and_fix_stops_that(world: RealWorld, reader: str) -> None:
    prices(world, OPTIMIZED, *granted(reader))
    assert not may_read(world, reader)
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [LOST]
    assert messages(diagnosis, "DD503") == [f"{reader} may not read shop.prices: each replace drops its grants"]
    remedy = diagnosis.findings[0].remedy
    assert remedy
    assert remedy.safety == "safe"
    grant = f"GRANT SELECT ON shop.prices TO {reader};"
    assert remedy.title.endswith(grant)
    world.execute(grant)
    assert messages(world.examine(), "DD503") == [
        f"the grants of {reader} on shop.prices will be gone after the next replace"
    ]
    config = world.project / ".dlt" / "config.toml"
    asked = request(world.project, world.pipelines_dir)
    prepared = treatment.prepare(asked, Wish(config=True), progress=silent)
    assert [cure.code for cure in prepared.plan.cures] == ["DD503"]
    receipt = repair.apply(prepared.plan, treatment.workshop(prepared, silent), title="grants stay", keep_undo=True)
    assert config.read_text(encoding="utf-8") == FROM_STAGING
    assert verdicts(world.examine()) == []
    assert not treatment.prepare(asked, Wish(config=True), progress=silent).plan.cures
    world.run(PRICES, "4")
    assert may_read(world, reader)
    assert (world.rows("shop.prices"), world.rows("shop.orders")) == (1, 4)
    assert verdicts(world.examine()) == []
    way_in = workbench.way_into(asked, receipt, progress=silent)
    repair.undo(receipt, workbench.bench(asked, way_in, silent))
    assert config.read_text(encoding="utf-8") == OPTIMIZED
    assert verdicts(world.examine()) == [LOST]


@pytest.mark.fires("DD503")
def test_default_privileges_of_the_final_schema_never_apply(world: RealWorld, reader: str) -> None:
    prices(world, OPTIMIZED, f"ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO {reader}")
    assert not may_read(world, reader)
    assert world.found() == [LOST]


@pytest.mark.fires("DD503")
def test_a_view_keeps_the_replace_from_dropping_the_table(world: RealWorld) -> None:
    world.write(config=OPTIMIZED + "[load]\nraise_on_max_retries = 1\n")
    world.run(PRICES, "1", "2")
    world.execute("CREATE VIEW public.price_list AS SELECT id, price FROM shop.prices")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [LOST]
    said = "the next replace cannot drop shop.prices: public.price_list reads it"
    assert messages(diagnosis, "DD503") == [said]
    world.run(PRICES, "3", fails="other objects depend on it")
    assert messages(world.examine(), "DD503") == [said]


@pytest.mark.quiet("DD503")
@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "GRANT SELECT ON shop._dlt_loads TO {reader}",
        "ALTER DEFAULT PRIVILEGES IN SCHEMA shop_staging GRANT SELECT ON TABLES TO {reader}",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {reader}",
        "CREATE VIEW public.order_list AS SELECT id FROM shop.orders",
    ],
)
def test_replaces_that_take_nothing(world: RealWorld, reader: str, statement: str) -> None:
    statement = statement.format(reader=reader)
    prices(world, OPTIMIZED, *(granted(reader) if "DEFAULT" in statement else ()), statement)
    world.run(PRICES, "4")  # the table that moved at 3 was made before the statement
    assert may_read(world, reader) == ("DEFAULT" in statement)
    assert world.found() == []


@pytest.mark.quiet("DD503")
def test_grants_survive_the_other_strategies(world: RealWorld, reader: str) -> None:
    prices(world, FROM_STAGING, *granted(reader), "CREATE VIEW public.price_list AS SELECT id FROM shop.prices")
    assert may_read(world, reader)
    assert world.found() == []


# ---------------------------------------------------------------------------------- DD111: twins


@pytest.mark.fires("DD111")
def test_an_old_copy_in_public(world: RealWorld) -> None:
    world.run(PRICES, "1")
    world.execute("CREATE TABLE public.orders AS SELECT * FROM shop.orders")
    world.run(PRICES, "2", "3")
    assert (world.rows("orders"), world.rows("shop.orders")) == (1, 3)
    diagnosis = world.examine()
    assert ("DD111", "warning") in verdicts(diagnosis)
    assert messages(diagnosis, "DD111") == [
        "whoever asks for orders without a schema gets public.orders, not shop.orders, which shop loads"
    ]
    assert loud(world, world.elsewhere) == [("DD111", "warning")]


@pytest.mark.fires("DD111")
def test_a_table_that_dlt_never_loaded_is_only_noted(world: RealWorld) -> None:
    world.run(PRICES, "1", "2")
    world.execute("CREATE TABLE public.prices (id bigint, price bigint, updated_at timestamptz)")
    assert loud(world) == [("DD111", "info")]


@pytest.mark.fires("DD111")
def test_the_search_path_of_the_database_counts(world: RealWorld) -> None:
    world.run(PRICES, "1")
    world.execute("CREATE SCHEMA reports", "CREATE TABLE reports.orders AS SELECT * FROM shop.orders")
    assert loud(world) == []
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET search_path = reports, public'.encode())
    assert loud(world) == [("DD111", "warning")]
    with psycopg.connect(world.dsn, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{connection.info.dbname}" SET search_path = shop, reports'.encode())
    assert loud(world) == []


@pytest.mark.quiet("DD111")
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW public.orders AS SELECT * FROM shop.orders",
        "CREATE TABLE public.orders (number text, placed_by text)",
        "CREATE TABLE public.customers AS SELECT * FROM shop.orders",
        "CREATE SCHEMA archive; CREATE TABLE archive.orders AS SELECT * FROM shop.orders",
        f"CREATE SCHEMA {LOADER}; CREATE TABLE {LOADER}.orders AS SELECT * FROM shop.orders",
    ],
)
def test_tables_that_are_no_twins(world: RealWorld, statement: str) -> None:
    world.run(PRICES, "1", "2")
    world.execute(statement)
    assert loud(world) == []


@pytest.mark.quiet("DD111")
def test_datasets_of_dev_and_prod_are_no_twins(world: RealWorld) -> None:
    world.run(PRICES, "1")
    world.run(PRICES.replace('"shop"', '"preview"'), "1")
    world.run(PRICES.replace('"shop", dest', '"old", dest').replace('name="shop"', 'name="public"'), "1")
    assert loud(world) == []
