"""Stored schemas of every engine, judged by dlt's own migration and inheritance where it can say."""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

import dlt
import pytest
from dlt.common.schema.migrations import migrate_schema
from dlt.common.schema.utils import get_inherited_table_hint, get_write_disposition

from dltdoctor.snapshot import Schema, SchemaTable
from dltdoctor.world.schemas import decode_stored_schema, read_schema
from dltdoctor.world.unreadable import UnreadableError

Json = dict[str, Any]

NORMALIZERS: Json = {"names": "snake_case", "json": {"module": "dlt.common.normalizers.json.relational"}}


def _old_table(name: str, **hints: object) -> Json:
    """A table as dlt 0.4.12 stored it."""
    columns: Json = {
        "id": {"name": "id", "data_type": "bigint", "nullable": False, "primary_key": True},
        "tags": {"name": "tags", "data_type": "complex", "nullable": True},
        "gone": {"name": "gone", "data_type": "bool", "hard_delete": True},
        "ts": {"name": "ts", "data_type": "timestamp", "dedup_sort": "desc"},
        "late": {"name": "late", "nullable": True},
        "_dlt_parent_id": {"name": "_dlt_parent_id", "data_type": "text", "foreign_key": True},
        "_dlt_root_id": {"name": "_dlt_root_id", "data_type": "text", "root_key": True},
        "_dlt_id": {"name": "_dlt_id", "data_type": "text", "nullable": False, "unique": True},
    }
    return {"name": name, "columns": columns, **hints}


def _stored(engine: int) -> Json:
    tables = {
        "_dlt_version": {"name": "_dlt_version", "columns": {}, "write_disposition": "skip"},
        "orders": _old_table(
            "orders",
            write_disposition="merge",
            resource="orders_api",
            **{"x-merge-strategy": "scd2", "x-normalizer": {"seen-data": True}},
        ),
        "orders__items": _old_table("orders__items", parent="orders"),
        "orders__items__sub": _old_table("orders__items__sub", parent="orders__items"),
        "events": _old_table("events", write_disposition="append", resource="events"),
    }
    return {
        "version": 3,
        "version_hash": "hash=",
        "engine_version": engine,
        "name": "shop",
        "tables": tables,
        "settings": {"default_hints": {}, "detections": []},
        "normalizers": NORMALIZERS,
        "previous_hashes": [],
    }


@pytest.mark.parametrize("engine", range(5, 12))
def test_every_engine_reads_as_dlt_migrates_it(engine: int) -> None:
    ours = read_schema(_stored(engine), "here")
    theirs = migrate_schema(json.loads(json.dumps(_stored(engine))), engine, 11)
    for name, table in theirs["tables"].items():
        if name.startswith("_dlt_"):
            continue
        read = ours.tables[name]
        expected_seen = bool((table.get("x-normalizer") or {}).get("seen-data"))
        assert read.seen_data is expected_seen, (engine, name)
        assert _hints(read) == _dlt_hints(table["columns"]), (engine, name)


def _hints(table: SchemaTable) -> Json:
    names = ("row_key", "parent_key", "root_key", "primary_key", "hard_delete", "unique")
    return {
        column.name: {
            "data_type": column.data_type,
            "dedup_sort": column.dedup_sort,
            **{name: getattr(column, name) for name in names},
        }
        for column in table.columns
    }


def _dlt_hints(columns: Mapping[str, Any]) -> Json:
    names = ("row_key", "parent_key", "root_key", "primary_key", "hard_delete", "unique")
    found = {}
    for name, column in columns.items():
        hints = {hint: bool(column.get(hint)) for hint in names}
        # dlt drops the old spelling only when the engine is older than the new one
        hints["parent_key"] = hints["parent_key"] or bool(column.get("foreign_key"))
        data_type = column.get("data_type")
        found[name] = {
            "data_type": "json" if data_type == "complex" else data_type,
            "dedup_sort": column.get("dedup_sort"),
            **hints,
        }
    return found


def test_nested_tables_inherit_from_their_root() -> None:
    schema = read_schema(_stored(11), "here")
    for name in ("orders", "orders__items", "orders__items__sub"):
        table = schema.tables[name]
        assert (table.root, table.disposition, table.merge_strategy) == ("orders", "merge", "scd2")
        assert table.resource == "orders_api"
    assert [t.name for t in schema.chain("orders")] == ["orders", "orders__items", "orders__items__sub"]
    assert schema.tables["events"].merge_strategy is None
    assert schema.tables["_dlt_version"].disposition == "skip"


def test_a_schema_that_dlt_makes_reads_as_dlt_says() -> None:
    @dlt.resource(
        name="people",
        primary_key=("a", "b"),
        merge_key="m",
        write_disposition={"disposition": "merge", "strategy": "scd2"},
        columns={"gone": {"hard_delete": True, "data_type": "bool"}, "v": {"dedup_sort": "asc"}},
    )
    def people() -> Any:
        yield {}

    schema = dlt.Schema("made")
    schema.update_table(people().compute_table_schema({}))
    schema.update_table({"name": "people__pets", "parent": "people", "columns": {}})
    ours = read_schema(schema.to_dict(), "here")
    table = ours.tables["people"]
    assert table.primary_key == ("a", "b")
    assert table.merge_keys == ("m",)
    marked = {
        mark: [c.name for c in table.columns if getattr(c, mark)]
        for mark in ("hard_delete", "dedup_sort", "valid_from", "valid_to", "row_version")
    }
    assert marked == {
        "hard_delete": ["gone"],
        "dedup_sort": ["v"],
        "valid_from": ["_dlt_valid_from"],
        "valid_to": ["_dlt_valid_to"],
        "row_version": ["_dlt_id"],
    }
    for name, read in ours.tables.items():
        assert read.disposition == get_write_disposition(schema.tables, name)
    nested = ours.tables["people__pets"]
    strategy = get_inherited_table_hint(schema.tables, "people__pets", "x-merge-strategy")
    assert nested.merge_strategy == strategy == "scd2"
    assert (ours.version, ours.version_hash) == (schema.version, schema.version_hash)


BUG_REPORT: Json = {
    "name": "app_opportunities",
    "tables": {
        "app_opportunities_trust": {
            "write_disposition": "merge",
            "primary_key": "submission_id",
            "columns": {
                "submission_id": {"data_type": "text", "nullable": False},
                "trust_score": {"data_type": "double"},
            },
        }
    },
}


def test_a_schema_from_a_bug_report() -> None:
    schema = read_schema(BUG_REPORT, "paste")
    table = schema.tables["app_opportunities_trust"]
    assert table.primary_key == ("submission_id",)
    assert [c.name for c in table.columns] == ["submission_id", "trust_score"]
    assert (table.disposition, table.merge_strategy) == ("merge", "delete-insert")
    assert table.seen_data is None
    assert (schema.version, schema.engine_version, schema.naming) == (0, 0, "snake_case")


@pytest.mark.parametrize(
    ("table", "columns", "keys"),
    [
        ({"primary_key": ["a", "b"], "columns": {"a": {}}}, ["a", "b"], ("a", "b")),
        ({"columns": [{"name": "a", "primary_key": True}, {"no": "name"}, "b", 3]}, ["a", "b"], ("a",)),
        ({"columns": {"a": "bigint"}}, ["a"], ()),
        ({"columns": None, "primary_key": 7}, [], ()),
        ({"write_disposition": {"disposition": "merge", "strategy": "upsert"}}, [], ()),
        ([], [], ()),
        (None, [], ()),
    ],
)
def test_odd_tables_are_read_as_well_as_can_be(table: object, columns: list[str], keys: tuple[str, ...]) -> None:
    read = read_schema({"name": "s", "tables": {"t": table}}, "paste").tables["t"]
    assert [c.name for c in read.columns] == columns
    assert read.primary_key == keys


def test_long_dispositions_and_unknown_ones() -> None:
    long_form = {"disposition": "merge", "strategy": "upsert"}
    schema = read_schema(
        {"tables": [{"name": "a", "write_disposition": long_form}, {"name": "b", "write_disposition": "?"}]},
        "paste",
        name="fallback",
    )
    assert schema.name == "fallback"
    assert (schema.tables["a"].disposition, schema.tables["a"].merge_strategy) == ("merge", "upsert")
    assert schema.tables["b"].disposition == "append"


def test_rings_of_parents_and_missing_parents_end() -> None:
    tables = {"a": {"parent": "b"}, "b": {"parent": "a"}, "c": {"parent": "gone"}, "d": {"parent": "d"}}
    schema = read_schema({"name": "s", "tables": tables}, "paste")
    assert schema.tables["c"].root == "gone"
    assert schema.tables["d"].root == "d"
    assert schema.tables["a"].root == "b"


@pytest.mark.parametrize(
    ("names", "naming"),
    [
        ("sql_cs_v1", "sql_cs_v1"),
        ("dlt.common.normalizers.naming.duck_case", "duck_case"),
        ({"module": "my_project.naming.shouting"}, "shouting"),
        (None, "snake_case"),
        (["x"], "snake_case"),
    ],
)
def test_naming_is_the_last_part(names: object, naming: str) -> None:
    assert read_schema({"name": "s", "normalizers": {"names": names}}, "x").naming == naming


@pytest.mark.parametrize("engine", [12, 99, "eleven", True, 1.5, 1, -3])
def test_unknown_engines_are_named(engine: object) -> None:
    with pytest.raises(UnreadableError, match="engine version") as caught:
        read_schema({"name": "s", "engine_version": engine, "tables": {}}, "the/file")
    assert str(engine) in caught.value.reason
    assert caught.value.origin == "the/file"
    assert caught.value.hint


def _packed(document: Json) -> str:
    return base64.b64encode(zlib.compress(json.dumps(document).encode())).decode()


def test_rows_of_the_destination_decode_either_way() -> None:
    plain: Schema = decode_stored_schema(json.dumps(_stored(9)), "public._dlt_version")
    assert decode_stored_schema(_packed(_stored(9)), "public._dlt_version") == plain
    assert plain.origin == "public._dlt_version"


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ("", "empty"),
        ("not base64!", "neither JSON nor base64"),
        ("aGVsbG8=", "neither JSON nor base64"),
        (_packed(_stored(9))[:200], "truncated"),
        ('{"name": ', "truncated"),
        (base64.b64encode(zlib.compress(b"[1]")).decode(), "array"),
        (base64.b64encode(zlib.compress(b" " * 200 * 1024 * 1024)).decode(), "more than 128 MB"),
    ],
)
def test_rows_that_do_not_decode(stored: str, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        decode_stored_schema(stored, "public._dlt_version")
