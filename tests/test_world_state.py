"""The pipeline state, from files, from rows of the destination and from bug reports."""

import base64
import json
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dltdoctor.world.schemas import read_schema
from dltdoctor.world.state import decode_state, read_state
from dltdoctor.world.unreadable import UnreadableError

Json = dict[str, Any]


def _packed(document: Json) -> str:
    return base64.b64encode(zlib.compress(json.dumps(document).encode())).decode()


def test_a_state_row() -> None:
    document = {
        "_state_version": 2,
        "_state_engine_version": 4,
        "_version_hash": "h",
        "pipeline_name": "shop",
        "dataset_name": "Shop Data",
        "destination_type": "dlt.destinations.postgres",
        "sources": {
            "src": {
                "resources": {
                    "orders": {
                        "incremental": {
                            "at": {"last_value": "\uf0272024-01-02T03:04:05+00:00"},
                            "id": {"last_value": 7},
                            "nothing": {},
                            "both": {"last_value": {"a": [1]}},
                            "long": {"last_value": "x" * 1000},
                        }
                    },
                    "plain": {"anything": 1},
                },
                "own": 1,
            }
        },
    }
    state = decode_state(_packed(document), "public._dlt_pipeline_state")
    assert not state.partial
    assert (state.version, state.destination, state.dataset_name) == (2, "postgres", "Shop Data")
    values = {c.path: c.last_value for c in state.cursors}
    assert values == {
        "at": "2024-01-02T03:04:05+00:00",
        "id": "7",
        "nothing": None,
        "both": '{"a": [1]}',
        "long": "x" * 200,
    }
    assert {(c.source, c.resource) for c in state.cursors} == {("src", "orders")}


def test_a_state_from_a_bug_report() -> None:
    pasted = {
        "pipeline_name": "app",
        "default_schema_name": "app",
        "schema_names": ["app"],
        "dataset_name": "public",
        "destination_type": "dlt.destinations.postgres",
    }
    state = read_state(pasted, "paste")
    assert state.partial
    assert (state.pipeline_name, state.dataset_name, state.schema_names) == ("app", "public", ("app",))
    assert (state.version, state.first_run, state.dev_mode, state.cursors) == (0, None, None, ())


@pytest.mark.parametrize(
    "document",
    [
        {"sources": []},
        {"sources": {"a": None}},
        {"sources": {"a": {"resources": {"b": {"incremental": {"c": 3}}}}}},
        {"schema_names": "one", "_state_version": "x", "_local": 1, "dataset_name": 5, "pipeline_name": None},
    ],
)
def test_odd_states_are_read_as_well_as_can_be(document: Json) -> None:
    state = read_state(document, "paste", pipeline_name="fallback")
    assert (state.pipeline_name, state.partial, state.version) == ("fallback", True, 0)


@pytest.mark.parametrize("engine", [5, "4", -1, True])
def test_unknown_state_engines_are_named(engine: object) -> None:
    with pytest.raises(UnreadableError, match="unknown state engine version"):
        read_state({"_state_engine_version": engine}, "state.json")


KEYS = st.sampled_from(
    [
        "name",
        "tables",
        "columns",
        "parent",
        "write_disposition",
        "primary_key",
        "x-normalizer",
        "resource",
        "normalizers",
        "names",
        "sources",
        "resources",
        "incremental",
        "last_value",
        "_local",
        "schema_names",
    ]
)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=3), inner, max_size=4),
    max_leaves=25,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(KEYS, ANY_JSON, max_size=6))
def test_no_document_is_too_odd(document: Json) -> None:
    schema = read_schema(document, "paste")
    assert all(table.root in schema.tables or table.parent for table in schema.tables.values())
    read_state(document, "paste")
