"""Every copy of one table: rows, filled columns and newest load, cheaply unless asked to be exact."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from dltdoctor.snapshot import Table, Unread, Value
from dltdoctor.world.postgres.failures import FailedReadError
from dltdoctor.world.postgres.session import Session

if TYPE_CHECKING:
    from psycopg.sql import Composable

SMALL = 8 * 1024 * 1024  # counted exactly without asking: a moment's work
LOAD_ID = "_dlt_load_id"


class CopyFacts(Value):
    """What one relation holds. `non_null` maps columns to a share from 0 to 1, None where unknown."""

    rows: int | None
    exact: bool
    non_null: Mapping[str, float | None]
    newest_load_id: str | None
    load_at: float | None = None


def read_search_path(session: Session) -> tuple[str, ...]:
    """The schemas a bare name is looked up in by this role, when it sets nothing itself."""
    rows = session.fetch(
        b"SELECT btrim(part, ' \"') FROM pg_settings, unnest(string_to_array(reset_val, ',')) AS part "
        b"WHERE name = 'search_path'"
    )
    return tuple(session.role if name == "$user" else name for (name,) in rows)


def read_copy(session: Session, table: Table, *, deep: bool) -> CopyFacts | Unread:
    """The facts of one relation: counted when it is small or a deep look was asked for, else estimated."""
    try:
        if deep or table.kind not in "rpm" or _size(session, table) <= SMALL:
            return _counted(session, table)
        return _estimated(session, table)
    except FailedReadError as failure:
        return failure.unread(f"{table.schema}.{table.name}", "catalog", dataset=table.schema)


def read_load_times(session: Session, datasets: Iterable[Table], load_ids: Iterable[str]) -> Mapping[str, float]:
    """When each of the loads was recorded, by `_dlt_loads` of the datasets; Unix seconds."""
    from psycopg import sql  # noqa: PLC0415

    wanted = list(load_ids)
    times: dict[str, float] = {}
    for loads in datasets:
        statement = sql.SQL(
            "SELECT load_id::text, extract(epoch FROM inserted_at)::float8 FROM {} WHERE load_id::text = ANY(%s)"
        ).format(_name(loads))
        try:
            times.update((str(i), float(t)) for i, t in session.fetch(statement, (wanted,)) if t is not None)
        except FailedReadError:  # a table of that name that is not dlt's
            continue
    return times


def _size(session: Session, table: Table) -> int:
    from psycopg import sql  # noqa: PLC0415

    statement = sql.SQL("SELECT pg_table_size({}::regclass)").format(sql.Literal(_name(table).as_string(None)))
    return int(session.fetch(statement)[0][0] or 0)


def _counted(session: Session, table: Table) -> CopyFacts:
    from psycopg import sql  # noqa: PLC0415

    counts: list[Composable] = [sql.SQL("count({})").format(sql.Identifier(c.name)) for c in table.columns]
    newest = sql.SQL("max({}::text)").format(sql.Identifier(LOAD_ID)) if table.has(LOAD_ID) else sql.SQL("NULL")
    statement = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join([sql.SQL("count(*)"), newest, *counts]), _name(table)
    )
    rows, load_id, *filled = session.fetch(statement)[0]
    shares = {c.name: (n / rows if rows else None) for c, n in zip(table.columns, filled, strict=True)}
    return CopyFacts(rows=rows, exact=True, non_null=shares, newest_load_id=load_id)


def _estimated(session: Session, table: Table) -> CopyFacts:
    statistics = session.fetch(
        b"SELECT attname::text, null_frac FROM pg_stats WHERE schemaname = %s AND tablename = %s",
        (table.schema, table.name),
    )
    known = {name: 1.0 - float(missing) for name, missing in statistics}
    return CopyFacts(
        rows=int(table.estimate) if table.estimate >= 0 else None,
        exact=False,
        non_null={c.name: known.get(c.name) for c in table.columns},
        newest_load_id=_newest_by_index(session, table),
    )


def _newest_by_index(session: Session, table: Table) -> str | None:
    """pg_stats knows the most common load ids; the newest of them is a fair answer without a scan."""
    rows = session.fetch(
        b"SELECT max(v) FROM pg_stats, unnest(most_common_vals::text::text[]) AS v "
        b"WHERE schemaname = %s AND tablename = %s AND attname = %s",
        (table.schema, table.name, LOAD_ID),
    )
    found = rows[0][0] if rows else None
    return str(found) if found else None


def _name(table: Table) -> "Composable":
    from psycopg import sql  # noqa: PLC0415

    return sql.Identifier(table.schema, table.name)
