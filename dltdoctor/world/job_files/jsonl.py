"""JSON lines as dlt writes them: a row a line, or, where types are marked, a list of rows a line.

dlt loads none of them into Postgres; they stand in packages that were not normalized yet.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping

from dltdoctor.world.job_files.file import JobFile, UnreadableFileError
from dltdoctor.world.job_files.stream import line_blocks

Row = Mapping[str, object]

# with these characters dlt marks what JSON has no type for (`dlt.common.json`, PUA_START)
_DECIMAL, _HEX_BYTES, _BASE64_BYTES, _TIME = (chr(0xF026 + at) for at in (0, 4, 5, 7))


def columns_of(path: str, *, typed: bool) -> tuple[str, ...]:
    """Every key of every row, in the order in which they come up: it takes a look at the whole file.

    Raises `UnreadableFileError`.
    """
    found: dict[str, None] = {}
    for row in _rows(path, typed=typed):
        found.update(dict.fromkeys(row))
    if not found:
        raise UnreadableFileError(path, "no row of it names a column")
    return tuple(found)


def rows(file: JobFile) -> Iterator[Row]:
    """The rows; keys that a row lacks are NULL. Raises `UnreadableFileError`."""
    return _rows(file.path, typed=file.format == "typed-jsonl")


def _rows(path: str, *, typed: bool) -> Iterator[Row]:
    number = 0
    for block in line_blocks(path):
        for line in block.split(b"\n"):
            if not line:
                continue
            for row in _line(path, line, number + 1, typed=typed):
                number += 1
                if not isinstance(row, dict):
                    raise UnreadableFileError(path, "it is no JSON object", row=number)
                yield {key: _unmarked(value) for key, value in row.items()} if typed else row


def _line(path: str, line: bytes, row: int, *, typed: bool) -> list[object]:
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise UnreadableFileError(path, "it is not UTF-8", row=row) from None
    except (ValueError, RecursionError):
        raise UnreadableFileError(path, "it is not JSON, or the file was cut off", row=row) from None
    return value if typed and isinstance(value, list) else [value]


def _unmarked(value: object) -> object:
    """The value without dlt's marks of types; a text that only looks marked stays, as dlt leaves it."""
    if isinstance(value, dict):
        return {key: _unmarked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_unmarked(item) for item in value]
    if not isinstance(value, str) or len(value) < 2 or not _DECIMAL <= value[0] <= _TIME:
        return value
    mark, rest = value[0], value[1:]
    try:
        if mark == _HEX_BYTES:
            return bytes.fromhex(rest.removeprefix("0x"))
        return base64.b64decode(rest, validate=True) if mark == _BASE64_BYTES else rest
    except (ValueError, binascii.Error):
        return value
