"""The command line: parse, call the doctor, hand to the report, exit with the documented code."""

import enum
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, NoReturn

import typer

from dltdoctor import __version__
from dltdoctor.errors import DoctorError, UsageError

if TYPE_CHECKING:
    from dltdoctor.diagnosis import Diagnosis
    from dltdoctor.world.survey import Progress, Request

app = typer.Typer(
    name="dltdoctor",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find out where the rows of a dlt pipeline went, and why.\n\n"
    "Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 usage, 3 could not look, 4 refused, 130 interrupted.",
)


class Format(enum.StrEnum):
    """What is written to stdout."""

    TEXT = "text"
    JSON = "json"


class FailOn(enum.StrEnum):
    """The severity from which on the exit code is 1."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"


Dsn = Annotated[
    str | None,
    typer.Option(
        "--dsn", metavar="DSN", help="Look into this database, whatever dlt would resolve.", show_default=False
    ),
]
PipelinesDir = Annotated[
    Path | None,
    typer.Option("--pipelines-dir", metavar="DIR", help="Where dlt keeps the working dirs.", show_default=False),
]
Project = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="DIR",
        help="The project with its .dlt directory and source [default: here].",
        show_default=False,
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Do not connect: local state, configuration and source only.")]
Deep = Annotated[bool, typer.Option("--deep", help="Count and compare every row instead of estimating and sampling.")]
OutputFormat = Annotated[Format, typer.Option("--format", "-f", help="How to write the report to stdout.")]
Select = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="CODES",
        help="Only these checks: codes, names, or DD2 for all of DD2xx.",
        show_default=False,
    ),
]
Ignore = Annotated[
    list[str] | None, typer.Option("--ignore", metavar="CODES", help="Leave these checks out.", show_default=False)
]
Threshold = Annotated[FailOn, typer.Option("--fail-on", help="Exit with 1 from this severity on.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show every table, healthy ones too.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,  # noqa: FBT002 - Typer's way
) -> None:
    if version:
        sys.stdout.write(f"dltdoctor {__version__}\n")
        raise typer.Exit


@app.command()
def diagnose(  # noqa: PLR0913 - one parameter for each option
    pipelines: Annotated[list[str] | None, typer.Argument(metavar="[PIPELINE]...", show_default=False)] = None,
    dsn: Dsn = None,
    pipelines_dir: PipelinesDir = None,
    project: Project = None,
    select: Select = None,
    ignore: Ignore = None,
    fail_on: Threshold = FailOn.ERROR,
    format: OutputFormat = Format.TEXT,  # noqa: A002 - the option's name
    *,
    deep: Deep = False,
    offline: Offline = False,
    verbose: Verbose = False,
) -> None:
    """Examine pipelines: where their rows are, what is wrong, and what to do. Changes nothing.

    Without a name, every pipeline of this machine and project; without any, those that the
    destination knows.
    """
    from dltdoctor import doctor  # noqa: PLC0415 - --help and explain do without

    request = _request(pipelines, dsn, pipelines_dir, project, deep=deep, offline=offline)
    with _progress() as step:
        diagnosis = doctor.diagnose(request, select=_codes(select), ignore=_codes(ignore), progress=step)
    _write(diagnosis, format, verbose=verbose)
    raise typer.Exit(doctor.exit_code(diagnosis, _severity(fail_on)))


@app.command()
def where(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A table name, with or without its schema.")],
    dsn: Dsn = None,
    pipelines_dir: PipelinesDir = None,
    project: Project = None,
    format: OutputFormat = Format.TEXT,  # noqa: A002
    *,
    deep: Deep = False,
    verbose: Verbose = False,
) -> None:
    """Show every copy of a table: its schema, rows, filled columns, newest load, and who writes it."""
    from dltdoctor import doctor  # noqa: PLC0415
    from dltdoctor.report import where as report  # noqa: PLC0415

    request = _request(None, dsn, pipelines_dir, project, deep=deep)
    with _progress() as step:
        places = doctor.where(table, request, progress=step)
    if format is Format.JSON:
        _bytes(report.render_json(*places))
    else:
        for whereabouts in places:
            report.render(whereabouts, verbose=verbose, file=sys.stdout)
    raise typer.Exit(0 if any(w.copies for w in places) else 1)


@app.command()
def explain(
    code: Annotated[
        str | None, typer.Argument(metavar="[CODE]", help="A code or a name; none lists them all.", show_default=False)
    ] = None,
) -> None:
    """Explain a check: what it means, why it matters, how it is repaired and what that risks."""
    from dltdoctor.checks import CHECKS  # noqa: PLC0415
    from dltdoctor.doctor import chosen  # noqa: PLC0415
    from dltdoctor.report import explain as report  # noqa: PLC0415

    if code is None:
        report.render_list(CHECKS, file=sys.stdout)
        return
    for check in chosen([code], ()):
        report.render(check, file=sys.stdout)


@app.command()
def demo(
    scenario: Annotated[str, typer.Argument(metavar="[SCENARIO]", help="See --list.")] = "null-scores",
    format: OutputFormat = Format.TEXT,  # noqa: A002
    *,
    list_scenarios: Annotated[bool, typer.Option("--list", help="List the scenarios.")] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the server and the project up, to try commands on.")
    ] = False,
) -> None:
    """Start a throw-away Postgres, run a real dlt pipeline with a real disease, and diagnose it."""
    import msgspec  # noqa: PLC0415

    from dltdoctor import doctor  # noqa: PLC0415
    from dltdoctor.demo.scenarios import SCENARIOS, find_scenario  # noqa: PLC0415
    from dltdoctor.demo.world import build_world  # noqa: PLC0415
    from dltdoctor.report import demo as report  # noqa: PLC0415
    from dltdoctor.world.survey import this_machine  # noqa: PLC0415

    if list_scenarios:
        report.render_list(SCENARIOS, file=sys.stdout)
        return
    as_text = format is Format.TEXT
    find_scenario(scenario)
    with _progress(delay=0.0) as step, build_world(scenario, keep=keep, progress=step) as world:
        request = msgspec.structs.replace(
            this_machine(),
            project=world.project,
            pipelines_dir=world.pipelines_dir,
            environ=world.environ,
            cwd=world.project,
        )
        diagnosis = doctor.diagnose(request, progress=step)
    if as_text:
        report.render_story(world.scenario, file=sys.stdout)
    _write(diagnosis, format, verbose=False)
    if keep:
        report.render_kept(world, file=sys.stdout if as_text else sys.stderr)
    raise typer.Exit(doctor.exit_code(diagnosis, _severity(FailOn.ERROR)))


def _request(
    pipelines: list[str] | None,
    dsn: str | None,
    pipelines_dir: Path | None,
    project: Path | None,
    *,
    deep: bool = False,
    offline: bool = False,
) -> "Request":
    import msgspec  # noqa: PLC0415

    from dltdoctor.world.survey import this_machine  # noqa: PLC0415

    if dsn is not None and offline:
        raise UsageError("--dsn and --offline contradict each other", "Leave one of them out.")
    return msgspec.structs.replace(
        this_machine(),
        names=tuple(dict.fromkeys(pipelines or ())),
        dsn=dsn,
        pipelines_dir=pipelines_dir,
        project=project,
        deep=deep,
        offline=offline,
    )


def _codes(given: list[str] | None) -> tuple[str, ...]:
    return tuple(code for text in given or () for code in text.replace(",", " ").split())


def _severity(fail_on: FailOn):  # type: ignore[no-untyped-def]  # noqa: ANN202
    from dltdoctor.finding import Severity  # noqa: PLC0415

    return None if fail_on is FailOn.NEVER else Severity(fail_on.value)


def _write(diagnosis: "Diagnosis", format: Format, *, verbose: bool) -> None:  # noqa: A002
    if format is Format.JSON:
        from dltdoctor.report import json as report  # noqa: PLC0415

        _bytes(report.render(diagnosis))
        return
    from dltdoctor.report import text  # noqa: PLC0415

    text.render(diagnosis, verbose=verbose, file=sys.stdout)


def _bytes(content: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


@contextmanager
def _progress(delay: float = 1.0) -> Iterator["Progress"]:
    from dltdoctor.report.progress import Progress  # noqa: PLC0415

    with Progress(delay=delay) as progress:
        yield progress.step


def main() -> NoReturn:
    """Run a command; every error a user can cause is two lines on stderr and a documented exit code."""
    try:
        app(standalone_mode=True)
    except DoctorError as error:
        _complain(sys.stderr, error.message, error.hint)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _complain(sys.stderr, "interrupted", "")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("DLTDOCTOR_TRACEBACK"):
            raise
        _complain(
            sys.stderr,
            f"dltdoctor has a bug: {type(error).__name__}",
            "Nothing was changed. Run again with DLTDOCTOR_TRACEBACK=1 for the details; they may hold names from your project.",
        )
        sys.exit(3)
    sys.exit(0)


def _complain(file: IO[str], message: str, hint: str) -> None:
    from dltdoctor.report.safe import safe  # noqa: PLC0415

    file.write(f"dltdoctor: {safe(message)}\n")
    if hint:
        file.write(f"  {safe(hint)}\n")
