"""Resources that lose or double rows by their own hints: found after real runs, and in the source alone."""

from pathlib import Path

import pytest

from tests.real import SHOP, RealWorld, messages, verdicts

DD305, DD307, DD310 = ("DD305", "warning"), ("DD307", "error"), ("DD310", "warning")
KEYLESS = SHOP.replace('primary_key="id", ', "").replace(', new=dlt.sources.incremental("id")', "")
PLAIN = KEYLESS.replace(', "items": [{"sku": f"s{i}"}]', "")
HISTORY = """
import sys, dlt

@dlt.resource(name="customers", write_disposition={"disposition": "merge", "strategy": "STRATEGY"}KEYS)
def customers(page, new=dlt.sources.incremental("id")):
    for i in range(3 * page - 2, 3 * page + 1):
        yield {"id": i, "name": f"c{i}"}

pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
for page in sys.argv[1:]:
    pipeline.run(customers(int(page)))
"""
CONTRACT = """
import sys, dlt

@dlt.resource(name="events", CONTRACT)
def events(page):
    yield {"id": 1, "kind": "a"} if page == 1 else [{"id": 2, "kind": "b", "extra": 1}, {"id": 3, "kind": "c"}]

pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
for page in sys.argv[1:]:
    pipeline.run(events(int(page)))
"""


def history(strategy: str, keys: str = "") -> str:
    return HISTORY.replace("STRATEGY", strategy).replace("KEYS", keys)


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


# ------------------------------------------------------------------------------- merged without a key


@pytest.mark.fires("DD305")
def test_merged_without_a_key(world: RealWorld) -> None:
    world.run(KEYLESS, "1", "1")
    assert world.rows("shop.orders") == 6, "dlt appends"
    for where in ({}, {"pipelines_dir": world.elsewhere}):
        diagnosis = world.examine(**where)
        (found,) = [f for f in diagnosis.findings if f.code == "DD305"]
        assert (found.severity, found.pipeline, found.dataset, found.table) == ("warning", "shop", "shop", "orders")
        assert [e.source for e in found.evidence][1:] == ["load.py:4"]
    assert [f.code for f in world.glance(world.elsewhere, project=world.elsewhere, dsn=world.dsn).findings] == ["DD305"]


@pytest.mark.fires("DD305")
def test_merged_without_a_key_in_the_source_alone(world: RealWorld) -> None:
    world.write(load=KEYLESS)
    (found,) = world.glance(world.elsewhere, offline=True).findings
    assert (found.code, found.pipeline, found.evidence[0].source) == ("DD305", "shop", "load.py:4")


KEYED = {
    "primary key": SHOP,
    "merge key": SHOP.replace("primary_key", "merge_key"),
    "column": PLAIN.replace('"merge")', '"merge", columns={"id": {"primary_key": True}})'),
    "later": PLAIN.replace(
        "pipeline.run(orders(int(page)))", 'r = orders(int(page)); r.apply_hints(primary_key="id"); pipeline.run(r)'
    ),
    "at the run": PLAIN.replace("(int(page)))", '(int(page)), primary_key="id")'),
    "scd2": PLAIN.replace('"merge")', '{"disposition": "merge", "strategy": "scd2"})'),
    "dict": PLAIN.replace("write_disposition=", "**HINTS, write_disposition=").replace(
        "@dlt", 'HINTS = {"primary_key": "id"}\n@dlt'
    ),
    "computed": PLAIN.replace("write_disposition=", 'primary_key=sys.argv[0][:0] + "id", write_disposition='),
    "scope": PLAIN.replace(
        '"merge")', '{"disposition": "merge", "strategy": "delete-insert", "destination_scope": "{table}.id > 0"})'
    ),
    "append": PLAIN.replace('"merge"', '"append"'),
}


@pytest.mark.parametrize("name", KEYED)
@pytest.mark.quiet("DD305", "DD307")
def test_a_key_from_anywhere(world: RealWorld, name: str) -> None:
    world.write(load=KEYED[name])
    assert world.glance(world.elsewhere, offline=True).findings == ()
    world.run(KEYED[name], "1", "2")
    assert world.found() == []
    assert world.found(world.elsewhere) == []


@pytest.mark.quiet("DD305")
def test_a_key_that_was_added_in_the_source(world: RealWorld) -> None:
    world.run(PLAIN, "1")
    world.write(load=SHOP)
    assert world.found() == []


@pytest.mark.quiet("DD305")
@pytest.mark.parametrize("strategy", ["upsert", "insert-only", "cdc"])
def test_dlt_itself_refuses_other_strategies_without_a_key(world: RealWorld, strategy: str) -> None:
    sick = PLAIN.replace('"merge")', f'{{"disposition": "merge", "strategy": "{strategy}"}})')
    world.run(sick, "1", fails=f"when using the `{strategy}` merge strategy.")
    world.age()
    assert DD305 not in world.found()


# -------------------------------------------------------------------------------------- partial batches


@pytest.mark.fires("DD307")
@pytest.mark.parametrize("strategy", ["scd2", "cdc"])
def test_partial_batches(world: RealWorld, strategy: str) -> None:
    world.run(history(strategy, ', primary_key="id"'), "1", "2")
    current = "shop.customers WHERE _dlt_valid_to IS NULL" if strategy == "scd2" else "shop.customers"
    assert world.rows(current) == 3, "those of the last batch"
    for where in ({}, {"pipelines_dir": world.elsewhere}):
        diagnosis = world.examine(**where)
        assert verdicts(diagnosis) == [DD307]
        (text,) = messages(diagnosis, "DD307")
        assert ("retires" if strategy == "scd2" else "deletes") in text
        sources = [e.source for e in diagnosis.findings[0].evidence]
        assert "load.py:5" in sources
        assert any("state" in source for source in sources)


@pytest.mark.fires("DD307")
def test_partial_batches_in_the_source_alone(world: RealWorld) -> None:
    world.write(load=history("scd2"))
    (found,) = world.glance(world.elsewhere, offline=True).findings
    assert (found.code, found.pipeline) == ("DD307", "shop")
    assert [e.source for e in found.evidence] == ["load.py:4", "load.py:5"]


WHOLE = {
    "merge key": history("scd2", ', merge_key="id"'),
    "merge key of cdc": history("cdc", ', primary_key="id", merge_key="id"'),
    "whole extracts": history("scd2").replace(', new=dlt.sources.incremental("id")', ""),
    "upsert": history("upsert", ', primary_key="id"'),
    "cursor of another": history("scd2").replace(', new=dlt.sources.incremental("id")', "")
    + '\n@dlt.resource(name="log")\ndef log(new=dlt.sources.incremental("id")):\n    yield {"id": 1}\npipeline.run(log())\n',
}


@pytest.mark.quiet("DD307")
@pytest.mark.parametrize("name", WHOLE)
def test_whole_batches(world: RealWorld, name: str) -> None:
    world.write(load=WHOLE[name])
    assert world.glance(world.elsewhere, offline=True).findings == ()
    world.run(WHOLE[name], "1", "2")
    assert world.found() == []


# ---------------------------------------------------------------------------------- schema contracts


@pytest.mark.fires("DD310")
@pytest.mark.parametrize(("mode", "rows"), [("discard_row", 2), ("discard_value", 3)])
def test_a_contract_that_discards(world: RealWorld, mode: str, rows: int) -> None:
    world.run(CONTRACT.replace("CONTRACT", f'schema_contract={{"columns": "{mode}"}}'), "1", "2")
    assert world.rows("shop.events") == rows
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [DD310]
    assert [e.source for e in diagnosis.findings[0].evidence][1:] == ["load.py:4"]
    stored = world.examine(world.elsewhere, project=world.elsewhere, dsn=world.dsn)
    assert verdicts(stored) == [DD310]
    assert "silently drops" in messages(stored, "DD310")[0]


@pytest.mark.fires("DD310")
def test_a_contract_of_a_run_is_kept_in_the_schema(world: RealWorld) -> None:
    script = CONTRACT.replace(", CONTRACT", "")
    discarding = script.replace("(int(page)))", '(int(page)), schema_contract={"columns": "discard_row"})')
    world.run(discarding, "1")
    world.run(script, "2")
    assert world.rows("shop.events") == 2, "the contract of the first run still counts"
    assert world.found() == [DD310]


@pytest.mark.fires("DD310")
def test_a_model_that_ignores_extra_fields_is_worth_a_word(world: RealWorld) -> None:
    pytest.importorskip("pydantic")
    model = "from pydantic import BaseModel\n\nclass Event(BaseModel):\n    id: int\n    kind: str\n\n@dlt"
    world.run(CONTRACT.replace("CONTRACT", "columns=Event").replace("@dlt", model, 1), "1", "2")
    assert world.rows("shop.events") == 3
    assert world.found() == [("DD310", "info")]


@pytest.mark.quiet("DD310")
@pytest.mark.parametrize("mode", ['"evolve"', '{"columns": "freeze", "tables": "evolve"}'])
def test_a_contract_that_discards_nothing(world: RealWorld, mode: str) -> None:
    world.run(CONTRACT.replace("CONTRACT", f"schema_contract={mode}"), "1")
    assert world.found() == []


def test_a_frozen_contract_is_loud(world: RealWorld) -> None:
    frozen = CONTRACT.replace("CONTRACT", 'schema_contract={"columns": "freeze"}')
    world.run(frozen, "1", "2", fails="columns` are frozen")
    world.age()
    assert DD310 not in world.found()
