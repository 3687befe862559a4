"""What must not be shown of a literal in source: passwords, and values whose name says secret."""

import re
from collections.abc import Mapping

from dltdoctor.world.mask import HIDDEN, mask

Scalar = str | bool | int | float | None
RawCredentials = str | Mapping[str, Scalar]

# Names as arguments have them; a `primary_key` is no secret.
_SECRET_NAME = re.compile(
    r"credential|passw|passphrase|secret|token|api_?key|private_?key|access_?key|salt|dsn|conn(ection)?_(str|url|uri)",
    re.IGNORECASE,
)
# What only source has: `environ["PGPASSWORD"] = "x"`, and SQL's PASSWORD 'x'.
_IN_SOURCE = re.compile(
    r"""(?P<name>passw(?:or)?d(?:["']?\]\s*=\s*|\s+(?=')))(?:"[^"]*"?|'[^']*'?|[^\s;,)]+)""", re.IGNORECASE
)


def is_secret(name: str) -> bool:
    """True for the names of arguments whose values may hold a password."""
    return bool(_SECRET_NAME.search(name))


def masked_text(text: str) -> str:
    """The text without the passwords in it that can be told from the rest."""
    return _IN_SOURCE.sub(rf"\g<name>{HIDDEN}", mask(text))


def masked(name: str, value: Scalar) -> Scalar:
    """The value of an argument, safe to show; of a secret only a masked URL or DSN is left."""
    if not isinstance(value, str):
        return HIDDEN if is_secret(name) and not isinstance(value, bool) and value is not None else value
    safe = masked_text(value)
    if is_secret(name) and safe == value and not _is_plain_address(value):
        return HIDDEN
    return safe


def masked_mapping(value: Mapping[str, Scalar]) -> str:
    """Credentials given as a dict, as the URL they amount to."""
    user, password = value.get("username"), value.get("password")
    at = f"{user or ''}{f':{HIDDEN}' if password is not None else ''}"
    port = f":{value['port']}" if value.get("port") else ""
    scheme = value.get("drivername") or "postgresql"
    return f"{scheme}://{at}{'@' if at else ''}{value.get('host') or ''}{port}/{value.get('database') or ''}"


def _is_plain_address(value: str) -> bool:
    """True for a URL that has no password, and no query or token in a user's place to hide one in."""
    scheme, found, rest = value.partition("://")
    user_is_shown = scheme.lower().startswith("postgres") or "@" not in rest
    return bool(found) and user_is_shown and "?" not in rest and not re.search(r"\s", rest)
