"""Files replaced in one step: a reader, or a crash, sees the old content or the new one, never a part."""

import contextlib
import glob
import hashlib
import os
import secrets
from pathlib import Path

OURS = ".dltdoctor"


def digest(content: bytes) -> str:
    """The SHA-256 of a file's bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


def digest_of(path: Path) -> str | None:
    """The digest of a file, None when there is none."""
    try:
        return digest(path.read_bytes())
    except FileNotFoundError:
        return None


def replace_file(path: Path, content: bytes, *, mode: int | None = None, mtime_ns: int | None = None) -> None:
    """Put a file in place, on disk before this returns; a symbolic link is followed, not replaced."""
    target = Path(os.path.realpath(path))
    wanted = mode if mode is not None else (target.stat().st_mode & 0o7777 if target.exists() else 0o644)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}{OURS}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, wanted)
            os.fsync(descriptor)
        if mtime_ns is not None:
            os.utime(temporary, ns=(mtime_ns, mtime_ns))
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_directory(target.parent)


def sweep(path: Path) -> None:
    """Remove what a crash in the middle of `replace_file` has left beside a file."""
    target = Path(os.path.realpath(path))
    with contextlib.suppress(OSError):
        for left in target.parent.glob(f".{glob.escape(target.name)}.*{OURS}"):
            left.unlink()


def remove_file(path: Path) -> None:
    """Remove a file, on disk before this returns."""
    path.unlink()
    sync_directory(path.parent)


def rename(source: Path, target: Path) -> None:
    """Move within one file system to a name that is free, on disk before this returns."""
    if target.exists() or target.is_symlink():
        raise FileExistsError(17, "it exists already", str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(source, target)
    sync_directory(source.parent)
    sync_directory(target.parent)


def sync_directory(path: Path) -> None:
    """Make a directory's entries durable."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
