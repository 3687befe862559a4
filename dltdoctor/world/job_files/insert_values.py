"""`insert_values` files, translated to CSV for COPY block by block; nothing of them is ever run.

In that CSV ' quotes and NULL is the word: so the numbers, dates and bytes stand as they stood, and of a
text only the E goes and its escapes are undone.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Literal

from dltdoctor.world.job_files.file import JobFile, UnreadableFileError
from dltdoctor.world.job_files.literals import (
    AMBIGUOUS,
    ESCAPE,
    ESCAPED,
    HEADER,
    IDENTIFIER,
    NEGATIVE_ZERO,
    VALUE,
    easy_rows_pattern,
    row_pattern,
    what_is_wrong,
)
from dltdoctor.world.job_files.stream import first_line, line_blocks

# the options of the COPY that reads what `translated` yields
COPY_OPTIONS = "FORMAT csv, QUOTE '''', ESCAPE '''', NULL 'NULL', ENCODING 'UTF8'"


def columns_of(path: str) -> tuple[str, ...]:
    """The columns that the first statement names. Raises `UnreadableFileError`."""
    return columns_in(path, first_line(path))


def columns_in(path: str, header: bytes) -> tuple[str, ...]:
    """The columns that a statement's first line names. Raises `UnreadableFileError`."""
    found = HEADER.fullmatch(header)
    if found is None:
        raise UnreadableFileError(path, 'it does not begin with INSERT INTO {}("…") as dlt\'s files do')
    try:
        names = tuple(name[1:-1].replace(b'""', b'"').decode("utf-8") for name in IDENTIFIER.findall(found[1]))
    except UnicodeDecodeError:
        raise UnreadableFileError(path, "the names of its columns are not UTF-8") from None
    if len(set(names)) < len(names):
        raise UnreadableFileError(path, "it names a column twice")
    return names


def translated(file: JobFile) -> Iterator[tuple[bytes, int]]:
    """The rows as CSV with how many they are. Raises `UnreadableFileError` before a bad row is yielded."""
    lines = _Lines(file)
    for block in line_blocks(file.path):
        if lines.inside and easy_rows_pattern(len(file.columns)).fullmatch(block):
            _require_utf8(file.path, block, lines.rows)
            count = block.count(b"\n")
            lines.passed(count)
            yield _csv(_parted(block) if AMBIGUOUS.search(block) else _replaced(block)), count
        elif found := list(lines.rows_of(block)):
            yield _csv(_parted(b"".join(found))), len(found)
    lines.close()


def rows_one_by_one(file: JobFile) -> Iterator[bytes]:
    """Every row as the CSV that `translated` makes of it: slow, to find the row that Postgres refused."""
    lines = _Lines(file)
    for row in chain.from_iterable(map(lines.rows_of, line_blocks(file.path))):
        yield _csv(_parted(row))
    lines.close()


def iterate(file: JobFile) -> Iterator[Mapping[str, str | None]]:
    """Every row as texts by column."""
    lines = _Lines(file)
    for row in chain.from_iterable(map(lines.rows_of, line_blocks(file.path))):
        yield dict(zip(file.columns, map(_text, VALUE.findall(row)), strict=True))
    lines.close()


def _replaced(rows: bytes) -> bytes:
    """The rows without the E before each text, where ,E' can be nothing else."""
    rows = rows.replace(b",E'", b",'").replace(b"\n(E'", b"\n('")
    return b"(" + rows[2:] if rows.startswith(b"(E'") else rows


def _parted(rows: bytes) -> bytes:
    """The rows without the E before each text, and zeros without a sign; texts themselves are never looked at.

    Every other part between quotes is outside of the texts; a doubled quote leaves an empty one.
    """
    parts = rows.split(b"'")
    outside = b"'".join(parts[::2]).replace(b"E'", b"'")
    parts[::2] = NEGATIVE_ZERO.sub(b"", outside).split(b"'")
    return b"'".join(parts)


def _csv(rows: bytes) -> bytes:
    """Rows, each as `(…),` and newline, to CSV lines."""
    # no value holds a newline, so this is the border of two rows
    rows = b"\n".join(rows[1:-3].split(b"),\n(")) + b"\n"
    return ESCAPE.sub(lambda found: ESCAPED[found[0]], rows) if b"\\" in rows else rows


def _text(literal: bytes) -> str | None:
    if literal == b"NULL":
        return None
    if literal.startswith(b"E'"):
        literal = ESCAPE.sub(lambda found: ESCAPED[found[0]], literal[2:-1].replace(b"''", b"'"))
        return literal.decode("utf-8")
    return "0" if NEGATIVE_ZERO.search(b"(%s)" % literal) else literal.strip(b"'").decode("utf-8")


def _require_utf8(path: str, block: bytes, before: int) -> None:
    if block.isascii():
        return
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        row = before + block.count(b"\n", 0, error.start) + 1
        raise UnreadableFileError(path, "it is not UTF-8", row=row) from None


class _Lines:
    """Where one is in the file: at a statement's head, at its VALUES, or inside of its rows."""

    def __init__(self, file: JobFile) -> None:
        self.rows = 0
        self._file = file
        self._row = row_pattern(len(file.columns))
        self._header = b""
        self._expected: Literal["header", "VALUES", "row"] = "header"
        self._is_empty = True

    @property
    def inside(self) -> bool:
        """Whether a row has to come now."""
        return self._expected == "row"

    def passed(self, rows: int) -> None:
        """So many rows were read, and another has to come."""
        self.rows += rows
        self._is_empty = False

    def rows_of(self, block: bytes) -> Iterator[bytes]:
        """The rows of the block, each ending as if another followed. Raises `UnreadableFileError`."""
        for line in block.splitlines(keepends=True):
            if self._expected == "row":
                yield self._one_row(line)
            elif self._expected == "VALUES":
                if line != b"VALUES\n":
                    raise self._fault("the INSERT is not followed by a line VALUES")
                self._expected, self._is_empty = "row", True
            else:
                self._begin(line)

    def close(self) -> None:
        """The file is at its end. Raises `UnreadableFileError` when that comes too early."""
        is_whole = self._expected == "header" or (self._expected == "row" and self._is_empty)
        if not is_whole or not self._header:
            raise self._fault("the file ends before its statement does: it was cut off", row=self.rows + 1)

    def _begin(self, line: bytes) -> None:
        """A statement's head; all of a file are the same."""
        if not self._header and columns_in(self._file.path, line.removesuffix(b"\n")) == self._file.columns:
            self._header = line
        if line != self._header:
            changed = "something else than an INSERT of the same columns follows the last row"
            raise self._fault(changed if self._header else "it has changed while it was read")
        self._expected = "VALUES"

    def _one_row(self, line: bytes) -> bytes:
        text = line.removesuffix(b"\n")
        is_last, body = text.endswith(b");"), text[:-1]
        if not (is_last or line.endswith(b"),\n")) or not self._row.fullmatch(body):
            raise self._fault(what_is_wrong(line, self._file.columns), row=self.rows + 1)
        _require_utf8(self._file.path, line, self.rows)
        self.passed(1)
        if is_last:
            self._expected = "header"
        return body + b",\n"

    def _fault(self, reason: str, row: int | None = None) -> UnreadableFileError:
        return UnreadableFileError(self._file.path, reason, row=row)
