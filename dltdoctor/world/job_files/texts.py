"""Values of JSON lines and Parquet files as the texts that Postgres reads."""

import base64
import binascii
import datetime as dt
import decimal
import json
from collections.abc import Callable

Text = Callable[[object], str | None]


def plain_text(value: object) -> str | None:
    """A value as Postgres reads it, None as NULL. Raises ValueError, without the value, where it has no text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, (int, float, decimal.Decimal)):
        return str(value)
    if isinstance(value, (list, dict)):
        return _as_json(value)
    raise ValueError(f"a {type(value).__name__} has no text in Postgres")


def json_line_text(kind: str) -> Text:
    """How values of dlt's JSON lines become texts for a column of the type that Postgres names so."""
    if kind.startswith("json"):
        return lambda value: None if value is None else _as_json(value)
    return _from_base64 if kind == "bytea" else plain_text


def _as_json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, default=plain_text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _from_base64(value: object) -> str | None:
    """Bytes, which dlt writes to JSON as base64 (`custom_encode`); what is hexadecimal already stays."""
    if not isinstance(value, str) or value.startswith("\\x"):
        return plain_text(value)
    try:
        return f"\\x{base64.b64decode(value, validate=True).hex()}"
    except binascii.Error:
        raise ValueError("it is not base64") from None
