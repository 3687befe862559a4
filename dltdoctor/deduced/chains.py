"""Conditions that lead from the rows of a root table to the rows nested in them, as SQL text. Pure."""

from collections.abc import Iterable

from dltdoctor.snapshot import Database, Schema, SchemaTable
from dltdoctor.words import qualified, quoted

ROW_KEY, PARENT_KEY, ROOT_KEY = "_dlt_id", "_dlt_parent_id", "_dlt_root_id"


def nested_first(schema: Schema, top: str, database: Database, dataset: str) -> tuple[SchemaTable, ...]:
    """The tables in and under `top` that are there, those nested deepest first and itself last."""
    known = schema.table(top)
    under = schema.chain(known.root) if known else ()
    there = [
        t for t in under if database.table(dataset, t.name) and top in (t.name, *(a.name for a in ancestors(schema, t)))
    ]
    return tuple(sorted(there, key=lambda t: (-len(ancestors(schema, t)), t.name)))


def ancestors(schema: Schema, table: SchemaTable) -> tuple[SchemaTable, ...]:
    """The tables above, the nearest first."""
    found: list[SchemaTable] = []
    while table.parent and (above := schema.table(table.parent)) and above not in found:
        found.append(above)
        table = above
    return tuple(found)


def below(schema: Schema, table: SchemaTable, chosen: str, *, dataset: str, top: str | None = None) -> str:
    """The condition that a row stands in or under the rows of `top` that `chosen` is true for; None is the root.

    `chosen` is a condition on the columns of that table.
    """
    condition, line = chosen, [table, *ancestors(schema, table)]
    names = [t.name for t in line]
    for name in reversed(names[1 : names.index(top) + 1 if top else None]):
        rows = f"SELECT {quoted(ROW_KEY)} FROM {qualified(dataset, name)} WHERE {condition}"
        condition = f"{quoted(PARENT_KEY)} IN ({rows})"
    return condition


def can_be_followed(tables: Iterable[SchemaTable], database: Database, dataset: str) -> bool:
    """Whether every table has the columns that the conditions need."""
    for table in tables:
        there = database.table(dataset, table.name)
        if there is None or not there.has(ROW_KEY) or (table.is_nested and not there.has(PARENT_KEY)):
            return False
    return True
