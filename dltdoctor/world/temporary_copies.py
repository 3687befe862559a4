"""SQL that copies one load's staged rows into temporary tables, so that dlt's merge sees no other load's."""

from collections.abc import Sequence

from dltdoctor.snapshot import Value
from dltdoctor.words import literal, qualified, quoted
from dltdoctor.world.dlt_merge import TEMPORARY


class CopiedTable(Value):
    """A table of a chain; `parent` is None for its root."""

    name: str
    root: str
    parent: str | None
    has_root_key: bool


def copy_statements(tables: Sequence[CopiedTable], staging: str, load_id: str) -> tuple[str, ...]:
    """A temporary table for each, parents first, with the rows of the load and what hangs on them."""
    return tuple(
        f"CREATE TEMPORARY TABLE {quoted(t.name)} AS SELECT * FROM {qualified(staging, t.name)}"
        f" WHERE {_is_of_load(t, load_id)}"
        for t in tables
    )


def drop_statements(tables: Sequence[CopiedTable]) -> tuple[str, ...]:
    """The removal of these temporary tables."""
    return tuple(f"DROP TABLE {qualified(TEMPORARY, t.name)}" for t in reversed(tables))


def _is_of_load(table: CopiedTable, load_id: str) -> str:
    if table.parent is None:
        return f"_dlt_load_id = {literal(load_id)}"
    if table.has_root_key:
        return f"_dlt_root_id IN (SELECT _dlt_id FROM {qualified(TEMPORARY, table.root)})"
    return f"_dlt_parent_id IN (SELECT _dlt_id FROM {qualified(TEMPORARY, table.parent)})"
