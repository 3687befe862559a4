"""The JSON report, the contract that scripts rely on; `python -m dltdoctor.report.json` prints its schema.

A change of the schema bumps `version`.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from dltdoctor.diagnosis import Diagnosis
from dltdoctor.finding import Finding, Severity, SkippedCheck
from dltdoctor.ledger import LedgerRow

VERSION: Literal[1] = 1
# Raw in UTF-8 these steer a terminal or turn a line around; in JSON they can all be escaped.
_STEERING = re.compile(
    "[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


class Summary(msgspec.Struct, frozen=True):
    """How many of each; `skipped` counts the entries of the list of that name."""

    errors: int
    warnings: int
    infos: int
    skipped: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `--format json` prints."""

    version: Literal[1]
    summary: Summary
    findings: tuple[Finding, ...]
    ledger: tuple[LedgerRow, ...]
    skipped: tuple[SkippedCheck, ...]


def report(diagnosis: Diagnosis) -> Report:
    """The diagnosis as the contract has it."""
    severities = [f.severity for f in diagnosis.findings]
    summary = Summary(
        errors=severities.count(Severity.ERROR),
        warnings=severities.count(Severity.WARNING),
        infos=severities.count(Severity.INFO),
        skipped=len(diagnosis.skipped),
    )
    return Report(
        version=VERSION,
        summary=summary,
        findings=diagnosis.findings,
        ledger=diagnosis.ledger,
        skipped=diagnosis.skipped,
    )


def render(diagnosis: Diagnosis) -> bytes:
    """One JSON object in UTF-8, ending in a line break."""
    return encode(report(diagnosis))


def encode(value: msgspec.Struct | Mapping[str, Any] | Sequence[Any]) -> bytes:
    """The value as indented JSON; a character that steers a terminal, or that UTF-8 lacks, is escaped."""
    try:
        raw = msgspec.json.encode(value)
    except UnicodeEncodeError:
        raw = msgspec.json.encode(_sayable(msgspec.to_builtins(value)))
    text = msgspec.json.format(raw, indent=2).decode()
    return (_STEERING.sub(_escape, text) + "\n").encode()


def contract_schema() -> dict[str, Any]:
    """The JSON Schema of the contract, made from its types."""
    schema = msgspec.json.schema(Report)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "dltdoctor diagnosis"}
    return {**head, **schema}


def schema_text() -> str:
    """The schema as it is shipped."""
    return msgspec.json.format(msgspec.json.encode(contract_schema()), indent=2).decode() + "\n"


def _escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _sayable(value: object) -> object:
    """The same with lone surrogates, which come from file names that are not UTF-8, spelled out."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {key: _sayable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(item) for item in value]
    return value


if __name__ == "__main__":
    sys.stdout.write(schema_text())
