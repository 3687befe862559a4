"""Which rows of a repeated key are too many, as SQL text. Pure.

The row that stays is the one of the newest load; of one load, the one that stands last.
"""

from dltdoctor.snapshot import RepeatedKey
from dltdoctor.words import identifier, qualified, quoted, relation

LOAD_ID, ROW_KEY = "_dlt_load_id", "_dlt_id"


def listing(repeated: RepeatedKey) -> str:
    """The query that shows the repeated keys."""
    keys = ", ".join(identifier(c) for c in repeated.columns)
    valid = f" where {identifier(repeated.valid_to)} is null" if repeated.valid_to else ""
    place = relation(repeated.dataset, repeated.table)
    return f"select {keys}, count(*) from {place}{valid} group by {keys} having count(*) > 1"


def surplus(repeated: RepeatedKey, *, with_load_id: bool, what: str = ROW_KEY) -> str:
    """The query of the rows that are too many, by their row key or by `what`."""
    keys = ", ".join(quoted(c) for c in repeated.columns)
    known = [f"{quoted(c)} IS NOT NULL" for c in repeated.columns]
    if repeated.valid_to:
        known.append(f"{quoted(repeated.valid_to)} IS NULL")
    newest = [f'{quoted(LOAD_ID)}::text COLLATE "C" DESC'] if with_load_id else []
    order = ", ".join([*newest, "ctid DESC"])
    numbered = (
        f"SELECT {what}, row_number() OVER (PARTITION BY {keys} ORDER BY {order}) AS nth "
        f"FROM {qualified(repeated.dataset, repeated.table)} WHERE {' AND '.join(known)}"
    )
    return f"SELECT {what} FROM ({numbered}) AS r WHERE nth > 1"


def deletion(repeated: RepeatedKey, *, with_load_id: bool) -> str:
    """The statement that deletes what is too many, for a person: by the place of the row."""
    rows = surplus(repeated, with_load_id=with_load_id, what="ctid")
    return f"DELETE FROM {relation(repeated.dataset, repeated.table)} WHERE ctid IN ({rows});"


def retirement(repeated: RepeatedKey) -> str:
    """The statement that ends all valid versions of a key but the newest."""
    rows = surplus(repeated, with_load_id=True, what="ctid")
    place = relation(repeated.dataset, repeated.table)
    return f"UPDATE {place} SET {identifier(repeated.valid_to or '')} = now() WHERE ctid IN ({rows});"
