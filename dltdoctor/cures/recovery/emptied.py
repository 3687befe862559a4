"""A table that was emptied: its packages replayed, and what is missing inserted, whole chains at a time."""

from collections.abc import Iterator, Sequence

import msgspec

from dltdoctor.cures.recovery.chain import PARENT_KEY, ROW_KEY, Chain, chain_tables, parents, strategy
from dltdoctor.cures.recovery.history import History, NotRecoverableError, all_columns, joined, read_history
from dltdoctor.cures.recovery.measuring import Progress, measure
from dltdoctor.cures.recovery.replay import HASHED, LOOKED_UP, Copies, replayed
from dltdoctor.steps.step import Probe, Replay, TouchedTable
from dltdoctor.words import count, listed, qualified, quoted, relation
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.postgres.session import Session
from dltdoctor.world.probes import final_probe, loads_probe


def refill_step(
    session: Session, way_in: Credentials, chains: Sequence[Chain], progress: Progress
) -> tuple[Replay, History, tuple[str, ...]]:
    """The step that fills a table again, with what every pipeline has loaded into it; and what lacks in that.

    Raises `NotRecoverableError` and `DoctorError`.
    """
    history, lacking = _histories(session, chains)
    chain = chains[0]
    copies = replayed(chain, history)
    step = _step(session, chain, history, copies)
    proofs = [_count_probe(chain, table) for table in copies.names]
    found = measure(way_in, step, (), proofs, progress)
    if not found.changed[0]:
        raise NotRecoverableError("the packages of this machine leave no row in it: later loads deleted what came")
    rows = [f"{count(n, 'row')} into {t}" for t, n in zip(copies.names, found.changed, strict=True) if n]
    packages = count(len(history.arrived), "load package")
    names = listed(c.pipeline.name for c in chains)
    title = f"Insert {listed(rows)} of {chain.final}, as {packages} of {names} had left them"
    return msgspec.structs.replace(step, title=title, after=found.after), history, lacking


def _histories(session: Session, chains: Sequence[Chain]) -> tuple[History, tuple[str, ...]]:
    """What all of them brought; the pipelines of which nothing is here make it doubtful."""
    found: list[History] = []
    reasons: list[str] = []
    for chain in chains:
        try:
            found.append(read_history(session, chain))
        except NotRecoverableError as error:
            reasons.append(str(error))
    if not found:
        raise NotRecoverableError("; ".join(reasons))
    return joined(found), tuple(f"{reason}: what it brought does not come back" for reason in reasons)


def _step(session: Session, chain: Chain, history: History, copies: Copies) -> Replay:
    tables = tuple(copies.names)
    return Replay(
        title=f"Replay {relation(*chain.place)}",
        scratch=(*copies.scratch, HASHED),
        statements=tuple(_inserts(chain, history, copies)),
        touches=tuple(TouchedTable(schema=chain.final, table=t, key=chain.key(t)) for t in tables),
        removals=(*copies.removals, LOOKED_UP),
        before=(
            *(final_probe(session, chain.database, chain.final, t) for t in tables),
            loads_probe(session, chain.final, None),
        ),
        locks=tuple((chain.final, t) for t in tables),
        note=f"replayed in temporary tables with dlt's own SQL, from {chain.pipeline.working_dir}/load/loaded",
    )


def _inserts(chain: Chain, history: History, copies: Copies) -> Iterator[str]:
    """Root rows that are neither there nor replaced by others of their key; then what nests in rows that are there."""
    newest = history.arrived[-1].document
    nested = dict(parents(newest, chain_tables(newest, chain.root)))
    for table in copies.names:
        conditions = [_absent(chain, table, (ROW_KEY,))] if _has_row_key(chain, table) else []
        if table == chain.root and chain.primary_key and strategy(newest, chain.root) != "scd2":
            conditions.append(_absent(chain, table, chain.primary_key))
        if table in nested:
            conditions.append(_under_parent(chain, nested[table]))
        names = ", ".join(map(quoted, all_columns(history, table)))
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        yield (
            f"INSERT INTO {qualified(chain.final, table)} ({names}) SELECT {names} FROM {copies.of(table)} AS s{where}"
        )


def _absent(chain: Chain, table: str, key: tuple[str, ...]) -> str:
    same = " AND ".join(f"f.{quoted(k)} = s.{quoted(k)}" for k in key)
    return f"NOT EXISTS (SELECT FROM {qualified(chain.final, table)} AS f WHERE {same})"


def _under_parent(chain: Chain, parent: str) -> str:
    place = qualified(chain.final, parent)
    return f"EXISTS (SELECT FROM {place} AS p WHERE p.{quoted(ROW_KEY)} = s.{quoted(PARENT_KEY)})"


def _has_row_key(chain: Chain, table: str) -> bool:
    held = chain.held(table)
    return held is not None and held.has(ROW_KEY)


def _count_probe(chain: Chain, table: str) -> Probe:
    query = f"SELECT count(*) FROM {qualified(chain.final, table)}"
    return Probe(what=f"the number of rows in {relation(chain.final, table)}", query=query, expected="")
