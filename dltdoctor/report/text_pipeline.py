"""A pipeline's line: how it is, where its rows go, when the last load was."""

from datetime import UTC, datetime

from rich.text import Text

from dltdoctor.diagnosis import PipelineLine
from dltdoctor.report.cases import Case, tally
from dltdoctor.report.style import STYLES, Page, piece
from dltdoctor.words import count

MINUTE, HOUR, DAY = 60, 3600, 86400


def pipeline(page: Page, case: Case, now: float) -> None:
    """`[✗] shop → public · 1 error · last load 2 hours ago`."""
    line = case.line
    if line is None:
        return
    health = case.health
    name = page.mark(health, boxed=True) + page.cut(line.name, page.width - page.margin, "bold")
    if line.dataset and line.dataset != line.name:
        room = max(page.width // 2 - 6, page.width - page.margin - name.cell_len - 8)
        name += piece(f" {page.glyphs.arrow} ", "dim") + page.cut(line.dataset, room)
    segments = [name]
    segments.append(piece(case.state, STYLES["info"] if health == "ok" and case.findings else STYLES[health]))
    segments.extend(_last_load(page, case, line, now))
    page.flow(segments, hang=page.margin)


def pipeline_place(page: Page, line: PipelineLine) -> None:
    """The database and what named it, and the working dir; nothing for one known by name alone."""
    if not (line.target or line.working_dir or line.dataset):
        return
    segments = []
    if line.target:
        segments.append(page.text(line.target))
    if line.target_origin:
        segments.append(page.text(f"credentials: {line.target_origin}", "dim"))
    state = line.working_dir
    segments.append(page.text(f"working dir: {state}" if state else "no local state", "dim"))
    page.flow(segments, indent=page.margin)


def common(page: Page, case: Case) -> None:
    """The line above what no single pipeline has: `[✗] across pipelines · 1 error`."""
    health = case.health
    title = page.mark(health, boxed=True) + piece("across pipelines", "bold")
    page.flow([title, piece(tally(case.findings), STYLES[health])], hang=page.margin)


def _last_load(page: Page, case: Case, line: PipelineLine, now: float) -> list[Text]:
    if line.last_load_at is not None:
        return [page.text(f"last load {when(line.last_load_at, now)}")]
    if line.last_load_id:
        return [page.text(f"last load {line.last_load_id}")]
    return [page.text("no load recorded", "dim")] if case.health != "unknown" and line.target else []


def when(at: float, now: float) -> str:
    """How long ago, "2 hours ago", or the UTC time when `now` is not known or earlier."""
    stamp = _stamp(at)
    past = now - at
    if not now or past < 0:
        return stamp
    if past < MINUTE:
        return "moments ago"
    for unit, word, limit in ((MINUTE, "minute", HOUR), (HOUR, "hour", 2 * DAY), (DAY, "day", 60 * DAY)):
        if past < limit:
            return f"{count(int(past // unit), word)} ago"
    return stamp


def _stamp(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, OSError, ValueError):
        return f"at {at:g}"
