"""A summary in Markdown, for the step summary of a workflow or the comment on a merge request."""

import html
import re
from collections.abc import Iterator

from dltdoctor.gate import Judged, Verdict
from dltdoctor.report.annotated import outcome, subject
from dltdoctor.report.safe import safe, safe_command
from dltdoctor.words import count

_STEERING = re.compile(r"([\\`*_\[\]|~#])")
_MARKS = {"error": "❌", "warning": "⚠️", "info": "ℹ️"}


def render(verdict: Verdict) -> str:
    """A headline, a table of the findings that count, what to do about each, and what was left out."""
    mark = {0: "✅", 1: "❌"}.get(verdict.exit_code, "❓")
    lines = [f"### {mark} {_text(outcome(verdict))}", ""]
    new = verdict.of("new")
    if new:
        lines += ["| | check | where | what |", "|---|---|---|---|", *map(_row, new), ""]
        lines += [line for judged in new for line in _remedy(judged)]
    lines += _rest(verdict)
    return "\n".join(lines).rstrip() + "\n"


def _row(judged: Judged) -> str:
    finding, at = judged.finding, judged.location
    where = f"`{at.path}:{at.line}`".replace("|", "\\|") if at else _text(subject(finding))
    check = f"**{finding.code}** {finding.name}"
    return f"| {_MARKS[finding.severity.value]} | {check} | {where} | {_text(safe(finding.message))} |"


def _remedy(judged: Judged) -> Iterator[str]:
    remedy = judged.finding.remedy
    if remedy is None:
        return
    yield f"**{judged.finding.code}** {_text(safe(remedy.title.rstrip('.')))}."
    yield ""
    if remedy.command:
        yield from ("```sh", *safe_command(remedy.command).replace("`", "'").splitlines(), "```", "")


def _rest(verdict: Verdict) -> Iterator[str]:
    told = [
        *(f"ignored: {j.finding.code}, {j.ignored.reason} ({j.ignored.origin})" for j in verdict.judged if j.ignored)
    ]
    told += [
        f"gone from the baseline: {e.code} {e.name} {e.pipeline or e.dataset or ''}".rstrip() for e in verdict.gone
    ]
    told += verdict.notices
    skipped = {(s.check, s.reason) for s in verdict.diagnosis.skipped}
    if skipped:
        checks = len({check for check, _ in skipped})
        reasons = ", ".join(sorted({reason for _, reason in skipped}))
        told.append(f"{count(checks, 'check')} could not look at everything: {reasons}")
    yield from (f"- {_text(safe(line))}" for line in told)


def _text(text: str) -> str:
    return _STEERING.sub(r"\\\1", html.escape(text, quote=False)).replace("\n", " ")
