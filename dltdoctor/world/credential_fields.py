"""The parts of a Postgres address, each from where dlt would take it.

A connection string wins over separate fields, but only for what it says differently from dlt's
defaults: a port in an environment variable beats ":5432" in the string.
Source: `_maybe_parse_native_value` in dlt/common/configuration/resolve.py, `PostgresCredentials` in
dlt/destinations/impl/postgres/configuration.py.
"""

import json
from collections.abc import Iterator, Mapping

import msgspec

from dltdoctor.snapshot import ConfigValue
from dltdoctor.world.coerce import BIGINT, JSON, TEXT, as_text, coerced, expectation
from dltdoctor.world.dsn import Dsn, MalformedDsnError, parse_url
from dltdoctor.world.mask import HIDDEN
from dltdoctor.world.providers import Found, Providers, Sections

KINDS: Mapping[str, str] = {
    "host": TEXT,
    "port": BIGINT,
    "database": TEXT,
    "username": TEXT,
    "password": TEXT,
    "connect_timeout": BIGINT,
    "client_encoding": TEXT,
    "session_timezone": TEXT,
    "query": JSON,
}
DEFAULTS: Mapping[str, object] = {"port": 5432, "connect_timeout": 15}
CREDENTIALS = "credentials"


class MalformedCredentialsError(Exception):
    """Credentials that dlt would refuse too. The message names the place and the rule only."""

    def __init__(self, location: str, rule: str) -> None:
        super().__init__(f"{location}: {rule}")
        self.location = location
        self.rule = rule


class CredentialFields(msgspec.Struct, frozen=True, kw_only=True):
    """Candidates for the connection string and for each field, the winner first.

    A value of config.toml may stand among them, although dlt refuses secrets from there.
    """

    whole: tuple[Found, ...] = ()
    fields: Mapping[str, tuple[Found, ...]] = {}

    def __repr__(self) -> str:
        return f"CredentialFields({sorted(self.fields)!r})"

    def __bool__(self) -> bool:
        return bool(self.fields)

    def value(self, name: str) -> object:
        """The field as dlt would hold it; MalformedCredentialsError when dlt cannot coerce it."""
        found = next(iter(self.fields.get(name, ())), None)
        if found is None:
            return DEFAULTS.get(name)
        try:
            return _query(found.raw) if name == "query" else coerced(found.raw, KINDS[name])
        except ValueError:
            raise MalformedCredentialsError(found.location, f"{name} is not {expectation(KINDS[name])}") from None


def credential_fields(
    providers: Providers, *, pipeline: str, section: str, argument: ConfigValue | None = None
) -> CredentialFields:
    """What dlt would connect with; `argument` is a connection string that stands in the source."""
    sections = ("destination", section)
    whole = tuple(providers.lookup(CREDENTIALS, sections, pipeline=pipeline, secret=True))
    if argument is not None and argument.value is not None:
        whole = (_written(argument), *whole)
    said = _said_by(whole[0]) if whole else {}
    fields = {}
    for name in KINDS:
        found = (*said.get(name, ()), *_separate(providers, name, pipeline, sections))
        if found:
            fields[name] = found
    return CredentialFields(whole=whole, fields=fields)


def parameters(fields: CredentialFields) -> dict[str, str]:
    """The libpq keywords that dlt would connect with; what is missing libpq fills in."""
    keywords = {"database": "dbname", "username": "user"}
    query = fields.value("query")
    result = {k: as_text(v) for k, v in query.items()} if isinstance(query, dict) else {}
    for name in KINDS:
        value = fields.value(name)
        if value is not None and name not in {"query", "session_timezone"}:
            result[keywords.get(name, name)] = as_text(value)
    if not result.get("client_encoding"):
        result.pop("client_encoding", None)
    zone = fields.value("session_timezone")
    if zone and "timezone=" not in result.get("options", ""):
        result["options"] = f"{result.get('options', '')} -ctimezone={zone}".strip()
    if "password" in result:
        result["password"] = result["password"].strip()
    return result


def _separate(providers: Providers, name: str, pipeline: str, sections: Sections) -> Iterator[Found]:
    return providers.lookup(name, sections, pipeline=pipeline, below=(CREDENTIALS,), secret=name == "password")


def _written(argument: ConfigValue) -> Found:
    return Found(raw=argument.value, provider="argument", location=argument.location)


def _said_by(whole: Found) -> dict[str, tuple[Found, ...]]:
    """What the string says; a table says nothing as a whole, its fields are looked up one by one."""
    if isinstance(whole.raw, dict):
        return {}
    try:
        said = _different_from_defaults(parse_url(whole.raw))
    except MalformedDsnError as error:
        raise MalformedCredentialsError(whole.location, str(error)) from None
    return {name: (msgspec.structs.replace(whole, raw=value),) for name, value in said.items()}


def _different_from_defaults(dsn: Dsn) -> dict[str, object]:
    said: dict[str, object] = {
        "host": dsn.host,
        "port": dsn.port,
        "database": dsn.database,
        "username": dsn.username,
        "password": None if dsn.password == HIDDEN else dsn.password,
        "connect_timeout": _seconds(dsn.query.get("connect_timeout")),
        "client_encoding": dsn.query.get("client_encoding"),
        "query": dsn.query,
    }
    return {name: value for name, value in said.items() if value not in (None, DEFAULTS.get(name))}


def _seconds(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        msg = "its connect_timeout is not a number"
        raise MalformedDsnError(msg) from None


def _query(raw: object) -> dict[str, object]:
    query = json.loads(raw) if isinstance(raw, str) else raw
    if not isinstance(query, dict):
        msg = "not a table"
        raise ValueError(msg)  # noqa: TRY004 - what dlt cannot coerce is a ValueError
    return query
