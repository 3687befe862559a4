"""Staged rows: of which load they are, and whether a sample of them is in the final table.

Small staging tables are cheap and large ones are bounded; a final table is never scanned unless it
is small or a deep look was asked for. Thousands of tables take a few dozen round trips.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from dltdoctor.snapshot import StagedLoad, Table, Unread
from dltdoctor.world.postgres.batches import BATCH, Progress, read_parts
from dltdoctor.world.postgres.dlt_tables import LOADS, own_tables
from dltdoctor.world.postgres.facts import HOLDS_ROWS, Facts, Key, read_facts
from dltdoctor.world.postgres.failures import FailedReadError
from dltdoctor.world.postgres.proof import Proof, choose_proof
from dltdoctor.world.postgres.session import Session
from dltdoctor.world.requests import StagedTable

# A sample must be looked up by index: without statistics the planner may take a scan for cheap.
_BY_INDEX = {"enable_seqscan": "off"}
_NAMED = 3

Tables = Mapping[Key, Table]
Counts = Mapping[str | None, int]
Failures = dict[Key, FailedReadError]


class _Look(NamedTuple):
    """What every step of one reading needs; `failures` is filled on the way."""

    session: Session
    tables: Tables
    deep: bool
    failures: Failures

    @property
    def batch(self) -> int:
        return 1 if self.deep else BATCH


class _Proved(NamedTuple):
    sampled: int
    arrived: int
    superseded: int
    proof: Proof
    differing: tuple[str, ...]


def read_staged(
    session: Session,
    requests: Sequence[StagedTable],
    tables: Tables,
    *,
    deep: bool,
    progress: Progress | None = None,
) -> tuple[tuple[StagedLoad, ...], tuple[Unread, ...]]:
    """What is staged, for each request and load, in the order of the requests; empty tables yield nothing.

    Where the final table is absent or may not be read, nothing is sampled and the proof is "none".
    Of a table with more than a thousand loads the newest thousand are listed, and fifty proved.
    """
    look = _Look(session, tables, deep, failures={})
    filled, facts = _filled(look, requests)
    counts = _counts(look, filled, _share(progress, 0, len(filled)))
    proofs = _proofs(look, filled, facts, counts, _share(progress, 1, len(filled)))
    listed = _listed(look, filled, counts)
    staged = tuple(
        _staged_load(request, load_id, rows, proofs.get((i, load_id)), listed, exact=deep or _is_whole(counts[i]))
        for i, request in enumerate(filled)
        for load_id, rows in counts.get(i, {}).items()
    )
    return staged, tuple(_unread(look.failures))


def _filled(look: _Look, requests: Sequence[StagedTable]) -> tuple[list[StagedTable], Mapping[Key, Facts]]:
    """The requests whose staging table may be read and is not of size zero."""
    readable: list[StagedTable] = []
    for request in requests:
        table = look.tables.get((request.staging, request.table))
        if table is not None and table.kind in HOLDS_ROWS:
            if table.readable:
                readable.append(request)
            else:
                look.failures[table.schema, table.name] = FailedReadError.not_allowed()
    keys = {(r.staging, r.table) for r in readable} | {(r.final, r.table) for r in readable}
    asked = [t for t in map(look.tables.get, sorted(keys)) if t and t.readable and t.kind in HOLDS_ROWS]
    measured = read_facts(look.session, asked)
    look.failures.update(measured.failures)
    sizes = {key: facts.size for key, facts in measured.facts.items()}
    return [r for r in readable if sizes.get((r.staging, r.table), 0) != 0], measured.facts


def _counts(look: _Look, filled: Sequence[StagedTable], progress: Progress | None) -> Mapping[int, Counts]:
    """Rows by load id, for each request by its index."""
    from dltdoctor.world.postgres import staged_sql  # noqa: PLC0415 - it needs psycopg

    parts = (
        staged_sql.counts(i, request, staged_sql.source_of(request, look.tables), deep=look.deep)
        for i, request in enumerate(filled)
    )
    reading = read_parts(look.session, parts, size=look.batch, progress=progress, of=len(filled))
    look.failures.update({(filled[i].staging, filled[i].table): why for i, why in reading.failures.items()})
    counts: dict[int, dict[str | None, int]] = defaultdict(dict)
    for i, load_id, rows in reading.rows:
        counts[i][load_id] = rows
    return counts


def _proofs(
    look: _Look,
    filled: Sequence[StagedTable],
    facts: Mapping[Key, Facts],
    counts: Mapping[int, Counts],
    progress: Progress | None,
) -> Mapping[tuple[int, str | None], _Proved]:
    """What the look-ups found, by the request's index and the load id.

    Only where rows have not arrived is it asked whether a newer load has replaced them.
    """
    chosen = {i: choose_proof(filled[i], look.tables, facts, deep=look.deep) for i in sorted(counts)}
    proofs = {i: proof for i, proof in chosen.items() if proof}
    first = {i: proof._replace(by_key=None) for i, proof in proofs.items()}
    found = _prove(look, filled, first, counts, progress)
    open_ones = {i for (i, _), proved in found.items() if proved.arrived + proved.superseded < proved.sampled}
    second = {i: proofs[i] for i in sorted(open_ones) if proofs[i].by_key}
    return found | _prove(look, filled, second, counts, None)


def _prove(
    look: _Look,
    filled: Sequence[StagedTable],
    proofs: Mapping[int, Proof],
    counts: Mapping[int, Counts],
    progress: Progress | None,
) -> dict[tuple[int, str | None], _Proved]:
    from dltdoctor.world.postgres import staged_sql  # noqa: PLC0415

    order = list(proofs)
    parts = (
        staged_sql.proof_of(part, filled[i], look.tables, proofs[i], counts[i], deep=look.deep)
        for part, i in enumerate(order)
    )
    settings = {} if look.deep else _BY_INDEX
    reading = read_parts(look.session, parts, size=look.batch, settings=settings, progress=progress, of=len(order))
    for part, failure in reading.failures.items():
        look.failures[filled[order[part]].final, filled[order[part]].table] = failure
    found: dict[tuple[int, str | None], _Proved] = {}
    for part, load_id, sampled, arrived, superseded, lost in reading.rows:
        proof = proofs[order[part]]
        differing = tuple(name for name, is_lost in zip(proof.compared, lost, strict=True) if is_lost)
        found[order[part], load_id] = _Proved(sampled, arrived, superseded, proof, differing)
    return found


def _listed(look: _Look, filled: Sequence[StagedTable], counts: Mapping[int, Counts]) -> Mapping[str, frozenset[str]]:
    """Which of the staged load ids the `_dlt_loads` of each dataset lists."""
    from dltdoctor.world.postgres import dlt_sql  # noqa: PLC0415

    wanted: dict[str, set[str]] = defaultdict(set)
    for i, loads in counts.items():
        for dataset in filled[i].loads_of:
            wanted[dataset].update(load_id for load_id in loads if load_id)
    own = [table for table in own_tables(look.tables, LOADS, ("load_id",)) if wanted.get(table.schema)]
    parts = [dlt_sql.listed_loads(i, table, sorted(wanted[table.schema])) for i, table in enumerate(own)]
    reading = read_parts(look.session, parts)
    look.failures.update({(own[i].schema, LOADS): why for i, why in reading.failures.items()})
    look.failures.update(
        {
            (dataset, LOADS): FailedReadError.not_allowed()
            for dataset in wanted
            if (dataset, LOADS) in look.tables and not look.tables[dataset, LOADS].readable
        }
    )
    listed: dict[str, set[str]] = defaultdict(set)
    for i, load_id in reading.rows:
        listed[own[i].schema].add(load_id)
    return {dataset: frozenset(ids) for dataset, ids in listed.items()}


def _staged_load(
    request: StagedTable,
    load_id: str | None,
    rows: int,
    proved: _Proved | None,
    listed: Mapping[str, frozenset[str]],
    *,
    exact: bool,
) -> StagedLoad:
    return StagedLoad(
        staging=request.staging,
        table=request.table,
        final=request.final,
        load_id=load_id,
        rows=rows,
        exact=exact,
        committed_in=tuple(d for d in request.loads_of if load_id in listed.get(d, ())),
        sampled=proved.sampled if proved else 0,
        arrived=proved.arrived if proved else 0,
        superseded=proved.superseded if proved else 0,
        proof=proved.proof.kind if proved else "none",
        differing=proved.differing if proved else (),
    )


def _is_whole(loads: Counts) -> bool:
    from dltdoctor.world.postgres.staged_sql import MOST_LOADS, MOST_ROWS  # noqa: PLC0415

    return sum(loads.values()) < MOST_ROWS and len(loads) < MOST_LOADS


def _share(progress: Progress | None, turn: int, of: int) -> Progress | None:
    """The same bar for two turns: counting, then proving."""
    return None if progress is None else lambda done, _: progress((turn * of + done) // 2, of)


def _unread(failures: Failures) -> Iterator[Unread]:
    """One value for all the tables of a dataset that failed for one reason."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for (dataset, table), failure in failures.items():
        groups[dataset, failure.reason].append(table)
    for (dataset, _), names in groups.items():
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        what = ", ".join(f"{dataset}.{name}" for name in names[:_NAMED]) + more
        unread = failures[dataset, names[0]].unread(what, "catalog", "ledger", dataset=dataset)
        yield msgspec.structs.replace(unread, tables=tuple(names))
