"""The pipeline state, from `state.json` or from a `_dlt_pipeline_state` row."""

import json
from collections.abc import Iterator, Mapping
from typing import Literal

from dltdoctor.snapshot import Cursor, State
from dltdoctor.world.documents import Document, flag, mapping, number, stored_document, text, texts
from dltdoctor.world.unreadable import UnreadableError

Kind = Literal["number", "text", "decimal", "datetime", "date", "other"]

NEWEST_STATE_ENGINE = 4
MAX_CURSOR = 200

_ALWAYS_WRITTEN = ("_state_version", "_state_engine_version", "_version_hash", "pipeline_name")
_PRIVATE_USE = ("\ue000", "\uf8ff")
_KINDS: Mapping[str, Kind] = {"\uf026": "decimal", "\uf027": "datetime", "\uf028": "date"}  # dlt.common.json


def read_state(document: Document, origin: str, *, pipeline_name: str = "") -> State:
    """The state in a decoded document; `pipeline_name` stands in when the document has none.

    Raises `UnreadableError` for a state engine that this version does not know.
    """
    engine = _engine(document, origin)
    local = mapping(document.get("_local"))
    last_run = mapping(local.get("last_run_context"))
    destination = text(document.get("destination_type")) or text(document.get("destination"))
    return State(
        origin=origin,
        pipeline_name=text(document.get("pipeline_name")) or pipeline_name,
        version=number(document.get("_state_version")) or 0,
        engine_version=engine,
        version_hash=text(document.get("_version_hash")) or "",
        dataset_name=text(document.get("dataset_name")),
        default_schema_name=text(document.get("default_schema_name")),
        schema_names=texts(document.get("schema_names")),
        destination_type=destination,
        destination_name=text(document.get("destination_name")),
        dev_mode=flag(local.get("_dev_mode")),
        first_run=flag(local.get("first_run")),
        cursors=tuple(_cursors(document)),
        run_dir=text(last_run.get("run_dir")) or text(local.get("initial_cwd")),
        settings_dir=text(last_run.get("settings_dir")),
        was_extracted=text(local.get("_last_extracted_hash")) == text(document.get("_version_hash")) if local else None,
        partial=any(key not in document for key in _ALWAYS_WRITTEN),
    )


def decode_state(stored: str, origin: str) -> State:
    """The state of a `_dlt_pipeline_state` row: base64 of zlib of JSON."""
    return read_state(stored_document(stored, origin), origin)


def _engine(document: Document, origin: str) -> int:
    stored = document.get("_state_engine_version")
    engine = 0 if stored is None else number(stored)
    if engine is None or not 0 <= engine <= NEWEST_STATE_ENGINE:
        reason = f"unknown state engine version {stored!r:.40} (known: up to {NEWEST_STATE_ENGINE})"
        raise UnreadableError(origin, reason, "It was written by a newer dlt: update dltdoctor.")
    return engine


def _cursors(document: Document) -> Iterator[Cursor]:
    for source, content in mapping(document.get("sources")).items():
        for resource, state in mapping(mapping(content).get("resources")).items():
            for path, cursor in mapping(mapping(state).get("incremental")).items():
                value = mapping(cursor).get("last_value")
                yield Cursor(source=source, resource=resource, path=path, last_value=_shown(value), kind=_kind(value))


def _kind(value: object) -> Kind:
    if isinstance(value, str):
        typed = bool(value) and _PRIVATE_USE[0] <= value[0] <= _PRIVATE_USE[1]
        return _KINDS.get(value[0], "other") if typed else "text"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "other"


def _shown(value: object) -> str | None:
    """A cursor's value as text, without the private-use character that tells dlt its type."""
    if value is None:
        return None
    if isinstance(value, str):
        typed = value and _PRIVATE_USE[0] <= value[0] <= _PRIVATE_USE[1]
        return (value[1:] if typed else value)[:MAX_CURSOR]
    return json.dumps(value, default=str, ensure_ascii=False)[:MAX_CURSOR]
