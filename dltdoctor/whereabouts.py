"""The use case `where TABLE`: every copy of a table, what it is to dlt, and who writes it."""

import difflib
import re
from collections.abc import Mapping

from dltdoctor.diagnosis import ColumnShare, NewestLoad, TableCopy, Whereabouts
from dltdoctor.snapshot import Database, Snapshot, Table, Unread, Value
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.postgres.session import open_session
from dltdoctor.world.postgres.whereabouts import CopyFacts, read_copy, read_load_times, read_search_path

_PART = r'"(?:[^"]|"")+"|[^".]+'
_QUALIFIED = re.compile(rf"(?:(?P<schema>{_PART})\.)?(?P<table>{_PART})")
_RELATIONS = {"r": "table", "v": "view", "m": "materialized view", "f": "foreign table", "p": "partitioned table"}


class Name(Value, frozen=True):
    """A relation's name as the user typed it. A quoted part is meant letter by letter."""

    table: str
    schema: str | None = None
    quoted: bool = False
    quoted_schema: bool = False

    def means(self, table: Table) -> bool:
        """Upper and lower case count in quoted parts only: dlt may have kept them, who asks may not know."""
        if self.schema is not None and not _same(self.schema, table.schema, exactly=self.quoted_schema):
            return False
        return _same(self.table, table.name, exactly=self.quoted)

    def finds_in_sql(self, table: Table) -> bool:
        """Whether SQL would take the name for the table's: what is not quoted is folded to lower case."""
        return table.name == (self.table if self.quoted else self.table.lower())


def parse_name(name: str, database: Database) -> Name:
    """Schema and table of what the user typed; a dot may also be part of a table's name."""
    text = name.strip()
    if any(table == text for _, table in database.tables):
        return Name(table=text)
    found = _QUALIFIED.fullmatch(text)
    if found is None:
        return Name(table=text.strip('"'))
    schema, table = found["schema"], found["table"]
    return Name(
        table=_unquoted(table),
        schema=_unquoted(schema) if schema is not None else None,
        quoted=table.startswith('"'),
        quoted_schema=bool(schema and schema.startswith('"')),
    )


def matching(name: Name, database: Database) -> tuple[Table, ...]:
    """The relations of that name, those of final datasets first."""
    found = [t for t in database.tables.values() if name.means(t)]
    return tuple(sorted(found, key=lambda t: (not database.is_dataset(t.schema), t.schema, t.name)))


def similar(name: Name, database: Database) -> tuple[str, ...]:
    """Names to offer when there is none like it; the very name, where only its schema is another."""
    here = {t.name: t for t in database.tables.values() if not t.name.startswith("_dlt_")}
    elsewhere = sorted(f"{t.schema}.{t.name}" for t in database.tables.values() if t.name == name.table)
    lower = {known.lower(): known for known in sorted(here)}
    close = difflib.get_close_matches(name.table.lower(), list(lower), n=3)
    return tuple(elsewhere) or tuple(lower[each] for each in close)


def _same(typed: str, known: str, *, exactly: bool) -> bool:
    return typed == known if exactly else typed.lower() == known.lower()


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


def locate(name: str, snapshot: Snapshot, database: Database, way_in: Credentials, *, deep: bool) -> Whereabouts:
    """Everything known about the table's copies in one database. Raises `CouldNotLookError`."""
    meant = parse_name(name, database)
    tables = matching(meant, database)
    with open_session(way_in) as session:
        search_path = read_search_path(session)
        read = {(t.schema, t.name): read_copy(session, t, deep=deep) for t in tables if t.readable}
        facts = {place: each for place, each in read.items() if isinstance(each, CopyFacts)}
        ledgers = [t for (_, own), t in database.tables.items() if own == "_dlt_loads" and t.readable]
        times = read_load_times(session, ledgers, {f.newest_load_id for f in facts.values() if f.newest_load_id})
    usable = {schema for schema, each in database.schemas.items() if each.usable}
    visible = {t.schema for t in tables if meant.finds_in_sql(t)} & usable
    by_search_path = next((schema for schema in search_path if schema in visible), None)
    return Whereabouts(
        table=name,
        target=database.target.key,
        target_origin=database.target.origin,
        search_path=search_path,
        copies=tuple(
            _copy(
                snapshot,
                database,
                t,
                facts.get((t.schema, t.name)),
                times,
                bare=meant.finds_in_sql(t) and t.schema == by_search_path,
            )
            for t in tables
        ),
        similar=() if tables else similar(meant, database),
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
