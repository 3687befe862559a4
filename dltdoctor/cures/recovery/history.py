"""Which load packages of this machine have reached a chain of final tables, and which loads left none here."""

import os
from collections.abc import Iterator, Sequence

from dltdoctor.cures.recovery.chain import (
    LOADS,
    Chain,
    chain_tables,
    columns_of,
    disposition,
    hinted,
    strategy,
)
from dltdoctor.snapshot import Job, Package, Value
from dltdoctor.words import listed, moment
from dltdoctor.world.documents import Document, mapping, named
from dltdoctor.world.files import is_missing, read_document
from dltdoctor.world.postgres.session import Session
from dltdoctor.world.schema_documents import package_document
from dltdoctor.world.state import decode_state

STATES = "_dlt_pipeline_state"
FULL = ("scd2", "cdc")  # what a load does not bring counts as gone: a load that is missing changes the others
ORDERED = (*FULL, "insert-only")


class NotRecoverableError(Exception):
    """Why local packages cannot bring it back; the message completes a sentence."""


class Arrived(Value):
    """A package that has reached the chain: its schema, its data files, and the tables it emptied first."""

    package: Package
    document: Document
    jobs: tuple[Job, ...]
    emptied: tuple[str, ...] = ()


class History(Value):
    """What reached the chain, oldest first; `before` and `between` are recorded loads without a package here.

    `range_before` and `range_between` say in words how far the cursor went in them.
    """

    arrived: tuple[Arrived, ...]
    before: tuple[str, ...] = ()
    between: tuple[str, ...] = ()
    range_before: str = ""
    range_between: str = ""

    @property
    def oldest(self) -> str:
        return self.arrived[0].package.load_id

    def doubts(self, root: str) -> Iterator[str]:
        """What makes the outcome uncertain; nothing when what comes back is right, if perhaps not all."""
        newest = self.arrived[-1].document
        how = strategy(newest, root) if disposition(newest, root) == "merge" else disposition(newest, root)
        if self.between and how != "append":
            yield (
                f"{_loads(self.between)} between the packages left none here{self.range_between}: what they changed "
                "comes back as it was before"
            )
        if self.before and how in ORDERED:
            yield f"{_loads(self.before)} before the oldest package left none here, and {how} builds on every load"
        if self.before and hinted(newest, root, "merge_key"):
            yield "a merge key replaces rows that loads before the oldest package brought"

    def gone(self) -> Iterator[str]:
        """What cannot be brought back from here."""
        if self.before:
            yield (
                f"{_loads(self.before)} before {moment(self.oldest)} left no package on this machine: what only they "
                f"brought has to be loaded again{self.range_before}"
            )
        if self.between:
            yield f"{_loads(self.between)} later left none either{self.range_between}"


def read_history(session: Session, chain: Chain) -> History:
    """The chain's history on this machine. Raises `NotRecoverableError` and `UnreadableError`."""
    recorded = _recorded(session, chain)
    mine = [p for p in chain.pipeline.packages if p.schema_name == chain.schema]
    # an aborted load is in no record; where its state was stored, it was this database that it went to
    here = {*recorded, *_stored_states(session, chain)}
    known: dict[str, Document] = {}
    arrived = tuple(a for p in mine for a in _arrived(p, chain, known) if p.load_id in here)
    if not arrived:
        raise NotRecoverableError(_nothing_here(session, chain, mine))
    there = {p.load_id for p in mine if not is_stripped(p)}
    oldest = min(there, key=_order)
    missing = sorted((load for load in recorded if load not in there), key=_order)
    before = tuple(load for load in missing if _order(load) < _order(oldest))
    between = tuple(load for load in missing if _order(load) > _order(oldest))
    return History(
        arrived=arrived,
        before=before,
        between=between,
        range_before=_range(session, chain, None, before[-1]) if before else "",
        range_between=_range(session, chain, _last_before(recorded, between[0]), between[-1]) if between else "",
    )


def _arrived(package: Package, chain: Chain, known: dict[str, Document]) -> Iterator[Arrived]:
    """The package when something of it has reached the chain; `known` are the schemas of packages by version."""
    if package.stage not in ("loaded", "aborted"):
        if any(j.status == "completed" for j in package.jobs):
            raise NotRecoverableError(f"load {package.load_id} is pending: dlt has to finish it first")
        return
    document = _held_once(package_document(package), known)
    tables = chain_tables(document, chain.root)
    emptied = _refreshed(package, tables)
    data = [j for j in package.jobs_of(*tables) if not j.is_followup]
    moves = [j for j in package.jobs_of(chain.root) if j.is_followup]
    is_moved = all(j.status == "completed" for j in moves) and (bool(moves) or package.stage == "loaded")
    if disposition(document, chain.root) == "merge" or moves:
        data = data if is_moved else []
    elif disposition(document, chain.root) == "replace" and any(j.status != "completed" for j in data):
        data = []  # a replace that was cut off is no state to go back to
    jobs = tuple(j for j in data if j.status == "completed")
    if jobs or emptied:
        yield Arrived(package=package, document=document, jobs=jobs, emptied=emptied)


def _held_once(document: Document, known: dict[str, Document]) -> Document:
    """The equal schema of an earlier package: thousands of large ones would not fit into memory."""
    earlier = known.setdefault(str(document.get("version_hash")), document)
    return earlier if earlier == document else document


def is_stripped(package: Package) -> bool:
    """Whether dlt has deleted the files that it had loaded: then nothing tells what they were."""
    return package.stage == "loaded" and not os.path.isdir(os.path.join(package.path, "completed_jobs"))


def _refreshed(package: Package, tables: tuple[str, ...]) -> tuple[str, ...]:
    """Tables of the chain that the load dropped or truncated before it began (refresh)."""
    path = os.path.join(package.path, "load_package_state.json")
    if is_missing(path):
        return ()
    state = mapping(read_document(path))
    names = {name for hint in ("dropped_tables", "truncated_tables") for name, _ in named(state.get(hint))}
    return tuple(t for t in tables if t in names)


def _recorded(session: Session, chain: Chain) -> tuple[str, ...]:
    """The loads of the schema that the dataset lists, oldest first."""
    from psycopg.sql import SQL, Identifier  # noqa: PLC0415 - not before a connection is wanted

    if chain.database.table(chain.final, LOADS) is None:
        raise NotRecoverableError(f"{chain.final} has no _dlt_loads that tells which packages were loaded into it")
    statement = SQL("SELECT DISTINCT load_id::text FROM {} WHERE schema_name = %s")
    rows = session.fetch(statement.format(Identifier(chain.final, LOADS)), (chain.schema,))
    return tuple(sorted((load for (load,) in rows), key=_order))


def _stored_states(session: Session, chain: Chain) -> tuple[str, ...]:
    """The loads that have stored a state of the pipeline in the dataset."""
    from psycopg.sql import SQL, Identifier  # noqa: PLC0415

    if chain.database.table(chain.final, STATES) is None:
        return ()
    statement = SQL("SELECT DISTINCT _dlt_load_id::text FROM {} WHERE pipeline_name = %s")
    rows = session.fetch(statement.format(Identifier(chain.final, STATES)), (chain.pipeline.name,))
    return tuple(load for (load,) in rows)


def _nothing_here(session: Session, chain: Chain, mine: list[Package]) -> str:
    if mine and all(is_stripped(p) for p in mine):
        what = f"the {len(mine)} load packages of {chain.pipeline.name} here hold no files (delete_completed_jobs)"
    elif mine:
        what = f"none of the {len(mine)} load packages of {chain.pipeline.name} here brought rows to {chain.root}"
    elif chain.pipeline.working_dir is None:
        what = f"no working dir of {chain.pipeline.name} was looked at, which would hold its load packages"
    else:
        what = f"there is no load package of {chain.pipeline.name} on this machine"
    return f"{what}{_range(session, chain, None, None)}"


def _range(session: Session, chain: Chain, after: str | None, until: str | None) -> str:
    """How far the cursor of the chain's resource went: the range that has to be loaded again."""
    low = _cursor(session, chain, after) if after else {}
    high = _cursor(session, chain, until)
    ranges = [f"{path} {f'after {low[path]} ' if path in low else ''}up to {high[path]}" for path in sorted(high)]
    return f" ({chain.resource}: {listed(ranges)})" if ranges else ""


def _cursor(session: Session, chain: Chain, until: str | None) -> dict[str, str]:
    """The cursors of the resource in the newest recorded state that is no newer than the load."""
    from psycopg.sql import SQL, Identifier  # noqa: PLC0415

    states = chain.database.table(chain.final, STATES)
    if states is None or not states.readable:
        return {}
    statement = SQL(
        "SELECT state FROM {} AS s WHERE pipeline_name = %s AND (%s::text IS NULL OR _dlt_load_id::text <= %s)"
        " AND EXISTS (SELECT FROM {} AS l WHERE l.load_id = s._dlt_load_id) ORDER BY version DESC LIMIT 1"
    )
    places = (Identifier(chain.final, STATES), Identifier(chain.final, LOADS))
    rows = session.fetch(statement.format(*places), (chain.pipeline.name, until, until))
    state = decode_state(rows[0][0], f"{chain.final}.{STATES}") if rows else None
    return {
        c.path: c.last_value
        for c in (state.cursors if state else ())
        if c.resource == chain.resource and c.last_value is not None
    }


def _last_before(recorded: tuple[str, ...], load: str) -> str | None:
    return max((r for r in recorded if _order(r) < _order(load)), key=_order, default=None)


def _order(load_id: str) -> float:
    try:
        return float(load_id)
    except ValueError:
        return 0.0


def _loads(loads: tuple[str, ...]) -> str:
    return f"{len(loads):,} load{'s' if len(loads) != 1 else ''}"


def all_columns(history: History, table: str) -> tuple[str, ...]:
    """Every column that dlt's schemas of the packages know of a table."""
    return tuple(dict.fromkeys(c for a in history.arrived for c in columns_of(a.document, table)))


def joined(histories: Sequence[History]) -> History:
    """Histories of several pipelines that write one table, as one."""
    first, *others = histories
    if not others:
        return first
    return History(
        arrived=tuple(sorted((a for h in histories for a in h.arrived), key=lambda a: _order(a.package.load_id))),
        before=tuple(load for h in histories for load in h.before),
        between=tuple(load for h in histories for load in h.between),
        range_before="".join(h.range_before for h in histories),
        range_between="".join(h.range_between for h in histories),
    )
