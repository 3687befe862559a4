"""Final rows of real loads that are too many, that lead nowhere, or that stand in the wrong column."""

from pathlib import Path

import psycopg
import pytest

from tests.real import RealWorld, messages, verdicts
from tests.test_diagnose_real_unrecorded import EVENTS


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


# ------------------------------------------------------------------------------- repeated keys

THEN_MERGED = """
import sys, dlt
pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
rows = [{"id": i, "v": int(sys.argv[1])} for i in range(3)]
hints = {"write_disposition": sys.argv[2], "primary_key": "id"}
pipeline.run(rows, table_name="orders", **hints)
"""
BEHIND = THEN_MERGED.replace("range(3)", "range(10, 13)")


@pytest.mark.fires("DD306")
@pytest.mark.parametrize("deep", [False, True])
def test_rows_that_were_appended_before_the_table_was_merged(world: RealWorld, *, deep: bool) -> None:
    world.run(THEN_MERGED, "1", "append")
    world.run(THEN_MERGED, "2", "append")
    world.run(BEHIND, "3", "merge")
    diagnosis = world.examine(deep=deep)
    assert verdicts(diagnosis) == [("DD306", "error")]
    assert "several rows of 3 keys (column id): 3 rows too many" in messages(diagnosis, "DD306")[0]


@pytest.mark.quiet("DD306")
def test_rows_that_are_appended(world: RealWorld) -> None:
    world.run(THEN_MERGED, "1", "append")
    world.run(THEN_MERGED, "2", "append")
    assert world.found() == []


@pytest.mark.quiet("DD306")
def test_versions_of_a_row(world: RealWorld) -> None:
    script = THEN_MERGED.replace("sys.argv[2]", '{"disposition": "merge", "strategy": "scd2"}')
    for version in ("1", "2", "1"):
        world.run(script, version)
    assert world.rows("shop.orders") == 9
    assert world.found() == []


@pytest.mark.fires("DD306")
def test_two_valid_versions_of_a_row(world: RealWorld) -> None:
    script = THEN_MERGED.replace("sys.argv[2]", '{"disposition": "merge", "strategy": "scd2"}')
    world.run(script, "1")
    world.run(script, "2")
    world.execute("UPDATE shop.orders SET _dlt_valid_to = NULL WHERE id = 1")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD306", "error")]
    finding = next(f for f in diagnosis.findings if f.code == "DD306")
    assert finding.remedy
    assert finding.remedy.command
    world.execute(finding.remedy.command)
    assert world.found() == []


@pytest.mark.fires("DD306")
def test_a_job_that_was_loaded_twice_without_indexes(world: RealWorld) -> None:
    world.write(load=EVENTS, config="[destination.postgres]\ncreate_indexes = false\n")
    world.run(EVENTS, "1,2", "events.", fails="")
    world.run(EVENTS, "3")
    world.age()
    diagnosis = world.examine()
    assert ("DD306", "error") in verdicts(diagnosis)
    assert "(column _dlt_id)" in messages(diagnosis, "DD306")[0]
    finding = next(f for f in diagnosis.findings if f.code == "DD306")
    assert finding.remedy
    assert finding.remedy.command
    before = world.rows("shop.events")
    world.execute(finding.remedy.command)
    assert world.rows("shop.events") == before - 3
    assert "DD306" not in [code for code, _ in world.found()]


# ------------------------------------------------------------------------------- nested rows

DEEP = """
import sys, dlt
pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
for page in sys.argv[1:]:
    rows = [{"id": i, "items": [{"sku": i, "parts": [{"p": 1}, {"p": 2}]}]} for i in range(3 * int(page), 3 * int(page) + 3)]
    pipeline.run(rows, table_name="orders", write_disposition="DISPOSITION", primary_key="id")
"""


@pytest.mark.fires("DD309")
@pytest.mark.parametrize("disposition", ["merge", "append"])
def test_rows_above_that_were_deleted(world: RealWorld, disposition: str) -> None:
    world.run(DEEP.replace("DISPOSITION", disposition), "1", "2")
    world.execute("DELETE FROM shop.orders WHERE id IN (4, 5)")
    found = world.examine()
    assert verdicts(found) == [("DD309", "warning")]
    assert messages(found, "DD309") == ["2 rows of shop.orders__items lead to no row of shop.orders"]


@pytest.mark.quiet("DD309")
def test_nested_rows_that_arrived_first(world: RealWorld) -> None:
    """The rows above are in a job that is still to come."""
    script = DEEP.replace("DISPOSITION", "append")
    world.run(script, "1")
    world.execute("ALTER TABLE shop.orders ADD CONSTRAINT few CHECK (id < 6)")
    world.run(script, "2", fails="violates check constraint")
    world.age()
    assert world.rows("shop.orders__items") > world.rows("shop.orders")
    assert [code for code, _ in world.found()] == ["DD206"]


LARGE = """
import sys, dlt
pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
text = "x" * 600
for price in (1, "dear"):
    rows = [{"id": i, "price": price, "text": text, "items": [{"text": text}]} for i in range(20_000)]
    pipeline.run(rows, table_name="orders")
"""


@pytest.mark.fires("DD303", "DD309")
def test_large_tables(world: RealWorld) -> None:
    """Too large to be read: what stands at the end is seen, the rest with a deep look."""
    world.run(LARGE)
    world.execute("DELETE FROM shop.orders WHERE price IS NULL AND id % 2 = 0")
    found = world.examine()
    assert verdicts(found) == [("DD303", "warning"), ("DD309", "warning")]
    (orphans,) = messages(found, "DD309")
    assert orphans.startswith("at least ")
    deep = world.examine(deep=True)
    assert messages(deep, "DD309") == ["10,000 rows of shop.orders__items lead to no row of shop.orders"]
    assert "price__v_text (10,000 rows)" in messages(deep, "DD303")[0]


@pytest.mark.quiet("DD303", "DD306", "DD309")
def test_large_tables_that_are_well(world: RealWorld) -> None:
    world.run(LARGE.replace('(1, "dear")', "(1, 2)"))
    world.execute("ANALYZE")
    assert world.found() == []
    assert world.found(deep=True) == []


# ------------------------------------------------------------------------------- variant columns

PRICES = """
import sys, dlt
pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
prices = {"1": [10, 20], "2": ["cheap", "dear"], "3": [3.5]}
for page in sys.argv[1:]:
    pipeline.run([{"price": price, "page": page} for price in prices[page]], table_name="orders")
"""


@pytest.mark.fires("DD303")
@pytest.mark.parametrize(("pages", "values"), [("12", ["10", "20", "cheap", "dear"]), ("13", [3.5, 10.0, 20.0])])
def test_values_in_a_variant_column(world: RealWorld, pages: str, values: list[object]) -> None:
    world.run(PRICES, *pages)
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD303", "warning")]
    assert "where price is NULL" in messages(diagnosis, "DD303")[0]
    (finding,) = diagnosis.findings
    assert finding.remedy
    assert finding.remedy.command
    world.execute(finding.remedy.command)
    with psycopg.connect(world.dsn) as connection:
        seen = connection.execute("SELECT price FROM shop.orders_with_price ORDER BY 1").fetchall()
    assert [price if isinstance(price, str) else float(price) for (price,) in seen] == values


@pytest.mark.quiet("DD303")
def test_a_variant_column_without_values(world: RealWorld) -> None:
    world.run(PRICES, "1", "2")
    world.execute("DELETE FROM shop.orders WHERE price IS NULL")
    assert world.found() == []


# ------------------------------------------------------------------------------- two sources

TWO = """
import sys, dlt

for name in sys.argv[1:]:
    pipeline = dlt.pipeline(name, destination="postgres", dataset_name="shop")
    pipeline.run([{name: 1}], table_name="rates", write_disposition="DISPOSITION")
"""


@pytest.mark.fires("DD308")
@pytest.mark.parametrize("names", [("eu", "us"), ("eu", "us", "eu", "us")])
def test_two_sources_replace_one_table(world: RealWorld, names: tuple[str, ...]) -> None:
    world.run(TWO.replace("DISPOSITION", "replace"), *names)
    diagnosis = world.examine()
    assert ("DD308", "error") in verdicts(diagnosis)
    assert "each replacing load removes the rows of the other" in messages(diagnosis, "DD308")[0]
    assert world.rows("shop.rates") == 1


@pytest.mark.quiet("DD308")
@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_two_sources_that_share_a_table(world: RealWorld, disposition: str) -> None:
    world.run(TWO.replace("DISPOSITION", disposition), "eu", "us", "eu", "us")
    assert "DD308" not in [code for code, _ in world.found()]


@pytest.mark.quiet("DD308")
def test_one_source_in_two_pipelines(world: RealWorld) -> None:
    script = TWO.replace("DISPOSITION", "replace").replace("[{name: 1}]", "[{'a': 1}]")
    script = script.replace("table_name", "schema=dlt.Schema('rates'), table_name")
    world.run(script, "eu", "us", "eu")
    assert "DD308" not in [code for code, _ in world.found()]
