"""A baseline: the findings a project has today, so that only new ones fail. Pure.

The file holds fingerprints and names, no values and no line numbers, in a fixed order, so that it
can be kept under version control and its changes can be read.
"""

from collections.abc import Collection, Iterable

import msgspec

from dltdoctor.errors import UsageError
from dltdoctor.finding import Finding, SkippedCheck
from dltdoctor.snapshot import Value

VERSION = 1
_AGAIN = "Write it anew with --update-baseline."


class Entry(Value):
    """A finding as the baseline remembers it."""

    fingerprint: str
    code: str
    name: str
    pipeline: str | None = None
    dataset: str | None = None
    table: str | None = None


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


def updated(old: Baseline, findings: Iterable[Finding], skipped: Collection[SkippedCheck]) -> Baseline:
    """The findings of now, and those old ones whose checks could not look this time."""
    now = {f.fingerprint: _entry(f) for f in findings}
    kept = {e.fingerprint: e for e in old.findings if was_skipped(e, skipped)}
    return Baseline(findings=tuple(sorted((kept | now).values(), key=lambda e: (e.code, e.fingerprint))))


def gone(old: Baseline, findings: Iterable[Finding], skipped: Collection[SkippedCheck], ran: Collection[str]) -> tuple[Entry, ...]:
    """What the baseline names and is not there any more; what nobody looked for is not gone."""
    here = {f.fingerprint for f in findings}
    return tuple(
        e for e in old.findings if e.fingerprint not in here and e.code in ran and not was_skipped(e, skipped)
    )


def was_skipped(entry: Entry, skipped: Iterable[SkippedCheck]) -> bool:
    """True when the entry's check could not look, at all or for the entry's pipeline."""
    return any(s.check == entry.code and (s.pipeline is None or s.pipeline == entry.pipeline) for s in skipped)


def _entry(finding: Finding) -> Entry:
    return Entry(
        fingerprint=finding.fingerprint,
        code=finding.code,
        name=finding.name,
        pipeline=finding.pipeline,
        dataset=finding.dataset,
        table=finding.table,
    )
