"""The files of a project that may hold source: found without following links, within bounds."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

from dltdoctor.snapshot import Unread

MAX_BYTES = 1_000_000
MAX_FILES = 20_000
MAX_ENTRIES = 500_000
SUFFIXES = frozenset({".py", ".sql", ".yml", ".yaml", ".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx"})
SKIPPED = frozenset(
    {
        "venv",
        "node_modules",
        "site-packages",
        "dist-packages",
        "__pycache__",
        "__pypackages__",
        "build",
        "dist",
    }
)

_PACKAGE = frozenset({"new_jobs", "started_jobs", "completed_jobs", "failed_jobs"})

Progress = Callable[[str], None]


class SourceFile(NamedTuple):
    """A file to read; `name` is relative to the project, with slashes, and always valid Unicode."""

    path: str
    name: str
    suffix: str


class Walk:
    """One walk over a project. `unread` is complete when `files()` is exhausted."""

    def __init__(self, root: Path, *, progress: Progress | None = None) -> None:
        self.root = root
        self.unread: list[Unread] = []
        self._progress = progress
        self._found = 0
        self._entries = 0

    def files(self) -> Iterator[SourceFile]:
        """Candidates, those nearest to the root first, so that a bound cuts what lies deepest."""
        descend = not is_too_wide(self.root)
        directories = deque([(str(self.root), "")])
        while directories and not self._is_over():
            path, prefix = directories.popleft()
            entries = self._scan(path, prefix)
            names = {entry.name for entry in entries}
            if (prefix and "pyvenv.cfg" in names) or _is_dlts(names):
                continue
            for entry in entries:
                if self._is_walked(entry):
                    if descend:
                        directories.append((entry.path, f"{prefix}{entry.name}/"))
                elif candidate := self._candidate(entry, prefix):
                    yield candidate
        if directories:
            self.unread.append(
                unread(
                    str(self.root),
                    f"the project is too large: only the first {self._found} source files were read",
                    hint="name the directory of the pipeline with --project",
                )
            )

    def _scan(self, path: str, prefix: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if not prefix or _is_mine(path):
                self.unread.append(_no_directory(printable(prefix) or printable(path), error))
            return []
        self._entries += len(entries)
        return entries

    @staticmethod
    def _is_walked(entry: os.DirEntry[str]) -> bool:
        if entry.name in SKIPPED or entry.name.startswith("."):
            return False
        try:
            return entry.is_dir(follow_symlinks=False)
        except OSError:
            return False

    def _candidate(self, entry: os.DirEntry[str], prefix: str) -> SourceFile | None:
        suffix = f".{entry.name.rpartition('.')[2].lower()}"
        if suffix not in SUFFIXES or entry.name.startswith("."):
            return None
        try:
            if not entry.is_file():
                return None
        except OSError:  # A link that leads to itself.
            return None
        self._found += 1
        if self._progress and self._found % 500 == 0:
            self._progress(f"project source: {self._found} files")
        return SourceFile(entry.path, printable(prefix + entry.name), suffix)

    def _is_over(self) -> bool:
        return self._found >= MAX_FILES or self._entries >= MAX_ENTRIES


def is_too_wide(root: Path) -> bool:
    """True for the home directory and everything above it: not a project, only where one may lie."""
    try:
        resolved, home = root.resolve(), Path.home().resolve()
    except (OSError, RuntimeError):  # A link that leads to itself, or a user without a home.
        return root == Path("/")
    return resolved == home or resolved in home.parents


def _is_dlts(names: AbstractSet[str]) -> bool:
    """True for a pipeline's working dir and a load package: their SQL is dlt's, not a reader's."""
    parts = names & {"schemas", "load", "normalize"}
    return bool(("state.json" in names and parts) or len(parts) == 3 or names & _PACKAGE)


def printable(name: str) -> str:
    """The name with bytes that are not UTF-8 replaced: a lone surrogate cannot be written as JSON."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def unread(what: str, reason: str, *, hint: str = "check the file; the rest of the source was read") -> Unread:
    return Unread(code="DD001", what=what, reason=reason, hint=hint, areas=("source",))


def _no_directory(what: str, error: OSError) -> Unread:
    hint = "check the directory, or name another one with --project"
    return unread(what, error.strerror or str(error), hint=hint)


def _is_mine(path: str) -> bool:
    """False for a directory of somebody else, e.g. a container's database volume: it is no source."""
    try:
        return os.lstat(path).st_uid == os.geteuid()
    except OSError:
        return False
