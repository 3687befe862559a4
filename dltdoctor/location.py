"""Where in the project a finding stands, taken from the `path:line` of its evidence. Pure."""

import re
from collections.abc import Callable, Iterator

from dltdoctor.finding import Finding
from dltdoctor.snapshot import Value

_WHOLE = re.compile(r"(?P<path>\S.*?):(?P<line>\d+)")
_INSIDE = re.compile(r"(?:^|(?<=[\s,(]))(?P<path>[^\s,():]+):(?P<line>\d+)(?=$|[\s,);])")
_WORD = re.compile(r"[\w.]{4,}")

Lines = Callable[[str], tuple[str, ...] | None]


class Location(Value, frozen=True):
    """A place in a file of the project. Line and columns count from 1; `end_column` is past the last."""

    path: str
    line: int
    column: int = 1
    end_column: int | None = None


class Edit(Value):
    """Lines that a safe repair replaces: from `start` up to, and without, `end`; counted from 1."""

    path: str
    start: int
    end: int
    text: str
    title: str


def locations_of(finding: Finding, lines_of: Lines) -> tuple[Location, ...]:
    """Every place of the project that the evidence names, in its order.

    `lines_of` gives the lines of a file of the project by its relative path, None when there is none.
    """
    found: dict[tuple[str, int], Location] = {}
    for evidence in finding.evidence:
        for path, line in _candidates(evidence.source):
            lines = lines_of(path)
            if lines is not None and 0 < line <= max(len(lines), 1) and (path, line) not in found:
                text = lines[line - 1] if lines else ""
                found[path, line] = _at(path, line, text, evidence.fact)
    return tuple(found.values())


def location_of(finding: Finding, lines_of: Lines) -> Location | None:
    """The first place of the project that the evidence names."""
    return next(iter(locations_of(finding, lines_of)), None)


def _candidates(source: str) -> Iterator[tuple[str, int]]:
    if whole := _WHOLE.fullmatch(source):
        yield whole["path"], int(whole["line"])
    for inside in _INSIDE.finditer(source):
        yield inside["path"], int(inside["line"])


def _at(path: str, line: int, text: str, fact: str) -> Location:
    """The word of the line that the fact speaks of, else everything but the blanks around."""
    stripped = text.strip()
    word = _WORD.match(fact)
    at = text.find(word[0]) if word and not fact.startswith(stripped or " ") else -1
    if word and at >= 0:
        return Location(path=path, line=line, column=at + 1, end_column=at + len(word[0]) + 1)
    start = len(text) - len(text.lstrip()) if stripped else 0
    return Location(path=path, line=line, column=start + 1, end_column=start + max(len(stripped), 1) + 1)
