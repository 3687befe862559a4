"""What to ask a database for, once its catalog and its `_dlt_*` tables are known."""

from dltdoctor.snapshot import Value


class StagedTable(Value):
    """A staging table to be compared with its final table.

    `lineage` leads from the table to its root, the table first: ("orders__items", "orders"); a root
    table has only itself. `loads_of` are the datasets whose `_dlt_loads` may list its loads (several
    where a static layout shares the staging dataset). `primary_key` is dlt's, perhaps empty.
    `merge_strategy` tells whether a final row of an older load counts as arrived: upsert makes
    `_dlt_id` of the key, so a row that was never merged is found there, too; scd2 and insert-only
    leave the older row on purpose.
    """

    staging: str
    final: str
    table: str
    lineage: tuple[str, ...]
    loads_of: tuple[str, ...]
    primary_key: tuple[str, ...] = ()
    hard_delete: str | None = None
    merge_strategy: str | None = None


class NullsByWriter(Value):
    """Rows of `table` last written by a load of `schema_name` in which all of `columns` are NULL.

    With `filled_by`, only rows that were written after the first load of these schema names: a value
    that came later cannot have been lost.
    """

    dataset: str
    table: str
    schema_name: str
    columns: tuple[str, ...]
    filled_by: tuple[str, ...] = ()
