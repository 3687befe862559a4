"""What the demo says around a diagnosis: the story before it, the way back in after it."""

import shlex
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from rich.text import Text

from dltdoctor.report.style import Page

if TYPE_CHECKING:
    from dltdoctor.demo.scenarios import Scenario
    from dltdoctor.demo.world import DemoWorld


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
    page.line(Text("See what removing the working dirs would lose, and what dlt would restore:"))
    page.command(shlex.join(["dltdoctor", "clean-cache", "--all", "--dry-run", *places]))
    page.line(Text("Remove it all:"))
    page.command(world.stop_command)
