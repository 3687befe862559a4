"""The catalog of one database: schemas, relations with their columns, and what views read.

It is read from pg_catalog, which shows everything, because information_schema hides what the role
may not use. The privileges that information_schema filters by are read beside it: what they would
hide is marked `usable=False` or `readable=False`, and `hidden` turns it into DD003.
"""

from collections.abc import Collection, Mapping

from dltdoctor.snapshot import Column, PgSchema, Table, Unread, Value, ViewReference
from dltdoctor.world.postgres.session import Row, Session, load_query


class Relations(Value):
    """What the catalog says; `hidden_schemas` are those the role has no USAGE on."""

    schemas: Mapping[str, PgSchema] = {}
    tables: Mapping[tuple[str, str], Table] = {}
    views: tuple[ViewReference, ...] = ()

    @property
    def hidden_schemas(self) -> tuple[str, ...]:
        return tuple(s.name for s in self.schemas.values() if not s.usable)

    def hidden(self, role: str, needed: Collection[str] = ()) -> tuple[Unread, ...]:
        """DD003 for each schema that is `needed` or looks like dlt's and that the role cannot see into."""
        unreadable: dict[str, int] = {}
        for schema, name in self.tables:
            if not self.tables[schema, name].readable:
                unreadable[schema] = unreadable.get(schema, 0) + 1
        return tuple(
            _hidden(schema, role, unreadable.get(schema.name, 0))
            for schema in self.schemas.values()
            if (schema.name in needed or (schema.name, "_dlt_version") in self.tables)
            and (not schema.usable or schema.name in unreadable)
        )


def read_catalog(session: Session) -> Relations:
    """Every schema, relation and view that is not Postgres' own.

    One query for the relations, with their columns: its cost is linear in columns, and the server
    makes rows while this side reads them. Raises `FailedReadError` when the server refuses.
    """
    schemas = {
        name: PgSchema(name=name, owner=owner, usable=usable) for name, owner, usable in _rows(session, "schemas")
    }
    columns = _Columns()
    tables: dict[tuple[str, str], Table] = {}
    torn: list[tuple[str, str]] = []
    for schema, name, kind, owner, estimate, readable, row_key, number, lines in session.stream(load_query("tables")):
        found = columns[lines]
        if len(found) != number:
            torn.append((schema, name))
        tables[schema, name] = Table(
            schema=schema,
            name=name,
            kind=kind,
            owner=owner,
            estimate=estimate,
            readable=readable,
            has_row_key_index=row_key,
            columns=found,
        )
    for key in torn:
        tables[key] = _with_columns(session, tables[key])
    views = (
        ViewReference(schema=s, view=v, reads_schema=rs, reads_table=rt) for s, v, rs, rt in _rows(session, "views")
    )
    return Relations(schemas=schemas, tables=dict(sorted(tables.items())), views=tuple(views))


class _Columns(dict[str | None, tuple[Column, ...]]):
    """Columns by the lines that describe them: staging repeats final, and every table repeats `_dlt_id`."""

    def __init__(self) -> None:
        super().__init__({None: ()})
        self._columns: dict[str, Column] = {}
        self._types: dict[str, str] = {}

    def __missing__(self, lines: str) -> tuple[Column, ...]:
        known, types = self._columns, self._types
        found = []
        for line in lines.split("\n"):
            column = known.get(line)
            if column is None:
                type_name, _, name = line.partition("\t")
                shared = types.setdefault(type_name, type_name)
                column = known[line] = Column(name=name[1:], type=shared, not_null=name[:1] == "!")
            found.append(column)
        self[lines] = columns = tuple(found)
        return columns


def _with_columns(session: Session, table: Table) -> Table:
    import msgspec  # noqa: PLC0415

    rows = session.fetch(load_query("columns"), (table.schema, table.name))
    columns = tuple(Column(name=name, type=kind, not_null=not_null) for name, kind, not_null in rows)
    return msgspec.structs.replace(table, columns=columns)


def _rows(session: Session, query: str) -> list[Row]:
    return session.fetch(load_query(query))


def _hidden(schema: PgSchema, role: str, tables: int) -> Unread:
    if schema.usable:
        what, grant = (
            f"{tables} relation(s) of schema {schema.name}",
            f"SELECT ON ALL TABLES IN SCHEMA {_quoted(schema.name)}",
        )
    else:
        what, grant = f"schema {schema.name}", f"USAGE ON SCHEMA {_quoted(schema.name)}"
    return Unread(
        code="DD003",
        what=what,
        reason=f"it exists, but the role {role} may not see into it",
        hint=f"As its owner ({schema.owner}): GRANT {grant} TO {_quoted(role)};",
        areas=("catalog", "ledger"),
        dataset=schema.name,
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
