"""From a snapshot to the ledger: for each pipeline and table, where its rows are and what that means.

Pure: the same snapshot gives the same ledger. The verdict on staged rows is passed load by load,
by `dltdoctor.verdict`; this file joins routes, schemas and catalog, and picks the row's verdict.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from dltdoctor.entries import Entry, FinalSide, Ledger, LedgerRow, StagingSide
from dltdoctor.snapshot import (
    Database,
    Package,
    Pipeline,
    Route,
    Rows,
    Schema,
    SchemaTable,
    Snapshot,
    StagedLoad,
    Table,
    Value,
)
from dltdoctor.verdict import RANK, Case, StagedVerdict, Verdict, judge, package_of

__all__ = ["Entry", "FinalSide", "Ledger", "LedgerRow", "StagedVerdict", "StagingSide", "Verdict", "draw_up"]


def draw_up(snapshot: Snapshot) -> Ledger:
    """The ledger of every route in the snapshot."""
    pipelines = {p.name: p for p in snapshot.pipelines}
    known_loads = _owners_of_loads(snapshot)
    staged = _staged_by_place(snapshot)
    entries: list[Entry] = []
    for route in snapshot.routes:
        pipeline = pipelines.get(route.pipeline)
        database = snapshot.catalog.database(route.pipeline) if snapshot.catalog else None
        if pipeline:
            entries += _of_route(pipeline, route, database, staged, known_loads, snapshot.ended_loads)
    return Ledger(entries=tuple(entries))


_Place = tuple[str, str, str, str]


def _staged_by_place(snapshot: Snapshot) -> Mapping[_Place, list[StagedLoad]]:
    found: dict[_Place, list[StagedLoad]] = defaultdict(list)
    for database in snapshot.catalog.databases if snapshot.catalog else ():
        for load in database.staged:
            found[database.target.key, load.staging, load.final, load.table].append(load)
    return found


def _owners_of_loads(snapshot: Snapshot) -> Mapping[str, frozenset[str]]:
    """Which pipelines a load id belongs to, by working dirs and by stored states."""
    owners: dict[str, set[str]] = defaultdict(set)
    for pipeline in snapshot.pipelines:
        for package in pipeline.packages:
            owners[package.load_id].add(pipeline.name)
    for database in snapshot.catalog.databases if snapshot.catalog else ():
        for state in database.states:
            owners[state.load_id].add(state.pipeline_name)
    return {load_id: frozenset(names) for load_id, names in owners.items()}


def _of_route(
    pipeline: Pipeline,
    route: Route,
    database: Database | None,
    staged: Mapping[_Place, list[StagedLoad]],
    owners: Mapping[str, frozenset[str]],
    ended: frozenset[str],
) -> Iterable[Entry]:
    schema = pipeline.schema(route.schema)
    if schema is None:
        return
    stored = _stored_tables(database, route)
    staging_name = route.examined_staging
    written = _written(schema, route, database)
    judged: dict[str, tuple[StagedVerdict, ...]] = {}
    for table in sorted(schema.data_tables, key=lambda t: (t.root, t.parent is not None, t.name)):
        if database is None:
            yield _unseen(route, table)
            continue
        in_the_dark = database.unread.intersection(_judged_by(route, table))
        if in_the_dark:
            yield _unseen(route, table, database, ".".join(min(in_the_dark)))
            continue
        final = database.table(route.final, table.name)
        staging = database.table(staging_name, table.name) if staging_name else None
        here = staged.get((database.target.key, staging_name or "", route.final, table.name), ())
        packages = {load.load_id: package_of(pipeline, table, load) for load in here}
        cases = (
            Case(
                staged=load,
                table=table,
                route=route,
                database=database,
                package=packages[load.load_id],
                state_version=pipeline.state.version if pipeline.state else None,
                final_exists=final is not None,
                final_rows=_rows(database, final).rows if final else 0,
                staging_owner=staging.owner if staging else "",
                written=written,
                engine_version=schema.engine_version,
                has_ended=_has_ended(load, packages[load.load_id], ended),
            )
            for load in here
            if _concerns(pipeline, load, owners)
        )
        loads = tuple(_inherited(case, judged.get(table.root, ())) or judge(case) for case in cases)
        judged[table.name] = loads
        entry = _entry(
            _Sides(
                route=route,
                table=table,
                database=database,
                final=final,
                staging=staging,
                loads=loads,
                expected=table.name in stored,
            )
        )
        if entry:
            yield entry


def _has_ended(load: StagedLoad, package: Package | None, ended: frozenset[str]) -> bool:
    return load.load_id in ended or (package is not None and package.load_id in ended)


def _written(schema: Schema, route: Route, database: Database | None) -> tuple[str, ...]:
    """The relations of this schema, final or staged, that another session is writing."""
    names = {table.name for table in schema.data_tables}
    datasets = (route.examined_staging, route.final)
    locked = database.activity.locked if database else ()
    return tuple(sorted(f"{place}.{name}" for place, name in locked if place in datasets and name in names))


def _concerns(pipeline: Pipeline, load: StagedLoad, owners: Mapping[str, frozenset[str]]) -> bool:
    """False for an unrecorded load that is known to be another pipeline's."""
    if load.load_id is None or load.committed_in or load.load_id not in owners:
        return True
    return pipeline.name in owners[load.load_id]


def _inherited(case: Case, root: tuple[StagedVerdict, ...]) -> StagedVerdict | None:
    """A nested row shares the fate of the root row it hangs on: they are merged by one job."""
    if not case.table.is_nested:
        return None
    fate = next((v for v in root if v.staged.load_id == case.staged.load_id), None)
    return msgspec.structs.replace(fate, staged=case.staged) if fate else None


def _stored_tables(database: Database | None, route: Route) -> frozenset[str]:
    """Tables that the destination itself says dlt has created: in its stored schema, with data seen."""
    if database is None:
        return frozenset()
    schemas = database.stored_schemas.get(route.final, ())
    return frozenset(
        t.name
        for schema in schemas
        if schema.name == route.schema
        for t in schema.data_tables
        if t.seen_data and any(c.data_type for c in t.columns)
    )


class _Sides(Value):
    """Both sides of one table, and the verdicts on what is staged.

    `expected` means that the destination's own schema says dlt has created the final table.
    """

    route: Route
    table: SchemaTable
    database: Database
    final: Table | None
    staging: Table | None
    loads: tuple[StagedVerdict, ...]
    expected: bool


def _rows(database: Database, table: Table) -> Rows:
    return database.counts.get((table.schema, table.name)) or Rows(rows=None, exact=False)


def _judged_by(route: Route, table: SchemaTable) -> tuple[tuple[str, str], ...]:
    """The relations without whose rows nobody can tell what became of a table's staged rows."""
    staging = route.examined_staging
    if staging is None:
        return ()
    return ((staging, table.name), (staging, table.root), (route.final, table.name), (route.final, "_dlt_loads"))


def _unseen(route: Route, table: SchemaTable, database: Database | None = None, unread: str = "") -> Entry:
    """Nothing was looked at; or, with a database, all but the rows of the relation `unread`."""
    staging = route.examined_staging or route.staging
    there = {n: database.table(n, table.name) is not None for n in (route.final, staging) if database and n}
    row = LedgerRow(
        pipeline=route.pipeline,
        schema=route.schema,
        table=table.name,
        parent=table.parent,
        final=FinalSide(dataset=route.final, exists=there.get(route.final), rows=None, exact=False),
        staging=StagingSide(
            dataset=staging, exists=there.get(staging) if staging else None, rows=None, exact=False, load_ids=()
        ),
        verdict="unknown",
    )
    why = f"the rows of {unread} could not be read" if unread else "the destination was not looked at"
    return Entry(row=row, table=table, route=route, why=why)


def _entry(sides: _Sides) -> Entry | None:
    route, table, final, staging = sides.route, sides.table, sides.final, sides.staging
    if final is None and staging is None and not sides.expected:
        return None
    verdict, why = _row_verdict(sides)
    rows = _rows(sides.database, final) if final else Rows(rows=0)
    staged = sum(load.staged.rows for load in sides.loads) if staging is None or staging.readable else None
    row = LedgerRow(
        pipeline=route.pipeline,
        schema=route.schema,
        table=table.name,
        parent=table.parent,
        final=FinalSide(dataset=route.final, exists=final is not None, rows=rows.rows, exact=rows.exact),
        staging=StagingSide(
            dataset=route.examined_staging or route.staging,
            exists=staging is not None,
            rows=staged,
            exact=all(load.staged.exact for load in sides.loads),
            load_ids=tuple(sorted({load.staged.load_id for load in sides.loads if load.staged.load_id})),
        ),
        verdict=verdict,
    )
    return Entry(row=row, table=table, route=route, loads=sides.loads, why=why)


def _row_verdict(sides: _Sides) -> tuple[Verdict, str]:
    hidden = _hidden(sides)
    if hidden:
        return "hidden", hidden
    worst = max(sides.loads, key=lambda load: RANK[load.verdict], default=None)
    if worst and RANK[worst.verdict] > RANK["leftover"]:
        return worst.verdict, worst.why
    if sides.final is None and sides.expected:
        return "missing", "dlt's stored schema says this table was created; it is not there"
    if worst and worst.verdict == "leftover":
        return "leftover", worst.why
    return "healthy", "every load is in the final table"


def _hidden(sides: _Sides) -> str | None:
    role = sides.database.role
    for name in (sides.route.final, sides.route.examined_staging):
        schema = sides.database.schemas.get(name) if name else None
        if schema and not schema.usable:
            return f"the role {role} has no USAGE on schema {name}"
    for table in (sides.final, sides.staging):
        if table and not table.readable:
            return f"the role {role} has no SELECT on {table.schema}.{table.name}"
    return None
