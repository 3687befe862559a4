"""Workflow commands of GitHub Actions: an annotation at the line of each finding.

Source: "Workflow commands for GitHub Actions" of GitHub's documentation.
"""

from dltdoctor.gate import Judged, Verdict
from dltdoctor.report.annotated import advice, outcome
from dltdoctor.report.safe import safe

_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def render(verdict: Verdict) -> str:
    """A line for each finding that counts and each decision without effect, then the verdict."""
    lines = [_annotation(judged) for judged in verdict.of("new")]
    lines += [f"::warning title=dltdoctor::{_data(safe(notice))}" for notice in verdict.notices]
    return "\n".join([*lines, outcome(verdict)]) + "\n"


def _annotation(judged: Judged) -> str:
    finding, at = judged.finding, judged.location
    properties = {"title": f"{finding.code} {finding.name}"}
    if at:
        columns = {"col": str(at.column)} | ({"endColumn": str(at.end_column)} if at.end_column else {})
        properties = {"file": at.path, "line": str(at.line), **columns, **properties}
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    text = "\n".join(part for part in (safe(finding.message), advice(finding)) if part)
    return f"::{_LEVELS[finding.severity.value]} {told}::{_data(text)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(safe(text)).replace(":", "%3A").replace(",", "%2C")
