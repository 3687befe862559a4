"""A load that never ended: its rows merged from its package's files as dlt would have, and the load recorded.

Loads went on after it: what they wrote or deleted for the same keys is newer, and stays.
"""

from collections.abc import Iterator, Sequence

import msgspec

from dltdoctor.cures.recovery.chain import (
    LOAD_ID,
    LOADS,
    PARENT_KEY,
    ROOT_KEY,
    ROW_KEY,
    Chain,
    chain_tables,
    columns_of,
    disposition,
    hinted,
    parents,
    strategy,
)
from dltdoctor.cures.recovery.history import FULL, NotRecoverableError, is_stripped
from dltdoctor.cures.recovery.measuring import Progress, Question, measure
from dltdoctor.cures.recovery.replay import staged_file
from dltdoctor.snapshot import Job, Package, Value
from dltdoctor.steps.step import Probe, Replay, RunSql, StagedFile, TouchedTable
from dltdoctor.words import count, listed, literal, qualified, quoted, relation
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.dlt_merge import TEMPORARY, MergeRequest, complete_load_statement, generate
from dltdoctor.world.documents import Document, mapping
from dltdoctor.world.postgres.session import Session
from dltdoctor.world.probes import final_probe, loads_probe
from dltdoctor.world.schema_documents import package_document

LATER = "_dltdoctor_later"


class Overtaken(Value):
    """One chain of the package: `jobs` are the data files that have not reached the final tables."""

    chain: Chain
    package: Package
    document: Document
    jobs: tuple[Job, ...]

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(t for t in chain_tables(self.document, self.chain.root) if columns_of(self.document, t))

    @property
    def is_merge(self) -> bool:
        return disposition(self.document, self.chain.root) == "merge"

    @property
    def key(self) -> tuple[str, ...]:
        return hinted(self.document, self.chain.root, "primary_key")

    @property
    def deletes(self) -> bool:
        return bool(hinted(self.document, self.chain.root, "hard_delete"))


def roots_of(package: Package) -> tuple[str, ...]:
    """Root tables that the package has files for. Raises `UnreadableError`."""
    document = package_document(package)
    nested = dict(parents(document, tuple(mapping(document.get("tables")))))
    found: list[str] = []
    for job in package.jobs:
        root = job.table
        while root in nested:
            root = nested[root]
        found += [root] if root not in found else []
    return tuple(found)


def unsettled(chain: Chain, package: Package) -> Overtaken | None:
    """What of the chain has not arrived; None when nothing is missing. Raises `NotRecoverableError`."""
    document = package_document(package)
    data = [j for j in package.jobs_of(*chain_tables(document, chain.root)) if not j.is_followup]
    moves = [j for j in package.jobs_of(chain.root) if j.is_followup]
    how = disposition(document, chain.root)
    if how == "merge":
        jobs = [] if moves and all(j.status == "completed" for j in moves) else data
    else:
        jobs = [j for j in data if j.status != "completed"]
    if how == "replace" and (jobs or any(j.status != "completed" for j in moves)):
        if not _is_replaced(chain, package):
            raise NotRecoverableError(f"it was to replace {chain.root}, which the next run does again")
        return None
    if not jobs:
        return None
    if how == "merge" and strategy(document, chain.root) in FULL:
        raise NotRecoverableError(
            f"{chain.root} is merged by {strategy(document, chain.root)}, which cannot take a load after a later one"
        )
    return Overtaken(chain=chain, package=package, document=document, jobs=tuple(jobs))


def merge_step(
    session: Session, way_in: Credentials, lost: Overtaken, progress: Progress
) -> tuple[Replay, tuple[str, ...]]:
    """The step that brings the chain's rows, and what is doubtful. Raises `NotRecoverableError`, `DoctorError`."""
    chain, load_id = lost.chain, lost.package.load_id
    _refuse_unfit(lost)
    later = tuple(_later_files(lost)) if lost.deletes else ()
    statements = _merge(lost) if lost.is_merge else tuple(_insert(lost, table) for table in lost.tables)
    step = Replay(
        title=f"Merge load {load_id} into {relation(*chain.place)}",
        scratch=tuple(_scratch(lost, later)),
        statements=statements,
        touches=tuple(TouchedTable(schema=chain.final, table=t, key=chain.key(t)) for t in lost.tables),
        removals=tuple(_removals(lost, statements, has_later=bool(later))),
        before=(
            *(final_probe(session, chain.database, chain.final, t) for t in lost.tables),
            loads_probe(session, chain.final, load_id),
        ),
        locks=tuple((chain.final, t) for t in lost.tables),
        note=f"staged in temporary tables from {lost.package.path}; rows of keys that later loads brought are left out",
    )
    questions = [Question(query=f"SELECT count(*) FROM {_staged(chain.root)}")]
    questions += [] if lost.is_merge and lost.key else [Question(query=_twins_query(lost))]
    found = measure(way_in, step, questions, (), progress)
    rows = count(int(str(found.answers[0][0][0])), "row")
    twins = sum(int(str(rows[0][0])) for rows in found.answers[1:])
    doubts = [
        f"{count(twins, 'row')} with the same values {'is' if twins == 1 else 'are'} there: was it loaded again since?"
    ]
    title = f"Merge {rows} of load {load_id} into {relation(*chain.place)}, as dlt would have"
    return msgspec.structs.replace(step, title=title), (*_doubts(lost), *(doubts if twins else ()))


def record_step(session: Session, chain: Chain, package: Package) -> RunSql:
    """The row that dlt's `complete_load` writes last."""
    loads = chain.held(LOADS)
    document = package_document(package)
    statement = complete_load_statement(
        chain.final,
        package.load_id,
        chain.schema,
        str(document.get("version_hash") or ""),
        columns=tuple(c.name for c in loads.columns) if loads else (),
    )
    place = qualified(chain.final, LOADS)
    recorded = f"SELECT count(*) FROM {place} WHERE load_id = {literal(package.load_id)}"
    return RunSql(
        title=f"Record load {package.load_id} in {relation(chain.final, LOADS)}",
        statements=(statement,),
        touches=(TouchedTable(schema=chain.final, table=LOADS, key=("load_id",)),),
        before=(loads_probe(session, chain.final, package.load_id),),
        after=(Probe(what=f"the record of load {package.load_id}", query=recorded, expected='["1"]'),),
    )


def _twins_query(lost: Overtaken) -> str:
    """How many of the rows without a key are in the final table under another `_dlt_id`: loaded again by hand."""
    chain = lost.chain
    names = [c for c in columns_of(lost.document, chain.root) if not c.startswith("_dlt_")]
    sides = (f"to_jsonb(row({', '.join(f'{a}.{quoted(c)}' for c in names)}))" for a in "fs")
    same = " = ".join(sides)
    return f"SELECT count(*) FROM {_staged(chain.root)} AS s WHERE EXISTS (SELECT FROM {qualified(*chain.place)} AS f WHERE {same})"


def _is_replaced(chain: Chain, package: Package) -> bool:
    """A later load has replaced the table since."""
    return any(
        p.load_id > package.load_id and p.stage == "loaded" and p.schema_name == chain.schema and p.jobs_of(chain.root)
        for p in chain.pipeline.packages
    )


def _refuse_unfit(lost: Overtaken) -> None:
    chain = lost.chain
    for table in lost.tables:
        held = chain.held(table)
        missing = [c for c in columns_of(lost.document, table) if held is None or not held.has(c)]
        if held is None or missing:
            what = f"has lost {listed(missing)}" if held else "is not there"
            raise NotRecoverableError(f"{relation(chain.final, table)} {what}")
    root = chain.held(chain.root)
    if not (root and root.has(LOAD_ID)):
        raise NotRecoverableError(f"{relation(*chain.place)} has no {LOAD_ID} that tells which rows are newer")
    if not lost.key and not root.has(ROW_KEY):
        raise NotRecoverableError(f"nothing tells which rows of the load are in {relation(*chain.place)} already")


def _doubts(lost: Overtaken) -> Iterator[str]:
    chain = lost.chain
    if lost.is_merge and hinted(lost.document, chain.root, "merge_key"):
        yield "a merge key replaces rows that later loads brought"
    here = {p.load_id for p in chain.pipeline.packages}
    newest = max((s.newest_load_id for s in chain.database.loads if s.dataset == chain.final), default="")
    recorded = sum(s.rows for s in chain.database.loads if (s.dataset, s.schema_name) == (chain.final, chain.schema))
    mine = [
        p
        for p in chain.pipeline.packages
        if p.schema_name == chain.schema and p.stage == "loaded" and not is_stripped(p)
    ]
    if lost.deletes and (newest not in here or recorded > len(mine)):
        yield "rows that later loads deleted may come back: some of these loads left no package here"


def _scratch(lost: Overtaken, later: Sequence[StagedFile]) -> Iterator[str | StagedFile]:
    """The load's rows in temporary tables, without those that are there already or are older by now."""
    chain = lost.chain
    for table in lost.tables:
        yield _twin(chain, table, table)
    for job in lost.jobs:
        if job.size:
            yield staged_file(job, job.table, columns_of(lost.document, job.table))
    for table in lost.tables:
        yield f"ANALYZE {_staged(table)}"
    root = _staged(chain.root)
    if lost.is_merge and lost.key:
        final = qualified(*chain.place)
        newer = f"f.{quoted(LOAD_ID)} > {literal(lost.package.load_id)}"
        yield f"DELETE FROM {root} AS s USING {final} AS f WHERE {_same(lost.key)} AND {newer}"
        if later:
            yield _twin(chain, chain.root, LATER)
            yield from later
            yield f"DELETE FROM {root} AS s USING {qualified(TEMPORARY, LATER)} AS f WHERE {_same(lost.key)}"
        for table, parent in parents(lost.document, lost.tables):
            yield f"DELETE FROM {_staged(table)} AS s WHERE {_is_left_alone(lost, table, parent)}"
    else:
        for table in lost.tables:
            yield f"DELETE FROM {_staged(table)} AS s USING {qualified(chain.final, table)} AS f WHERE {_same((ROW_KEY,))}"


def _later_files(lost: Overtaken) -> Iterator[StagedFile]:
    """Root rows of the later packages: their keys are newer, even where the row is gone again."""
    chain = lost.chain
    for package in chain.pipeline.packages:
        if package.load_id <= lost.package.load_id or package.schema_name != chain.schema:
            continue
        if package.stage == "loaded":
            document = package_document(package)
            for job in package.jobs_of(chain.root):
                if job.size and not job.is_followup:
                    yield staged_file(job, LATER, columns_of(document, chain.root))


def _merge(lost: Overtaken) -> tuple[str, ...]:
    chain = lost.chain
    return generate(
        MergeRequest(
            document=lost.document,
            root=chain.root,
            final=chain.final,
            staging=TEMPORARY,
            load_id=lost.package.load_id,
            tables=lost.tables,
        )
    )


def _insert(lost: Overtaken, table: str) -> str:
    names = ", ".join(map(quoted, columns_of(lost.document, table)))
    return f"INSERT INTO {qualified(lost.chain.final, table)} ({names}) SELECT {names} FROM {_staged(table)}"


def _removals(lost: Overtaken, statements: Sequence[str], *, has_later: bool) -> Iterator[str]:
    made = [s.split()[3] for s in statements if s.upper().startswith(("CREATE TEMPORARY TABLE ", "CREATE TEMP TABLE "))]
    for name in (*lost.tables, *made, *([LATER] if has_later else [])):
        yield f"DROP TABLE {qualified(TEMPORARY, name)}"


def _is_left_alone(lost: Overtaken, table: str, parent: str) -> str:
    """Whether the staged row that it nests in was left out."""
    if ROOT_KEY in columns_of(lost.document, table):
        return f"s.{quoted(ROOT_KEY)} NOT IN (SELECT {quoted(ROW_KEY)} FROM {_staged(lost.chain.root)})"
    return f"s.{quoted(PARENT_KEY)} NOT IN (SELECT {quoted(ROW_KEY)} FROM {_staged(parent)})"


def _same(key: Sequence[str]) -> str:
    return " AND ".join(f"f.{quoted(k)} = s.{quoted(k)}" for k in key)


def _twin(chain: Chain, table: str, name: str) -> str:
    source = qualified(chain.final, table)
    return f"CREATE TEMPORARY TABLE {quoted(name)} AS SELECT * FROM {source} WITH NO DATA"


def _staged(table: str) -> str:
    return qualified(TEMPORARY, table)
