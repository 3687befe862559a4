"""What the demo says around a diagnosis: the story before it, the cure and the way back in after it."""

import shlex
from collections.abc import Iterable, Mapping
from typing import IO, TYPE_CHECKING

from rich.text import Text

from dltdoctor.report.cases import tally
from dltdoctor.report.style import STYLES, Page

if TYPE_CHECKING:
    from dltdoctor.demo.scenarios import Scenario
    from dltdoctor.demo.world import DemoWorld
    from dltdoctor.diagnosis import Diagnosis


def render_list(scenarios: "Iterable[Scenario]", *, console_width: int | None = None, file: IO[str]) -> None:
    """A line for each scenario."""
    page = Page(file, console_width)
    for scenario in scenarios:
        page.flow([Text(f"{scenario.name:<18}", "bold"), page.text(scenario.title)], hang=18)


def render_story(scenario: "Scenario", *, console_width: int | None = None, file: IO[str]) -> None:
    """What has happened, without giving the diagnosis away."""
    page = Page(file, console_width)
    page.line(Text("The story: ", "bold"), page.text(scenario.story), hang=2)
    page.blank()


def render_command(*words: str, console_width: int | None = None, file: IO[str]) -> None:
    """A command that is about to be run, as it would be typed."""
    page = Page(file, console_width)
    page.blank()
    page.command(f"$ {shlex.join(words)}")


def render_rows(
    before: Mapping[str, float | None],
    after: Mapping[str, float | None],
    *,
    console_width: int | None = None,
    file: IO[str],
) -> None:
    """The scores before and after; they are the demo's own, so they may be shown. Nothing when none has changed."""
    if before == after:
        return
    page = Page(file, console_width)
    page.blank()
    page.line(Text("trust_score in public.app_opportunities_trust, before and after:", "bold"))
    for key in sorted({*before, *after}):
        was, now = (_score(rows, key) for rows in (before, after))
        style = "" if was == now else "ok"
        page.raw(page.text(f"{key}  {was:>6} {page.glyphs.arrow} ") + page.text(f"{now:>6}", STYLES.get(style, "")), 4)


def _score(rows: Mapping[str, float | None], key: str) -> str:
    if key not in rows:
        return "no row"
    return "NULL" if rows[key] is None else str(rows[key])


def render_again(diagnosis: "Diagnosis", *, console_width: int | None = None, file: IO[str]) -> None:
    """The outcome of a diagnosis in one line, with the codes that are left."""
    page = Page(file, console_width)
    worst = max((f.severity for f in diagnosis.findings), key=lambda s: s.rank, default=None)
    mark = "ok" if worst is None or worst.value == "info" else worst.value
    left = ", ".join(sorted({f"{f.code} {f.name}" for f in diagnosis.findings}))
    found = tally(diagnosis.findings, none=True) + (f": {left}" if left else "")
    page.line(page.mark(mark, boxed=True), page.text(found), hang=page.margin)


def render_gone(scenario: "Scenario", *, console_width: int | None = None, file: IO[str]) -> None:
    """That the commands above have nothing to act on any more, and how they would."""
    page = Page(file, console_width)
    page.blank()
    page.line(Text("This world is gone again. To try the commands on it:"))
    page.command(f"dltdoctor demo {scenario.name} --keep")


def render_kept(world: "DemoWorld", *, console_width: int | None = None, file: IO[str]) -> None:
    """Where the kept world is, a first command to try on it, and how to remove it."""
    page = Page(file, console_width)
    page.blank()
    page.line(Text("Kept for you to try commands on:", "bold"))
    for name, value in (
        ("project", str(world.project)),
        ("pipelines", str(world.pipelines_dir)),
        ("dsn", world.dsn),
    ):
        page.command(f"{name + ':':<11}{value}")
    places = ["--project", str(world.project), "--pipelines-dir", str(world.pipelines_dir)]
    page.line(Text("Look again:"))
    page.command(shlex.join(["dltdoctor", "diagnose", *places]))
    if world.scenario.cure:
        page.line(Text("Cure it (it shows its plan and asks):"))
        page.command(shlex.join(["dltdoctor", *world.scenario.cure, *places]))
    page.line(Text("See what removing the working dirs would lose, and what dlt would restore:"))
    page.command(shlex.join(["dltdoctor", "clean-cache", "--all", "--dry-run", *places]))
    page.line(Text("Remove it all:"))
    page.command(world.stop_command)
