"""What a bounded look into final tables has shown.

`exact` is true where every row was looked at; otherwise a number is the least there is, or an estimate of the
planner. A table that was not looked at, or that is well, has no value here.
"""

from dltdoctor.snapshot.value import Value


class UnlistedRows(Value, gc=False):
    """Final rows of one load that the dataset's `_dlt_loads` does not list; those of `listed_in` do."""

    dataset: str
    table: str
    load_id: str
    rows: int
    exact: bool = True
    listed_in: tuple[str, ...] = ()


class RowsOfLoad(Value, gc=False):
    """Rows of one load in a table that was asked about; `listed` when the dataset's `_dlt_loads` lists it."""

    dataset: str
    table: str
    load_id: str
    rows: int
    exact: bool = True
    listed: bool = False


class RepeatedKey(Value, gc=False):
    """Values of `columns` that stand in several rows: `keys` such values, `surplus` rows more than that.

    `valid_to` is the column of an scd2 table of which only the valid versions were looked at.
    """

    dataset: str
    table: str
    columns: tuple[str, ...]
    keys: int
    surplus: int
    valid_to: str | None = None


class Orphans(Value, gc=False):
    """Nested rows whose row above is not there; `above` is that table, `link` the column that leads to it."""

    dataset: str
    table: str
    above: str
    link: str
    rows: int
    exact: bool = True


class VariantRows(Value, gc=False):
    """Rows with a value in a variant column and NULL in the column that it stands beside.

    `beside` are the rows with a value in the column itself, None when they were not counted.
    """

    dataset: str
    table: str
    column: str
    variant: str
    rows: int
    beside: int | None = None
    exact: bool = True


class Looks(Value):
    """Everything that was seen in final tables."""

    unlisted: tuple[UnlistedRows, ...] = ()
    of_loads: tuple[RowsOfLoad, ...] = ()
    repeated: tuple[RepeatedKey, ...] = ()
    orphans: tuple[Orphans, ...] = ()
    variants: tuple[VariantRows, ...] = ()
