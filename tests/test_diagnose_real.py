"""What cannot be seen, what is gone from the final tables, and who reads staging: by real runs."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from dltdoctor import doctor
from dltdoctor.finding import Severity
from tests.conftest import LOADER, LOADER_PASSWORD
from tests.real import SHOP, RealWorld, messages, verdicts

DD003, DD302, DD401, DD605 = ("DD003", "warning"), ("DD302", "error"), ("DD401", "error"), ("DD605", "warning")
REPLACING = """
import sys, dlt

def rates(page):
    yield {"currency": "EUR", "rate": 1.0 + page}
    yield {"currency": "USD", "rate": 2.0 + page if page < 2 else "not a number"}

pipeline = dlt.pipeline("rates", destination="postgres", dataset_name="shop")
columns = {"rate": {"data_type": "double"}}
for page in sys.argv[1:]:
    pipeline.run(rates(int(page)), table_name="rates", write_disposition="replace", columns=columns)
"""


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


# ------------------------------------------------------------------------------- cannot see


@pytest.fixture
def owned_by_another(tmp_path: Path, database: str) -> tuple[RealWorld, str]:
    """A world that the superuser loaded, and the DSN of a role without any right in it."""
    at = urlsplit(database)
    reader = f"postgresql://{LOADER}:{LOADER_PASSWORD}@{at.hostname}:{at.port or 5432}{at.path}"
    world = RealWorld(tmp_path / "world", database)
    world.run(SHOP, "1", "2")
    return world, reader


@pytest.mark.fires("DD003")
@pytest.mark.quiet("DD302", "DD401")
def test_a_role_without_usage(owned_by_another: tuple[RealWorld, str]) -> None:
    world, reader = owned_by_another
    diagnosis = world.examine(dsn=reader)
    assert verdicts(diagnosis) == [DD003, DD003]
    assert all("not the same as empty" in text for text in messages(diagnosis, "DD003"))
    assert {row.verdict for row in diagnosis.ledger} <= {"hidden"}
    assert doctor.exit_code(diagnosis, Severity.ERROR) == 3


@pytest.mark.fires("DD003")
@pytest.mark.quiet("DD302")
def test_a_role_that_may_not_select(owned_by_another: tuple[RealWorld, str]) -> None:
    world, reader = owned_by_another
    world.execute(f"GRANT USAGE ON SCHEMA shop, shop_staging TO {LOADER}")
    diagnosis = world.examine(dsn=reader)
    assert set(verdicts(diagnosis)) == {DD003}
    assert {row.verdict for row in diagnosis.ledger} == {"hidden"}
    assert doctor.exit_code(diagnosis, Severity.ERROR) == 3


@pytest.mark.fires("DD003")
def test_a_role_that_may_not_look_into_staging(owned_by_another: tuple[RealWorld, str]) -> None:
    world, reader = owned_by_another
    world.execute(f"GRANT USAGE ON SCHEMA shop TO {LOADER}", f"GRANT SELECT ON ALL TABLES IN SCHEMA shop TO {LOADER}")
    diagnosis = world.examine(dsn=reader)
    assert verdicts(diagnosis) == [DD003]
    assert {row.final.rows for row in diagnosis.ledger} == {6}


@pytest.mark.fires("DD003")
@pytest.mark.quiet("DD201", "DD203")
def test_a_role_that_may_not_read_the_record_of_loads(owned_by_another: tuple[RealWorld, str]) -> None:
    world, reader = owned_by_another
    world.execute(
        f"GRANT USAGE ON SCHEMA shop, shop_staging TO {LOADER}",
        f"GRANT SELECT ON shop.orders, shop.orders__items, shop_staging.orders, shop_staging.orders__items TO {LOADER}",
        "DELETE FROM shop.orders__items WHERE _dlt_root_id IN (SELECT _dlt_id FROM shop.orders WHERE id > 3)",
        "DELETE FROM shop.orders WHERE id > 3",  # nothing proves any more that the staged rows had arrived
    )
    diagnosis = world.examine(dsn=reader)
    assert set(verdicts(diagnosis)) == {DD003}
    assert {row.verdict for row in diagnosis.ledger} == {"unknown"}


@pytest.mark.quiet("DD003")
def test_a_role_that_may_read_everything(owned_by_another: tuple[RealWorld, str]) -> None:
    world, reader = owned_by_another
    world.execute(
        f"GRANT USAGE ON SCHEMA shop, shop_staging TO {LOADER}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA shop, shop_staging TO {LOADER}",
    )
    diagnosis = world.examine(dsn=reader)
    assert verdicts(diagnosis) == []
    assert doctor.exit_code(diagnosis, Severity.ERROR) == 0


@pytest.mark.fires("DD004")
@pytest.mark.quiet("DD002", "DD109")
def test_another_destination(world: RealWorld) -> None:
    bucket = world.root / "bucket"
    world.write(config=f'[destination.filesystem]\nbucket_url = "{bucket.as_uri()}"\n')
    world.run(SHOP.replace('"postgres"', '"filesystem"').replace('"merge"', '"append"'), "1")
    assert world.found() == [("DD004", "info")]


@pytest.mark.fires("DD005")
@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("requirements.txt", "dlt[postgres]==1.28.1\n"),
        ("uv.lock", 'version = 1\n\n[[package]]\nname = "dlt"\nversion = "1.28.1"\n'),
    ],
)
def test_an_older_dlt_in_the_project(world: RealWorld, file: str, text: str) -> None:
    world.run(SHOP, "1")
    (world.project / file).write_text(text, encoding="utf-8")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD005", "warning")]
    (world.project / file).write_text(text.replace("1.28.1", "1.31.0"), encoding="utf-8")
    assert world.found() == []


# ---------------------------------------------------------------------------------- rows are gone


@pytest.mark.fires("DD302")
@pytest.mark.quiet("DD203")
def test_truncated_by_hand(world: RealWorld) -> None:
    world.run(SHOP, "1", "2")
    world.execute("TRUNCATE shop.orders, shop.orders__items")
    assert world.found() == [DD302]


@pytest.mark.fires("DD302")
@pytest.mark.quiet("DD203")
def test_truncated_by_hand_without_working_dir(world: RealWorld) -> None:
    world.run(SHOP, "1", "2")
    world.execute("TRUNCATE shop.orders, shop.orders__items")
    world.lose("shop")
    assert world.found() == [DD302]


@pytest.mark.fires("DD101", "DD302")
def test_emptied_by_a_trick_that_evades_the_guard(world: RealWorld) -> None:
    name = "s" * 63
    script = SHOP.replace('"shop")\nfor', f'"{name}")\nfor')
    world.write(config="[destination.postgres]\nenable_dataset_name_normalization = false\n")
    world.run(script, "1")
    assert world.rows(f"{name}.orders") == 0
    assert world.found() == [("DD101", "error"), DD302]


@pytest.mark.fires("DD206", "DD302")
def test_a_replace_that_stopped_after_its_truncate(world: RealWorld) -> None:
    world.run(REPLACING, "1")
    broken = REPLACING.replace('"not a number"', "5.0")
    world.run(
        broken.replace("pipeline.run(", "pipeline.extract(").replace("columns)", "columns); pipeline.normalize()"), "2"
    )
    world.execute("REVOKE INSERT ON shop.rates FROM CURRENT_USER")
    world.run(broken, "2", fails="permission denied for table rates")
    world.execute("GRANT INSERT ON shop.rates TO CURRENT_USER")
    assert world.rows("shop.rates") == 0
    world.age()
    assert world.found() == [("DD206", "warning"), DD302, ("DD504", "info")]


@pytest.mark.fires("DD401")
@pytest.mark.quiet("DD302")
def test_dropped_by_hand(world: RealWorld) -> None:
    world.run(SHOP, "1", "2")
    world.execute("DROP TABLE shop.orders__items")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [DD401]
    assert "shop.orders__items does not exist" in messages(diagnosis, "DD401")[0]


@pytest.mark.fires("DD401")
@pytest.mark.quiet("DD201")
def test_dropped_by_hand_with_everything_below(world: RealWorld) -> None:
    world.run(SHOP, "1", "2")
    world.execute("DROP TABLE shop.orders__items, shop.orders")
    world.lose("shop")
    assert world.found() == [DD401, DD401]


# -------------------------------------------------------------------------------- readers of staging


@pytest.mark.fires("DD605")
def test_a_query_reads_staging(world: RealWorld) -> None:
    world.run(SHOP, "1")
    (world.project / "report.sql").write_text("SELECT * FROM shop_staging.orders;\n", encoding="utf-8")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [DD605]
    assert "report.sql:1" in messages(diagnosis, "DD605")[0]


@pytest.mark.fires("DD605")
def test_a_script_and_a_view_read_staging(world: RealWorld) -> None:
    world.run(SHOP, "1")
    script = 'QUERY = """\nSELECT amount\nFROM shop_staging.orders\n"""\n'
    (world.project / "report.py").write_text(script, encoding="utf-8")
    world.execute("CREATE SCHEMA api", "CREATE VIEW api.orders AS SELECT id FROM shop_staging.orders")
    assert world.found() == [DD605, DD605]


@pytest.mark.quiet("DD605")
def test_readers_of_the_final_tables(world: RealWorld) -> None:
    world.run(SHOP, "1")
    (world.project / "report.sql").write_text("SELECT * FROM shop.orders;\n", encoding="utf-8")
    world.execute("CREATE SCHEMA api", "CREATE VIEW api.orders AS SELECT id FROM shop.orders")
    assert world.found() == []
