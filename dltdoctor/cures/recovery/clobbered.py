"""Columns that another pipeline's merges have NULLed: the values that the losing pipeline loaded last, by key."""

from collections.abc import Iterable, Sequence

import msgspec

from dltdoctor.cures.recovery.chain import LOAD_ID, LOADS, Chain
from dltdoctor.cures.recovery.history import History, NotRecoverableError, read_history
from dltdoctor.cures.recovery.measuring import Measured, Progress, Question, measure
from dltdoctor.cures.recovery.relinking import relinks
from dltdoctor.cures.recovery.replay import Copies, replayed
from dltdoctor.deduced.writers import Writer
from dltdoctor.snapshot import Value
from dltdoctor.steps.step import Probe, Replay, TouchedTable
from dltdoctor.words import count, listed, literal, qualified, quoted, relation
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.postgres.session import Session
from dltdoctor.world.probes import final_probe, loads_probe

MOST_SAMPLES = 5


class Lost(Value):
    """A losing pipeline's view: its chain, its key, and the columns and nested tables that no other one knows.

    `others` are the names of the other pipelines' schemas.
    """

    chain: Chain
    key: tuple[str, ...]
    columns: tuple[str, ...]
    nested: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class Sample(Value):
    """A row that gets values back: its key, and by column what it will hold; never part of a plan."""

    place: str
    key: tuple[tuple[str, str], ...]
    values: tuple[tuple[str, str], ...]


def own_alone(writer: Writer, writers: Iterable[Writer]) -> tuple[str, ...]:
    """Columns that this writer fills and no other one's schema knows."""
    others = {c.name for w in writers if w.route != writer.route for c in w.table.columns if c.data_type}
    return tuple(sorted(writer.own_columns - others))


def give_back_step(
    session: Session, way_in: Credentials, lost: Lost, progress: Progress
) -> tuple[Replay, History, tuple[Sample, ...]]:
    """The step that fills the NULLs again. Raises `NotRecoverableError` and `DoctorError`."""
    chain = lost.chain
    _refuse_unfit(lost)
    history = read_history(session, chain)
    copies = replayed(chain, history)
    links = tuple(relinks(chain, copies, lost.nested, _is_of_others(lost)))
    step = _step(session, lost, copies, links)
    found = measure(way_in, step, _questions(lost, copies), (_values_probe(lost),), progress)
    counts = [int(str(n)) for n in found.answers[0][0]]
    if not any(found.changed):
        raise NotRecoverableError(
            f"no row with NULL in {listed(lost.columns)} has a value in the packages of {chain.pipeline.name} here"
        )
    values = [f"{count(n, 'value')} of {c}" for c, n in zip(lost.columns, counts, strict=True) if n]
    packages = count(len(history.arrived), "load package")
    title = (
        f"Fill NULLs in {count(found.changed[0], 'row')} of {relation(*chain.place)}: "
        f"{listed(values, most=12) or 'none'}, as {packages} of {chain.pipeline.name} had loaded them"
        f"{_relinked(links, found.changed[1:])}"
    )
    return msgspec.structs.replace(step, title=title, after=found.after), history, tuple(_samples(lost, found))


def _relinked(links: Sequence[tuple[str, str]], changed: Sequence[int]) -> str:
    """What is said of nested rows that get their root row back."""
    rows: dict[str, int] = {}
    for (table, _), number in zip(links, changed, strict=True):
        rows[table] = max(number, rows.get(table, 0))
    nested = [f"{count(number, 'row')} of {table}" for table, number in rows.items() if number]
    return f"; and hang {listed(nested)} on the rows of now" if nested else ""


def _refuse_unfit(lost: Lost) -> None:
    chain = lost.chain
    held = chain.held(chain.root)
    if not lost.key:
        raise NotRecoverableError(f"{chain.pipeline.name} declares no primary key for it, by which rows could be told")
    if held is None or not held.has(LOAD_ID):
        raise NotRecoverableError(f"{relation(*chain.place)} has no {LOAD_ID} that tells who wrote a row last")
    missing = [c for c in (*lost.key, *lost.columns) if not held.has(c)]
    if missing:
        raise NotRecoverableError(f"{relation(*chain.place)} has lost {listed(missing)}")


def _step(session: Session, lost: Lost, copies: Copies, links: Sequence[tuple[str, str]]) -> Replay:
    chain = lost.chain
    filled = ", ".join(f"{quoted(c)} = coalesce(f.{quoted(c)}, s.{quoted(c)})" for c in lost.columns)
    place = qualified(*chain.place)
    fill = f"UPDATE {place} AS f SET {filled} FROM {copies.of(chain.root)} AS s WHERE {_is_lost(lost)}"
    tables = tuple(dict.fromkeys((chain.root, *(table for table, _ in links))))
    return Replay(
        title=f"Replay {relation(*chain.place)}",
        scratch=copies.scratch,
        statements=(fill, *(statement for _, statement in links)),
        touches=tuple(TouchedTable(schema=chain.final, table=t, key=chain.key(t)) for t in tables),
        removals=copies.removals,
        before=(
            *(final_probe(session, chain.database, chain.final, t) for t in tables),
            loads_probe(session, chain.final, None),
        ),
        locks=tuple((chain.final, t) for t in tables),
        note=f"replayed in temporary tables with dlt's own SQL, from {chain.pipeline.working_dir}/load/loaded; "
        "what is not NULL, and rows that this pipeline itself wrote last, stay as they are. Both pipelines have to "
        "merge by upsert so that it does not happen again: dltdoctor fix --config --unsafe",
    )


def _is_lost(lost: Lost) -> str:
    """The rows of another pipeline's load, with the same key, that lack a value which the packages have."""
    return f"{_is_of_others(lost)} AND ({' OR '.join(_lacks(c) for c in lost.columns)})"


def _is_of_others(lost: Lost) -> str:
    chain = lost.chain
    same = " AND ".join(f"f.{quoted(k)} = s.{quoted(k)}" for k in lost.key)
    names = ", ".join(map(literal, lost.others))
    others = f"SELECT load_id FROM {qualified(chain.final, LOADS)} WHERE schema_name IN ({names})"
    return f"{same} AND f.{quoted(LOAD_ID)} IN ({others})"


def _lacks(column: str) -> str:
    return f"(f.{quoted(column)} IS NULL AND s.{quoted(column)} IS NOT NULL)"


def _questions(lost: Lost, copies: Copies) -> Sequence[Question]:
    joined = f"{qualified(*lost.chain.place)} AS f JOIN {copies.of(lost.chain.root)} AS s ON {_is_lost(lost)}"
    counts = ", ".join(f"count(*) FILTER (WHERE {_lacks(c)})" for c in lost.columns)
    keys = ", ".join(f"f.{quoted(k)}::text" for k in lost.key)
    values = ", ".join(f"CASE WHEN f.{quoted(c)} IS NULL THEN s.{quoted(c)}::text END" for c in lost.columns)
    order = ", ".join(f"f.{quoted(k)}" for k in lost.key)
    return (
        Question(query=f"SELECT {counts} FROM {joined}"),
        Question(query=f"SELECT {keys}, {values} FROM {joined} ORDER BY {order}", most=MOST_SAMPLES),
    )


def _values_probe(lost: Lost) -> Probe:
    place = relation(*lost.chain.place)
    counts = ", ".join(f"count({quoted(c)})" for c in lost.columns)
    query = f"SELECT count(*), {counts} FROM {qualified(*lost.chain.place)}"
    return Probe(what=f"the number of values in {listed(lost.columns)} of {place}", query=query, expected="")


def _samples(lost: Lost, found: Measured) -> Iterable[Sample]:
    width = len(lost.key)
    for row in found.answers[1]:
        texts = [None if v is None else str(v) for v in row]
        yield Sample(
            place=relation(*lost.chain.place),
            key=tuple((k, v or "") for k, v in zip(lost.key, texts[:width], strict=True)),
            values=tuple((c, v) for c, v in zip(lost.columns, texts[width:], strict=True) if v is not None),
        )
