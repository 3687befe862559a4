"""Law 11: whatever a healthy pipeline does, it yields no error and no warning, and mostly nothing at all."""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.real import SHOP, RealWorld

# One of the tables is merged without a key, and those that are replaced are truncated first.
BY_DESIGN = frozenset({"DD305", "DD504"})

# Every disposition and strategy, with and without nested rows, all keys that dlt knows; twice.
EVERYTHING = """
import itertools, sys, dlt

STRATEGIES = ["delete-insert", "upsert", "insert-only", "scd2", "cdc"]
DISPOSITIONS = ["append", "replace", *({"disposition": "merge", "strategy": s} for s in STRATEGIES)]

def rows(page, nested):
    for i in range(2 * page, 2 * page + 4):
        row = {"id": i, "day": f"d{i % 2}", "amount": i}
        yield row | ({"items": [{"sku": "s", "parts": [{"p": 1}]}]} if nested else {})

def resources(page):
    for disposition, nested in itertools.product(DISPOSITIONS, (False, True)):
        name = disposition if isinstance(disposition, str) else disposition["strategy"].replace("-", "_")
        data = list(rows(page, nested))
        if name == "append":
            data = [r | {"id": r["id"] + 100 * page} for r in data]
        if name == "scd2" and nested:
            continue  # its nested rows have no root key
        yield dlt.resource(
            data, name=f"{name}_{'nested' if nested else 'flat'}", primary_key="id", write_disposition=disposition
        )
    yield dlt.resource(
        [{"id": i, "gone": i == page, "v": i} for i in range(4)], name="hard_deletes", primary_key="id",
        write_disposition="merge", columns={"gone": {"hard_delete": True}},
    )
    yield dlt.resource(
        [{"id": page, "gone": True}], name="all_deleted", primary_key="id",
        write_disposition="merge", columns={"gone": {"hard_delete": True}, "v": {"data_type": "bigint"}},
    )
    yield dlt.resource(
        [{"id": i % 2, "v": i, "at": i} for i in range(6)], name="deduplicated", primary_key="id",
        write_disposition="merge", columns={"at": {"dedup_sort": "desc"}},
    )
    yield dlt.resource(
        [{"a": i, "b": "x", "v": page, "items": [1]} for i in range(3)], name="compound", primary_key=("a", "b"),
        write_disposition="merge",
    )
    yield dlt.resource(list(rows(page, True)), name="by_day", merge_key="day", write_disposition="merge")
    yield dlt.resource(list(rows(page, False)), name="both", primary_key="id", merge_key="day", write_disposition="merge")
    yield dlt.resource([{"id": page, "v": 1}], name="keyless", write_disposition="merge")
    yield dlt.resource([], name="nothing", primary_key="id", write_disposition="merge")

@dlt.source(name="everything")
def everything(page):
    return list(resources(page))

pipeline = dlt.pipeline("everything", destination="postgres", dataset_name="everything")
for page in sys.argv[1:]:
    pipeline.run(everything(int(page)))
"""


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


def peaceful(world: RealWorld, *, but: Collection[str] = (), **changes: Any) -> None:
    """Nothing is found `but` what is true by design."""
    diagnosis = world.examine(**changes)
    surprising = [f for f in diagnosis.findings if f.code not in but]
    assert surprising == [], [f.message for f in surprising]
    assert {row.verdict for row in diagnosis.ledger} <= {"healthy", "leftover"}
    assert diagnosis.ledger
    assert not diagnosis.blind


@pytest.mark.parametrize(
    "config",
    [
        "",
        '[destination.postgres]\nreplace_strategy = "insert-from-staging"\ncreate_indexes = false\n',
        '[destination.postgres]\nreplace_strategy = "staging-optimized"\n[schema]\nnaming = "sql_cs_v1"\n',
        '[load]\ntruncate_staging_dataset = true\n[destination.postgres]\nstaging_dataset_name_layout = "%s_in"\n',
        "[load]\ndelete_completed_jobs = true\n[pipelines.everything]\nuse_single_dataset = false\n",
    ],
    ids=["default", "from-staging-no-index", "optimized-quoted", "truncated-layout", "no-jobs-kept"],
)
def test_every_disposition_and_strategy(world: RealWorld, config: str) -> None:
    world.write(config=config)
    world.run(EVERYTHING, "1", "2")
    peaceful(world, but=BY_DESIGN)
    peaceful(world, but=BY_DESIGN, deep=True)
    peaceful(world, but=BY_DESIGN, pipelines_dir=world.elsewhere)
    peaceful(world, but=BY_DESIGN, pipelines_dir=world.elsewhere, project=world.elsewhere, dsn=world.dsn)


ARROW = """
import sys, dlt, pyarrow as pa

pipeline = dlt.pipeline("arrows", destination="postgres", dataset_name="arrows")
for page in map(int, sys.argv[1:]):
    table = pa.table({"id": [page, page + 1, page + 2], "v": ["a", "b", None]})
    for name, key in (("merged", "id"), ("appended", None)):
        disposition = "merge" if key else "append"
        pipeline.run(table, table_name=name, write_disposition=disposition, primary_key=key)
    upsert = {"disposition": "merge", "strategy": "upsert"}
    pipeline.run(table, table_name="upserted", write_disposition=upsert, primary_key="id")
    pipeline.run(table, table_name="keyless", write_disposition="merge")
"""


def test_arrow_tables(world: RealWorld) -> None:
    pytest.importorskip("pyarrow")
    world.run(ARROW, "1", "9")
    peaceful(world, but=BY_DESIGN)
    peaceful(world, but=BY_DESIGN, deep=True)
    peaceful(world, but=BY_DESIGN, pipelines_dir=world.elsewhere)
    world.execute("DELETE FROM arrows.merged WHERE id >= 9")
    peaceful(world, but=BY_DESIGN)


def test_rows_deleted_by_hand(world: RealWorld) -> None:
    world.run(SHOP, "1", "2")
    world.execute("DELETE FROM shop.orders__items WHERE sku = 's5'", "DELETE FROM shop.orders WHERE id = 5")
    peaceful(world)
    peaceful(world, deep=True)
    peaceful(world, pipelines_dir=world.elsewhere)


def test_every_row_of_the_last_load_was_deleted_by_hand(world: RealWorld) -> None:
    world.run(SHOP, "1", "2")
    world.execute("DELETE FROM shop.orders__items WHERE sku > 's3'", "DELETE FROM shop.orders WHERE id > 3")
    peaceful(world)
    assert world.found(pipelines_dir=world.elsewhere) == [("DD203", "info")]


def test_a_person_was_forgotten(world: RealWorld) -> None:
    script = SHOP.replace("(3 * page - 2, 3 * page + 1)", "(40 * page, 40 * page + 40)")
    world.run(script, "1", "2")
    world.execute(
        "DELETE FROM shop.orders WHERE id % 2 = 0",
        "DELETE FROM shop.orders__items WHERE _dlt_root_id NOT IN (SELECT _dlt_id FROM shop.orders)",
        "UPDATE shop.orders SET amount = NULL WHERE id = 41",
    )
    peaceful(world)


UPSERTS = """
import sys, dlt

upsert = {"disposition": "merge", "strategy": "upsert"}
for name, column in (("scores", "score"), ("concepts", "concept")):
    pipeline = dlt.pipeline(name, destination="postgres", dataset_name="shop")
    rows = [{"id": i, column: i} for i in range(3)]
    pipeline.run(rows, table_name="opportunities", primary_key="id", write_disposition=upsert)
"""


def test_two_pipelines_upsert_one_table(world: RealWorld) -> None:
    world.write(
        config="".join(
            f'[{name}.destination.postgres]\nstaging_dataset_name_layout = "%s_{name}"\n'
            for name in ("scores", "concepts")
        )
    )
    world.run(UPSERTS)
    peaceful(world)


SEVERAL = """
import dlt

@dlt.source
def north():
    return dlt.resource([{"id": 1}], name="trips", primary_key="id", write_disposition="merge")

@dlt.source
def south():
    return dlt.resource([{"id": 1}], name="voyages", primary_key="id", write_disposition="merge")

pipeline = dlt.pipeline("several", destination="postgres", dataset_name="several")
for _ in range(2):
    pipeline.run([north(), south()])
"""


@pytest.mark.parametrize("single", ["true", "false"])
def test_several_schemas(world: RealWorld, single: str) -> None:
    world.write(config=f"use_single_dataset = {single}\n")
    world.run(SEVERAL)
    apart = () if single == "true" else ("DD107",)
    peaceful(world, but=apart)
    peaceful(world, but=apart, pipelines_dir=world.elsewhere)


def test_a_named_destination_with_a_layout(world: RealWorld) -> None:
    script = SHOP.replace('"postgres"', 'dlt.destination("warehouse", destination_type="postgres")')
    world.write(load=script)
    text = (world.project / ".dlt" / "secrets.toml").read_text(encoding="utf-8")
    text = text.replace("destination.postgres", "destination.warehouse")
    world.write(secrets=text, config='[destination.warehouse]\nstaging_dataset_name_layout = "stage_%s"\n')
    world.run(script, "1", "2")
    assert world.rows("stage_shop.orders") == 3
    peaceful(world)


def test_a_layout_for_each_pipeline(world: RealWorld) -> None:
    twin = SHOP.replace('"shop", destination', '"twin", destination')
    world.write(config='[shop.destination.postgres]\nstaging_dataset_name_layout = "%s_of_shop"\n')
    world.run(SHOP, "1", "2")
    world.run(twin, "3")
    assert world.rows("shop_of_shop.orders") == world.rows("shop_staging.orders") == 3
    peaceful(world)


def test_a_direct_naming(world: RealWorld) -> None:
    script = SHOP.replace('"orders"', '"Big Orders"').replace(', "items": [{"sku": f"s{i}"}]', "")
    world.write(config='[schema]\nnaming = "direct"\n')
    world.run(script.replace('e="shop"', 'e="MyShop"'), "1", "2")
    assert world.rows('"MyShop"."Big Orders"') == 6
    peaceful(world, but=("DD108",))
    peaceful(world, but=("DD108",), pipelines_dir=world.elsewhere)


def test_resources_dropped_and_loaded_again(world: RealWorld) -> None:
    world.run(SHOP, "1", "2")
    world.run(SHOP.replace("int(page)))", 'int(page)), refresh="drop_resources")'), "3")
    world.write(load=SHOP)  # it was for that run only
    assert world.rows("shop.orders") == 3
    peaceful(world)
    peaceful(world, pipelines_dir=world.elsewhere)


@pytest.mark.parametrize("refresh", ["drop_sources", "drop_data"])
def test_a_refresh(world: RealWorld, refresh: str) -> None:
    world.run(SHOP, "1", "2")
    world.run(SHOP.replace("int(page)))", f'int(page)), refresh="{refresh}")'), "3")
    world.write(load=SHOP)  # it was for that run only
    peaceful(world)


@pytest.mark.parametrize(("before", "after"), [("append", "merge"), ("merge", "append"), ("replace", "merge")])
def test_another_disposition(world: RealWorld, before: str, after: str) -> None:
    flat = SHOP.replace(', "items": [{"sku": f"s{i}"}]', "")
    world.run(flat.replace('"merge"', f'"{before}"'), "1")
    world.run(flat.replace('"merge"', f'"{after}"'), "2", "3")
    peaceful(world)


def test_a_run_without_news(world: RealWorld) -> None:
    world.run(SHOP, "1", "1", "1")
    peaceful(world)


def test_two_machines(world: RealWorld) -> None:
    world.run(SHOP, "1", "2")
    first = world.root / "first"
    shutil.move(world.pipelines_dir, first)
    world.run(SHOP, "3")  # restores its state from the destination
    peaceful(world)
    peaceful(world, pipelines_dir=first)  # that machine's state is behind by now
    peaceful(world, pipelines_dir=world.elsewhere)


def test_somebody_is_reading(world: RealWorld) -> None:
    world.run(SHOP, "1", "2")
    with psycopg.connect(world.dsn) as reader:
        reader.execute("SELECT * FROM shop.orders, shop_staging.orders")
        peaceful(world)
