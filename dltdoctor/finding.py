"""What an examination says: findings with their evidence and remedies, and what was skipped.

These are the types of the JSON contract. Their fields are public interface.
"""

import enum
import hashlib
from typing import Literal

import msgspec


class Severity(enum.StrEnum):
    """How bad it is. error: data is lost, wrong or will be at the next run."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        return _RANK[self]


_RANK = {Severity.INFO: 0, Severity.WARNING: 1, Severity.ERROR: 2}

Safety = Literal["safe", "unsafe", "manual"]


class Evidence(msgspec.Struct, frozen=True):
    """A fact, and the query or file it came from."""

    fact: str
    source: str


class Remedy(msgspec.Struct, frozen=True):
    """What cures a finding. `safe` keeps every row; `unsafe` may cost something; `manual` is yours.

    `command` can be pasted into a shell as it stands.
    """

    title: str
    safety: Safety
    command: str | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A sickness, stamped by the engine with the code and severity of the check that found it."""

    code: str
    name: str
    severity: Severity
    message: str
    pipeline: str | None
    dataset: str | None
    table: str | None
    evidence: tuple[Evidence, ...]
    remedy: Remedy | None
    fingerprint: str
    url: str | None


class SkippedCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A check that could not look, for a pipeline or (None) for all, and why."""

    check: str
    pipeline: str | None
    reason: str


def fingerprint(code: str, *identity: str | None) -> str:
    """A stable name for a finding: the same sickness in the same place, whatever the numbers."""
    text = "\x1f".join([code, *(part or "" for part in identity)])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
