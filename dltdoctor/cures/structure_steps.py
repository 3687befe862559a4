"""Steps that put back what dlt believes to be there, with the inverse of each; the DDL is dlt's own."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from dltdoctor.deduced.applied import held, lacking, without_root_key
from dltdoctor.errors import RefusedError
from dltdoctor.finding import Finding
from dltdoctor.snapshot import Database, Schema, SchemaColumn, SchemaTable, Table, Value
from dltdoctor.steps.step import Inverse, Probe, RunSql, TouchedTable
from dltdoctor.words import columns, identifier, literal, qualified, quoted, relation
from dltdoctor.world.dlt_merge import add_column_statements, create_statements
from dltdoctor.world.documents import Document
from dltdoctor.world.postgres.session import Session
from dltdoctor.world.probes import columns_probe, existence_probe

ROW_KEY = "_dlt_id"
_ADDED = re.compile(r'ADD COLUMN ("(?:[^"]|"")+")')


class Patient(Value):
    """The table that a finding is about. `dataset` is where it is to be changed, `schema` knows what it lacks."""

    finding: Finding
    database: Database
    final: str
    dataset: str
    schema: Schema
    table: SchemaTable
    document: Document

    @property
    def place(self) -> tuple[str, str]:
        return self.dataset, self.table.name

    @property
    def name(self) -> str:
        return relation(*self.place)

    @property
    def there(self) -> Table:
        found = held(self.database, *self.place)
        if found is None:
            raise RefusedError(f"{self.name} is not there", "")
        return found


def _add_columns(session: Session, patient: Patient) -> RunSql:
    root_key = without_root_key(patient.table, patient.database, patient.dataset)
    gone = [c for c in lacking(patient.table, patient.there) if c != root_key]
    strict = [c.name for c in gone if not c.nullable]
    names = [c.name for c in gone]
    if strict and session.fetch(f"SELECT EXISTS (SELECT FROM {qualified(*patient.place)})".encode())[0][0]:
        raise RefusedError(f"{patient.name} has rows, and {columns(strict)} may not be NULL", "")
    statements = add_column_statements(
        patient.document, patient.place, names, create_indexes=patient.there.has_row_key_index or ROW_KEY in names
    )
    _refuse_unless_owner(session, patient, statements)
    return RunSql(
        title=f"Add {columns(names)} to {patient.name} as dlt would",
        statements=statements,
        touches=(),
        before=(columns_probe(session, *patient.place),),
        locks=(patient.place,),
        inverse=_drop(patient, [name for s in statements for name in _ADDED.findall(s)]),
    )


def _drop(patient: Patient, quoted_names: Sequence[str]) -> Inverse:
    """`quoted_names` are as dlt has folded them."""
    table = qualified(*patient.place)
    names = [name[1:-1].replace('""', '"') for name in quoted_names]
    has_value = " OR ".join(f"{quoted(n)} IS NOT NULL" for n in names)
    holds = Probe(
        what=f"{columns(names)} of {patient.name}",
        query=f"SELECT EXISTS (SELECT FROM {table} WHERE {has_value})",
        expected='["False"]',
        refusal=f"{columns(names)} of {patient.name} hold values by now, which would be lost",
    )
    return Inverse(
        title=f"Drop {columns(names)} of {patient.name}",
        statements=(f"ALTER TABLE {table} {', '.join(f'DROP COLUMN {quoted(n)}' for n in names)}",),
        before=(holds,),
    )


def _create_table(session: Session, patient: Patient) -> RunSql:
    final = held(patient.database, patient.final, patient.table.name)
    indexed = final.has_row_key_index if final else True
    statements = create_statements(patient.document, [patient.table.name], patient.dataset, create_indexes=indexed)
    versions = patient.database.table(patient.dataset, "_dlt_version")
    if versions and versions.owner != patient.database.role:
        # whoever loads has to be able to truncate it
        statements = (*statements, f"ALTER TABLE {qualified(*patient.place)} OWNER TO {quoted(versions.owner)}")
    return RunSql(
        title=f"Create {patient.name} as dlt would",
        statements=statements,
        touches=(TouchedTable(schema=patient.dataset, table=patient.table.name, key=(ROW_KEY,), created=True),),
        before=(existence_probe(session, *patient.place),),
        locks=((patient.dataset, "_dlt_version"),),
    )


def _add_root_key(session: Session, patient: Patient) -> RunSql:
    root_key = without_root_key(patient.table, patient.database, patient.final)
    if root_key is None:
        raise RefusedError(f"{patient.name} lacks no root key", "")
    name, table = quoted(root_key.name), qualified(*patient.place)
    fill = _fill(patient, root_key)
    lost = _without_ancestors(patient)
    if lost and session.fetch(lost.encode())[0][0]:
        raise RefusedError(f"rows of {patient.name} have no rows above them, so no root key can be told", "")
    statements = (
        *add_column_statements(patient.document, patient.place, [root_key.name], loosened=True),
        fill,
        f"ALTER TABLE {table} ALTER COLUMN {name} SET NOT NULL",
    )
    _refuse_unless_owner(session, patient, statements)
    loads = patient.database.table(patient.final, "_dlt_loads")
    return RunSql(
        title=f"Add {root_key.name} to {patient.name}, filled from the rows above",
        statements=statements,
        # Any load recorded since relies on the column: undo is refused then.
        touches=(TouchedTable(schema=patient.final, table="_dlt_loads", key=("load_id",)),) if loads else (),
        before=(columns_probe(session, *patient.place),),
        locks=tuple((patient.final, t.name) for t in _above(patient)),
        inverse=Inverse(
            title=f"Drop {root_key.name} of {patient.name}", statements=(f"ALTER TABLE {table} DROP COLUMN {name}",)
        ),
    )


def _above(patient: Patient) -> list[SchemaTable]:
    """The table and those it nests in, without the root table."""
    found = [patient.table]
    while (parent := patient.schema.table(found[-1].parent or "")) and parent.is_nested:
        found.append(parent)
    return found


def _fill(patient: Patient, root_key: SchemaColumn) -> str:
    """Each row gets the parent key of its ancestor right below the root: that is the root row's key."""
    lineage = _above(patient)
    table, name = qualified(*patient.place), quoted(root_key.name)
    if len(lineage) == 1:
        return f"UPDATE {table} SET {name} = {quoted(_key(lineage[0], 'parent_key'))}"
    top = f"a{len(lineage) - 1}.{quoted(_key(lineage[-1], 'parent_key'))}"
    tables = ", ".join(f"{qualified(patient.final, t.name)} AS a{n}" for n, t in enumerate(lineage[1:], start=1))
    return f"UPDATE {table} AS a0 SET {name} = {top} FROM {tables} WHERE {_joined(lineage)}"


def _joined(lineage: Sequence[SchemaTable]) -> str:
    return " AND ".join(
        f"a{n}.{quoted(_key(lower, 'parent_key'))} = a{n + 1}.{quoted(_key(upper, 'row_key'))}"
        for n, (lower, upper) in enumerate(pairwise(lineage))
    )


def _without_ancestors(patient: Patient) -> str | None:
    """Whether a row hangs on nothing; right below the root dlt does not ask either."""
    lineage = _above(patient)
    if len(lineage) == 1:
        return None
    tables = ", ".join(f"{qualified(patient.final, t.name)} AS a{n}" for n, t in enumerate(lineage[1:], start=1))
    above = f"SELECT FROM {tables} WHERE {_joined(lineage)}"
    return f"SELECT EXISTS (SELECT FROM {qualified(*patient.place)} AS a0 WHERE NOT EXISTS ({above}))"


def _key(table: SchemaTable, hint: str) -> str:
    name = next((c.name for c in table.columns if getattr(c, hint)), None)
    if name is None:
        raise RefusedError(f"dlt's schema names no {hint} of {table.name}", "")
    return name


def _refuse_unless_owner(session: Session, patient: Patient, statements: Sequence[str]) -> None:
    """Only a table's owner may change its columns."""
    query = f"SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = {literal(qualified(*patient.place))}::regclass"
    if not session.fetch(query.encode())[0][0]:
        owner = identifier(patient.there.owner)
        raise RefusedError(f"only its owner {owner} may change {patient.name}", f"{'; '.join(statements)};")


MAKERS: Mapping[str, Callable[[Session, Patient], RunSql]] = {
    "DD402": _add_columns,
    "DD403": _create_table,
    "DD405": _add_root_key,
}
