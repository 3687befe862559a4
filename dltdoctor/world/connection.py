"""Which database to connect to for a pipeline, and who said so.

The order is --dsn, then what dlt would use (a connection string in the source before the
configuration), then what libpq finds by itself: `PG*`, a service or a pgpass file.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from dltdoctor.errors import UsageError
from dltdoctor.snapshot import ConfigValue, Unread
from dltdoctor.world.credential_fields import (
    CREDENTIALS,
    CredentialFields,
    MalformedCredentialsError,
    credential_fields,
    parameters,
)
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.dsn import MalformedDsnError, libpq_parameters
from dltdoctor.world.providers import Found, Providers

LIBPQ_VARIABLES = (
    "PGSERVICE",
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGPASSWORD",
    "PGPASSFILE",
)
DEFAULT_DESTINATION = "postgres"


def candidates(
    providers: Providers,
    *,
    pipeline: str,
    destination_name: str | None,
    arguments: Mapping[str, ConfigValue],
    dsn: str | None,
    environ: Mapping[str, str],
) -> tuple[Credentials, ...]:
    """Every way to reach the database, the one to use first; those that are malformed left out.

    Raises UsageError when `dsn`, which the user typed, is malformed.
    """
    found = _in_order(providers, pipeline, destination_name or DEFAULT_DESTINATION, arguments, dsn, environ)
    different: list[Credentials] = []
    for one in found:
        if isinstance(one, Credentials) and all(one.parameters != d.parameters for d in different):
            different.append(one)
    return tuple(different)


def credentials_for(
    providers: Providers,
    *,
    pipeline: str,
    destination_name: str | None,
    arguments: Mapping[str, ConfigValue],
    dsn: str | None,
    environ: Mapping[str, str],
) -> Credentials | Unread:
    """The way to use, or why there is none: malformed where dlt would take it, or nothing at all.

    A malformed candidate is not passed over: dlt would stop there, and the next one may lead to
    another database. Raises UsageError when `dsn` is malformed.
    """
    section = destination_name or DEFAULT_DESTINATION
    found = _in_order(providers, pipeline, section, arguments, dsn, environ)
    return next(found, None) or _nothing_found(providers, pipeline, section)


def _in_order(
    providers: Providers,
    pipeline: str,
    section: str,
    arguments: Mapping[str, ConfigValue],
    dsn: str | None,
    environ: Mapping[str, str],
) -> Iterator[Credentials | Unread]:
    if dsn is not None:
        yield _typed(dsn)
    written = arguments.get(CREDENTIALS)
    for argument in (written, None) if written and written.value is not None else (None,):
        configured = _configured(providers, pipeline, section, argument)
        if configured is not None:
            yield configured
    named = _libpq_origin(environ, providers.home)
    if named:
        yield Credentials(parameters={}, origin=named)


def _typed(dsn: str) -> Credentials:
    try:
        return Credentials(parameters=libpq_parameters(dsn), origin="--dsn")
    except MalformedDsnError as error:
        message = f"--dsn is not a Postgres address: {error}"
        hint = "Write it as postgresql://user:password@host:port/database."
        raise UsageError(message, hint) from None


def _configured(
    providers: Providers, pipeline: str, section: str, argument: ConfigValue | None
) -> Credentials | Unread | None:
    try:
        fields = credential_fields(providers, pipeline=pipeline, section=section, argument=argument)
        return Credentials(parameters=parameters(fields), origin=_origin(fields)) if fields else None
    except MalformedCredentialsError as error:
        return _unread(pipeline, f"credentials at {error}", "Correct them there, or pass --dsn; dlt refuses them too.")


def _origin(fields: CredentialFields) -> str:
    """The place of the address, then the places of the fields that come from elsewhere."""
    by_table: dict[str, dict[str, Found]] = {}
    for name, candidates_of_field in fields.fields.items():
        found = candidates_of_field[0]
        by_table.setdefault(_table(found), {})[name] = found
    first, *others = [(", ".join(found), _place(found)) for found in by_table.values()]
    return "; ".join((first[1], *(f"{names} from {place}" for names, place in others)))


def _table(found: Found) -> str:
    """What counts as one place: a TOML table, a connection string, or one section of variables."""
    file = found.location.rpartition(":")[0] or found.provider
    return f"{file} {'.'.join(found.sections)}"


def _place(fields: Mapping[str, Found]) -> str:
    places = [found.location for found in fields.values()]
    section = ".".join(next(iter(fields.values())).sections)
    if ":" in places[0] and section:
        return f"{min(places, key=_line)} [{section}]"
    return ", ".join(dict.fromkeys(places))


def _line(location: str) -> int:
    line = location.rpartition(":")[2]
    return int(line) if line.isdecimal() else 0


def _libpq_origin(environ: Mapping[str, str], home: Path) -> str:
    named = [name for name in LIBPQ_VARIABLES if environ.get(name)]
    if named:
        return ", ".join(named)
    return "~/.pgpass" if (home / ".pgpass").is_file() else ""


def _nothing_found(providers: Providers, pipeline: str, section: str) -> Unread:
    table = f"[destination.{section}.credentials]"
    vaults = f"; they may be in {', '.join(providers.vaults)}, which is not read" if providers.vaults else ""
    return _unread(
        pipeline,
        f"no credentials: no {table}, no PG* variable{vaults}",
        "Pass --dsn postgresql://user@host/database, or run where dlt finds its .dlt folder.",
    )


def _unread(pipeline: str, reason: str, hint: str) -> Unread:
    return Unread(
        code="DD002",
        what=f"the destination of {pipeline}",
        reason=reason,
        hint=hint,
        areas=("catalog",),
        pipeline=pipeline,
    )
