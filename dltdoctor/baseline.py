"""A baseline: the findings a project has today, so that only new ones fail. Pure.

The file holds fingerprints and names, no values and no line numbers, in a fixed order, so that it
can be kept under version control and its changes can be read.
"""

from collections.abc import Iterable

import msgspec

from dltdoctor.errors import UsageError
from dltdoctor.finding import Finding
from dltdoctor.snapshot import Value

VERSION = 1
_AGAIN = "Write it anew with --update-baseline."


class Entry(Value):
    """A finding as the baseline remembers it; `path` is the file it stood in, if it stood in the project."""

    fingerprint: str
    code: str
    name: str
    pipeline: str | None = None
    dataset: str | None = None
    table: str | None = None
    path: str | None = None


class Seen(Value):
    """A finding of now, and the file of the project that it stands in."""

    finding: Finding
    path: str | None = None


class Looked(Value):
    """What could be looked for: `whole` are the checks that saw all they read, `partly` those that saw the project.

    A check that saw only the project cannot tell whether what it found in the database is gone.
    """

    whole: frozenset[str]
    partly: frozenset[str]

    def for_entry(self, entry: Entry) -> bool:
        return entry.code in self.whole or (entry.code in self.partly and entry.path is not None)


class Baseline(Value):
    """The findings that were there when the baseline was written."""

    version: int = VERSION
    findings: tuple[Entry, ...] = ()

    @property
    def fingerprints(self) -> frozenset[str]:
        return frozenset(e.fingerprint for e in self.findings)


def decode(content: bytes, name: str) -> Baseline:
    """The baseline in a file's bytes. Raises `UsageError`."""
    try:
        found = msgspec.json.decode(content, type=Baseline)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UsageError(f"{name} is not a baseline of dltdoctor", _AGAIN) from None
    if found.version != VERSION:
        raise UsageError(f"{name} is a baseline of version {found.version}, this dltdoctor knows {VERSION}", _AGAIN)
    return found


def encode(baseline: Baseline) -> bytes:
    """The baseline as a file."""
    return msgspec.json.format(msgspec.json.encode(baseline), indent=1) + b"\n"


def updated(old: Baseline, seen: Iterable[Seen], looked: Looked) -> Baseline:
    """The findings of now, and those old ones that nobody could look for this time."""
    now = {each.finding.fingerprint: _entry(each) for each in seen}
    kept = {e.fingerprint: e for e in old.findings if not looked.for_entry(e)}
    return Baseline(findings=tuple(sorted((kept | now).values(), key=lambda e: (e.code, e.fingerprint))))


def gone(old: Baseline, seen: Iterable[Seen], looked: Looked) -> tuple[Entry, ...]:
    """What the baseline names and is not there any more; what nobody looked for is not gone."""
    here = {each.finding.fingerprint for each in seen}
    return tuple(e for e in old.findings if e.fingerprint not in here and looked.for_entry(e))


def _entry(seen: Seen) -> Entry:
    finding = seen.finding
    return Entry(
        fingerprint=finding.fingerprint,
        code=finding.code,
        name=finding.name,
        pipeline=finding.pipeline,
        dataset=finding.dataset,
        table=finding.table,
        path=seen.path,
    )
