"""Turns a raw configuration value into the type of its field, by dlt's rules.

Source: `deserialize_value` in dlt/common/configuration/utils.py and `coerce_value` in
dlt/common/data_types/type_helpers.py.
"""

import json
from datetime import date, time

Kind = str | tuple[str, ...]

TEXT = "text"
BOOL = "bool"
BIGINT = "bigint"
JSON = "json"

_TRUE = frozenset({"yes", "true", "t", "y", "1"})
_FALSE = frozenset({"no", "false", "f", "n", "0"})


def coerced(raw: object, kind: Kind) -> str | bool | int:
    """The value as dlt would hold it; `kind` is "text", "bool", "bigint" or the allowed literals.

    Raises ValueError where dlt raises ConfigValueCannotBeCoercedException.
    """
    if isinstance(kind, tuple):
        return _literal(raw, kind)
    if kind == BOOL:
        return _bool(raw)
    return _bigint(raw) if kind == BIGINT else as_text(raw)


def expectation(kind: Kind) -> str:
    """What dlt accepts for this kind, in words."""
    if isinstance(kind, tuple):
        return "one of " + ", ".join(kind)
    return {BOOL: "true or false", BIGINT: "a whole number", JSON: "a table"}.get(kind, "text")


def as_text(raw: object) -> str:
    """Text as dlt writes it: ISO 8601 for dates, compact JSON for tables and arrays."""
    if isinstance(raw, str):
        return raw
    if isinstance(raw, date | time):
        return raw.isoformat()
    if isinstance(raw, dict | list):
        return json.dumps(raw, separators=(",", ":"), ensure_ascii=False, default=as_text)
    return str(raw)


def _literal(raw: object, allowed: tuple[str, ...]) -> str:
    text = as_text(raw)
    if text not in allowed:
        raise ValueError(expectation(allowed))
    return text


def _bool(raw: object) -> bool:
    if isinstance(raw, bool | int | float):
        return bool(raw)
    spelled = raw.lower() if isinstance(raw, str) else ""
    if spelled in _TRUE:
        return True
    if spelled in _FALSE:
        return False
    raise ValueError(expectation(BOOL))


def _bigint(raw: object) -> int:
    if isinstance(raw, str):
        digits = raw.strip()
        return int(digits, 16) if digits.startswith("0x") else int(digits)
    if isinstance(raw, bool) or not isinstance(raw, int | float) or raw != int(raw):
        raise ValueError(expectation(BIGINT))
    return int(raw)
