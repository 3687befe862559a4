"""csv files of dlt: sent to Postgres as they are, since dlt itself loads them by COPY.

Delimiter and header are dlt's configuration at the time of the load; they are told from the file.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from dltdoctor.world.job_files.file import JobFile, UnreadableFileError
from dltdoctor.world.job_files.stream import first_line, line_blocks

_DELIMITERS = ",;|\t"


class Head(NamedTuple):
    """What the first line says."""

    columns: tuple[str, ...]
    delimiter: str
    has_header: bool


def head_of(path: str, known: Sequence[str]) -> Head:
    """The columns, and how they are written. Raises `UnreadableFileError`.

    `known` are the columns of the package's schema, in order; without them the first line has to be a
    header.
    """
    line = _first_line(path)
    delimiters = _by_likelihood(line)
    split = {delimiter: _cells(line, delimiter) for delimiter in delimiters}
    for delimiter, cells in split.items():
        if _is_header(cells, known):
            return Head(cells, delimiter, has_header=True)
    whole = [delimiter for delimiter, cells in split.items() if len(cells) == len(known)]
    if known and (whole or 1 < len(split[delimiters[0]]) < len(known)):
        delimiter = whole[0] if whole else delimiters[0]
        # a file without a header may lack the last columns: they came later in the same package
        return Head(tuple(known[: len(split[delimiter])]), delimiter, has_header=False)
    if known:
        reason = f"its first line neither names columns of its table nor has a value for each of the {len(known)}"
        raise UnreadableFileError(path, reason)
    raise UnreadableFileError(path, "its first line names no columns")


def _is_header(cells: Sequence[str], known: Sequence[str]) -> bool:
    names = {name.lower() for name in known}
    are_names = all(cells) and len(set(cells)) == len(cells) > 0
    return are_names and (not names or all(cell.lower() in names for cell in cells))


def iterate(file: JobFile) -> Iterator[Mapping[str, str | None]]:
    """Every row as texts by column; an empty value is NULL, as it is for dlt."""
    rows = csv.reader(_lines(file.path), delimiter=file.delimiter, strict=True)
    try:
        for number, row in enumerate(rows, start=0 if file.has_header else 1):
            if number and len(row) != len(file.columns):
                reason = f"it has {len(row)} values for {len(file.columns)} columns"
                raise UnreadableFileError(file.path, reason, row=number)
            if number:
                yield {name: value or None for name, value in zip(file.columns, row, strict=True)}
    except csv.Error as error:
        raise UnreadableFileError(file.path, f"it is not CSV: {error}") from None


def _lines(path: str) -> Iterator[str]:
    for block in line_blocks(path):
        try:
            # of texts, splitlines would also part what only looks like a line's end
            yield from [line.decode("utf-8") for line in block.splitlines(keepends=True)]
        except UnicodeDecodeError:
            raise UnreadableFileError(path, "it is not UTF-8") from None


def _first_line(path: str) -> str:
    line = first_line(path)
    try:
        text = line.decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        raise UnreadableFileError(path, "it is not UTF-8") from None
    if not text:
        raise UnreadableFileError(path, "it is empty, where a csv file of dlt has at least its header")
    if not text.isprintable() and not text.replace("\t", "").isprintable():
        raise UnreadableFileError(path, "it is binary")
    return text


def _by_likelihood(line: str) -> list[str]:
    """The delimiters, first the one that comes first after the first name."""
    start = line.find('"', 1) + 1 if line.startswith('"') else 0
    return sorted(_DELIMITERS, key=lambda d: line.find(d, start) if d in line[start:] else len(line))


def _cells(line: str, delimiter: str) -> tuple[str, ...]:
    try:
        return tuple(next(csv.reader([line], delimiter=delimiter, strict=True), ()))
    except csv.Error:
        return ()
