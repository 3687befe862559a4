"""JSON as dlt stores it: decoded within bounds, and looked at without trusting its shape."""

import base64
import binascii
import json
import zlib
from collections.abc import Iterator, Mapping

import msgspec

from dltdoctor.world.unreadable import UnreadableError

Document = Mapping[str, object]

MEGABYTE = 1024 * 1024
MAX_DECOMPRESSED = 128 * MEGABYTE

_RESTORE = "Restore the file from a backup, or move it away; dlt then restores it from the destination."
_EMPTY: Document = {}


def document_of(data: bytes, origin: str, *, hint: str = _RESTORE) -> dict[str, object]:
    """The JSON object in `data`. Raises `UnreadableError` that tells empty, binary and truncated apart."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        value = _decode_leniently(data, origin, hint)
    if not isinstance(value, dict):
        raise UnreadableError(origin, f"holds a JSON {_kind(value)}, not an object", hint)
    return value


def stored_document(stored: str, origin: str) -> dict[str, object]:
    """The JSON object of a `_dlt_*` row: JSON as it stands, or base64 of zlib, as dlt writes it."""
    stored = stored.strip()
    hint = "dlt did not write the row as it stands; what other rows say still counts."
    if stored.startswith("{"):
        return document_of(stored.encode("utf-8", "replace"), origin, hint=hint)
    if not stored:
        raise UnreadableError(origin, "the stored text is empty", hint)
    try:
        packed = base64.b64decode(stored, validate=True)
        unpack = zlib.decompressobj()
        data = unpack.decompress(packed, MAX_DECOMPRESSED)
    except (binascii.Error, ValueError, zlib.error) as error:
        reason = f"the stored text is neither JSON nor base64 of zlib ({error})"
        raise UnreadableError(origin, reason, hint) from error
    if unpack.unconsumed_tail:
        limit = MAX_DECOMPRESSED // MEGABYTE
        raise UnreadableError(origin, f"the stored text unpacks to more than {limit} MB", hint)
    if not unpack.eof:
        raise UnreadableError(origin, "the stored text is truncated", hint)
    return document_of(data, origin, hint=hint)


def _decode_leniently(data: bytes, origin: str, hint: str) -> object:
    """Decode with the standard library: it accepts NaN as simplejson wrote it, and knows positions."""
    if not data.strip():
        raise UnreadableError(origin, f"the file is empty ({len(data)} bytes)", hint)
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 text (byte 0x{data[error.start]:02x} at position {error.start})"
        raise UnreadableError(origin, reason, hint) from None
    if "\0" in content:
        reason = f"binary, not text (zero byte at position {content.index(chr(0))})"
        raise UnreadableError(origin, reason, hint)
    try:
        return _printable(json.loads(content))
    except json.JSONDecodeError as error:
        raise _malformed(content, origin, error, hint) from None
    except RecursionError:
        raise UnreadableError(origin, "the JSON is nested too deeply", hint) from None
    except ValueError as error:
        # Python refuses to convert numbers of more than some thousand digits
        raise UnreadableError(origin, f"not JSON that can be read: {error}", hint) from None


def _malformed(content: str, origin: str, error: json.JSONDecodeError, hint: str) -> UnreadableError:
    place = f"line {error.lineno}, column {error.colno}"
    ends_early = error.pos >= len(content.rstrip()) or error.msg.startswith("Unterminated string")
    if ends_early:
        reason = f"truncated: the JSON breaks off after {len(content)} characters ({place})"
    else:
        reason = f"not JSON: {error.msg.lower()} at {place}"
    return UnreadableError(origin, reason, hint)


def _printable(value: object) -> object:
    """The value without halves of surrogate pairs, which no output could encode."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return value


def _kind(value: object) -> str:
    names = {list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return names.get(type(value), "null")


# ------------------------------------------------------------ looking without trusting the shape


def mapping(value: object) -> Document:
    """The value when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else _EMPTY


def text(value: object) -> str | None:
    """The value when it is a string with something in it."""
    return value if isinstance(value, str) and value else None


def number(value: object) -> int | None:
    """The value when it is an integer (a boolean is not)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flag(value: object) -> bool | None:
    """The value when it is a boolean."""
    return value if isinstance(value, bool) else None


def texts(value: object) -> tuple[str, ...]:
    """The strings of a JSON array, or the one string that stands in its place."""
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def named(value: object) -> Iterator[tuple[str, object]]:
    """Pairs of name and content, whether they stand in an object or in an array of objects."""
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        for item in value:
            name = item if isinstance(item, str) else text(mapping(item).get("name"))
            if name:
                yield name, item
