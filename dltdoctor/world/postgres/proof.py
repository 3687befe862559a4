"""How staged rows are looked up in their final table, chosen from what is known before any row is read.

Best is `_dlt_id`, which dlt indexes; then dlt's primary key; then, in a small final table, all
common columns. A large final table is never scanned unless a deep look was asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from dltdoctor.snapshot import Column, Table
from dltdoctor.world.postgres.facts import HOLDS_ROWS, Facts, Key
from dltdoctor.world.requests import StagedTable

ROW_KEY, LOAD_ID, ROOT_KEY, PARENT_KEY = "_dlt_id", "_dlt_load_id", "_dlt_root_id", "_dlt_parent_id"

# Their `_dlt_id` is made of the key, so that an older load's row has the same: only the load id tells.
KEYED_BY_CONTENT = ("upsert", "cdc")
# They leave a row of an older load in place when the staged one has the same key.
KEEPS_OLDER = ("insert-only", "scd2")

_FAMILIES = {
    "text": "text",
    "character varying": "text",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
}
# Types without an equality operator, which are compared as text.
_NO_EQUALITY = frozenset({"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"})


class KeyColumn(NamedTuple):
    """A column to look up by; `as_text` when the two sides' types cannot be compared directly."""

    name: str
    as_text: bool


class Lookup(NamedTuple):
    """Key columns and whether each row is looked up by itself (an index, or a small table)."""

    keys: tuple[KeyColumn, ...]
    each: bool
    whole_row: bool = False


class Proof(NamedTuple):
    """What to compare. `by_key` finds rows that a newer load has replaced; `compared` are the other columns.

    `strict` counts a row as arrived only when the final row is of the same load.
    """

    kind: Literal["row-key", "primary-key", "columns"]
    lookup: Lookup
    by_key: Lookup | None
    compared: tuple[str, ...]
    strict: bool


def choose_proof(
    request: StagedTable, tables: Mapping[Key, Table], facts: Mapping[Key, Facts], *, deep: bool
) -> Proof | None:
    """The best proof there is, None when nothing can be compared."""
    staging = tables[request.staging, request.table]
    final = tables.get((request.final, request.table))
    known = facts.get((request.final, request.table))
    if final is None or known is None or not final.readable or final.kind not in HOLDS_ROWS:
        return None
    strategy = request.merge_strategy
    row_key = _lookup((ROW_KEY,), staging, final, known, deep=deep)
    primary_key = _lookup(request.primary_key, staging, final, known, deep=deep)
    if row_key:
        return Proof("row-key", row_key, primary_key, (), strategy in KEYED_BY_CONTENT)
    if primary_key:
        compared = tuple(_common(staging, final, {*request.primary_key, request.hard_delete}))
        return Proof("primary-key", primary_key, None, compared, strategy not in KEEPS_OLDER)
    common = tuple(_common(staging, final, {request.hard_delete}))
    if common and (deep or known.is_small):
        keys = tuple(KeyColumn(name, as_text=True) for name in common)
        return Proof("columns", Lookup(keys, each=not deep, whole_row=True), None, (), strict=False)
    return None


def _lookup(names: Sequence[str], staging: Table, final: Table, known: Facts, *, deep: bool) -> Lookup | None:
    keys = tuple(_keys(names, staging, final))
    if not names or len(keys) < len(names):
        return None
    indexed = names[0] in known.indexed and not keys[0].as_text
    if not (indexed or known.is_small or deep):
        return None
    return Lookup(keys, each=indexed or not deep)


def _keys(names: Sequence[str], staging: Table, final: Table) -> Iterator[KeyColumn]:
    for name in names:
        here, there = column(staging, name), column(final, name)
        if here and there:
            families = {_family(here), _family(there)}
            yield KeyColumn(name, as_text=len(families) > 1 or bool(families & _NO_EQUALITY))


def _family(of: Column) -> str:
    base = of.type.partition("(")[0]
    return _FAMILIES.get(base, base)


def _common(staging: Table, final: Table, without: set[str | None]) -> Iterator[str]:
    there = {c.name for c in final.columns}
    return (
        c.name for c in staging.columns if c.name in there and c.name not in without and not c.name.startswith("_dlt_")
    )


def column(table: Table, name: str) -> Column | None:
    """The column of that name, if the table has it."""
    return next((c for c in table.columns if c.name == name), None)
