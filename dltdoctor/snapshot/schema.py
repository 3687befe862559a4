"""What dlt's stored schemas say."""

from collections.abc import Mapping
from typing import Literal

from dltdoctor.snapshot.value import Value

Disposition = Literal["append", "replace", "merge", "skip"]


class SchemaColumn(Value, gc=False):
    """A column of a dlt schema. Without `data_type` it is incomplete: dlt never creates it.

    `valid_from`, `valid_to` and `row_version` mark the columns that the scd2 merge strategy keeps
    (`row_version` also those that upsert compares).
    """

    name: str
    data_type: str | None = None
    nullable: bool = True
    primary_key: bool = False
    merge_key: bool = False
    hard_delete: bool = False
    dedup_sort: str | None = None
    unique: bool = False
    row_key: bool = False
    root_key: bool = False
    parent_key: bool = False
    incremental: bool = False
    variant: bool = False
    valid_from: bool = False
    valid_to: bool = False
    row_version: bool = False


class SchemaTable(Value):
    """A table of a dlt schema, with what it inherits from its root table already filled in.

    `merge_strategy` is set only where `disposition` is merge. `seen_data` is None when the schema
    was written by a dlt (or a person) that does not record it. `contract` is the schema contract that
    counts for it, the schema's own where the table has none. `is_scoped` is true with a destination
    scope, which limits what scd2 retires and cdc deletes (dlt 1.30 and newer).
    """

    name: str
    root: str
    parent: str | None = None
    resource: str | None = None
    disposition: Disposition = "append"
    merge_strategy: str | None = None
    replace_strategy: str | None = None
    columns: tuple[SchemaColumn, ...] = ()
    seen_data: bool | None = None
    contract: Mapping[str, str] | None = None
    is_scoped: bool = False

    @property
    def is_nested(self) -> bool:
        return self.parent is not None

    @property
    def is_dlt_own(self) -> bool:
        return self.name.startswith("_dlt_")

    @property
    def primary_key(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns if c.primary_key)

    @property
    def merge_keys(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns if c.merge_key)

    def has(self, column: str) -> bool:
        return any(c.name == column for c in self.columns)


class Schema(Value):
    """A dlt schema as stored in a working dir, a load package or a `_dlt_version` row.

    `origin` is the file path or the qualified table it was read from. `naming` is the last part of
    the naming convention's module name, e.g. "snake_case".
    """

    name: str
    origin: str
    version: int = 0
    version_hash: str = ""
    engine_version: int = 0
    naming: str = "snake_case"
    max_identifier_length: int | None = None
    tables: Mapping[str, SchemaTable] = {}

    def table(self, name: str) -> SchemaTable | None:
        return self.tables.get(name)

    def chain(self, root: str) -> tuple[SchemaTable, ...]:
        """The root table and every table nested under it, parents first as stored."""
        return tuple(t for t in self.tables.values() if t.root == root)

    @property
    def data_tables(self) -> tuple[SchemaTable, ...]:
        return tuple(t for t in self.tables.values() if not t.is_dlt_own)
