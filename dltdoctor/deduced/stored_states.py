"""What the states that a destination stores tell about the loads of a pipeline. Pure.

dlt appends a state row in every load that changes the state, and records the load only when all of it is
done. A state that no load records, with a later recorded one of a higher version, was overtaken: the cursor
went on from it, although its load never ended (failure-modes §7).
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from dltdoctor.snapshot import (
    Cursor,
    Database,
    Pipeline,
    RowsAround,
    Schema,
    SchemaTable,
    State,
    StateRow,
    Value,
)
from dltdoctor.verdict import load_time


class Gap(Value):
    """What one cursor passed in a load: values after `after` (None: from the beginning) up to `upto`.

    `now` is the cursor in the recorded state that came next.
    """

    source: str
    resource: str
    path: str
    after: Cursor | None
    upto: Cursor
    now: Cursor | None = None


Histories = Mapping[tuple[str, str], tuple[StateRow, ...]]


class Overtaken(Value):
    """A state that no load records, between the recorded ones before and after it."""

    row: StateRow
    before: StateRow | None
    after: StateRow
    gaps: tuple[Gap, ...]


def histories(database: Database) -> Histories:
    """The stored states by dataset and pipeline, newest first, as dlt orders them."""
    found: dict[tuple[str, str], list[StateRow]] = {}
    for row in database.states:
        found.setdefault((row.dataset, row.pipeline_name), []).append(row)
    return {
        place: tuple(sorted(rows, key=lambda r: (r.load_id, r.version), reverse=True)) for place, rows in found.items()
    }


def rows_around(database: Database, dataset: str, load_id: str) -> Iterator[RowsAround]:
    """What is in the dataset's tables of this load, as far as it was looked up."""
    return (a for a in database.around if (a.dataset, a.load_id) == (dataset, load_id))


def is_purged(row: StateRow, pipeline: Pipeline, database: Database) -> bool:
    """Whether the load of the state was completed, and somebody has taken its row out of `_dlt_loads`.

    A package on this machine tells; else it is older than every load that is recorded, or none is
    recorded at all while rows of several such loads are there.
    """
    if row.status is not None:
        return False
    package = pipeline.package(row.load_id)
    if package is not None:
        return package.stage == "loaded" and not any(j.status != "completed" for j in package.jobs)
    recorded = [s.oldest for s in database.loads if s.dataset == row.dataset and s.rows]
    began = load_time(row.load_id)
    if recorded:
        return began is not None and began < min(recorded)
    there = {a.load_id for a in database.around if a.dataset == row.dataset and a.rows}
    others = {
        r.load_id
        for r in database.states
        if r.load_id in there and (r.dataset, r.pipeline_name) == (row.dataset, row.pipeline_name)
    }
    return row.load_id in there and len(others) > 1


def overtaken(rows: Sequence[StateRow]) -> tuple[Overtaken, ...]:
    """Of states, newest first, those that later ones have overtaken with cursors that moved and stayed.

    One with a newer state of the same or a lower version was taken back: its rows were read again.
    """
    found: list[Overtaken] = []
    passed, after = _overtaken_rows(rows)
    for row in passed:
        older = [r for r in rows if r.load_id < row.load_id and (r.status is not None or r in passed)]
        before = next((r for r in older if r.version < row.version), None)
        gaps = tuple(_passed(row, before, after[row.load_id]))
        if gaps:
            found.append(Overtaken(row=row, before=before, after=after[row.load_id], gaps=gaps))
    return tuple(found)


def _overtaken_rows(rows: Sequence[StateRow]) -> tuple[list[StateRow], dict[str, StateRow]]:
    """The overtaken rows, and by load id the recorded one that came next."""
    passed: list[StateRow] = []
    after: dict[str, StateRow] = {}
    recorded: StateRow | None = None
    lowest = 0
    for row in rows:
        if row.status is not None:
            recorded, lowest = row, row.version
        elif recorded is not None and row.version < lowest:
            passed.append(row)
            after[row.load_id] = recorded
            lowest = row.version
        else:
            lowest = min(lowest, row.version)
    return passed, after


def unrecorded(rows: Sequence[StateRow]) -> tuple[StateRow, ...]:
    """The states newer than every recorded one, newest first."""
    return tuple(itertools.takewhile(lambda row: row.status is None, rows))


def moved(state: State | None, before: State | None) -> Iterator[Gap]:
    """The cursors that have another value in a state than in the one before it."""
    known = {(c.source, c.resource, c.path): c for c in (before.cursors if before else ())}
    for cursor in state.cursors if state else ():
        was = known.get((cursor.source, cursor.resource, cursor.path))
        if cursor.last_value is not None and (was is None or was.last_value != cursor.last_value):
            after = was if was and was.last_value is not None else None
            yield Gap(source=cursor.source, resource=cursor.resource, path=cursor.path, after=after, upto=cursor)


def tables_of(resource: str, schemas: Iterable[Schema]) -> tuple[SchemaTable, ...]:
    """The root tables that a resource fills."""
    return tuple(t for s in schemas for t in s.data_tables if not t.is_nested and resource in (t.resource, t.name))


def _passed(row: StateRow, before: StateRow | None, after: StateRow) -> Iterator[Gap]:
    """Those of the moved cursors from which the next recorded state went on, and did not begin anew."""
    if after.state is None or (before is not None and before.state is None):
        return  # one of them could not be read
    now = {(c.source, c.resource, c.path): c for c in after.state.cursors}
    for gap in moved(row.state, before.state if before else None):
        then = now.get((gap.source, gap.resource, gap.path))
        if then is not None and then.last_value is not None and not is_behind(then, gap):
            yield msgspec.structs.replace(gap, now=then)


def is_behind(then: Cursor, gap: Gap) -> bool:
    """Whether the cursor stands before the end of the gap, seen in the direction in which it had moved."""
    if gap.after is not None and then.last_value == gap.after.last_value:
        return True
    came_down = gap.after is not None and is_less(gap.upto, gap.after)
    return is_less(gap.upto, then) if came_down else is_less(then, gap.upto)


def is_less(one: Cursor, other: Cursor) -> bool:
    a, b = one.last_value or "", other.last_value or ""
    if one.kind in ("number", "decimal"):
        try:
            return float(a) < float(b)
        except ValueError:
            pass
    return a < b
