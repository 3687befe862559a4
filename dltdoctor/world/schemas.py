"""dlt schemas as stored in working dirs, load packages and `_dlt_version` rows.

Reads what every dlt wrote since schema engine 3 (2022), and what people paste into bug reports.
What a nested table inherits from its root is filled in, as dlt's `get_inherited_table_hint` does.
"""

import sys
from collections.abc import Iterator, Mapping
from typing import cast, get_args

from dltdoctor.snapshot import Disposition, Schema, SchemaColumn, SchemaTable
from dltdoctor.world.documents import Document, mapping, named, number, stored_document, text, texts
from dltdoctor.world.unreadable import UnreadableError

OLDEST_ENGINE, NEWEST_ENGINE = 3, 11
DEFAULT_MERGE_STRATEGY = "delete-insert"
DEFAULT_NAMING = "snake_case"
CONTRACT_ENTITIES = ("tables", "columns", "data_type")

_SEEN_DATA_SINCE = 9  # older engines did not record it; dlt's migration takes `_dlt_id` for proof
_ROW_KEY_SINCE = 10  # older engines spelled it as `unique` on `_dlt_id`, and parent_key as foreign_key
_DISPOSITIONS: frozenset[str] = frozenset(get_args(Disposition))


def read_schema(document: Document, origin: str, *, name: str = "") -> Schema:
    """The schema in a decoded document; `name` stands in when the document has none.

    Raises `UnreadableError` for an engine version that is not known.
    """
    engine = _engine(document, origin)
    tables = {table: mapping(content) for table, content in named(document.get("tables"))}
    contract = _contract(mapping(document.get("settings")).get("schema_contract"))
    return Schema(
        name=text(document.get("name")) or name,
        origin=origin,
        version=number(document.get("version")) or 0,
        version_hash=text(document.get("version_hash")) or "",
        engine_version=engine,
        naming=_naming(document),
        tables={table: _table(table, tables, engine, contract) for table in tables},
    )


def decode_stored_schema(stored: str, origin: str) -> Schema:
    """The schema of a `_dlt_version` row: JSON, or base64 of zlib of JSON when that was shorter."""
    return read_schema(stored_document(stored, origin), origin)


def _engine(document: Document, origin: str) -> int:
    stored = document.get("engine_version")
    if stored is None:
        return 0
    engine = number(stored)
    if engine is None or engine > NEWEST_ENGINE:
        reason = f"unknown schema engine version {stored!r:.40} (known: {OLDEST_ENGINE} to {NEWEST_ENGINE})"
        raise UnreadableError(origin, reason, "It was written by a newer dlt: update dltdoctor.")
    if engine < OLDEST_ENGINE:
        reason = f"schema engine version {engine} is too old (known: {OLDEST_ENGINE} to {NEWEST_ENGINE})"
        raise UnreadableError(origin, reason, "Any later dlt migrates it on its next run.")
    return engine


def _naming(document: Document) -> str:
    """The last part of the naming convention's module, from a name, a module path or an object."""
    names = mapping(document.get("normalizers")).get("names")
    reference = text(names) or text(mapping(names).get("module")) or text(mapping(names).get("name"))
    return (reference or DEFAULT_NAMING).rsplit(".", 1)[-1]


def _table(
    name: str, tables: Mapping[str, Document], engine: int, contract: Mapping[str, str] | None = None
) -> SchemaTable:
    content = tables[name]
    lineage = tuple(_lineage(name, tables))
    disposition, strategy = _disposition(_inherited("write_disposition", lineage, tables))
    merge_strategy = text(_inherited("x-merge-strategy", lineage, tables)) or strategy
    own_contract = _inherited("schema_contract", lineage, tables)
    return SchemaTable(
        name=name,
        root=lineage[-1],
        parent=text(content.get("parent")),
        resource=text(_inherited("resource", lineage, tables)) or lineage[-1],
        disposition=disposition,
        merge_strategy=(merge_strategy or DEFAULT_MERGE_STRATEGY) if disposition == "merge" else None,
        replace_strategy=text(_inherited("x-replace-strategy", lineage, tables)),
        columns=tuple(_columns(content, engine)),
        seen_data=_seen_data(content, engine),
        contract=contract if own_contract is None else _contract(own_contract),
        is_scoped=_inherited("x-merge-destination-scope", lineage, tables) is not None,
    )


def _contract(stored: object) -> Mapping[str, str] | None:
    """The modes by entity; a mode alone stands for all of them."""
    if mode := text(stored):
        return dict.fromkeys(CONTRACT_ENTITIES, mode)
    return {entity: mode for entity, given in mapping(stored).items() if (mode := text(given))} or None


def _lineage(name: str, tables: Mapping[str, Document]) -> Iterator[str]:
    """The table and those it nests in, up to the root; a ring of parents is cut where it closes."""
    seen = set[str]()
    table: str | None = name
    while table is not None and table not in seen:
        seen.add(table)
        yield table
        table = text(tables.get(table, {}).get("parent"))


def _inherited(hint: str, lineage: tuple[str, ...], tables: Mapping[str, Document]) -> object:
    found = (tables[table][hint] for table in lineage if tables.get(table, {}).get(hint) is not None)
    return next(found, None)


def _disposition(stored: object) -> tuple[Disposition, str | None]:
    """The disposition, and the merge strategy where source code's long form was pasted."""
    long_form = mapping(stored)
    word = text(stored) or text(long_form.get("disposition")) or "append"
    known = cast("Disposition", word) if word in _DISPOSITIONS else "append"
    return known, text(long_form.get("strategy"))


def _seen_data(content: Document, engine: int) -> bool | None:
    recorded = mapping(content.get("x-normalizer")).get("seen-data")
    if recorded is not None:
        return bool(recorded)
    if engine >= _SEEN_DATA_SINCE:
        return False
    has_row_key = any(name == "_dlt_id" for name, _ in named(content.get("columns")))
    return True if engine and has_row_key else None


def _columns(content: Document, engine: int) -> Iterator[SchemaColumn]:
    """The columns, with keys that stand at the table, as in source code, given to their columns."""
    keys = {hint: texts(content.get(hint)) for hint in ("primary_key", "merge_key")}
    rest = dict.fromkeys(name for names in keys.values() for name in names)
    for name, column in named(content.get("columns")):
        rest.pop(name, None)
        yield _column(name, column, engine, keys)
    for name in rest:
        yield _column(name, {}, engine, keys)


def _column(name: str, content: object, engine: int, keys: Mapping[str, tuple[str, ...]]) -> SchemaColumn:
    column = mapping(content)
    # a column may be given as its type alone, but in an array a string is its name
    given = text(column.get("data_type")) or (text(content) if content != name else None)
    data_type = sys.intern("json" if given == "complex" else given) if given else None  # a dozen in 100,000 columns
    old = engine < _ROW_KEY_SINCE
    unique = bool(column.get("unique"))
    return SchemaColumn(
        name=name,
        data_type=data_type,
        nullable=column.get("nullable") is not False,
        primary_key=bool(column.get("primary_key")) or name in keys["primary_key"],
        merge_key=bool(column.get("merge_key")) or name in keys["merge_key"],
        hard_delete=bool(column.get("hard_delete")),
        dedup_sort=text(column.get("dedup_sort")),
        unique=unique,
        row_key=bool(column.get("row_key")) or (old and unique and name == "_dlt_id"),
        root_key=bool(column.get("root_key")),
        parent_key=bool(column.get("parent_key")) or bool(column.get("foreign_key")),
        incremental=bool(column.get("incremental")),
        variant=bool(column.get("variant")),
        valid_from=bool(column.get("x-valid-from")),
        valid_to=bool(column.get("x-valid-to")),
        row_version=bool(column.get("x-row-version")),
    )
