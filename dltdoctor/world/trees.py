"""Directory trees as they stand: every entry with mode, size and times, and a fingerprint of them all.

Whatever is to be removed is looked at first: nothing that is no file, directory or link, no other file
system below, and no place that a name has led out of.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from dltdoctor.errors import RefusedError, UsageError
from dltdoctor.world.atomic import sync_directory

AGAIN = "Nothing was changed. Run the command again to plan anew."
_PLAIN = (stat.S_ISREG, stat.S_ISDIR, stat.S_ISLNK)


class Entry(NamedTuple):
    """One entry of a tree. `path` is relative to the top, "" for the top itself; times are nanoseconds."""

    path: str
    mode: int
    size: int
    mtime_ns: int
    link: str
    uid: int
    gid: int
    inode: int
    ctime_ns: int

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def facts(self) -> tuple[object, ...]:
        """What has to be the same again after it was archived and brought back."""
        return self.path, self.mode, self.size if self.is_file else 0, self.mtime_ns, self.link


class Tree(NamedTuple):
    """The entries of some parts of a directory, parents before what is in them; sizes in bytes."""

    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        return sum(e.size for e in self.entries if e.is_file)

    @property
    def files(self) -> int:
        return sum(not e.is_directory for e in self.entries)

    @property
    def newest(self) -> float:
        """The newest mtime, Unix seconds; 0 for nothing."""
        return max((e.mtime_ns for e in self.entries), default=0) / 1e9

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of all facts, in hex: no content is read."""
        lines = "\n".join("\0".join(map(str, e.facts)) for e in self.entries)
        return hashlib.sha256(lines.encode("utf-8", "surrogateescape")).hexdigest()

    def is_still(self, other: "Tree") -> bool:
        """Whether nothing was written meanwhile; the tops themselves change when they are moved."""
        return len(self.entries) == len(other.entries) and all(
            a.facts == b.facts and a.inode == b.inode for a, b in zip(self.entries, other.entries, strict=True)
        )


def read_tree(top: str, parts: Iterable[str] = ("",)) -> Tree:
    """The parts of the directory `top`. Raises `RefusedError` for what could not be kept as it is."""
    entries: list[Entry] = []
    try:
        device = os.lstat(top).st_dev
        for part in parts:
            entries += _walk(top, part, device)
    except OSError as error:
        place = error.filename or top
        raise RefusedError(f"{place} cannot be read: {error.strerror}", "Nothing was changed.") from None
    return Tree(tuple(entries))


def _walk(top: str, path: str, device: int) -> Iterator[Entry]:
    place = os.path.join(top, path) if path else top
    found = os.lstat(place)
    if not any(is_kind(found.st_mode) for is_kind in _PLAIN):
        raise RefusedError(f"{place} is a pipe, a socket or a device", "Move it away; dlt keeps only files there.")
    if found.st_dev != device:
        raise RefusedError(f"{place} is another file system, mounted there", "Unmount it, or remove it by hand.")
    link = os.readlink(place) if stat.S_ISLNK(found.st_mode) else ""
    yield Entry(
        path,
        found.st_mode,
        found.st_size,
        found.st_mtime_ns,
        link,
        found.st_uid,
        found.st_gid,
        found.st_ino,
        found.st_ctime_ns,
    )
    if stat.S_ISDIR(found.st_mode):
        for name in sorted(os.listdir(place)):
            yield from _walk(top, os.path.join(path, name) if path else name, device)


def check_name(name: str) -> None:
    """Raises `UsageError` for what is no name of a pipeline but a path, or could be taken for one."""
    if not name or name.startswith(".") or "/" in name or "\\" in name or "\0" in name:
        raise UsageError(
            f"{name!r} is no name of a pipeline", "Pass names as `dlt pipeline --list` shows them, never paths."
        )


def check_place(working_dir: str, *, home: str, forbidden: Iterable[str]) -> None:
    """Raises `RefusedError` unless the directory really is one of its own in a directory of pipelines.

    `forbidden` are places that must not lie in it: the current directory, the project, dltdoctor's state.
    """
    parent, name = os.path.split(os.path.abspath(working_dir))
    pipelines_dir = os.path.realpath(parent)
    real_home = os.path.realpath(home)
    if pipelines_dir == "/" or _is_within(real_home, pipelines_dir):
        what = "the whole disk" if pipelines_dir == "/" else "the home directory, or above it"
        raise RefusedError(
            f"the pipelines dir {pipelines_dir} is {what}", "Nothing is removed there. Pass --pipelines-dir."
        )
    real = os.path.realpath(working_dir)
    if os.path.islink(working_dir) or real != os.path.join(pipelines_dir, name):
        raise RefusedError(f"{working_dir} is a link to {real}", "Only what is in the pipelines dir itself is removed.")
    if os.path.ismount(real):
        raise RefusedError(f"{working_dir} is a file system of its own, mounted there", "It cannot be moved aside.")
    for place in forbidden:
        if _is_within(os.path.realpath(place), real):
            raise RefusedError(f"{place} lies in the working dir {working_dir}", "Nothing is removed there.")


def _is_within(inner: str, outer: str) -> bool:
    return inner == outer or inner.startswith(outer.rstrip("/") + "/")


def strange_entries(working_dir: str) -> tuple[str, ...]:
    """What stands in a working dir and was not made by dlt."""
    try:
        return tuple(sorted(set(os.listdir(working_dir)) - DLT_OWN))
    except OSError:
        return ()


DLT_OWN = frozenset({"state.json", "trace.pickle", "schemas", "load", "normalize", "_local"})


def extractions(working_dir: str) -> tuple[tuple[str, float], ...]:
    """Directories of extractions that have not ended, each with its newest mtime (Unix seconds).

    dlt extracts into `normalize/<eight letters>/` and never comes back to one that was interrupted.
    """
    top = os.path.join(working_dir, "normalize")
    found = []
    try:
        names = sorted(os.listdir(top))
    except OSError:
        return ()
    for name in names:
        place = os.path.join(top, name)
        if name not in {"extracted", ".version"} and os.path.isdir(place):
            packages = [p for p in read_tree(place).entries if p.path]
            if packages:
                found.append((place, max(p.mtime_ns for p in packages) / 1e9))
    return tuple(found)


def holders(tops: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Processes of this machine, by number, that have a file of one of the directories open (Linux only)."""
    real = {os.path.realpath(top) + "/": top for top in tops}
    found: dict[str, set[int]] = {}
    own = os.getpid()
    for pid in (int(name) for name in _listed("/proc") if name.isdigit()):
        if pid == own:
            continue
        links = (f"/proc/{pid}/fd/{number}" for number in _listed(f"/proc/{pid}/fd"))
        for link in (*links, f"/proc/{pid}/cwd"):
            place = _target(link) + "/"
            for top, given in real.items():
                if place.startswith(top):
                    found.setdefault(given, set()).add(pid)
    return {top: tuple(sorted(pids)) for top, pids in found.items()}


def _listed(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _target(link: str) -> str:
    try:
        return os.readlink(link)
    except OSError:
        return ""


def exists(path: str) -> bool:
    """Whether anything stands there, be it a broken link."""
    return os.path.lexists(path)


def empty(folder: Path) -> None:
    """Remove what is in the directory, not itself; directories that are closed to us are opened."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for place, _, _ in os.walk(folder):
        mode = os.lstat(place).st_mode
        if mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(place, stat.S_IMODE(mode) | stat.S_IRWXU)
    with os.scandir(folder) as found:
        for entry in list(found):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)


def sync_tree(top: Path) -> None:
    """Everything below is on disk before it stands in its place; the archive may be freed one day."""
    for folder, _, names in os.walk(top):
        for name in names:
            place = os.path.join(folder, name)
            if not os.path.islink(place):
                descriptor = os.open(place, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        sync_directory(Path(folder))
