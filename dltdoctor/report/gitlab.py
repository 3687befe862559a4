"""The Code Quality report of GitLab, an artifact that merge requests show.

Known findings are in it, too: GitLab compares the branches by itself. Source: "Code Quality report
format" of GitLab's documentation.
"""

import hashlib
from collections import Counter
from typing import Any

from dltdoctor.gate import Judged, Verdict
from dltdoctor.report.annotated import advice, place
from dltdoctor.report.json import encode
from dltdoctor.report.safe import safe

_SEVERITIES = {"error": "critical", "warning": "major", "info": "info"}


def render(verdict: Verdict) -> bytes:
    """A JSON array with an object for each finding that is not ignored."""
    seen: Counter[str] = Counter()
    return encode([_entry(judged, seen) for judged in verdict.judged if judged.status != "ignored"])


def _entry(judged: Judged, seen: Counter[str]) -> dict[str, Any]:
    finding, at = judged.finding, place(judged)
    number = seen[finding.fingerprint]
    seen[finding.fingerprint] += 1
    unique = f"{finding.fingerprint} {number}" if number else finding.fingerprint
    return {
        "description": " ".join(part for part in (safe(finding.message) + ".", advice(finding)) if part),
        "check_name": f"{finding.code} {finding.name}",
        "fingerprint": hashlib.sha256(unique.encode()).hexdigest()[:32],
        "severity": _SEVERITIES[finding.severity.value],
        "location": {"path": at.path, "lines": {"begin": at.line}},
    }
