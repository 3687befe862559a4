"""SARIF 2.1.0 for code scanning: rules with their help, results with places, fingerprints and fixes.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dltdoctor import __version__
from dltdoctor.baseline import Entry
from dltdoctor.check import Check
from dltdoctor.gate import Judged, Verdict
from dltdoctor.location import Edit, Location
from dltdoctor.report.annotated import NOWHERE, advice, place
from dltdoctor.report.json import encode
from dltdoctor.report.safe import safe
from dltdoctor.words import PROGRAM

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
FINGERPRINT = "dltdoctor/v1"
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_STATES = {"new": "new", "known": "unchanged"}


def render(verdict: Verdict) -> bytes:
    """One run. Ignored findings are in it as suppressed, those gone from the baseline as absent."""
    index = {check.code: number for number, check in enumerate(verdict.checks)}
    results = [_result(judged, index, has_baseline=verdict.has_baseline) for judged in verdict.judged]
    results += [_absent(entry, index) for entry in verdict.gone]
    driver = {"name": PROGRAM, "semanticVersion": __version__, "rules": [_rule(check) for check in verdict.checks]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(verdict)],
        "results": results,
    }
    return encode({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(check: Check) -> dict[str, Any]:
    _, _, body = check.doc.partition("\n")
    rule: dict[str, Any] = {
        "id": check.code,
        "name": "".join(word.capitalize() for word in check.name.split("-")),
        "shortDescription": {"text": f"{check.title}."},
        "fullDescription": {"text": " ".join(body.strip().split("\n\n")[0].split()) or f"{check.title}."},
        "help": {"text": check.doc, "markdown": f"**{check.title}.**\n\n{body.strip()}"},
        "defaultConfiguration": {"level": _LEVELS[check.severities[0].value]},
    }
    return rule | ({"helpUri": check.url} if check.url else {})


def _result(judged: Judged, index: Mapping[str, int], *, has_baseline: bool) -> dict[str, Any]:
    finding = judged.finding
    text = "\n".join(part for part in (f"{safe(finding.message)}.", advice(finding)) if part)
    about = {"pipeline": finding.pipeline, "dataset": finding.dataset, "table": finding.table}
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": index[finding.code],
        "level": _LEVELS[finding.severity.value],
        "message": {"text": text},
        "locations": [_location(place(judged), _logical(about))],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "properties": {
            **{name: value for name, value in about.items() if value},
            "evidence": [f"{safe(e.fact)} -- {safe(e.source)}" for e in finding.evidence],
        },
    }
    if related := [_location(at, []) for at in judged.locations[1:]]:
        result["relatedLocations"] = related
    if has_baseline and judged.status in _STATES:
        result["baselineState"] = _STATES[judged.status]
    if judged.ignored:
        kind = "inSource" if judged.ignored.line is not None else "external"
        result["suppressions"] = [{"kind": kind, "justification": safe(judged.ignored.reason)}]
    if judged.edits:
        result["fixes"] = [_fix(judged.edits)]
    return result


def _logical(about: Mapping[str, str | None]) -> list[dict[str, str]]:
    name = ".".join(safe(part) for part in (about["dataset"], about["table"]) if part)
    return [{"fullyQualifiedName": name, "kind": "resource"}] if name else []


def _location(at: Location, logical: list[dict[str, str]]) -> dict[str, Any]:
    region = {"startLine": at.line, "startColumn": at.column}
    if at.end_column:
        region["endColumn"] = at.end_column
    physical = {"physicalLocation": {"artifactLocation": _artifact(at.path), "region": region}}
    return physical | ({"logicalLocations": logical} if logical else {})


def _artifact(path: str) -> dict[str, str]:
    from urllib.parse import quote  # noqa: PLC0415 - nobody else needs it

    return {"uri": quote(path), "uriBaseId": "%SRCROOT%"}


def _fix(edits: Iterable[Edit]) -> dict[str, Any]:
    changes: dict[str, list[dict[str, Any]]] = {}
    titles: dict[str, None] = {}
    for edit in edits:
        titles[edit.title] = None
        region = {"startLine": edit.start, "startColumn": 1, "endLine": edit.end, "endColumn": 1}
        replacement = {"deletedRegion": region, "insertedContent": {"text": edit.text}}
        changes.setdefault(edit.path, []).append(replacement)
    return {
        "description": {"text": "; ".join(map(safe, titles))},
        "artifactChanges": [
            {"artifactLocation": _artifact(path), "replacements": made} for path, made in changes.items()
        ],
    }


def _absent(entry: Entry, index: Mapping[str, int]) -> dict[str, Any]:
    at = Location(path=entry.path, line=1) if entry.path else NOWHERE
    return {
        "ruleId": entry.code,
        **({"ruleIndex": index[entry.code]} if entry.code in index else {}),
        "level": "none",
        "kind": "pass",
        "message": {"text": f"{entry.name} is not there any more."},
        "locations": [_location(at, [])],
        "partialFingerprints": {FINGERPRINT: entry.fingerprint},
        "baselineState": "absent",
    }


def _invocation(verdict: Verdict) -> dict[str, Any]:
    """What could not be looked at is told, so that an empty list of results is not taken for health."""
    blind = verdict.exit_code == 3 or verdict.diagnosis.blind
    told = dict.fromkeys((s.check, s.reason) for s in verdict.diagnosis.skipped)
    notes = [
        {"level": "note", "message": {"text": safe(reason)}, "associatedRule": {"id": code}} for code, reason in told
    ]
    made: dict[str, Any] = {"executionSuccessful": not blind, "exitCode": verdict.exit_code}
    return made | ({"toolExecutionNotifications": notes} if notes else {})
