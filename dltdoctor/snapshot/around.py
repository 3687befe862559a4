"""What final tables hold of loads that no row of `_dlt_loads` records."""

from dltdoctor.snapshot.value import Value


class RowsAround(Value, gc=False):
    """Rows of one load in one table, and rows of older loads; where not `exact`, the least there are."""

    dataset: str
    table: str
    load_id: str
    rows: int
    older: int
    exact: bool = True
