"""How a check is written: `@check` on one function in one file.

The function's parameter names are the areas it reads; an area that could not be read makes the
check `Skipped`, without code in the check; one with a default of None is used when it is there. The file's docstring holds the title, *Why it matters*
and *Fix safety*; `sick` and `well` are its examples, and they are its tests, too. The engine stamps
code, name and severity, so that a check cannot lie about itself.
"""

import inspect
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from dltdoctor.finding import Evidence, Finding, Remedy, Severity, fingerprint
from dltdoctor.snapshot import Snapshot, Value

AREAS = ("pipelines", "config", "source", "catalog", "ledger", "routes", "unread", "readers", "contracts")
DLT_DOCS = "https://dlthub.com/docs"
DLT_ISSUES = "https://github.com/dlt-hub/dlt/issues"


class Note(Value):
    """What a check returns: everything but its own identity.

    `severity` may lower or raise the check's own, within those it declares. `identity` tells apart
    findings of one check in one place.
    """

    message: str
    evidence: tuple[Evidence, ...]
    pipeline: str | None = None
    dataset: str | None = None
    table: str | None = None
    remedy: Remedy | None = None
    severity: Severity | None = None
    identity: str = ""


class Found(NamedTuple):
    """The check looked; these are its findings, perhaps none."""

    findings: tuple[Finding, ...]


class Skipped(NamedTuple):
    """The check could not look."""

    reason: str


class Crashed(NamedTuple):
    """The check has a bug; the text is its error, without the user's data."""

    error: str


Outcome = Found | Skipped | Crashed
Example = Callable[[], Snapshot]
Function = Callable[..., Iterable[Note]]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """A check with everything that docs, `explain` and the engine need to know about it."""

    code: str
    name: str
    severities: tuple[Severity, ...]
    function: Function
    areas: tuple[str, ...]
    optional: tuple[str, ...]
    doc: str
    url: str | None
    sick: tuple[Example, ...]
    well: tuple[Example, ...]

    @property
    def title(self) -> str:
        return self.doc.splitlines()[0].rstrip(".")

    def stamp(self, note: Note) -> Finding:
        """The note as a finding of this check; refuses one without evidence."""
        if not note.evidence:
            raise ValueError(f"{self.code} found something without evidence: {note.message}")
        severity = note.severity or self.severities[0]
        if severity not in self.severities:
            raise ValueError(f"{self.code} may not be of severity {severity}")
        place = (note.pipeline, note.dataset, note.table)
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=note.message,
            pipeline=note.pipeline,
            dataset=note.dataset,
            table=note.table,
            evidence=note.evidence,
            remedy=note.remedy,
            fingerprint=fingerprint(self.code, *place, note.identity),
            url=self.url,
        )


def check(
    code: str,
    *severities: Severity,
    sick: Iterable[Example],
    well: Iterable[Example],
    url: str | None = None,
) -> Callable[[Function], Check]:
    """Make a check of a function; its name, with dashes, is the check's name."""

    def decorate(function: Function) -> Check:
        parameters = inspect.signature(function).parameters
        areas = tuple(parameters)
        unknown = [area for area in areas if area not in AREAS]
        if unknown:
            raise TypeError(f"{code} asks for an unknown area: {', '.join(unknown)}")
        return Check(
            code=code,
            name=function.__name__.replace("_", "-"),
            severities=severities,
            function=function,
            areas=areas,
            optional=tuple(n for n, p in parameters.items() if p.default is not inspect.Parameter.empty),
            doc=inspect.cleandoc(sys.modules[function.__module__].__doc__ or ""),
            url=url,
            sick=tuple(sick),
            well=tuple(well),
        )

    return decorate
