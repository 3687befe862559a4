"""Where rows went because of names: a dataset for each schema, normalised names, one schema name for two sources."""

from pathlib import Path

import pytest

from tests.examining import codes
from tests.real import SHOP, RealWorld, messages, verdicts

SEVERAL = """
import dlt

@dlt.source
def crm():
    return dlt.resource([{"id": 1}], name="contacts", primary_key="id", write_disposition="merge")

@dlt.source
def erp():
    return dlt.resource([{"id": 1}], name="invoices", primary_key="id", write_disposition="merge")

dlt.pipeline("several", destination="postgres", dataset_name="shop").run([crm(), erp()])
"""
# Arguments: pipeline, table, value of its only column; the source is always called hub.
HUB = """
import sys, dlt

name, table, value = sys.argv[1:]

@dlt.source(name="hub")
def hub():
    rows = [{"amount": int(value) if value.isdigit() else value}]
    return dlt.resource(rows, name=table, write_disposition="append")

dlt.pipeline(name, destination="postgres", dataset_name="shop").run(hub())
"""


@pytest.fixture
def world(tmp_path: Path, database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", database)


@pytest.mark.fires("DD107")
def test_a_dataset_for_each_schema(world: RealWorld) -> None:
    world.write(config="use_single_dataset = false\n")
    world.run(SEVERAL)
    assert world.found() == [("DD107", "info")]
    assert messages(world.examine(), "DD107") == ["schema erp is in shop_erp; shop is the dataset of schema crm"]
    world.write(config="")
    world.run(SEVERAL)
    assert world.rows("shop.invoices") == 1
    (message,) = messages(world.examine(), "DD107")
    assert message.startswith("shop_erp holds what schema erp loaded before, which nothing updates")
    assert not [f for f in world.examine().findings if f.severity.value == "error"]


@pytest.mark.quiet("DD107", "DD108")
def test_one_dataset_for_all_schemas(world: RealWorld) -> None:
    world.run(SEVERAL)
    assert world.found() == []


@pytest.mark.fires("DD108")
@pytest.mark.parametrize(
    ("given", "config", "schema", "says"),
    [
        (
            "nmNorm-DS 2024",
            "",
            "nm_norm_ds_2024",
            "the dataset 'nmNorm-DS 2024' is the Postgres schema nm_norm_ds_2024",
        ),
        ("MyData", '[schema]\nnaming = "sql_ci_v1"\n', "mydata", "the dataset 'MyData' is the Postgres schema mydata"),
        ("MyData", '[schema]\nnaming = "sql_cs_v1"\n', '"MyData"', '"MyData" has to be quoted in SQL'),
        ("a" * 80, "", "", "is the Postgres schema aaaa"),
    ],
    ids=["snake-case", "case-insensitive", "quoted", "too-long"],
)
def test_a_name_that_is_normalised(world: RealWorld, given: str, config: str, schema: str, says: str) -> None:
    world.write(config=config)
    world.run(SHOP.replace('dataset_name="shop"', f'dataset_name="{given}"'), "1")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD108", "info")]
    assert says in messages(diagnosis, "DD108")[0]
    if schema:
        assert world.rows(f"{schema}.orders") == 3


@pytest.mark.fires("DD406")
def test_two_sources_of_one_name(world: RealWorld) -> None:
    world.run(HUB, "issues", "issues", "1")
    world.run(HUB, "requests", "requests", "1")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD406", "error")]
    (message,) = messages(diagnosis, "DD406")
    assert message.startswith("pipelines issues and requests store different schemas under the name hub in shop")
    assert "table issues" in message
    assert world.found(world.elsewhere) == [("DD406", "error")]
    world.lose("issues")  # a fresh machine: a text where a number was fails, with a schema that knew of it it does not
    world.run(HUB, "issues", "issues", "many", fails="invalid input syntax")


@pytest.mark.fires("DD406")
def test_two_sources_of_one_name_and_one_table(world: RealWorld) -> None:
    world.run(HUB, "issues", "events", "1")
    world.run(HUB.replace('"amount"', '"size"'), "requests", "events", "1")
    assert ("DD406", "warning") in world.found()
    assert "column events.amount (bigint)" in messages(world.examine(), "DD406")[0]


@pytest.mark.quiet("DD406")
def test_one_source_under_two_pipelines(world: RealWorld) -> None:
    """A fresh machine restores the same schema, whoever stored it: the value goes to a variant column."""
    world.run(HUB, "first", "events", "1")
    world.run(HUB, "second", "events", "1")
    world.run(HUB, "second", "events", "many")
    world.execute("CREATE TABLE shop.events_of_may AS SELECT * FROM shop.events")
    assert "DD406" not in codes(world.examine())
    assert "DD406" not in codes(world.examine(world.elsewhere))
    world.lose("first")
    world.run(HUB, "first", "events", "many")
    assert world.rows("shop.events") == 4


@pytest.mark.quiet("DD406")
def test_pipelines_with_schemas_of_their_own(world: RealWorld) -> None:
    world.run(HUB.replace('name="hub"', "name=name"), "issues", "issues", "1")
    world.run(HUB.replace('name="hub"', "name=name"), "requests", "requests", "1")
    assert world.found() == []
