"""The command `demo`: a real pipeline with a real disease, its diagnosis, its cure, and another look."""

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from dltdoctor.asking import progress, severity_of, write_bytes, write_diagnosis
from dltdoctor.parameters import FailOn, Format, OutputFormat
from dltdoctor.words import PROGRAM

if TYPE_CHECKING:
    from dltdoctor.demo.world import DemoWorld
    from dltdoctor.world.survey import Request


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(demo)


def demo(
    scenario: Annotated[str, typer.Argument(metavar="[SCENARIO]", help="See --list.")] = "null-scores",
    format: OutputFormat = Format.TEXT,  # noqa: A002 - the option's name
    *,
    list_scenarios: Annotated[bool, typer.Option("--list", help="List the scenarios.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the server and the sick project up, to try commands on.")
    ] = False,
) -> None:
    """Start a throw-away Postgres, run a real dlt pipeline with a real disease, diagnose it and cure it.

    The exit code is that of the diagnosis before the cure. --keep and --format json leave the disease alone.
    """
    from dltdoctor import doctor  # noqa: PLC0415 - --help and explain do without
    from dltdoctor.demo.scenarios import SCENARIOS, find_scenario  # noqa: PLC0415
    from dltdoctor.demo.world import build_world  # noqa: PLC0415
    from dltdoctor.report import demo as report  # noqa: PLC0415
    from dltdoctor.report import json  # noqa: PLC0415

    if list_scenarios:
        report.render_list(SCENARIOS, file=sys.stdout)
        return
    chosen = find_scenario(scenario)
    with ExitStack() as lives:
        with progress(delay=0.0) as step:
            world = lives.enter_context(build_world(scenario, keep=keep, progress=step))
            request = _request(world, keep=keep)
            diagnosis = doctor.diagnose(request, progress=step)
        if format is Format.JSON:
            write_bytes(json.render(diagnosis))
        else:
            report.render_story(chosen, file=sys.stdout)
            write_diagnosis(diagnosis, request, verbose=False)
            if chosen.cure and not keep:
                _cure(world, request)
    if keep:
        report.render_kept(world, file=sys.stderr if format is Format.JSON else sys.stdout)
    elif format is not Format.JSON:
        report.render_gone(chosen, file=sys.stdout)
    raise typer.Exit(doctor.exit_code(diagnosis, severity_of(FailOn.ERROR)))


def _request(world: "DemoWorld", *, keep: bool) -> "Request":
    """What the scripts see. Only what is kept can be looked at again: only then the commands lead there."""
    import msgspec  # noqa: PLC0415

    from dltdoctor.world.survey import this_machine  # noqa: PLC0415

    places = {"project": world.project, "pipelines_dir": world.pipelines_dir} if keep else {}
    return msgspec.structs.replace(this_machine(), environ=world.environ, cwd=world.project, **places)


def _cure(world: "DemoWorld", request: "Request") -> None:
    """Run the command that cures it as a user would, and look again."""
    from dltdoctor import doctor  # noqa: PLC0415
    from dltdoctor.report import demo as report  # noqa: PLC0415

    scenario = world.scenario
    before = world.rows()
    report.render_command(PROGRAM, *scenario.cure, "--yes", file=sys.stdout)
    sys.stdout.flush()
    world.run_cure()
    if scenario.next_run:
        report.render_command("python", *scenario.next_run, file=sys.stdout)
    with progress() as step:
        world.run_next(step)
        again = doctor.diagnose(request, progress=step)
    report.render_rows(before, world.rows(), file=sys.stdout)
    report.render_command(PROGRAM, "diagnose", file=sys.stdout)
    report.render_again(again, file=sys.stdout)
