"""A declared reader may not see the table.

Its role does not exist, lacks USAGE on the schema or SELECT on the table, or row level security is on
and no policy lets a row through for it.

*Why it matters.* Without the privilege the reader stops with an error. Without a policy it does not:
it gets no rows, as if the table were empty.

*Fix safety.* The printed GRANTs and policy let this role read this table, nothing else. Whether it
should, is for you to decide.
"""

from collections.abc import Iterable, Iterator

from dltdoctor import sketch
from dltdoctor.check import Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.promises import Promise, promises
from dltdoctor.snapshot import Catalog, Copy, Pipeline, Reader, Route, Snapshot
from dltdoctor.words import identifier, listed, relation


def _no_usage() -> Snapshot:
    return sketch.read_by(copies=(sketch.copy(usage=False),), role="anon")


def _no_select() -> Snapshot:
    return sketch.read_by(copies=(sketch.copy(select=False),), role="anon")


def _no_policy() -> Snapshot:
    return sketch.read_by(copies=(sketch.copy(row_security="no-policy"),), role="anon")


def _no_role() -> Snapshot:
    return sketch.read_by(role="anonn", role_exists=False, copies=())


def _policy() -> Snapshot:
    return sketch.read_by(copies=(sketch.copy(row_security="policy"),), role="anon")


@check("DD602", Severity.ERROR, sick=[_no_usage, _no_select, _no_policy, _no_role], well=[_policy, sketch.world])
def reader_cannot_see(
    readers: tuple[Reader, ...], routes: tuple[Route, ...], pipelines: tuple[Pipeline, ...], catalog: Catalog
) -> Iterable[Note]:
    nobody: set[tuple[str, str]] = set()
    for promise in promises(readers, routes, pipelines, catalog):
        if not promise.reader.role_exists:
            key = (promise.contract.name, promise.reader.role)
            if key not in nobody:
                nobody.add(key)
                yield _no_such_role(promise)
        elif promise.meant:
            yield from _hidden(promise, promise.meant)


def _no_such_role(promise: Promise) -> Note:
    contract = promise.contract
    return Note(
        message=f"{promise.who} cannot read anything: there is no role {promise.reader.role}",
        evidence=(
            Evidence(f"role {promise.reader.role}", contract.origin),
            Evidence(f"no role {promise.reader.role} in {promise.reader.database}", "pg_roles"),
        ),
        identity=f"{contract.name} role",
    )


def _hidden(promise: Promise, copy: Copy) -> Iterator[Note]:
    role, schema = identifier(promise.reader.role), identifier(copy.schema)
    place = relation(copy.schema, copy.table)
    if not copy.usage:
        yield _note(
            promise,
            f"may not look into the schema {copy.schema}",
            Evidence(f"no USAGE on schema {copy.schema}", "has_schema_privilege()"),
            f"GRANT USAGE ON SCHEMA {schema} TO {role};",
            "usage",
        )
    if not copy.select:
        what = f"SELECT on {listed(copy.denied)} of {place}" if copy.denied else f"SELECT on {place}"
        yield _note(
            promise,
            f"may not read {place}",
            Evidence(f"no {what}", "has_table_privilege(), has_column_privilege()"),
            f"GRANT SELECT ON {place} TO {role};",
            "select",
        )
    if copy.row_security == "no-policy":
        yield _note(
            promise,
            f"gets no row of {place}: row level security is on, and no policy is for it",
            Evidence("row level security is on, no permissive SELECT policy applies to the role", "pg_policy"),
            f"CREATE POLICY {identifier(f'{promise.reader.role}_reads')} ON {place} FOR SELECT TO {role} USING (true);",
            "policy",
        )


def _note(promise: Promise, what: str, fact: Evidence, command: str, identity: str) -> Note:
    contract = promise.contract
    return Note(
        message=f"{promise.who} {what}",
        pipeline=promise.pipeline,
        dataset=promise.dataset,
        table=promise.table.name,
        evidence=(Evidence(f"{contract.name!r} reads {promise.table.declared}", contract.origin), fact),
        remedy=Remedy("Let it read, if it should", "manual", command),
        identity=f"{contract.name} {promise.table.declared} {identity}",
    )
