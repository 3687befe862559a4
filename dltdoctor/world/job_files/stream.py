"""The bytes of a job file: unpacked, in blocks of whole lines, in bounded memory."""

import gzip
import zlib
from collections.abc import Iterator
from typing import IO, cast

from dltdoctor.world.documents import MEGABYTE
from dltdoctor.world.files import read_head
from dltdoctor.world.job_files.file import UnreadableFileError
from dltdoctor.world.unreadable import UnreadableError, refused

# of this size a block stays in the processor's cache, and Postgres is kept busy with the last one
BLOCK = MEGABYTE // 8
# a row is held in memory whole; dlt itself sends 16 MB and one row at a time
MAX_LINE = 64 * MEGABYTE

_GZIP = b"\x1f\x8b"
_DAMAGED = "its gzip stream is damaged"
_CUT = "its gzip stream ends too early: the file was cut off"
_COPY_HINT = "Restore the file from a backup, or load its rows from the source again."


def blocks(path: str) -> Iterator[bytes]:
    """The file's bytes in blocks of 128 KB. Raises `UnreadableFileError`."""
    with _opened(path) as file:
        while block := _read(path, file):
            yield block


def line_blocks(path: str) -> Iterator[bytes]:
    """The same, each block ending with a newline; only the last may end without."""
    parts: list[bytes] = []
    held = 0
    for block in blocks(path):
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join((*parts, block[:end]))
            parts, held = [], 0
        if end < len(block):
            parts.append(block[end:])
            held += len(block) - end
            if held > MAX_LINE:
                reason = f"a line of more than {MAX_LINE // MEGABYTE} MB, which is more than dltdoctor reads"
                raise UnreadableFileError(path, reason, hint="Load its rows from the source again.")
    if parts:
        yield b"".join(parts)


def first_line(path: str) -> bytes:
    """The file's first line without its end, of a longer one its first megabyte. Raises `UnreadableFileError`."""
    head = b""
    for block in blocks(path):
        head += block
        if b"\n" in block or len(head) > MEGABYTE:
            break
    return head.partition(b"\n")[0]


def checked(path: str) -> bytes:
    """The first bytes of the file, which is a regular one. Raises `UnreadableFileError`."""
    try:
        # looks before it opens: a pipe would wake whoever writes to it
        return read_head(path, size=len(_GZIP))
    except UnreadableError as error:
        raise UnreadableFileError(path, error.reason, hint=error.hint) from None


def _opened(path: str) -> IO[bytes]:
    """The file, unpacked when it is packed, whatever its name says."""
    is_packed = checked(path) == _GZIP
    try:
        return cast("IO[bytes]", gzip.open(path, "rb")) if is_packed else open(path, "rb")
    except OSError as error:
        raise UnreadableFileError(path, refused(path, error).reason) from None


def _read(path: str, file: IO[bytes]) -> bytes:
    try:
        return file.read(BLOCK)
    except EOFError:
        raise UnreadableFileError(path, _CUT, hint=_COPY_HINT) from None
    except (gzip.BadGzipFile, zlib.error):
        raise UnreadableFileError(path, _DAMAGED, hint=_COPY_HINT) from None
    except OSError as error:
        raise UnreadableFileError(path, refused(path, error).reason) from None
