"""Bounded reading of the user's files: looks first, opens regular files only, creates nothing.

Every refusal is an `UnreadableError` with one clear reason.
"""

import os
import stat
import time

from dltdoctor.world.documents import MEGABYTE, document_of
from dltdoctor.world.unreadable import UnreadableError, refused

MAX_STATE = 64 * MEGABYTE
MAX_SCHEMA = 128 * MEGABYTE
MAX_TRACE = 32 * MEGABYTE
MAX_ERROR_TEXT = 4 * MEGABYTE
MAX_MARKER = 4096

# dlt writes a package's files in place, so a running pipeline may leave half of one for a moment.
JUST_NOW = 2.0
TRIES = 4
PAUSE = 0.05

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


def read_bytes(path: str, *, limit: int) -> bytes:
    """The whole file; refuses what is larger than `limit` bytes or not a regular file."""
    try:
        # opening a pipe would wake whoever writes to it, so look before
        size = _regular(path, os.stat(path))
        _within(path, size, limit)
        data = _read(path, limit + 1)
    except OSError as error:
        raise refused(path, error) from error
    _within(path, len(data), limit)
    return data


def read_head(path: str, *, size: int) -> bytes:
    """The first `size` bytes of the file."""
    try:
        _regular(path, os.stat(path))
        return _read(path, size)
    except OSError as error:
        raise refused(path, error) from error


def read_document(path: str, *, limit: int = MAX_STATE) -> dict[str, object]:
    """The JSON object in the file; one that seems to be half written right now is read again."""
    for _ in range(TRIES):
        try:
            return document_of(read_bytes(path, limit=limit), path)
        except UnreadableError:
            if not _is_being_written(path):
                raise
            time.sleep(PAUSE)
    return document_of(read_bytes(path, limit=limit), path)


def read_marker(path: str) -> str | None:
    """The one line of a small marker file such as `load/.version`; None when there is no such file."""
    if is_missing(path):
        return None
    text = read_bytes(path, limit=MAX_MARKER).decode("utf-8", "replace").strip()
    return text.splitlines()[0].strip() if text else None


def entries(path: str) -> list[os.DirEntry[str]]:
    """What stands in the directory, by name."""
    try:
        with os.scandir(path) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise refused(path, error) from error


def is_missing(path: str) -> bool:
    """True when nothing stands there, not even a broken link; False when that cannot be told."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _is_being_written(path: str) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and abs(time.time() - status.st_mtime) < JUST_NOW


def _regular(path: str, status: os.stat_result) -> int:
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a pipe, socket or device"
        hint = f"Move it away; dlt keeps a plain file named {os.path.basename(path)} there."
        raise UnreadableError(path, f"{kind} stands where a file should be", hint)
    return status.st_size


def _within(path: str, size: int, limit: int) -> None:
    if size > limit:
        reason = f"{size / MEGABYTE:,.0f} MB is more than dltdoctor reads ({limit // MEGABYTE} MB)"
        hint = "dlt's own files are far smaller: look what has grown in it, e.g. a resource's state."
        raise UnreadableError(path, reason, hint)


def _read(path: str, size: int) -> bytes:
    descriptor = os.open(path, _FLAGS)
    try:
        _regular(path, os.fstat(descriptor))
        parts = []
        while size > 0 and (part := os.read(descriptor, min(size, MEGABYTE))):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)
