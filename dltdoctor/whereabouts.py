"""The use case `where TABLE`: every copy of a table, what it is to dlt, and who writes it."""

import difflib
from collections.abc import Mapping

from dltdoctor.diagnosis import ColumnShare, NewestLoad, TableCopy, Whereabouts
from dltdoctor.snapshot import Database, Snapshot, Table, Unread
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.postgres.session import open_session
from dltdoctor.world.postgres.whereabouts import CopyFacts, read_copy, read_load_times, read_search_path

_RELATIONS = {"r": "table", "v": "view", "m": "materialized view", "f": "foreign table", "p": "partitioned table"}


def split_name(name: str, database: Database) -> tuple[str | None, str]:
    """Schema and table of what the user typed; a dot may also be part of a table's name."""
    bare = name.strip().strip('"')
    if any(table == bare for _, table in database.tables):
        return None, bare
    schema, dot, table = name.partition(".")
    return (schema.strip('"'), table.strip('"')) if dot else (None, bare)


def matching(name: str, database: Database) -> tuple[Table, ...]:
    """The relations of that name, those of final datasets first."""
    schema, wanted = split_name(name, database)
    found = [
        t
        for t in database.tables.values()
        if t.name.lower() == wanted.lower() and (schema is None or t.schema.lower() == schema.lower())
    ]
    return tuple(sorted(found, key=lambda t: (not database.is_dataset(t.schema), t.schema, t.name)))


def similar(name: str, database: Database) -> tuple[str, ...]:
    """Names to offer when there is none like it."""
    _, wanted = split_name(name, database)
    names = sorted({t.name for t in database.tables.values() if not t.name.startswith("_dlt_")})
    return tuple(difflib.get_close_matches(wanted, names, n=3))


def locate(name: str, snapshot: Snapshot, database: Database, way_in: Credentials, *, deep: bool) -> Whereabouts:
    """Everything known about the table's copies in one database. Raises `CouldNotLookError`."""
    tables = matching(name, database)
    with open_session(way_in) as session:
        search_path = read_search_path(session)
        read = {(t.schema, t.name): read_copy(session, t, deep=deep) for t in tables if t.readable}
        facts = {place: each for place, each in read.items() if isinstance(each, CopyFacts)}
        ledgers = [t for (_, own), t in database.tables.items() if own == "_dlt_loads" and t.readable]
        times = read_load_times(session, ledgers, {f.newest_load_id for f in facts.values() if f.newest_load_id})
    by_search_path = next((s for s in search_path for t in tables if t.schema == s), None)
    return Whereabouts(
        table=name,
        target=database.target.key,
        target_origin=database.target.origin,
        search_path=search_path,
        copies=tuple(
            _copy(snapshot, database, t, facts.get((t.schema, t.name)), times, bare=t.schema == by_search_path)
            for t in tables
        ),
        similar=() if tables else similar(name, database),
        notes=tuple(f"{u.what}: {u.reason}" for u in read.values() if isinstance(u, Unread)),
        taken_at=snapshot.taken_at,
    )


def _copy(
    snapshot: Snapshot,
    database: Database,
    table: Table,
    facts: CopyFacts | None,
    times: Mapping[str, float],
    *,
    bare: bool,
) -> TableCopy:
    here = [
        w
        for w in snapshot.routes
        if snapshot.catalog and snapshot.catalog.of_pipeline.get(w.pipeline) == database.target.key
    ]
    schemas = {(p.name, s.name): s for p in snapshot.pipelines for s in p.schemas}
    writers = [w for w in here if (schema := schemas.get((w.pipeline, w.schema))) and schema.table(table.name)]
    finals = tuple(dict.fromkeys(w.pipeline for w in writers if w.final == table.schema))
    stagings = tuple(dict.fromkeys(w.pipeline for w in writers if w.examined_staging == table.schema))
    load_id = facts.newest_load_id if facts else None
    return TableCopy(
        schema=table.schema,
        name=table.name,
        kind="final" if finals else "staging" if stagings else "other",
        pipelines=finals or stagings,
        relation=_RELATIONS.get(table.kind, "table"),
        readable=table.readable and facts is not None,
        rows=facts.rows if facts else None,
        exact=facts.exact if facts else False,
        columns=tuple(
            ColumnShare(name=c.name, type=c.type, non_null=facts.non_null.get(c.name) if facts else None)
            for c in table.columns
            if not c.name.startswith("_dlt_")
        ),
        columns_exact=facts.exact if facts else False,
        newest_load=NewestLoad(id=load_id, at=times.get(load_id)) if load_id else None,
        writers=finals or stagings,
        bare_name=bare,
    )
