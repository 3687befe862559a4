"""How many rows there are, without counting more than a look is worth.

An empty file is no rows, a small table is counted, of a large one the planner's estimate is taken
unless a deep look was asked for.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from dltdoctor.snapshot import NullCount, Rows, Table
from dltdoctor.world.postgres.batches import BATCH, Progress, read_parts
from dltdoctor.world.postgres.dlt_tables import LOADS
from dltdoctor.world.postgres.facts import HOLDS_ROWS, Facts, Key, read_facts
from dltdoctor.world.postgres.failures import FailedReadError
from dltdoctor.world.postgres.proof import LOAD_ID
from dltdoctor.world.postgres.session import Session
from dltdoctor.world.requests import NullsByWriter

COUNTED = 256 * 1024
MOST_SCANNED = 100_000
MOST_BYTES = 80 * 1024 * 1024
WHOLE = 100.0

_UNKNOWN = Rows(rows=None, exact=False)


def read_counts(
    session: Session, tables: Sequence[Table], *, deep: bool, progress: Progress | None = None
) -> Mapping[Key, Rows]:
    """The rows of each table. What may not or could not be read is `Rows(rows=None, exact=False)`.

    The estimate is the planner's for the table's present size: fresher than reltuples, and there
    without statistics, too. A table that is not of size zero may still be empty: that is looked up.
    """
    readable = [t for t in tables if t.readable and t.kind in HOLDS_ROWS]
    facts = read_facts(session, readable).facts
    found: dict[Key, Rows] = {(t.schema, t.name): _UNKNOWN for t in tables}
    found |= {key: Rows(rows=0) for key, known in facts.items() if known.size == 0}
    filled = [t for t in readable if (t.schema, t.name) in facts and facts[t.schema, t.name].size != 0]
    counted = [t for t in filled if deep or _is_countable(facts[t.schema, t.name])]
    estimated = [t for t in filled if not (deep or _is_countable(facts[t.schema, t.name]))]
    found |= _counts(session, counted, size=1 if deep else BATCH, progress=progress)
    return found | _estimates(session, estimated)


def read_nulls(
    session: Session, requests: Sequence[NullsByWriter], tables: Mapping[Key, Table], *, deep: bool
) -> tuple[NullCount, ...]:
    """The NULLs of each request; one whose table or `_dlt_loads` cannot be read is left out.

    Without a deep look at most 100,000 rows from all over the table are scanned; `exact` says
    whether these were all.
    """
    from dltdoctor.world.postgres import rows_sql  # noqa: PLC0415 - it needs psycopg

    able = [request for request in requests if _can_tell(request, tables)]
    facts = read_facts(session, [tables[r.dataset, r.table] for r in able]).facts
    asked = [
        (r, WHOLE if deep else share(tables[r.dataset, r.table], facts[r.dataset, r.table]))
        for r in able
        if (r.dataset, r.table) in facts
    ]
    most_rows = None if deep else MOST_SCANNED + 1
    parts = [rows_sql.nulls(i, r, share=share, most_rows=most_rows) for i, (r, share) in enumerate(asked)]
    return tuple(
        NullCount(
            dataset=asked[i][0].dataset,
            table=asked[i][0].table,
            schema_name=asked[i][0].schema_name,
            columns=asked[i][0].columns,
            rows=nulls,
            exact=deep or (asked[i][1] >= WHOLE and seen <= MOST_SCANNED),
        )
        for i, seen, nulls in sorted(read_parts(session, parts, size=1 if deep else BATCH).rows)
    )


def _is_countable(known: Facts) -> bool:
    return known.size is not None and known.size <= COUNTED


def _counts(session: Session, tables: Sequence[Table], *, size: int, progress: Progress | None) -> dict[Key, Rows]:
    from dltdoctor.world.postgres import rows_sql  # noqa: PLC0415

    parts = (rows_sql.count(i, table) for i, table in enumerate(tables))
    rows = read_parts(session, parts, size=size, progress=progress, of=len(tables)).rows
    return {(tables[i].schema, tables[i].name): Rows(rows=number) for i, number in rows}


def _estimates(session: Session, tables: Sequence[Table]) -> dict[Key, Rows]:
    from dltdoctor.world.postgres import rows_sql  # noqa: PLC0415

    parts = (rows_sql.holds_rows(i, table) for i, table in enumerate(tables))
    answers: dict[int, bool] = dict(read_parts(session, parts).rows)
    found = {(tables[i].schema, tables[i].name): Rows(rows=0) for i, holds in answers.items() if not holds}
    filled = [tables[i] for i, holds in sorted(answers.items()) if holds]
    for start in range(0, len(filled), BATCH):
        batch = filled[start : start + BATCH]
        try:
            found |= _planned(session, batch)
        except FailedReadError:
            # One of them was locked or dropped since: the others still have their estimate.
            for table in batch:
                try:
                    found |= _planned(session, [table])
                except FailedReadError:
                    found[table.schema, table.name] = _UNKNOWN
    return found


def _planned(session: Session, tables: Sequence[Table]) -> dict[Key, Rows]:
    from dltdoctor.world.postgres import rows_sql  # noqa: PLC0415

    plan: dict[str, Any] = session.fetch(rows_sql.explain(tables))[0][0][0]["Plan"]
    aggregates = plan["Plans"] if len(tables) > 1 else [plan]
    return {
        (table.schema, table.name): Rows(rows=max(1, int(aggregate["Plans"][0]["Plan Rows"])), exact=False)
        for table, aggregate in zip(tables, aggregates, strict=True)
    }


def _can_tell(request: NullsByWriter, tables: Mapping[Key, Table]) -> bool:
    table, loads = tables.get((request.dataset, request.table)), tables.get((request.dataset, LOADS))
    if table is None or loads is None or not request.columns:
        return False
    readable = all(t.readable and t.kind in HOLDS_ROWS for t in (table, loads))
    has_columns = all(table.has(name) for name in (LOAD_ID, *request.columns))
    return readable and has_columns and loads.has("load_id") and loads.has("schema_name")


def share(table: Table, known: Facts) -> float:
    """The percentage of the table's pages that holds about as many rows as may be scanned."""
    if table.estimate > 0:
        percentage = WHOLE * MOST_SCANNED / table.estimate
    else:
        percentage = WHOLE * MOST_BYTES / known.size if known.size else WHOLE
    return min(WHOLE, percentage)
