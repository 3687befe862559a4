"""What stands in the ledger: for each pipeline and table both sides, the verdict, and the reasons behind it."""

import msgspec

from dltdoctor.snapshot import Route, SchemaTable, Value
from dltdoctor.verdict import StagedVerdict, Verdict


class FinalSide(msgspec.Struct, frozen=True, kw_only=True):
    """The final table: None where it could not be looked at or counted."""

    dataset: str
    exists: bool | None
    rows: int | None
    exact: bool


class StagingSide(msgspec.Struct, frozen=True, kw_only=True):
    """The staging table, with the load ids of its rows in order."""

    dataset: str | None
    exists: bool | None
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


class Entry(Value):
    """A ledger row with the reasons behind it; `why` is one sentence for the row's verdict."""

    row: LedgerRow
    table: SchemaTable
    route: Route
    loads: tuple[StagedVerdict, ...] = ()
    why: str = ""

    def loads_with(self, verdict: Verdict) -> tuple[StagedVerdict, ...]:
        return tuple(load for load in self.loads if load.verdict == verdict)


class Ledger(Value):
    """The whole ledger, in the order of pipelines, schemas and tables."""

    entries: tuple[Entry, ...] = ()

    def with_verdict(self, *verdicts: Verdict) -> tuple[Entry, ...]:
        return tuple(e for e in self.entries if e.row.verdict in verdicts)

    def waits_in(self, staging: str, table: str) -> bool:
        """True when rows of the staging table have not reached the final one, as far as can be told."""
        return any(
            load.verdict != "leftover"
            for e in self.entries
            if e.row.table == table and e.row.staging.dataset == staging
            for load in e.loads
        )

    @property
    def rows(self) -> tuple[LedgerRow, ...]:
        return tuple(e.row for e in self.entries)
