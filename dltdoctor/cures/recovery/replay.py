"""The packages of a history, replayed through dlt's own SQL into temporary copies of the final tables.

What a load did to the final tables it does here to the copies, in the order of the loads: so updates,
deletions, scd2 history and nested tables come out as if nothing had happened since.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from dltdoctor.cures.recovery.chain import ROW_KEY, Chain, chain_tables, columns_of, disposition, strategy
from dltdoctor.cures.recovery.history import FULL, Arrived, History, NotRecoverableError
from dltdoctor.snapshot import Job, Value
from dltdoctor.steps.step import StagedFile
from dltdoctor.words import listed, qualified, quoted, relation
from dltdoctor.world.dlt_merge import TEMPORARY, MergeRequest, NotGeneratedError, generate_each
from dltdoctor.world.job_files import open_job_file
from dltdoctor.world.postgres.replaying import file_digest

STAND_IN = "_dltdoctor_replayed"
# A statement that fills an empty table must not look into it row by row: it would meet all it has written.
HASHED, LOOKED_UP = "SET LOCAL enable_nestloop = off", "RESET enable_nestloop"
FEW_SAMPLES = "SET LOCAL default_statistics_target = 10"
READABLE = ("insert_values", "jsonl", "typed-jsonl", "csv", "parquet")

_MAKES = re.compile(r"CREATE TEMP(?:ORARY)? TABLE (\S+) AS (SELECT .*)", re.DOTALL)
Part = str | StagedFile


class Copies(Value):
    """The temporary copies of a chain's tables: `names` by table; staging tables have the tables' own names."""

    names: Mapping[str, str]
    scratch: tuple[Part, ...]
    removals: tuple[str, ...]

    def of(self, table: str) -> str:
        """The copy as SQL names it."""
        return qualified(TEMPORARY, self.names[table])


class Bench:
    """The temporary tables of merges: those that dlt has `made`, and those that are `filled` for staging."""

    def __init__(self) -> None:
        self.made: set[str] = set()
        self.filled: dict[str, None] = {}


def replayed(chain: Chain, history: History) -> Copies:
    """The copies and how they are filled. Raises `NotRecoverableError`, `NotGeneratedError`, `UnreadableError`."""
    tables = tuple(
        dict.fromkeys(t for a in history.arrived for t in chain_tables(a.document, chain.root) if _is_there(a, t))
    )
    _refuse_unfit(chain, history, tables)
    names = {table: f"_dltdoctor_{number}" for number, table in enumerate(tables)}
    copies = Copies(names=names, scratch=(), removals=())
    lasting = _lasting(chain, history.arrived, tables)
    merges = _merges(chain, lasting, copies)
    staged = tables if merges else ()
    parts: list[Part] = [HASHED, FEW_SAMPLES, *_created(chain, copies), *(_twin(chain, t, t) for t in staged)]
    bench = Bench()
    for number, arrived in enumerate(lasting):
        parts += [f"TRUNCATE {copies.of(t)}" for t in arrived.emptied if t in names and number]
        parts += _load(chain, arrived, copies, merges.get(arrived.package.load_id), bench)
        parts += [*_analysed(copies), LOOKED_UP] if number == 0 else []
    parts += _analysed(copies) if len(lasting) > 1 else []
    removals = [qualified(TEMPORARY, t) for t in (*names.values(), *staged, *sorted(bench.made))]
    dropped = tuple(f"DROP TABLE {name}" for name in removals)
    return msgspec.structs.replace(copies, scratch=tuple(parts), removals=dropped)


def _lasting(chain: Chain, arrived: Sequence[Arrived], tables: Collection[str]) -> Sequence[Arrived]:
    """The loads since the last one that began with nothing in any of the tables: what came before is gone."""
    for at in range(len(arrived) - 1, 0, -1):
        found = arrived[at]
        gone = set(found.emptied)
        if found.jobs and disposition(found.document, chain.root) == "replace":
            gone |= set(chain_tables(found.document, chain.root))
        if gone.issuperset(tables):
            return arrived[at:]
    return arrived


def _analysed(copies: Copies) -> list[str]:
    return [f"ANALYZE {copies.of(table)}" for table in copies.names]


def staged_files(arrived: Arrived, into: Mapping[str, str]) -> Iterator[StagedFile]:
    """The package's data files, each for a temporary table."""
    for job in arrived.jobs:
        if job.size and job.table in into:
            yield staged_file(job, into[job.table], columns_of(arrived.document, job.table))


def staged_file(job: Job, into: str, columns: tuple[str, ...]) -> StagedFile:
    """A job's file with its digest, once its head was found readable. Raises `UnreadableError`."""
    if job.format not in READABLE:
        raise NotRecoverableError(f"{job.path} does not hold the rows: it is a {job.format} job")
    open_job_file(job.path, columns)
    return StagedFile(path=job.path, digest=file_digest(job.path), into=into, columns=columns)


def _is_there(arrived: Arrived, table: str) -> bool:
    """Whether dlt has created it: that comes with its first complete column."""
    return bool(columns_of(arrived.document, table))


def _refuse_unfit(chain: Chain, history: History, tables: Collection[str]) -> None:
    for table in tables:
        held = chain.held(table)
        place = relation(chain.final, table)
        if held is None:
            raise NotRecoverableError(f"{place} is not there")
        missing = {c for a in history.arrived for c in columns_of(a.document, table) if not held.has(c)}
        if missing:
            raise NotRecoverableError(f"{place} has lost {listed(sorted(missing))}, which the packages fill")


def _created(chain: Chain, copies: Copies) -> Iterator[str]:
    for table, name in copies.names.items():
        yield _twin(chain, table, name)
        held = chain.held(table)
        keys: list[tuple[str, ...]] = [(ROW_KEY,)] if held and held.has(ROW_KEY) else []
        keys += [chain.primary_key] if table == chain.root and chain.primary_key else []
        for key in keys:
            yield f"CREATE INDEX ON {copies.of(table)} ({', '.join(map(quoted, key))})"


def _twin(chain: Chain, table: str, name: str) -> str:
    source = qualified(chain.final, table)
    return f"CREATE TEMPORARY TABLE {quoted(name)} AS SELECT * FROM {source} WITH NO DATA"


def _merges(chain: Chain, loads: Sequence[Arrived], copies: Copies) -> Mapping[str, tuple[str, ...]]:
    """The merge SQL of dlt by load id; the same for all loads of one schema, unless time stands in it."""
    merging = [a for a in loads if a.jobs and disposition(a.document, chain.root) == "merge"]
    keys = {a.package.load_id: _sameness(a, chain.root) for a in merging}
    requests = {keys[a.package.load_id]: _request(a, chain) for a in merging}
    answers = dict(zip(requests, generate_each(list(requests.values())), strict=True))
    for answer in answers.values():
        if isinstance(answer, NotGeneratedError):
            raise answer
    found: dict[str, tuple[str, ...]] = {}
    for load_id, key in keys.items():
        answer = answers[key]
        found[load_id] = () if isinstance(answer, NotGeneratedError) else tuple(_moved(s, copies) for s in answer)
    return found


def _request(arrived: Arrived, chain: Chain) -> MergeRequest:
    load_id = arrived.package.load_id
    return MergeRequest(document=arrived.document, root=chain.root, final=STAND_IN, staging=TEMPORARY, load_id=load_id)


def _sameness(arrived: Arrived, root: str) -> tuple[str, str]:
    known = str(arrived.document.get("version_hash") or arrived.package.load_id)
    return known, arrived.package.load_id if strategy(arrived.document, root) in FULL else ""


def _moved(statement: str, copies: Copies) -> str:
    """A statement of dlt with the copies in the place of the final tables."""
    for table in sorted(copies.names, key=len, reverse=True):
        statement = statement.replace(qualified(STAND_IN, table), copies.of(table))
    if quoted(STAND_IN) in statement:
        raise NotRecoverableError("dlt's SQL names a table that no package brought")
    return statement


def _load(chain: Chain, arrived: Arrived, copies: Copies, merge: Sequence[str] | None, bench: Bench) -> Iterator[Part]:
    """What one load did."""
    tables = [t for t in chain_tables(arrived.document, chain.root) if t in copies.names]
    if merge is not None:
        yield from (f"TRUNCATE {qualified(TEMPORARY, t)}" for t in bench.filled)
        files = list(staged_files(arrived, {t: t for t in tables}))
        bench.filled = dict.fromkeys(file.into for file in files)
        yield from files
        for statement in merge:
            yield from _once(statement, bench.made)
        return
    if arrived.jobs and disposition(arrived.document, chain.root) == "replace":
        yield from (f"TRUNCATE {copies.of(t)}" for t in tables)
    yield from staged_files(arrived, {t: copies.names[t] for t in tables})


def _once(statement: str, made: set[str]) -> Iterator[str]:
    """A temporary table of dlt's is made once and refilled: thousands would fill the server's lock table."""
    match = _MAKES.fullmatch(statement)
    if match is None or match[1] not in made:
        made |= {match[1]} if match else set()
        yield statement
        return
    yield f"TRUNCATE {qualified(TEMPORARY, match[1])}"
    yield f"INSERT INTO {qualified(TEMPORARY, match[1])} {match[2]}"
