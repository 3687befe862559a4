"""One chain of staged rows on its way to the final dataset: its facts, its probes and its steps."""

from collections.abc import Collection, Iterator

import msgspec

from dltdoctor.ledger import Entry
from dltdoctor.snapshot import Database, Package, Pipeline, Value
from dltdoctor.steps.step import Probe, RunSql, TouchedTable
from dltdoctor.verdict import StagedVerdict
from dltdoctor.words import begins_bare, count, listed, literal, qualified, relation
from dltdoctor.world.dlt_merge import TEMPORARY, MergeRequest, complete_load_statement, create_statements
from dltdoctor.world.documents import Document
from dltdoctor.world.job_rows import count_rows
from dltdoctor.world.job_statements import job_statements
from dltdoctor.world.plain_merge import Places, create_from_staging, fill_from_staging
from dltdoctor.world.postgres.session import Session
from dltdoctor.world.probes import final_probe, loads_probe, newer_rows, plain_probe, staging_probe
from dltdoctor.world.temporary_copies import CopiedTable, copy_statements, drop_statements

ROW_KEY = "_dlt_id"
RETIRING = ("scd2", "cdc")


class Migration(Value):
    """A stranded chain: `chain` are its ledger entries, root first; `generated` is dlt's SQL for it.

    `request` is None where the package's own job file has the SQL.
    """

    database: Database
    pipeline: Pipeline
    entry: Entry
    chain: tuple[Entry, ...]
    load: StagedVerdict
    document: Document
    request: MergeRequest | None = None
    generated: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        database: Database,
        pipeline: Pipeline,
        entry: Entry,
        chain: tuple[Entry, ...],
        load: StagedVerdict,
        document: Document,
    ) -> "Migration":
        made = cls(database=database, pipeline=pipeline, entry=entry, chain=chain, load=load, document=document)
        if made.job_file or made.is_plain:
            return made
        request = MergeRequest(
            document=document,
            root=entry.row.table,
            final=made.final,
            staging=TEMPORARY if made.is_mixed else made.staging,
            load_id=load.staged.load_id or "",
            tables=tuple(e.row.table for e in chain),
        )
        return msgspec.structs.replace(made, request=request)

    @property
    def final(self) -> str:
        return self.entry.row.final.dataset

    @property
    def staging(self) -> str:
        return self.load.staged.staging

    @property
    def load_key(self) -> tuple[str, str, str]:
        return self.pipeline.name, self.final, self.load.staged.load_id or self.entry.row.table

    @property
    def is_plain(self) -> bool:
        """No load ids, or no ledger of loads: rows can only be told apart by their declared key."""
        return self.load.note == "plain"

    @property
    def is_replace(self) -> bool:
        return self.entry.table.disposition == "replace"

    @property
    def is_mixed(self) -> bool:
        """The staging table holds rows of other loads, too: only the stranded ones may move."""
        return any(len(e.loads) > 1 for e in self.chain)

    @property
    def absent(self) -> tuple[str, ...]:
        return tuple(e.row.table for e in self.chain if not e.row.final.exists)

    @property
    def job_file(self) -> str | None:
        """The package's own merge job, when it can run as it stands."""
        package = self.load.package
        if package is None or self.is_mixed or self.is_replace or self.absent or self.is_plain:
            return None
        if not begins_bare(self.entry.row.table):
            return None  # dlt names temporary tables after it, without quotes
        jobs = [j for j in package.jobs_of(self.entry.row.table) if j.is_followup and j.status != "completed"]
        return jobs[0].path if len(jobs) == 1 else None

    def key(self, table: str) -> tuple[str, ...]:
        """What identifies a row of a final table."""
        held = self.database.table(self.final, table) or self.database.table(self.staging, table)
        if held and held.has(ROW_KEY):
            return (ROW_KEY,)
        declared = next((e.table.primary_key for e in self.chain if e.row.table == table), ())
        return declared or tuple(c.name for c in (held.columns if held else ()))

    def is_whole_schema(self, arrived: Collection[str]) -> bool:
        """Every root table that ever saw data is among those that arrive: nothing else can be missing."""
        schema = self.pipeline.schema(self.entry.row.schema)
        roots = [t for t in (schema.data_tables if schema else ()) if not t.is_nested and t.seen_data]
        return bool(roots) and all(t.name in arrived for t in roots)

    def rows_in_files(self) -> int | None:
        """The root rows that the package's data files hold, None when they cannot be counted."""
        package = self.load.package
        jobs = package.jobs_of(self.entry.row.table) if package else ()
        columns = tuple(c.name for c in self.entry.table.columns)
        counts = [count_rows(j.path, j.format, columns) for j in jobs if not j.is_followup]
        return None if not counts or None in counts else sum(c for c in counts if c is not None)

    def missing_guarantees(self, session: Session) -> Iterator[str]:
        """What cannot be proved about this chain; each makes the cure unsafe."""
        table = self.entry.table
        if self.is_plain:
            yield "there are no load ids and no _dlt_loads: nothing proves that the staged rows are a whole load"
            if not table.primary_key:
                yield "no primary key is declared: rows are compared by all their columns"
        elif self.load.package is None:
            yield "without its load package nothing proves that the staged rows are the whole load"
            if table.merge_strategy in RETIRING:
                yield f"{table.merge_strategy} retires every row that is not staged"
        else:
            in_files = self.rows_in_files()
            if in_files is not None and in_files != self.load.staged.rows:
                yield f"the package's files hold {count(in_files, 'row')}, staging {self.load.staged.rows:,}"
        newer = newer_rows(session, self.database, self.load.staged, table.primary_key)
        if newer:
            yield f"{count(newer, 'row')} of the same keys were loaded again since, and older values would replace them"


def is_complete(package: Package, chain: Collection[str]) -> bool:
    """Every data file of these tables is in completed_jobs."""
    return all(j.status == "completed" for j in package.jobs_of(*chain) if not j.is_followup)


def is_merged(package: Package | None, root: str) -> bool:
    """The package says that what moves this chain is done: once more could double the rows."""
    followups = [j for j in package.jobs_of(root) if j.is_followup] if package else []
    return bool(followups) and all(j.status == "completed" for j in followups)


def merge_step(session: Session, migration: Migration, newest: Document) -> RunSql:
    """What dlt itself would run for the chain, with what must hold before it runs.

    Tables that are absent are created as the schema `newest` has them.
    """
    created: tuple[str, ...] = ()
    if migration.absent:
        made = create_statements(newest, migration.absent, migration.final)
        # Of several loads for one absent table the first creates it.
        created = tuple(s.replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", 1) for s in made)
    statements = migration.generated
    if migration.job_file:
        statements = job_statements(migration.job_file, final=migration.final, staging=migration.staging)
    copies, removals = _temporary_copies(migration) if migration.is_mixed else ((), ())
    emptied = _emptied_staging(migration) if _is_staging_optimized(migration) else ()
    rows = migration.load.staged.rows
    source = "the load package's own job" if migration.job_file else "dlt's generator"
    return RunSql(
        title=f"Merge {count(rows, 'staged row')} into {relation(migration.final, migration.entry.row.table)}",
        statements=(*created, *copies, *statements, *removals, *emptied),
        touches=(*_touched(migration), *(_touched_staging(migration) if emptied else ()), _touched_loads(migration)),
        before=(
            *(staging_probe(session, migration.staging, e.row.table, lasts=not emptied) for e in migration.chain),
            *(final_probe(session, migration.database, migration.final, e.row.table) for e in migration.chain),
            loads_probe(session, migration.final, migration.load.staged.load_id),
        ),
        locks=_locks(migration),
        note=f"the SQL is from {source}",
    )


def record_step(migration: Migration) -> RunSql:
    """The row that dlt's `complete_load` writes last."""
    loads = migration.database.table(migration.final, "_dlt_loads")
    load_id = migration.load.staged.load_id or ""
    statement = complete_load_statement(
        migration.final,
        load_id,
        migration.entry.row.schema,
        str(migration.document.get("version_hash") or ""),
        columns=tuple(c.name for c in loads.columns) if loads else (),
    )
    place = relation(migration.final, "_dlt_loads")
    recorded = f"SELECT count(*) FROM {qualified(migration.final, '_dlt_loads')} WHERE load_id = {literal(load_id)}"
    return RunSql(
        title=f"Record load {load_id} in {place}",
        statements=(statement,),
        touches=(_touched_loads(migration),),
        after=(Probe(what=f"the record of load {load_id}", query=recorded, expected='["1"]'),),
    )


def without_ledger_step(session: Session, migration: Migration) -> RunSql:
    """In a world without dlt's tables: keys that are absent are inserted, values that are NULL filled in."""
    table, final, staging = migration.entry.row.table, migration.final, migration.staging
    staged, held = migration.database.table(staging, table), migration.database.table(final, table)
    names = [c.name for c in (staged.columns if staged else ()) if held is None or held.has(c.name)]
    key = migration.entry.table.primary_key
    places = Places(
        final=qualified(final, table),
        staging=qualified(staging, table),
        columns=tuple(names),
        key=key,
        strict=frozenset(c.name for t in (staged, held) for c in (t.columns if t else ()) if c.not_null),
    )
    where, source = relation(final, table), relation(staging, table)
    touched = TouchedTable(schema=final, table=table, key=key or tuple(names), created=held is None)
    probe = staging_probe(session, staging, table)
    if held is None:
        return RunSql(
            title=f"Create {where} as its staging twin is, with its rows",
            statements=create_from_staging(places),
            touches=(touched,),
            before=(probe, final_probe(session, migration.database, final, table)),
            locks=((staging, table),),
        )
    return RunSql(
        title=f"Fill NULLs and add absent keys in {where} from {source}, by {listed(key) or 'all columns'}",
        statements=fill_from_staging(places),
        touches=(touched,),
        before=(probe, plain_probe(session, final, table)),
        locks=((staging, table), (final, table)),
    )


def _touched(migration: Migration) -> tuple[TouchedTable, ...]:
    return tuple(
        TouchedTable(
            schema=migration.final,
            table=e.row.table,
            key=migration.key(e.row.table),
            created=e.row.table in migration.absent,
        )
        for e in migration.chain
    )


def _touched_loads(migration: Migration) -> TouchedTable:
    """The record of loads: that none was added since is for undo to see."""
    return TouchedTable(schema=migration.final, table="_dlt_loads", key=("load_id",))


def _touched_staging(migration: Migration) -> tuple[TouchedTable, ...]:
    return tuple(
        TouchedTable(schema=migration.staging, table=e.row.table, key=migration.key(e.row.table))
        for e in migration.chain
    )


def _locks(migration: Migration) -> tuple[tuple[str, str], ...]:
    tables = [e.row.table for e in migration.chain]
    there = [t for t in tables if t not in migration.absent]
    return (*((migration.staging, t) for t in tables), *((migration.final, t) for t in there))


def _is_staging_optimized(migration: Migration) -> bool:
    return migration.is_replace and migration.entry.table.replace_strategy == "staging-optimized"


def _emptied_staging(migration: Migration) -> tuple[str, ...]:
    """staging-optimized moves the table itself; its rows end in the final table and staging ends empty."""
    return tuple(f"DELETE FROM {qualified(migration.staging, e.row.table)}" for e in migration.chain)


def _temporary_copies(migration: Migration) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Temporary tables with the stranded rows only, and their removal."""
    tables = [
        CopiedTable(name=e.row.table, root=e.table.root, parent=e.row.parent, has_root_key=e.table.has("_dlt_root_id"))
        for e in migration.chain
    ]
    copies = copy_statements(tables, migration.staging, migration.load.staged.load_id or "")
    return copies, drop_statements(tables)
