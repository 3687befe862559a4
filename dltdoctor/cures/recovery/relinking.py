"""Nested rows that another pipeline's merge has cut off: they hang on a root row that is not there any more.

A pipeline that does not know the nested tables deletes the root row of a key and inserts another one
with a `_dlt_id` of its own; the nested rows stay, and belong to the new row of that key.
"""

from collections.abc import Iterator, Sequence

from dltdoctor.cures.recovery.chain import PARENT_KEY, ROOT_KEY, ROW_KEY, Chain
from dltdoctor.cures.recovery.replay import Copies
from dltdoctor.words import qualified, quoted


def relinks(chain: Chain, copies: Copies, tables: Sequence[str], same: str) -> Iterator[tuple[str, str]]:
    """A nested table and a statement that hangs its rows on the root rows of now.

    `same` tells the row `f` of now from the row `s` that the pipeline had loaded for the same key.
    """
    root = qualified(*chain.place)
    gone = f"NOT EXISTS (SELECT FROM {root} AS r WHERE r.{quoted(ROW_KEY)} = s.{quoted(ROW_KEY)})"
    for table in (t for t in tables if t in copies.names):
        held = chain.held(table)
        for column in (c for c in (ROOT_KEY, PARENT_KEY) if held and held.has(c)):
            statement = (
                f"UPDATE {qualified(chain.final, table)} AS c SET {quoted(column)} = f.{quoted(ROW_KEY)}"
                f" FROM {copies.of(chain.root)} AS s, {root} AS f"
                f" WHERE c.{quoted(column)} = s.{quoted(ROW_KEY)} AND {same} AND {gone}"
            )
            yield table, statement
