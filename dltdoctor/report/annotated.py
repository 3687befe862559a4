"""What the reports for CI systems share: where a finding is shown, and how it is worded in plain text."""

from dltdoctor.finding import Finding
from dltdoctor.gate import Judged, Verdict
from dltdoctor.location import Location
from dltdoctor.report.safe import safe
from dltdoctor.words import count

# A finding of the database stands in no file, and the formats want one: the file that could ignore it.
NOWHERE = Location(path="dltdoctor.toml", line=1)


def place(judged: Judged) -> Location:
    """The place of the project that it is shown at."""
    return judged.location or NOWHERE


def subject(finding: Finding) -> str:
    """What it is about: "pipeline shop, shop.orders"."""
    relation = ".".join(part for part in (finding.dataset, finding.table) if part)
    parts = (f"pipeline {finding.pipeline}" if finding.pipeline else "", relation)
    return safe(", ".join(part for part in parts if part))


def advice(finding: Finding) -> str:
    """What to do about it, with the command; "" when there is nothing to say."""
    remedy = finding.remedy
    if remedy is None:
        return ""
    title = safe(remedy.title.rstrip("."))
    return f"{title}: {safe(remedy.command)}" if remedy.command else f"{title}."


def outcome(verdict: Verdict) -> str:
    """The verdict in a line."""
    failing = sum(verdict.fails(j.finding) for j in verdict.of("new"))
    rest = len(verdict.of("new")) - failing
    told = (
        (failing, "finding", " at or above the threshold"),
        (rest, "finding", " below it" if failing else " below the threshold"),
        (len(verdict.of("known")), "finding", " in the baseline"),
        (len(verdict.of("ignored")), "finding", " ignored"),
    )
    parts = [f"{count(number, noun)}{text}" for number, noun, text in told if number]
    word = {0: "passed", 1: "failed", 3: "could not look"}.get(verdict.exit_code, "ended")
    return f"dltdoctor check {word}: {', '.join(parts) or 'nothing found'}"
