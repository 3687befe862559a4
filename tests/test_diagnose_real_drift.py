"""Tables that are not as dlt believes: made by real dlt, changed by hand, or by what dlt itself cannot do."""

from pathlib import Path

import pytest

from tests.real import SHOP, RealWorld, messages, verdicts

BOTH = (
    SHOP.split("pipeline = ", maxsplit=1)[0]
    + """
@dlt.resource(name="people", primary_key="id", write_disposition="merge")
def people(page):
    yield {"id": page, "name": "x"}

@dlt.resource(name="visits", write_disposition="append")
def visits(page):
    yield {"page": page}

pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
for page in sys.argv[1:]:
    pipeline.run([orders(int(page)), people(int(page)), visits(int(page))])
"""
)


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


# -------------------------------------------------------------------------------- DD402 missing-column


@pytest.mark.fires("DD402")
@pytest.mark.parametrize("dataset", ["shop", "shop_staging"])
@pytest.mark.parametrize("table", ["orders", "orders__items"])
def test_a_column_was_dropped(world: RealWorld, dataset: str, table: str) -> None:
    world.run(BOTH, "1")
    column = {"orders": "amount", "orders__items": "sku"}[table]
    world.execute(f"ALTER TABLE {dataset}.{table} DROP COLUMN {column}")
    for place in (world.pipelines_dir, world.elsewhere):
        diagnosis = world.examine(pipelines_dir=place)
        assert verdicts(diagnosis) == [("DD402", "error")]
        assert f"{dataset}.{table} has lost column {column}" in messages(diagnosis, "DD402")[0]
    world.run(BOTH, "2", fails=f'column "{column}" of relation "{table}" does not exist')


@pytest.mark.quiet("DD402", "DD403", "DD404", "DD405")
def test_a_schema_that_is_not_applied_yet(world: RealWorld) -> None:
    world.run(BOTH, "1")
    more = BOTH.replace('"name": "x"', '"name": "x", "age": 7, "pets": [1]')
    world.run(more.replace("pipeline.run(", "pipeline.extract("), "2")
    world.run("import dlt\ndlt.attach('shop').normalize()\n")
    world.age()
    assert {code for code, _ in world.found()} == {"DD206"}
    world.run("import dlt\ndlt.attach('shop').load()\n")
    assert world.found() == []


@pytest.mark.quiet("DD402", "DD304")
def test_another_pipeline_has_other_columns(world: RealWorld) -> None:
    upsert = '{"disposition": "merge", "strategy": "upsert"}'
    script = SHOP.replace('"merge"', upsert)
    world.run(script, "1")
    other = script.replace('"shop", dest', '"other", dest').replace('"amount": i * 10', '"price": i')
    world.run(other, "1")
    assert not {"DD402", "DD304"} & {code for code, _ in world.found()}


# ------------------------------------------------------------------------- DD403 missing-staging-table


@pytest.mark.fires("DD403")
@pytest.mark.parametrize("table", ["people", "orders__items"])
def test_a_staging_table_was_dropped(world: RealWorld, table: str) -> None:
    world.run(BOTH, "1")
    world.execute(f"DROP TABLE shop_staging.{table}")
    for place in (world.pipelines_dir, world.elsewhere):
        assert world.found(pipelines_dir=place) == [("DD403", "error")]
    world.run(BOTH, "2", fails=f'relation "shop_staging.{table}" does not exist')


@pytest.mark.quiet("DD403", "DD402")
def test_the_whole_staging_schema_was_dropped(world: RealWorld) -> None:
    world.run(BOTH, "1")
    world.execute("DROP SCHEMA shop_staging CASCADE")
    assert world.found() == []
    world.run(BOTH, "2")
    assert world.found() == []


@pytest.mark.quiet("DD403")
@pytest.mark.parametrize("strategy", ["insert-from-staging", "staging-optimized"])
def test_a_replace_strategy_that_stages_from_now_on(world: RealWorld, strategy: str) -> None:
    script = BOTH.replace('"append"', '"replace"')
    world.run(script, "1")
    world.write(config=f'[destination.postgres]\nreplace_strategy = "{strategy}"\n')
    assert world.found() == []
    world.run(script, "2")
    assert world.found() == []


@pytest.mark.quiet("DD403")
def test_staging_that_is_emptied_after_each_load(world: RealWorld) -> None:
    world.write(config="[load]\ntruncate_staging_dataset = true\n")
    world.run(BOTH, "1", "2")
    assert world.found() == []


@pytest.mark.fires("DD403")
def test_a_replaced_table_lost_its_staging_table(world: RealWorld) -> None:
    world.write(config='[destination.postgres]\nreplace_strategy = "insert-from-staging"\n')
    script = BOTH.replace('"append"', '"replace"')
    world.run(script, "1")
    world.execute("DROP TABLE shop_staging.visits")
    assert world.found() == [("DD403", "error")]
    world.run(script, "2", fails='relation "shop_staging.visits" does not exist')


# ------------------------------------------------------------------------- DD404 staging-final-type-drift


@pytest.mark.fires("DD404")
@pytest.mark.parametrize(
    ("column", "change", "why", "fails"),
    [
        ("amount", "text", None, None),
        ("amount", "numeric(4, 1)", "larger values are refused", None),
        ("amount", "timestamptz USING now()", "refuses to store bigint", "is of type timestamp with time zone"),
        ("id", "text", "cannot be compared", "operator does not exist"),
    ],
)
def test_a_type_was_changed_in_the_final_table(
    world: RealWorld, column: str, change: str, why: str | None, fails: str | None
) -> None:
    world.run(SHOP, "1")
    world.execute(f"ALTER TABLE shop.orders ALTER COLUMN {column} TYPE {change}")
    if why is None:
        world.execute("ALTER TABLE shop.orders ALTER COLUMN id TYPE int")  # only to have a second, narrowing change
        why = "larger values are refused"
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD404", "warning")]
    assert why in messages(diagnosis, "DD404")[0]
    world.run(SHOP, "2", fails=fails)


@pytest.mark.fires("DD404")
def test_the_alter_that_is_printed_cures(world: RealWorld) -> None:
    world.run(SHOP, "1")
    world.execute("ALTER TABLE shop.orders ALTER COLUMN amount TYPE timestamptz USING to_timestamp(amount)")
    world.execute("ALTER TABLE shop.orders__items ALTER COLUMN sku TYPE varchar(2)")
    diagnosis = world.examine()
    assert [f.code for f in diagnosis.findings] == ["DD404", "DD404"]
    world.execute("ALTER TABLE shop.orders ALTER COLUMN amount TYPE bigint USING extract(epoch FROM amount)")
    printed = [f.remedy.command or "" for f in diagnosis.findings if f.remedy and f.table == "orders__items"]
    world.execute(*printed)
    assert world.found() == []
    world.run(SHOP, "2")


@pytest.mark.quiet("DD404")
@pytest.mark.parametrize("change", ["amount TYPE numeric", "amount TYPE text", "_dlt_id TYPE text", "id TYPE numeric"])
def test_a_type_that_holds_more(world: RealWorld, change: str) -> None:
    world.run(SHOP, "1")
    world.execute(f"ALTER TABLE shop.orders ALTER COLUMN {change}")
    assert world.found() == []
    world.run(SHOP, "2")
    assert world.found() == []
    assert world.rows("shop.orders") == 6


# ------------------------------------------------------------------------------ DD405 missing-root-key


@pytest.mark.fires("DD405")
def test_appended_before_and_merged_now(world: RealWorld) -> None:
    script = SHOP.replace('"items": [{"sku": f"s{i}"}]', '"items": [{"sku": f"s{i}", "parts": [{"p": 1}]}]')
    world.run(script.replace('"merge"', '"append"'), "1")
    assert world.found() == []
    world.run(script, "2", fails='column "_dlt_root_id" of relation "orders__items')
    world.age()
    diagnosis = world.examine()
    assert sorted(f.table or "" for f in diagnosis.findings if f.code == "DD405") == [
        "orders__items",
        "orders__items__parts",
    ]
    assert {c for c, s in verdicts(diagnosis) if s == "error"} == {"DD405"}


@pytest.mark.quiet("DD405")
def test_nested_tables_without_root_keys(world: RealWorld) -> None:
    script = SHOP.replace("orders(int(page))", "shop(int(page))").replace(
        "pipeline = ", "@dlt.source(root_key=False)\ndef shop(page):\n    return orders(page)\n\npipeline = "
    )
    world.run(script, "1", "2")
    assert world.found() == []


# -------------------------------------------------------------------------- DD407 unquotable-temp-table

DIRECT = """
import sys, dlt
name, strategy = sys.argv[1:3]
pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
for page in map(int, sys.argv[3:]):
    rows = [{"id": i, "items": [{"sku": f"s{i}"}]} for i in range(3 * page - 2, 3 * page + 1)]
    disposition = {"disposition": "merge", "strategy": strategy}
    pipeline.run(rows, table_name=name, primary_key="id", write_disposition=disposition)
"""


@pytest.mark.fires("DD407")
@pytest.mark.parametrize("name", ["my-table", "2024"])
def test_a_name_that_needs_quotes(world: RealWorld, name: str) -> None:
    world.write(config='[schema]\nnaming = "direct"\n')
    world.run(DIRECT, name, "delete-insert", "1", fails="syntax error" if name == "my-table" else "junk")
    world.age()
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD202", "error"), ("DD407", "error")]
    assert f'shop."{name}"' in messages(diagnosis, "DD407")[0]


@pytest.mark.quiet("DD407")
@pytest.mark.parametrize(
    ("name", "strategy"),
    [("select", "delete-insert"), ("Größe", "delete-insert"), ("a$b", "delete-insert"), ("my-table", "upsert")],
)
def test_a_name_that_dlt_can_do_with(world: RealWorld, name: str, strategy: str) -> None:
    world.write(config='[schema]\nnaming = "direct"\n')
    world.run(DIRECT, name, strategy, "1", "2")
    assert world.found() == []


# --------------------------------------------------------------------------- DD304 never-created-column


@pytest.mark.fires("DD304")
def test_columns_with_nothing_but_null(world: RealWorld) -> None:
    hint = ', columns={"note": {"description": "what they say"}})'
    script = BOTH.replace('"amount": i * 10', '"amount": i * 10, "note": None').replace('"x"}', '"x", "note": None}')
    script = script.replace('write_disposition="merge")', 'write_disposition="merge"' + hint)
    world.run(script, "1")
    for place in (world.pipelines_dir, world.elsewhere):
        diagnosis = world.examine(pipelines_dir=place)
        assert verdicts(diagnosis) == [("DD304", "info")]
        assert "2 columns have held nothing but NULL" in messages(diagnosis, "DD304")[0]
    world.run(script.replace('"note": None', '"note": "now"'), "2")
    assert world.found() == []


# ------------------------------------------------------------------------------- DD209 orphan-staging


@pytest.mark.fires("DD209")
def test_staging_of_a_dataset_that_was_dropped(world: RealWorld) -> None:
    world.run(SHOP.replace('"shop", dest', '"shelf", dest').replace('="shop"', '="shelf"'), "1")
    world.run(BOTH, "1")
    world.execute("DROP SCHEMA shelf CASCADE")
    world.lose("shelf")
    assert world.found() == [("DD209", "info")]


@pytest.mark.fires("DD209")
def test_a_staging_table_of_a_dropped_resource(world: RealWorld) -> None:
    world.run(BOTH, "1")
    world.execute("CREATE TABLE shop_staging.clicks (LIKE shop_staging.people INCLUDING ALL)")
    assert world.found() == [("DD209", "info")]


@pytest.mark.quiet("DD209")
def test_staging_of_a_pipeline_of_another_project(world: RealWorld) -> None:
    world.run(BOTH, "1")
    world.run(SHOP.replace('"shop", dest', '"shelf", dest').replace('="shop"', '="shelf"'), "1")
    world.lose("shelf")
    assert "DD209" not in {code for code, _ in world.found()}
