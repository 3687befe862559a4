"""The command that purges working dirs: it shows first what would be lost and what comes back, and asks."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dltdoctor.asking import ask, progress, request_of, write_bytes
from dltdoctor.cli_fix import Yes, _announce_unfinished
from dltdoctor.errors import UsageError
from dltdoctor.parameters import Dsn, Format, OutputFormat, PipelinesDir, Project

if TYPE_CHECKING:
    from dltdoctor.cleaning import Outcome, Prepared
    from dltdoctor.world.survey import Request


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(name="clean-cache")(clean_cache)


def clean_cache(  # noqa: PLR0913 - one parameter for each option
    pipelines: Annotated[
        list[str] | None,
        typer.Argument(metavar="[PIPELINE]...", help="Names of pipelines, never paths.", show_default=False),
    ] = None,
    dsn: Dsn = None,
    pipelines_dir: PipelinesDir = None,
    project: Project = None,
    older_than: Annotated[
        str | None,
        typer.Option(
            "--older-than",
            metavar="SPAN",
            help="Only what was last written that long ago: 12h, 30d, 2w.",
            show_default=False,
        ),
    ] = None,
    keep_packages: Annotated[
        int | None,
        typer.Option(
            "--keep-packages",
            metavar="N",
            min=0,
            help="Keep the working dir; remove completed, committed load packages but the newest N.",
            show_default=False,
        ),
    ] = None,
    format: OutputFormat = Format.TEXT,  # noqa: A002
    *,
    everyone: Annotated[bool, typer.Option("--all", help="Every pipeline of this machine and project.")] = False,
    unsafe: Annotated[bool, typer.Option("--unsafe", help="Also what may cost rows; it is said what.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show; change nothing.")] = False,
    yes: Yes = False,
) -> None:
    """Purge working dirs without losing a row: shown, archived first, refused while data is only there.

    It does not recreate a schema: dlt restores state and schema from the destination. `dltdoctor undo`
    brings a working dir back as it was.
    """
    from dltdoctor import cleaning  # noqa: PLC0415 - --help does without

    if bool(pipelines) == everyone:
        raise UsageError(
            "name pipelines, or pass --all" if not everyone else "--all and names contradict each other",
            "dltdoctor clean-cache --all --dry-run shows every working dir and changes nothing.",
        )
    span = cleaning.seconds(older_than) if older_than is not None else None
    wish = cleaning.Wish(everyone=everyone, older_than=span, keep=keep_packages, unsafe=unsafe)
    request = request_of(pipelines, dsn, pipelines_dir, project)
    _announce_unfinished(request)
    with progress() as step:
        prepared = cleaning.prepare(request, wish, progress=step)
    _carry_out(prepared, request, format, dry_run=dry_run, yes=yes)


def _carry_out(prepared: "Prepared", request: "Request", format: Format, *, dry_run: bool, yes: bool) -> None:  # noqa: A002
    from dltdoctor import cleaning  # noqa: PLC0415
    from dltdoctor.report import purge as report  # noqa: PLC0415

    again = cleaning.pasteable(request)
    wishes = cleaning.hopes_of(prepared)
    as_text = format is Format.TEXT
    if as_text:
        report.render(prepared, wishes, again, file=sys.stdout)
    outcomes: list[Outcome] = []
    if prepared.to_do and not dry_run:
        ask("Archive and remove it?", yes=yes)
        with progress() as step:
            for outcome in cleaning.carry_out(prepared, progress=step):
                outcomes.append(outcome)
                if as_text:
                    report.render_outcome(outcome, again, file=sys.stdout)
    if not as_text:
        write_bytes(report.as_json(prepared, wishes, outcomes, again, dry_run=dry_run))
    raise typer.Exit(_exit_code(prepared, outcomes))


def _exit_code(prepared: "Prepared", outcomes: "list[Outcome]") -> int:
    return next((o.exit_code for o in outcomes if o.exit_code), prepared.exit_code)
