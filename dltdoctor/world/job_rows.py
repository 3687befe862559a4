"""How many rows stand in a job file, counted as it streams by and never run.

dlt writes `insert_values` one row a line, with every newline inside a value escaped (InsertValuesWriter
and escape_postgres_literal, 0.4 to 1.31). A line of any other form makes the count unknown.
"""

import csv
import gzip
import importlib
import importlib.util
import io
from collections.abc import Collection, Iterator
from typing import IO, Any, cast

_GZIP = b"\x1f\x8b"
_UNREADABLE = (OSError, EOFError, UnicodeError, csv.Error, ValueError)


def count_rows(path: str, file_format: str, columns: Collection[str] = ()) -> int | None:
    """The rows in the file, None when they cannot be told. `columns` are those of its table."""
    try:
        if file_format == "parquet":
            return _parquet(path)
        with _opened(path) as file:
            if file_format == "insert_values":
                return _insert_values(file)
            if file_format == "csv":
                return _csv(file, columns)
            if file_format in ("jsonl", "typed-jsonl"):
                return sum(1 for line in file if line.strip())
    except _UNREADABLE:
        return None
    return None


def _opened(path: str) -> IO[bytes]:
    """The file, unpacked when it is packed, whatever its name says."""
    with open(path, "rb") as file:
        is_packed = file.read(len(_GZIP)) == _GZIP
    return cast("IO[bytes]", gzip.open(path, "rb")) if is_packed else open(path, "rb")


def _insert_values(lines: Iterator[bytes] | IO[bytes]) -> int | None:
    """Rows end with a comma, or with a semicolon, after which another INSERT may follow."""
    rows, inside, ended = 0, False, True
    for raw in lines:
        line = raw.rstrip(b"\r\n")
        if inside and line.startswith(b"(") and line.endswith((b"),", b");")):
            rows += 1
            ended = line.endswith(b";")
            inside = not ended
        elif ended and line.startswith(b"INSERT INTO {}(") and line.endswith(b")"):
            ended = False
        elif not ended and not inside and line == b"VALUES":
            inside = True
        elif line:
            return None
    # a file without rows ends after VALUES
    return rows if ended or rows == 0 else None


def _csv(file: IO[bytes], columns: Collection[str]) -> int:
    rows = csv.reader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
    first = next(rows, None)
    if first is None:
        return 0
    known = {name.lower() for name in columns}
    names = [name.lower() for cell in first for name in cell.replace(";", "|").replace("\t", "|").split("|")]
    is_header = bool(known) and all(name.strip('" ') in known for name in names)
    return sum(1 for row in rows if row) + (0 if is_header else 1)


def _parquet(path: str) -> int | None:
    if importlib.util.find_spec("pyarrow") is None:
        return None
    parquet: Any = importlib.import_module("pyarrow.parquet")  # not everybody has it, and it takes its time
    return int(parquet.read_metadata(path).num_rows)
