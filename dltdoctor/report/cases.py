"""A diagnosis sorted by pipeline: what belongs to each, how it is, and the sickest first."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from dltdoctor.diagnosis import Diagnosis, PipelineLine
from dltdoctor.finding import Finding, Severity
from dltdoctor.ledger import LedgerRow, Verdict
from dltdoctor.words import count

Health = Literal["ok", "warning", "unknown", "error"]
Kind = Literal["ok", "info", "warning", "unknown", "error"]
_RANK: dict[Health, int] = {"ok": 0, "warning": 1, "unknown": 2, "error": 3}
WIDEST_NUMBER = 20
_NUMBER = re.compile(r"\d+")
_COULD_NOT_LOOK = ("DD001", "DD002")
KINDS: dict[Verdict, Kind] = {
    "healthy": "ok",
    "leftover": "ok",
    "stranded": "error",
    "resumable": "warning",
    "in-flight": "info",
    "false-commit": "error",
    "missing": "error",
    "hidden": "unknown",
    "unknown": "unknown",
}


class Told(NamedTuple):
    """A finding to be told once, and the pipelines that have the very same one, when several do."""

    finding: Finding
    pipelines: tuple[str, ...] = ()


class Case(NamedTuple):
    """A pipeline with its findings and its part of the ledger; `line` is None for what is common.

    `told` are the findings to write beneath it: those that several pipelines share are common.
    `touching` are findings of others about tables that this pipeline loads, too.
    """

    line: PipelineLine | None
    findings: tuple[Finding, ...]
    rows: tuple[LedgerRow, ...]
    told: tuple[Told, ...]
    touching: tuple[Finding, ...] = ()

    @property
    def health(self) -> Health:
        """An error is an error; after that, not having looked is worse than a warning.

        The ledger counts, too: a stranded table is not healthy when its check was ignored.
        """
        found = [f.severity for f in self.findings if f.code not in _COULD_NOT_LOOK]
        blind = len(found) < len(self.findings) or (self.line is not None and not self.line.looked)
        found += [f.severity for f in self.touching]
        kinds = {KINDS[row.verdict] for row in self.rows}
        if Severity.ERROR in found or "error" in kinds:
            return "error"
        if blind or kinds == {"unknown"}:
            return "unknown"
        if Severity.WARNING in found or "warning" in kinds:
            return "warning"
        return "unknown" if "unknown" in kinds else "ok"

    @property
    def state(self) -> str:
        """The health in words: "2 errors, 1 warning", "could not look at 2 of 14 tables", "healthy"."""
        codes = ", ".join(dict.fromkeys(f.code for f in self.touching))
        said = ", ".join(part for part in (tally(self.findings), f"see {codes}" if codes else "") if part)
        if self.health == "unknown":
            unseen = sum(KINDS[row.verdict] == "unknown" for row in self.rows)
            part = f" at {unseen} of {len(self.rows)} tables" if 0 < unseen < len(self.rows) else ""
            return f"could not look{part}" + (f" ({said})" if said else "")
        if said or self.health == "ok":
            return said or "healthy"
        return count(sum(KINDS[row.verdict] in ("warning", "error") for row in self.rows), "sick table")


def cases(diagnosis: Diagnosis) -> list[Case]:
    """One case a pipeline, also for those that only a finding or the ledger names; sickest first."""
    shared = _shared(diagnosis.findings)
    findings: dict[str | None, list[Finding]] = {None: [told.finding for told in shared.values()]}
    told: dict[str | None, list[Told]] = {None: list(shared.values())}
    for finding in diagnosis.findings:
        findings.setdefault(finding.pipeline, []).append(finding)
        if _content(finding) not in shared:
            told.setdefault(finding.pipeline, []).append(Told(finding))
    rows: dict[str | None, list[LedgerRow]] = {}
    for row in diagnosis.ledger:
        rows.setdefault(row.pipeline, []).append(row)
    lines: dict[str | None, PipelineLine | None] = {line.name: line for line in diagnosis.pipelines}
    for name in (*findings, *rows):
        lines.setdefault(name, PipelineLine(name=name) if name is not None else None)
    about = _by_relation(diagnosis.findings)
    made = [
        Case(
            line=line,
            findings=tuple(findings.get(name, ())),
            rows=tuple(rows.get(name, ())),
            told=_worst_first(told.get(name, ())),
            touching=_touching(line, rows.get(name, ()), about, lines),
        )
        for name, line in lines.items()
    ]
    return sorted((case for case in made if case.line or case.findings), key=_sickest)


def _by_relation(findings: Iterable[Finding]) -> dict[tuple[str, str], list[Finding]]:
    grouped: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        if finding.dataset and finding.table and finding.severity is not Severity.INFO:
            grouped.setdefault((finding.dataset, finding.table), []).append(finding)
    return grouped


def _touching(
    line: PipelineLine | None,
    rows: Iterable[LedgerRow],
    about: Mapping[tuple[str, str], list[Finding]],
    lines: Mapping[str | None, PipelineLine | None],
) -> tuple[Finding, ...]:
    """Findings about the same relation in the same database that are filed under another pipeline."""
    if line is None:
        return ()
    found = []
    for row in rows:
        for dataset in dict.fromkeys((row.final.dataset, row.staging.dataset or row.final.dataset)):
            for finding in about.get((dataset, row.table), ()):
                other = lines.get(finding.pipeline)
                if finding.pipeline != line.name and (other is None or other.target == line.target):
                    found.append(finding)
    return tuple(dict.fromkeys(found))


def _content(finding: Finding) -> Finding:
    """What makes two findings the same to a reader."""
    return msgspec.structs.replace(finding, pipeline=None, fingerprint="")


def _shared(findings: Iterable[Finding]) -> dict[Finding, Told]:
    owners: dict[Finding, list[str]] = {}
    for finding in findings:
        if finding.pipeline is not None:
            owners.setdefault(_content(finding), []).append(finding.pipeline)
    return {finding: Told(finding, tuple(names)) for finding, names in owners.items() if len(set(names)) > 1}


def _worst_first(told: Iterable[Told]) -> tuple[Told, ...]:
    return tuple(sorted(told, key=lambda t: (-t.finding.severity.rank, t.finding.code)))


def _sickest(case: Case) -> tuple[int, int, bool, str]:
    errors = sum(f.severity is Severity.ERROR for f in case.findings)
    name = case.line.name if case.line else ""
    by_number = _NUMBER.sub(lambda number: number[0].zfill(WIDEST_NUMBER), name)  # shop_2 before shop_10
    return (-_RANK[case.health], -errors, case.line is not None, by_number)


def tally(findings: Iterable[Finding], *, none: bool = False) -> str:
    """The findings in words, "2 errors, 1 warning"; with `none` also "no errors, no warnings"."""
    numbers = Counter(f.severity for f in findings)
    parts = []
    for severity, word in ((Severity.ERROR, "error"), (Severity.WARNING, "warning"), (Severity.INFO, "note")):
        number = numbers[severity]
        if number:
            parts.append(count(number, word))
        elif none and severity is not Severity.INFO:
            parts.append(f"no {word}s")
    return ", ".join(parts)
