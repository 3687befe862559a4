"""Archives: a directory tree in one compressed file, read back and compared before anybody relies on it.

The file is a plain POSIX tar in gzip, so that `tar xzf` brings the tree back, too, with modes and mtimes
to the nanosecond. The same tree gives the same bytes.
"""

import gzip
import hashlib
import os
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from dltdoctor.errors import RefusedError
from dltdoctor.world.atomic import sync_directory
from dltdoctor.world.room import check_room, megabytes, need
from dltdoctor.world.trees import AGAIN, Entry, Tree

# Measured on dlt's own files: level 1 is four times as fast as 6 and takes 15 % more room.
LEVEL = 1
DENSE = (".gz", ".parquet", ".zst", ".snappy")  # compressed already: stored as they are
DENSE_SIZE = 65_536
BLOCK = 1 << 20

Progress = Callable[[str], None]


class Archived(NamedTuple):
    """A whole archive on disk: its SHA-256 in hex and its size in bytes."""

    digest: str
    size: int


def write_archive(path: Path, top: str, tree: Tree, progress: Progress = lambda _: None) -> Archived:
    """Archive the tree, on disk and compared with what was read before this returns.

    Members are named from the directory's own name on. Raises `RefusedError` when the tree changes
    meanwhile, cannot be read, or the file does not read back as it should; nothing is left then.
    """
    check_room(path.parent, need(tree), f"the archive of {top}")
    with _refused(path, top):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_partial(path.parent)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            digests, written = _write(partial, top, tree, progress)
            progress(f"reading {path.name} back")
            _compare(partial, os.path.basename(top), tree, digests)
            os.rename(partial, path)
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise
        sync_directory(path.parent)
    return written


def _write(path: Path, top: str, tree: Tree, progress: Progress) -> tuple[dict[str, bytes], Archived]:
    """The archive, on disk; the digest of every file's content, and of the whole."""
    digests: dict[str, bytes] = {}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb", buffering=BLOCK) as file:
        stream = _Stream(file)
        name, done, all_of_it = os.path.basename(top), 0, tree.size
        for entry in tree.entries:
            stream.is_dense = entry.is_file and entry.size >= DENSE_SIZE and entry.path.endswith(DENSE)
            stream.write(_info(name, entry).tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
            if entry.is_file:
                digests[entry.path] = _copy(os.path.join(top, entry.path), entry, stream)
                done += entry.size
                if all_of_it > 64 * BLOCK:
                    progress(f"archiving {top}: {megabytes(done)} of {megabytes(all_of_it)}")
        stream.write(bytes(2 * tarfile.BLOCKSIZE))
        written = stream.end()
        file.flush()
        os.fsync(descriptor)
    return digests, written


class _Stream:
    """Bytes into gzip members one after another; what is dense already gets members of its own."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size = 0
        self._level = LEVEL
        self._zip = _compressor(LEVEL)
        self.is_dense = False

    def write(self, content: bytes) -> None:
        level = 0 if self.is_dense else LEVEL
        if level != self._level:
            self._out(self._zip.flush())
            self._level, self._zip = level, _compressor(level)
        self._out(self._zip.compress(content))

    def end(self) -> Archived:
        self._out(self._zip.flush())
        return Archived(self._hash.hexdigest(), self._size)

    def _out(self, content: bytes) -> None:
        if content:
            self._hash.update(content)
            self._size += len(content)
            self._file.write(content)


def _compressor(level: int) -> "zlib._Compress":
    return zlib.compressobj(level, zlib.DEFLATED, 31)


def _info(name: str, entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(os.path.join(name, entry.path) if entry.path else name)
    info.mode = stat.S_IMODE(entry.mode)
    info.uid, info.gid = entry.uid, entry.gid
    seconds, nanoseconds = divmod(entry.mtime_ns, 10**9)
    info.mtime = max(seconds, 0)
    info.pax_headers = {"mtime": _time(seconds, nanoseconds)}
    if entry.is_directory:
        info.type = tarfile.DIRTYPE
    elif entry.is_file:
        info.size = entry.size
    else:
        info.type, info.linkname = tarfile.SYMTYPE, entry.link
    return info


def _time(seconds: int, nanoseconds: int) -> str:
    """Exactly, as POSIX writes it; before 1970 the fraction counts the other way."""
    if seconds < 0 and nanoseconds:
        return f"-{-seconds - 1}.{10**9 - nanoseconds:09d}"
    return f"{seconds}.{nanoseconds:09d}"


def _nanoseconds(info: tarfile.TarInfo) -> int:
    text = info.pax_headers.get("mtime", str(int(info.mtime)))
    whole, _, fraction = text.partition(".")
    size = abs(int(whole)) * 10**9 + int(fraction.ljust(9, "0")[:9] or "0")
    return -size if text.startswith("-") else size


def _copy(path: str, entry: Entry, stream: _Stream) -> bytes:
    """The file's content, padded; its digest. Raises `RefusedError` when it is another file by now."""
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        left = entry.size
        while left and (block := file.read(min(left, BLOCK))):
            digest.update(block)
            stream.write(block)
            left -= len(block)
        now = os.fstat(descriptor)
        if left or (now.st_size, now.st_mtime_ns, now.st_ino) != (entry.size, entry.mtime_ns, entry.inode):
            raise RefusedError(f"{path} was written to while it was archived", f"Is the pipeline running? {AGAIN}")
    stream.write(bytes(-entry.size % tarfile.BLOCKSIZE))
    return digest.digest()


def _compare(path: Path, name: str, tree: Tree, digests: dict[str, bytes]) -> None:
    """Raises `RefusedError` unless the archive holds exactly the tree."""
    found = 0
    with _members(path) as members:
        for entry, (info, content) in zip(tree.entries, members, strict=False):
            found += 1
            right = _facts(name, info) == entry.facts
            if not right or (entry.is_file and _digest(content) != digests[entry.path]):
                raise RefusedError(f"the archive of {name} does not read back as it should", "Nothing was changed.")
        if found != len(tree.entries) or next(members, None) is not None:
            raise RefusedError(f"the archive of {name} does not read back whole", "Nothing was changed.")


def _facts(name: str, info: tarfile.TarInfo) -> tuple[object, ...]:
    kind = stat.S_IFDIR if info.isdir() else stat.S_IFLNK if info.issym() else stat.S_IFREG
    path = info.name[len(name) + 1 :]
    return path, kind | info.mode, info.size if info.isreg() else 0, _nanoseconds(info), info.linkname


def _digest(content: IO[bytes] | None) -> bytes:
    digest = hashlib.sha256()
    while content and (block := content.read(BLOCK)):
        digest.update(block)
    return digest.digest()


@contextmanager
def _members(path: Path) -> Iterator[Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]]:
    with (
        gzip.open(path, "rb") as plain,
        tarfile.open(fileobj=plain, mode="r|", bufsize=BLOCK, errors="surrogateescape") as tar,
    ):
        yield ((info, tar.extractfile(info) if info.isreg() else None) for info in tar)


def holds(path: Path, top: str, tree: Tree) -> bool:
    """Whether the archive has every entry of the tree as it is now; contents are not read again."""
    name = os.path.basename(top)
    with _refused(path, top), _members(path) as members:
        kept = {_facts(name, info) for info, _ in members}
    return all(entry.facts in kept for entry in tree.entries)


def extract(path: Path, part: str, target: Path) -> None:
    """Bring one part of an archive ("" for all) back as `target`, with modes, mtimes and, for root, owners.

    Members that would lead out of `target` are refused. Raises `RefusedError`.
    """
    folders: list[tuple[Path, tarfile.TarInfo]] = []
    with _refused(path, str(target)), _members(path) as members:
        for info, content in members:
            inner = _inside(info.name.partition("/")[2], part)
            if inner is None:
                continue
            place = target / inner if inner else target
            if info.isdir():
                place.mkdir(mode=0o700)
                folders.append((place, info))
                continue
            if info.issym():
                os.symlink(info.linkname, place)
            else:
                _put(place, content)
            _dress(place, info)
        for place, info in reversed(folders):
            _dress(place, info)


def _inside(path: str, part: str) -> str | None:
    """The path as seen from the part; None for what is not in it."""
    if ".." in path.split("/") or path.startswith("/"):
        raise RefusedError(f"the archive names the path {path!r}, which leads out of it", "Nothing was changed.")
    if not part:
        return path
    if path == part:
        return ""
    return path.removeprefix(f"{part}/") if path.startswith(f"{part}/") else None


def _put(place: Path, content: IO[bytes] | None) -> None:
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while content and (block := content.read(BLOCK)):
            file.write(block)


def _dress(place: Path, info: tarfile.TarInfo) -> None:
    if os.geteuid() == 0:
        os.chown(place, info.uid, info.gid, follow_symlinks=False)
    if not info.issym():
        place.chmod(info.mode)
    when = _nanoseconds(info)
    os.utime(place, ns=(when, when), follow_symlinks=False)


@contextmanager
def _refused(path: Path, top: str) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise RefusedError(f"{path} is damaged: {error}", "Nothing was changed.") from None
    except OSError as error:
        place = error.filename or top
        reason = error.strerror or "it is damaged"
        raise RefusedError(f"{place} cannot be archived or restored: {reason}", "Nothing was changed.") from None


def digest_of_file(path: Path) -> str | None:
    """The SHA-256 of an archive, None when there is none."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _remove_partial(folder: Path) -> None:
    """What killed runs have left half written."""
    for path in folder.glob(".*.tar.gz.*"):
        pid = path.suffix[1:]
        if pid.isdigit() and not os.path.exists(f"/proc/{pid}") and os.path.isdir("/proc/self"):
            with suppress(OSError):
                path.unlink()
