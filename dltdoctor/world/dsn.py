"""Postgres connection strings, as dlt reads them and as libpq does.

A string that cannot be read may still hold a password, so no error quotes any part of it.
"""

import re
from urllib.parse import parse_qsl, unquote

import msgspec

SCHEMES = frozenset({"postgresql", "postgres"})

# SQLAlchemy's pattern, which dlt parses credentials with.
_URL = re.compile(
    r"""
    (?P<scheme>[\w+]+)://
    (?: (?P<username>[^:/]*) (?: : (?P<password>[^@]*) )? @ )?
    (?: (?: \[ (?P<ipv6>[^/?]+) \] | (?P<host>[^/:?]+) )? (?: : (?P<port>[^/?]*) )? )?
    (?: / (?P<database>[^?]*) )?
    (?: \? (?P<query>.*) )?
    """,
    re.VERBOSE,
)


class MalformedDsnError(Exception):
    """A connection string that cannot be read. The message names the rule, never the text."""


class Dsn(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a connection URL, unquoted; None for what it does not say."""

    username: str | None = None
    password: str | None = None
    host: str | None = None
    port: int | None = None
    database: str | None = None
    query: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Dsn(host={self.host!r}, port={self.port!r}, database={self.database!r})"


def parse_url(text: object) -> Dsn:
    """The URL as dlt reads it from configuration; MalformedDsnError when dlt or psycopg2 would refuse."""
    found = _URL.match(text.strip()) if isinstance(text, str) else None
    if found is None:
        msg = "it is not of the form postgresql://user:password@host:port/database"
        raise MalformedDsnError(msg)
    _check_scheme(found["scheme"])
    _check_host(found["host"])
    return Dsn(
        username=_unquoted(found["username"]),
        password=_unquoted(found["password"]),
        host=found["host"] or found["ipv6"],
        port=_port(found["port"]),
        database=found["database"],
        query=dict(parse_qsl(found["query"] or "")),
    )


def libpq_parameters(text: str) -> dict[str, str]:
    """The libpq keywords of a URL or of a "host=… dbname=…" string; MalformedDsnError for others."""
    import psycopg  # noqa: PLC0415 - only a connection string given by hand needs libpq's parser
    from psycopg.conninfo import conninfo_to_dict  # noqa: PLC0415

    try:
        parts = conninfo_to_dict(_as_libpq_spells_it(text.strip()))
    except (psycopg.Error, ValueError, UnicodeError):
        msg = "libpq cannot parse it: is a special character in the password written as %40, %2F, %3A?"
        raise MalformedDsnError(msg) from None
    found = {keyword: str(value) for keyword, value in parts.items() if value is not None}
    _check_host(found.get("host"))
    for port in found.get("port", "").split(","):
        _port(port or None)
    return found


def _as_libpq_spells_it(text: str) -> str:
    scheme, found, rest = text.partition("://")
    if not found or not re.fullmatch(r"[\w+]+", scheme):
        if "=" not in text:
            msg = "it is neither postgresql://user@host:port/database nor host=… dbname=…"
            raise MalformedDsnError(msg)
        return text
    _check_scheme(scheme)
    return f"postgresql://{rest}"


def _check_scheme(scheme: str) -> None:
    if scheme.split("+", 1)[0].lower() not in SCHEMES:
        msg = "its scheme is not postgresql"
        raise MalformedDsnError(msg)


def _check_host(host: str | None) -> None:
    """A host with an @ is the rest of a password, which an error of the connection would show."""
    if host and "@" in host:
        msg = "an @ in the user name or password must be written as %40"
        raise MalformedDsnError(msg)


def _unquoted(part: str | None) -> str | None:
    return None if part is None else unquote(part)


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal():
        msg = "its port is not a number"
        raise MalformedDsnError(msg)
    return int(text)
