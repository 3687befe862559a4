"""What the roles that load may not do, who else has been granted what, and where a bare name leads."""

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from dltdoctor.snapshot import BarePath, Database, Grant, Grants, Lacking, Pipeline, Route
from dltdoctor.snapshot.privileges import OWNERSHIP
from dltdoctor.world.logins import Login, schemas_by_role
from dltdoctor.world.postgres.readers import names
from dltdoctor.world.postgres.session import Row, Session, load_query

_NEAREST = ("the database", "every role", "the server")
_USUAL = BarePath(schemas=("public",), origin="Postgres' default search_path")


def read_rights(
    session: Session,
    database: Database,
    pipelines: Sequence[Pipeline],
    ways: Sequence[Route],
    logins: Mapping[str, Login],
) -> Database:
    """The database with what the loaders lack, and with the grants where tables are dropped and made anew.

    Raises `CouldNotLookError`.
    """
    roles = {
        name: role
        for name, login in logins.items()
        if (role := login.role_in(session.target.database, session.role)) is not None
    }
    lacking = read_lacking(session, schemas_by_role(roles, ways))
    return msgspec.structs.replace(
        database,
        lacking={name: lacking[role] for name, role in roles.items() if role in lacking},
        grants=read_granted(session, _remade(pipelines, ways)),
        bare_path=read_bare_path(session),
    )


def _remade(pipelines: Iterable[Pipeline], ways: Iterable[Route]) -> frozenset[str]:
    """The schemas that tables move out of and into when they are replaced."""
    optimized = {
        (p.name, s.name)
        for p in pipelines
        for s in p.schemas
        if any(t.replace_strategy == "staging-optimized" for t in s.tables.values() if t.disposition == "replace")
    }
    mine = (way for way in ways if (way.pipeline, way.schema) in optimized)
    return frozenset(name for way in mine for name in (way.final, way.staging) if name)


def read_lacking(session: Session, schemas_of: Mapping[str, Collection[str]]) -> Mapping[str, Lacking]:
    """What each role lacks in its schemas; left out are roles that do not exist, or that work as another one.

    Raises `CouldNotLookError`. A superuser lacks nothing, which costs one look-up.
    """
    found: dict[str, Lacking] = {}
    for role, schemas in schemas_of.items():
        facts = session.fetch(load_query("loader_role"), {"role": role})
        for superuser, create, temporary, works_as_another in facts:
            if superuser:
                found[role] = Lacking(role=role)
            elif role == session.role or not works_as_another:
                found[role] = _lacking(session, role, sorted(schemas), create=create, temporary=temporary)
    return found


def _lacking(session: Session, role: str, schemas: list[str], *, create: bool, temporary: bool) -> Lacking:
    asked = {"role": role, "schemas": schemas}
    return Lacking(
        role=role,
        database=_missing(CREATE=create, TEMPORARY=temporary),
        schemas={
            name: _missing(USAGE=usage, CREATE=makes, **{OWNERSHIP: owns})
            for name, usage, makes, owns in session.fetch(load_query("loader_schemas"), asked)
        },
        tables={
            (schema, name): frozenset(missing)
            for schema, name, missing in session.fetch(load_query("loader_tables"), asked)
        },
    )


def _missing(**held: bool | None) -> frozenset[str]:
    """What is not held; None is said of what somebody is dropping at this moment."""
    return frozenset(privilege for privilege, has_it in held.items() if has_it is False)


def read_granted(session: Session, schemas: Collection[str]) -> Grants:
    """The grants to others in the schemas, and what they will get by default. Nothing is asked for no schema."""
    if not schemas:
        return Grants()
    rows = session.fetch(load_query("granted"), {"schemas": sorted(schemas)})
    return Grants(tables=_by_place(rows), defaults=_by_place(session.fetch(load_query("granted_by_default"))))


def _by_place(rows: Iterable[Row]) -> Mapping[tuple[str, str], frozenset[Grant]]:
    found: dict[tuple[str, str], set[Grant]] = {}
    for first, second, grantee, privilege in rows:
        found.setdefault((first, second), set()).add(Grant(grantee=grantee, privilege=privilege))
    return {place: frozenset(grants) for place, grants in found.items()}


def read_bare_path(session: Session) -> BarePath:
    """The schemas in which an ordinary role looks for a bare name."""
    rows = session.fetch(load_query("bare_path"))
    if not rows:
        return _USUAL
    setting, whose = min(rows, key=lambda row: _NEAREST.index(row[1]))
    schemas = tuple(name for name in names(setting.partition("=")[2]) if name != "$user")
    source = "pg_settings" if whose == "the server" else "pg_db_role_setting"
    return BarePath(schemas=schemas, origin=f"search_path of {whose}, {source}")
