"""What dlt's own tables in the destination say: loads, pipeline states and stored schemas.

Datasets are recognised by these tables, so that nothing local is needed. Tables of that name with
other columns than dlt's are left alone.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from dltdoctor.errors import CouldNotLookError
from dltdoctor.snapshot import LoadRow, LoadSummary, Schema, State, StateRow, Table, Unread, Value
from dltdoctor.world.postgres.batches import read_parts
from dltdoctor.world.postgres.facts import HOLDS_ROWS, Key
from dltdoctor.world.postgres.session import Row, Session

if TYPE_CHECKING:
    from psycopg.sql import Composed

LOADS, STATES, VERSIONS = "_dlt_loads", "_dlt_pipeline_state", "_dlt_version"

_TEXTS = ("text", "character varying", "character")


class DltTables(Value):
    """The rows of dlt's own tables, and what of them could not be read."""

    loads: tuple[LoadSummary, ...] = ()
    states: tuple[StateRow, ...] = ()
    stored_schemas: Mapping[str, tuple[Schema, ...]] = {}
    unread: tuple[Unread, ...] = ()


def read_dlt_tables(session: Session, tables: Mapping[Key, Table]) -> DltTables:
    """Loads and stored schemas of every dataset, and each pipeline's newest states.

    Of a pipeline's states in a dataset the newest 50 and the newest committed one are listed, and
    at most 50 that were overtaken (`stored_states.overtaken`), with the recorded ones beside them. The newest,
    the newest committed and the overtaken ones with their neighbours are decoded. Of the schemas that a
    staging dataset stores, only name, versions and hash are read.
    """
    unread: list[Unread] = []
    loads = tuple(_loads(session, tables, unread))
    states = tuple(_states(session, tables, unread))
    stored: dict[str, tuple[Schema, ...]] = {}
    for dataset, schema in _schemas(session, tables, unread):
        stored[dataset] = (*stored.get(dataset, ()), schema)
    return DltTables(loads=loads, states=states, stored_schemas=stored, unread=tuple(unread))


def _loads(session: Session, tables: Mapping[Key, Table], unread: list[Unread]) -> Iterator[LoadSummary]:
    from dltdoctor.world.postgres import dlt_sql  # noqa: PLC0415 - it needs psycopg

    own = own_tables(tables, LOADS, ("load_id",))
    parts = [dlt_sql.loads(i, table) for i, table in enumerate(own)]
    for i, schema_name, rows, oldest, newest, load_id in _read(session, parts, own, unread):
        yield LoadSummary(
            dataset=own[i].schema,
            schema_name=schema_name,
            rows=rows,
            oldest=oldest or 0.0,
            newest=newest or 0.0,
            newest_load_id=load_id or "",
        )


def _states(session: Session, tables: Mapping[Key, Table], unread: list[Unread]) -> Iterator[StateRow]:
    from dltdoctor.world.postgres import dlt_sql  # noqa: PLC0415

    own = own_tables(tables, STATES, ("pipeline_name", "state", "_dlt_load_id"))
    found = _read(session, [dlt_sql.states(i, table, tables) for i, table in enumerate(own)], own, unread)
    rows = {(i, *row): stored for i, *row, stored, _ in found}
    doubtful = sorted({int(row[0]) for row in found if row[-1]})
    parts = [dlt_sql.overtaken(i, own[i], tables) for i in doubtful]
    rows |= {(i, *row): stored for i, *row, stored in _read(session, parts, [own[i] for i in doubtful], unread)}
    newest_first = sorted(rows, key=lambda row: (row[3] or "", row[2] or 0), reverse=True)
    for i, pipeline, version, load_id, status in sorted(newest_first, key=lambda row: int(row[0])):
        dataset, stored = own[i].schema, rows[i, pipeline, version, load_id, status]
        yield StateRow(
            dataset=dataset,
            pipeline_name=pipeline or "",
            version=version or 0,
            load_id=load_id or "",
            committed=status == 0,
            status=status,
            state=_state(stored, dataset, pipeline or "", unread) if stored else None,
        )


def _schemas(session: Session, tables: Mapping[Key, Table], unread: list[Unread]) -> Iterator[tuple[str, Schema]]:
    from dltdoctor.world.postgres import dlt_sql  # noqa: PLC0415

    own = own_tables(tables, VERSIONS, ("schema_name",))
    parts = [
        dlt_sql.stored_schemas(i, table, with_content=(table.schema, LOADS) in tables) for i, table in enumerate(own)
    ]
    for i, name, version, engine_version, version_hash, content in _read(session, parts, own, unread):
        dataset = own[i].schema
        summary = Schema(
            name=name,
            origin=f"{dataset}.{VERSIONS}",
            version=version or 0,
            engine_version=engine_version or 0,
            version_hash=version_hash or "",
        )
        yield dataset, schema_of(content, summary, dataset, unread) if content else summary


def read_load_rows(session: Session, tables: Mapping[Key, Table], load_ids: Collection[str]) -> tuple[LoadRow, ...]:
    """The `_dlt_loads` rows of these loads, in every dataset that may be read."""
    if not load_ids:
        return ()
    from dltdoctor.world.postgres import dlt_sql  # noqa: PLC0415

    own = own_tables(tables, LOADS, ("load_id",))
    rows = read_parts(session, [dlt_sql.load_rows(i, table, sorted(load_ids)) for i, table in enumerate(own)]).rows
    return tuple(
        LoadRow(dataset=own[i].schema, load_id=load_id, schema_name=name, status=status or 0, inserted_at=at or 0.0)
        for i, load_id, name, status, at in rows
    )


def own_tables(tables: Mapping[Key, Table], name: str, needed: Sequence[str]) -> list[Table]:
    """The tables of this name that may be read, and are dlt's by the text columns they have."""
    return [
        table
        for (_, table_name), table in tables.items()
        if table_name == name
        and table.readable
        and table.kind in HOLDS_ROWS
        and {c.name for c in table.columns if c.type.partition("(")[0] in _TEXTS}.issuperset(needed)
    ]


def _read(session: Session, parts: "Sequence[Composed]", own: Sequence[Table], unread: list[Unread]) -> list[Row]:
    reading = read_parts(session, parts)
    for i, failure in reading.failures.items():
        table = own[i]
        part = failure.unread(f"{table.schema}.{table.name}", "catalog", "ledger", dataset=table.schema)
        unread.append(msgspec.structs.replace(part, tables=(table.name,)))
    return sorted(reading.rows, key=lambda row: int(row[0]))


def _state(stored: str, dataset: str, pipeline: str, unread: list[Unread]) -> State | None:
    from dltdoctor.world.state import decode_state  # noqa: PLC0415 - only where a state is stored

    origin = f"{dataset}.{STATES}"
    try:
        return decode_state(stored, origin)
    except (CouldNotLookError, ValueError) as error:
        unread.append(_undecodable(error, f"the state of pipeline {pipeline} in {origin}", dataset))
        return None


def schema_of(content: str, summary: Schema, dataset: str, unread: list[Unread]) -> Schema:
    """The schema of a `_dlt_version` row, or what is known of it without its content."""
    from dltdoctor.world.schemas import decode_stored_schema  # noqa: PLC0415 - only where one is stored

    try:
        return decode_stored_schema(content, summary.origin)
    except (CouldNotLookError, ValueError) as error:
        unread.append(_undecodable(error, f"schema {summary.name} in {summary.origin}", dataset))
        return summary


def _undecodable(error: Exception, what: str, dataset: str) -> Unread:
    hint = error.hint if isinstance(error, CouldNotLookError) else ""
    return Unread(
        code="DD001",
        what=what,
        reason=str(getattr(error, "reason", "it is not in a form that dlt writes")),
        hint=hint or "dlt stores it anew when a run changes the schema or the state.",
        areas=("catalog", "ledger"),
        dataset=dataset,
    )
