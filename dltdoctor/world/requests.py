"""What to ask a database for, once its catalog and its `_dlt_*` tables are known."""

from dltdoctor.snapshot import Value


class StagedTable(Value):
    """A staging table to be compared with its final table.

    `lineage` leads from the table to its root, the table first: ("orders__items", "orders"); a root
    table has only itself. `loads_of` are the datasets whose `_dlt_loads` may list its loads (several
    where a static layout shares the staging dataset). `primary_key` is dlt's, perhaps empty.
    """

    staging: str
    final: str
    table: str
    lineage: tuple[str, ...]
    loads_of: tuple[str, ...]
    primary_key: tuple[str, ...] = ()
    hard_delete: str | None = None


class NullsByWriter(Value):
    """Rows of `table` last written by a load of `schema_name` in which all of `columns` are NULL."""

    dataset: str
    table: str
    schema_name: str
    columns: tuple[str, ...]
