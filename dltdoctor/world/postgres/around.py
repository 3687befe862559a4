"""Rows of loads that no row of `_dlt_loads` records: whether they are in their final tables all the same."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from psycopg.sql import SQL, Composed, Identifier, Literal

from dltdoctor.deduced.stored_states import histories, moved, overtaken, tables_of, unrecorded
from dltdoctor.snapshot import Database, Pipeline, Route, RowsAround, Schema, StateRow, Table
from dltdoctor.world.postgres.batches import BATCH, read_parts, template
from dltdoctor.world.postgres.facts import HOLDS_ROWS, read_facts
from dltdoctor.world.postgres.proof import LOAD_ID
from dltdoctor.world.postgres.rows import MOST_SCANNED, WHOLE, share
from dltdoctor.world.postgres.session import Session

Asked = tuple[Table, str]


def read_around(
    session: Session, pipelines: Sequence[Pipeline], ways: Iterable[Route], database: Database, *, deep: bool
) -> tuple[RowsAround, ...]:
    """The rows of every such load in the tables whose cursors it moved.

    Without a deep look at most 100,000 rows from all over a table are looked at. A table that cannot be
    read, or whose rows do not tell their load, is left out.
    """
    asked = list(dict.fromkeys(_asked(pipelines, ways, database)))
    facts = read_facts(session, [table for table, _ in asked]).facts if asked else {}
    known = [
        (t, i, WHOLE if deep else share(t, facts[t.schema, t.name])) for t, i in asked if (t.schema, t.name) in facts
    ]
    most_rows = None if deep else MOST_SCANNED + 1
    parts = [_statement(n, *each, most_rows=most_rows) for n, each in enumerate(known)]
    return tuple(
        RowsAround(
            dataset=known[n][0].schema,
            table=known[n][0].name,
            load_id=known[n][1],
            rows=rows,
            older=older,
            exact=deep or (known[n][2] >= WHOLE and seen <= MOST_SCANNED),
        )
        for n, seen, rows, older in sorted(read_parts(session, parts, size=1 if deep else BATCH).rows)
    )


def _asked(pipelines: Sequence[Pipeline], ways: Iterable[Route], database: Database) -> Iterator[Asked]:
    finals: dict[str, dict[str, list[Schema]]] = {}
    schemas = {(p.name, s.name): s for p in pipelines for s in p.schemas}
    for way in ways:
        schema = schemas.get((way.pipeline, way.schema))
        if schema:
            finals.setdefault(way.pipeline, {}).setdefault(way.final, []).append(schema)
    stored = histories(database)
    for pipeline, datasets in finals.items():
        for dataset in datasets:
            for load_id, resources in _doubtful(stored.get((dataset, pipeline), ())):
                everywhere = [(final, s) for final, mine in datasets.items() for s in mine]
                yield from _tables(database, everywhere, load_id, resources)


def _doubtful(rows: Sequence[StateRow]) -> Iterator[tuple[str, Collection[str]]]:
    for each in overtaken(rows):
        yield each.row.load_id, {gap.resource for gap in each.gaps}
    newest, committed = unrecorded(rows), next((r for r in rows if r.committed), None)
    if newest:
        resources = {gap.resource for gap in moved(newest[0].state, committed.state if committed else None)}
        for row in newest[:2]:
            yield row.load_id, resources


def _tables(
    database: Database, schemas: Iterable[tuple[str, Schema]], load_id: str, resources: Collection[str]
) -> Iterator[Asked]:
    for final, schema in schemas:
        for resource in resources:
            for known in tables_of(resource, (schema,)):
                table = database.table(final, known.name)
                if table and table.readable and table.kind in HOLDS_ROWS and table.has(LOAD_ID):
                    yield table, load_id


def _statement(part: int, table: Table, load_id: str, share_: float, *, most_rows: int | None) -> Composed:
    sampled = SQL("TABLESAMPLE SYSTEM ({}) REPEATABLE (0)").format(Literal(share_))
    return SQL(template("around")).format(
        part=Literal(part),
        load_id=Literal(load_id),
        table=Identifier(table.schema, table.name),
        sampled=sampled if share_ < WHOLE else SQL(""),
        most_rows=SQL("ALL") if most_rows is None else Literal(most_rows),
    )
