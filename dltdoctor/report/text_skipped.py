"""The checks that could not look, in a line a reason."""

from collections.abc import Iterable

from dltdoctor.finding import SkippedCheck
from dltdoctor.report.style import Page
from dltdoctor.words import count

NAMED = 3
CODES = 8


def skipped(page: Page, all_entries: Iterable[SkippedCheck]) -> None:
    """`[–] 7 checks skipped: no connection to db:5432 (DD201 DD202 …)`."""
    reasons = _by_reason(all_entries)
    for reason, entries in reasons.items():
        checks = list(dict.fromkeys(e.check for e in entries))
        page.line(
            page.mark("skipped", boxed=True),
            page.text(f"{count(len(checks), 'check')} skipped{_whose(entries)}: {reason}"),
            page.text(f" ({_codes(page, checks)})", "dim"),
            hang=page.margin,
        )
    if reasons:
        page.blank()


def _by_reason(entries: Iterable[SkippedCheck]) -> dict[str, list[SkippedCheck]]:
    grouped: dict[str, list[SkippedCheck]] = {}
    for entry in entries:
        grouped.setdefault(entry.reason, []).append(entry)
    return grouped


def _whose(entries: Iterable[SkippedCheck]) -> str:
    names = list(dict.fromkeys(e.pipeline for e in entries))
    if None in names:
        return ""
    if len(names) > NAMED:
        return f" for {len(names)} pipelines"
    return " for " + ", ".join(name for name in names if name)


def _codes(page: Page, checks: list[str]) -> str:
    shown = " ".join(checks[:CODES])
    more = len(checks) - CODES
    return f"{shown} {page.glyphs.ellipsis} {more} more" if more > 0 else shown
