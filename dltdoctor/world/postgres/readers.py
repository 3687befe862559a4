"""What a declared reader finds in one database: its names, its privileges, and how full its columns are."""

import re
from collections.abc import Iterator, Mapping, Sequence

from dltdoctor.snapshot import Contract, Copy, Database, DeclaredTable, Reader, Share, Table, Unread, Value
from dltdoctor.words import identifier, relation
from dltdoctor.world.postgres.session import Session, load_query
from dltdoctor.world.postgres.whereabouts import CopyFacts, read_copy

_PART = r'"(?:[^"]|"")+"|[^".]+'
_QUALIFIED = re.compile(rf"(?:(?P<schema>{_PART})\.)?(?P<table>{_PART})")
_LISTED = re.compile(r'"(?:[^"]|"")*"|[^,\s]+')
_USUAL = ("$user", "public")
_STALE = 0.1  # the share of rows changed since ANALYZE from which its statistics are not believed


class Path(Value):
    """A search path, and what it comes from."""

    schemas: tuple[str, ...]
    origin: str


def read_readers(
    session: Session, database: Database, contracts: Sequence[Contract], *, deep: bool
) -> tuple[list[Reader], list[Unread]]:
    """Every declared reader in this database. Raises `CouldNotLookError`."""
    unread: list[Unread] = []
    return [_reader(session, database, contract, unread, deep=deep) for contract in contracts], unread


def _reader(session: Session, database: Database, contract: Contract, unread: list[Unread], *, deep: bool) -> Reader:
    role = contract.role or session.role
    exists = bool(session.fetch(b"SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)))
    settings = session.fetch(load_query("reader_settings"), {"role": role})
    exposed = _exposed(settings) if contract.role else None
    path = _search_path(session, contract, settings, exposed, role)
    tables = tuple(
        _declared(session, database, contract, declared, path, role, unread, deep=deep) for declared in contract.tables
    )
    return Reader(
        contract=contract,
        database=database.target.key,
        role=role,
        role_exists=exists,
        search_path=path.schemas,
        search_path_origin=path.origin,
        exposed=exposed.schemas if exposed else None,
        exposed_by=exposed.origin if exposed else "",
        tables=tables,
    )


def _exposed(settings: Sequence[tuple[object, ...]]) -> Path | None:
    for of_database, role, setting, _ in settings:
        key, _, value = str(setting).partition("=")
        if key.startswith("pgrst."):
            whose = "the database" if of_database else f"role {role}"
            return Path(schemas=names(value), origin=f"{key} of {whose}, pg_db_role_setting")
    return None


def _search_path(
    session: Session, contract: Contract, settings: Sequence[tuple[object, ...]], exposed: Path | None, role: str
) -> Path:
    """Declared, else what PostgREST sets, else the role's, the database's or the server's."""
    if contract.search_path is not None:
        return Path(schemas=_with_user(contract.search_path, role), origin=contract.origin)
    if exposed is not None:
        return Path(schemas=exposed.schemas[:1], origin=exposed.origin)
    for of_database, _, setting, _ in settings:
        key, _, value = str(setting).partition("=")
        if key == "search_path":
            whose = "the database" if of_database else f"role {role}"
            return Path(schemas=_with_user(names(value), role), origin=f"search_path of {whose}, pg_db_role_setting")
    if role == session.role:
        rows = session.fetch(b"SELECT reset_val FROM pg_settings WHERE name = 'search_path'")
        return Path(schemas=_with_user(names(str(rows[0][0])), role), origin="search_path of the server, pg_settings")
    return Path(schemas=_with_user(_USUAL, role), origin="Postgres' default search_path")


def names(listed: str) -> tuple[str, ...]:
    """The names of a list as Postgres writes it: `"$user", public`. What is not quoted is in lower case."""
    parts = (found[0] for found in _LISTED.finditer(listed))
    return tuple(p[1:-1].replace('""', '"') if p.startswith('"') else p.lower() for p in parts if p != '""')


def _with_user(path: Sequence[str], role: str) -> tuple[str, ...]:
    return tuple(role if name == "$user" else name for name in path)


def _declared(
    session: Session,
    database: Database,
    contract: Contract,
    declared: str,
    path: Path,
    role: str,
    unread: list[Unread],
    *,
    deep: bool,
) -> DeclaredTable:
    schema, name = split(declared)
    asked = {"role": role, "name": name, "columns": list(contract.columns)}
    rows = session.fetch(load_query("reader_copies"), asked)
    resolved = next((s for s in path.schemas for row in rows if row[0] == s and row[1]), None)
    copies = []
    for place, usage, select, denied, row_security in rows:
        table = database.table(place, name)
        is_read = table is not None and (place in (schema, resolved) or database.is_dataset(place))
        shares = _shares(session, table, contract, unread, deep=deep) if table and is_read else {}
        by_column = bool(contract.columns) and not denied
        copies.append(
            Copy(
                schema=place,
                table=name,
                usage=usage,
                select=select or by_column,
                denied=() if select else tuple(denied),
                row_security=row_security,
                columns=shares,
            )
        )
    return DeclaredTable(declared=declared, name=name, schema=schema, resolved=resolved, copies=tuple(copies))


def split(declared: str) -> tuple[str | None, str]:
    """Schema, if there is one, and table of a name as SQL has it: what is not quoted is in lower case."""
    found = _QUALIFIED.fullmatch(declared.strip())
    if found is None:
        return None, declared.strip()
    schema = found["schema"]
    return (_plain(schema) if schema is not None else None), _plain(found["table"])


def _plain(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part.lower()


def _shares(
    session: Session, table: Table, contract: Contract, unread: list[Unread], *, deep: bool
) -> Mapping[str, Share]:
    """The declared columns that are there, and how full they are, where that was promised."""
    there = {c.name for c in table.columns}
    promised = {name: least for name, least in contract.columns.items() if name in there}
    plain = {name: Share(non_null=None, exact=False) for name in promised}
    if not any(least is not None for least in promised.values()):
        return plain
    place = f"{table.schema}.{table.name}"
    if not table.readable:
        reason = "the examining role may not read it, or row level security hides rows from it"
        who = identifier(session.role)
        hint = f"GRANT SELECT ON {relation(table.schema, table.name)} TO {who}; ALTER ROLE {who} BYPASSRLS;"
        unread.append(Unread(code="DD003", what=f"the values of {place}", reason=reason, hint=hint, areas=("readers",)))
        return plain
    facts = read_copy(session, table, deep=deep)
    if isinstance(facts, CopyFacts) and not facts.exact and any(_is_doubtful(session, table, facts, promised)):
        counted = read_copy(session, table, deep=True)
        facts = counted if isinstance(counted, CopyFacts) else facts
    if isinstance(facts, Unread):
        unread.append(Unread(code="DD003", what=facts.what, reason=facts.reason, hint=facts.hint, areas=("readers",)))
        return plain
    return {name: Share(non_null=facts.non_null.get(name), exact=facts.exact) for name in promised}


def _is_doubtful(
    session: Session, table: Table, facts: CopyFacts, promised: Mapping[str, float | None]
) -> Iterator[bool]:
    """Whether statistics are not enough: there are none, they are old, or they say that the promise is broken."""
    for name, least in promised.items():
        share = facts.non_null.get(name)
        yield least is not None and (share is None or share < least)
    changed = session.fetch(
        b"SELECT n_mod_since_analyze FROM pg_stat_all_tables WHERE schemaname = %s AND relname = %s",
        (table.schema, table.name),
    )
    yield bool(changed) and (changed[0][0] or 0) > _STALE * max(table.estimate, 1)


class Grant(Value):
    """A role that may read a relation without owning it."""

    schema: str
    table: str
    role: str


def read_grants(session: Session) -> tuple[Grant, ...]:
    """Every granted SELECT, by role."""
    rows = session.fetch(load_query("grants"))
    return tuple(Grant(schema=schema, table=table, role=role) for schema, table, role in rows)
