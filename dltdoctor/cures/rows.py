"""Plans how rows that are too many are taken out of final tables: repeated keys and nested rows without a row above.

Unsafe: dltdoctor knows which rows they are, and not which of them somebody wants. Everything that is deleted is
kept for undo.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from dltdoctor.deduced.chains import ROW_KEY, below, can_be_followed, nested_first
from dltdoctor.deduced.duplicates import LOAD_ID, surplus
from dltdoctor.errors import DoctorError
from dltdoctor.finding import Finding
from dltdoctor.plan import Cure, HeldBack
from dltdoctor.snapshot import Database, Orphans, RepeatedKey, Schema, SchemaTable, Snapshot
from dltdoctor.steps.step import FinishLoad, Probe, Replay, RunSql, Step, TouchedTable
from dltdoctor.words import count, qualified, quoted, relation
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.postgres.session import open_session

Tables = tuple[SchemaTable, ...]

LONGEST_COUNT = 600_000
"""Milliseconds."""

COSTS = {
    "DD306": "of each key all rows but the newest are deleted, and which of them was right dltdoctor cannot know",
    "DD309": "the nested rows are deleted; where the rows above are missing by mistake, bring those back instead",
}


def plan(
    findings: Iterable[Finding], snapshot: Snapshot, ways_in: Mapping[str, Credentials]
) -> tuple[list[Cure], list[HeldBack]]:
    """A cure for every finding of such rows that `fix` can carry out, or why there is none.

    Rows of which only some were seen are counted, read-only.
    """
    cures: list[Cure] = []
    held: list[HeldBack] = []
    for finding in findings:
        if finding.code not in COSTS or finding.remedy is None or finding.remedy.safety != "unsafe":
            continue
        try:
            step = _step(finding, snapshot, ways_in)
        except DoctorError as error:
            step = error.message
        if isinstance(step, RunSql):
            cures.append(_cure(finding, step))
        else:
            held.append(HeldBack(code=finding.code, pipeline=finding.pipeline, message=finding.message, reason=step))
    return cures, held


def after_others(cures: Sequence[Cure], snapshot: Snapshot) -> tuple[list[Cure], list[HeldBack]]:
    """What may stand in one plan: rows that others bring into a table are not deleted from it in the same one.

    Which rows are too many was counted before they came.
    """
    filled = {p for c in cures if c.code not in COSTS for s in c.steps for p in _filled(s, snapshot)}
    kept: list[Cure] = []
    held: list[HeldBack] = []
    for cure in cures:
        if cure.code in COSTS and filled & {p for step in cure.steps for p in _filled(step, snapshot)}:
            held.append(
                HeldBack(
                    code=cure.code,
                    pipeline=cure.pipeline,
                    message=cure.message,
                    reason="rows are brought to its tables first; run the command again afterwards",
                )
            )
        else:
            kept.append(cure)
    return kept, held


def _filled(step: Step, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """The tables that a step writes; those of a load that dlt finishes are all of its pipeline."""
    if isinstance(step, RunSql | Replay):
        yield from ((t.schema, t.table) for t in step.touches)
    elif isinstance(step, FinishLoad):
        schemas = {(p.name, s.name): s for p in snapshot.pipelines for s in p.schemas}
        for way in snapshot.routes_of(step.pipeline):
            schema = schemas.get((step.pipeline, way.schema))
            yield from ((way.final, name) for name in (schema.tables if schema else ()))


def _cure(finding: Finding, step: RunSql) -> Cure:
    return Cure(
        code=finding.code,
        fingerprint=finding.fingerprint,
        pipeline=finding.pipeline,
        message=finding.message,
        safety="unsafe",
        steps=(step,),
        cost=COSTS[finding.code],
    )


def _step(finding: Finding, snapshot: Snapshot, ways_in: Mapping[str, Credentials]) -> RunSql | str:
    """The step, or why there is none."""
    database = snapshot.catalog.database(finding.pipeline or "") if snapshot.catalog else None
    found = next(_seen(finding, database), None) if database else None
    schema = _schema(finding, snapshot)
    if database is None or found is None or schema is None:
        return "its table was not looked at"
    tables = nested_first(schema, found.table, database, found.dataset)
    if not tables or not can_be_followed(tables, database, found.dataset):
        return "a table of the chain has no row keys, by which nested rows are found"
    if isinstance(found, RepeatedKey):
        return _repeated(found, tables, schema, database)
    if not found.exact:
        found = msgspec.structs.replace(found, rows=_count(found, ways_in[database.target.key]))
    return _orphaned(found, tables, schema)


def _count(found: Orphans, way_in: Credentials) -> int:
    query = f"SELECT count(*) FROM {qualified(found.dataset, found.table)} WHERE {_without_row_above(found)}"
    with open_session(way_in, statement_timeout_ms=LONGEST_COUNT) as session:
        return int(session.fetch(query.encode())[0][0])


def _repeated(found: RepeatedKey, tables: Tables, schema: Schema, database: Database) -> RunSql:
    table = database.table(found.dataset, found.table)
    rows = surplus(found, with_load_id=table is not None and table.has(LOAD_ID))
    place = relation(found.dataset, found.table)
    return _deletion(
        tables,
        schema,
        found.dataset,
        chosen=f"{quoted(ROW_KEY)} IN ({rows})",
        rows=found.surplus,
        title=f"Delete {count(found.surplus, 'row')} of {place}, and what is nested in them: a newer one has their key",
        what=f"{place} (the rows that are too many)",
    )


def _orphaned(found: Orphans, tables: Tables, schema: Schema) -> RunSql:
    place = relation(found.dataset, found.table)
    return _deletion(
        tables,
        schema,
        found.dataset,
        chosen=_without_row_above(found),
        rows=found.rows,
        title=f"Delete {count(found.rows, 'row')} of {place}, and what is nested in them: the row above is not there",
        what=f"{place} (the rows without the row above)",
        beside=(found.above,),
    )


def _without_row_above(found: Orphans) -> str:
    link = f"{qualified(found.dataset, found.table)}.{quoted(found.link)}"
    above = f"SELECT FROM {qualified(found.dataset, found.above)} AS a WHERE a.{quoted(ROW_KEY)} = {link}"
    return f"{link} IS NOT NULL AND NOT EXISTS ({above})"


def _deletion(  # noqa: PLR0913 - what it says and what it does
    tables: Tables,
    schema: Schema,
    dataset: str,
    *,
    chosen: str,
    rows: int,
    title: str,
    what: str,
    beside: tuple[str, ...] = (),
) -> RunSql:
    """Delete the chosen rows of the last of the tables, and before them what stands under them in the others.

    While it lasts, nobody may write these tables and those `beside` them.
    """
    top = tables[-1].name
    counting = f"SELECT count(*) FROM {qualified(dataset, top)} WHERE {chosen}"
    return RunSql(
        title=title,
        statements=tuple(
            f"DELETE FROM {qualified(dataset, t.name)} WHERE {below(schema, t, chosen, dataset=dataset, top=top)}"
            for t in tables
        ),
        touches=tuple(TouchedTable(schema=dataset, table=t.name, key=(ROW_KEY,)) for t in tables),
        before=(Probe(what=what, query=counting, expected=_row(rows)),),
        after=(Probe(what=what, query=counting, expected=_row(0)),),
        locks=tuple((dataset, name) for name in (*(t.name for t in tables), *beside)),
    )


def _row(number: int) -> str:
    return msgspec.json.encode((str(number),)).decode()


def _seen(finding: Finding, database: Database) -> Iterator[RepeatedKey | Orphans]:
    place = (finding.dataset, finding.table)
    if finding.code == "DD306":
        yield from (r for r in database.looks.repeated if (r.dataset, r.table) == place and r.columns != (ROW_KEY,))
    else:
        yield from (o for o in database.looks.orphans if (o.dataset, o.table) == place)


def _schema(finding: Finding, snapshot: Snapshot) -> Schema | None:
    pipelines = {p.name: p for p in snapshot.pipelines}
    for way in snapshot.routes_of(finding.pipeline or ""):
        schema = pipelines[way.pipeline].schema(way.schema) if way.pipeline in pipelines else None
        if schema and way.final == finding.dataset and schema.table(finding.table or ""):
            return schema
    return None
