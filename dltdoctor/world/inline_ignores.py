"""Ignores that stand in the source, in a comment on the line they are about.

`# dltdoctor: ignore[DD103] reason` in Python, TOML and YAML, `-- …` in SQL, `// …` in JavaScript.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from dltdoctor.snapshot import Value
from dltdoctor.world.source_walk import MAX_BYTES, Walk

_MENTIONED = b"dltdoctor:"
_COMMENT = re.compile(r"(?:#|--|//)[ \t]*dltdoctor:[ \t]*ignore\b(?:\[(?P<codes>[^\]\n]*)\])?(?P<reason>[^\n]*)")


class InlineIgnore(Value):
    """A comment as it stands: the codes it names, perhaps none, and its reason, perhaps empty."""

    path: str
    line: int
    codes: tuple[str, ...]
    reason: str


def read_inline_ignores(project: Path, others: Iterable[str] = ()) -> tuple[InlineIgnore, ...]:
    """Every such comment in the project's source and in `others`, configuration files, relative or not."""
    files = {file.path: file.name for file in Walk(project).files()}
    for path in others:
        whole = project / path
        if whole.is_relative_to(project):
            files.setdefault(str(whole), whole.relative_to(project).as_posix())
    return tuple(ignore for path, name in files.items() for ignore in _in_file(path, name))


def _in_file(path: str, name: str) -> Iterator[InlineIgnore]:
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES)
    except OSError:
        return
    if _MENTIONED not in data:
        return
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), start=1):
        found = _COMMENT.search(line)
        if found:
            codes = tuple((found["codes"] or "").replace(",", " ").split())
            yield InlineIgnore(path=name, line=number, codes=codes, reason=found["reason"].strip(" \t-:*/"))


class ProjectFiles:
    """The lines of the project's files, read when they are asked for."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._lines: dict[str, tuple[str, ...] | None] = {}

    def lines(self, path: str) -> tuple[str, ...] | None:
        """The lines of a file by its path below the project; None when it is none, or is elsewhere."""
        if path not in self._lines:
            self._lines[path] = self._read(path)
        return self._lines[path]

    def _read(self, path: str) -> tuple[str, ...] | None:
        if Path(path).is_absolute() or ".." in Path(path).parts:
            return None
        try:
            file = self._project / path
            if not file.is_file() or file.stat().st_size > MAX_BYTES:
                return None
            return tuple(file.read_bytes().decode("utf-8", "replace").splitlines())
        except (OSError, ValueError):
            return None
