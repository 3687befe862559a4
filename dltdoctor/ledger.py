"""From a snapshot to the ledger: for each pipeline and table, where its rows are and what that means.

Pure: the same snapshot gives the same ledger.
"""

from typing import Literal

import msgspec

Verdict = Literal[
    "healthy",
    "leftover",
    "stranded",
    "resumable",
    "in-flight",
    "false-commit",
    "missing",
    "hidden",
    "unknown",
]


class FinalSide(msgspec.Struct, frozen=True, kw_only=True):
    """The final table: `rows` is None when nothing could be counted or estimated."""

    dataset: str
    exists: bool
    rows: int | None
    exact: bool


class StagingSide(msgspec.Struct, frozen=True, kw_only=True):
    """The staging table, with the load ids of its rows in order."""

    dataset: str | None
    exists: bool
    rows: int | None
    exact: bool
    load_ids: tuple[str, ...]


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One table of one pipeline. `schema` is dlt's schema name, `parent` the table it nests in."""

    pipeline: str
    schema: str
    table: str
    parent: str | None
    final: FinalSide
    staging: StagingSide
    verdict: Verdict
