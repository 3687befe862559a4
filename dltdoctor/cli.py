"""The command line: parse, call the doctor, hand to the report, exit with the documented code."""

import errno
import os
import sys
from typing import Annotated, NoReturn

import typer

from dltdoctor import __version__
from dltdoctor.asking import codes_of, progress, request_of, severity_of, write_bytes, write_diagnosis
from dltdoctor.cli_check import register as register_check
from dltdoctor.cli_clean import register as register_clean
from dltdoctor.cli_demo import register as register_demo
from dltdoctor.cli_fix import register
from dltdoctor.errors import DoctorError, UsageError
from dltdoctor.parameters import (
    Deep,
    Dsn,
    FailOn,
    Format,
    Ignore,
    Offline,
    OutputFormat,
    PageFormat,
    Pipelines,
    PipelinesDir,
    Project,
    Select,
    Threshold,
    Verbose,
)
from dltdoctor.words import PROGRAM

_UNWRITABLE = (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EDQUOT)

app = typer.Typer(
    name=PROGRAM,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find out where the rows of a dlt pipeline went, and why.\n\n"
    "Exit codes: 0 nothing at or above --fail-on, 1 findings, 2 usage, 3 could not look, 4 refused, 130 interrupted.",
)


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,  # noqa: FBT002 - Typer's way
) -> None:
    if version:
        sys.stdout.write(f"dltdoctor {__version__}\n")
        raise typer.Exit


@app.command()
def diagnose(  # noqa: PLR0913 - one parameter for each option
    pipelines: Pipelines = None,
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
    from dltdoctor.report import json  # noqa: PLC0415

    request = request_of(pipelines, dsn, pipelines_dir, project, deep=deep, offline=offline)
    with progress() as step:
        diagnosis = doctor.diagnose(request, select=codes_of(select), ignore=codes_of(ignore), progress=step)
    if format is Format.JSON:
        write_bytes(json.render(diagnosis))
    else:
        write_diagnosis(diagnosis, request, verbose=verbose)
    raise typer.Exit(doctor.exit_code(diagnosis, severity_of(fail_on)))


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
    from dltdoctor.situation import Situation  # noqa: PLC0415

    request = request_of(None, dsn, pipelines_dir, project, deep=deep)
    with progress() as step:
        places = doctor.where(table, request, progress=step)
    if format is Format.JSON:
        write_bytes(report.render_json(*places))
    else:
        situation = Situation(request)
        for place in places:
            report.render(situation.shortened_place(place), verbose=verbose, file=sys.stdout)
    raise typer.Exit(0 if any(place.copies for place in places) else 1)


@app.command()
def explain(
    code: Annotated[
        str | None, typer.Argument(metavar="[CODE]", help="A code or a name; none lists them all.", show_default=False)
    ] = None,
    format: Annotated[  # noqa: A002
        PageFormat, typer.Option("--format", help="text for people, markdown for a page.")
    ] = PageFormat.TEXT,
    *,
    every: Annotated[bool, typer.Option("--all", help="Explain every check: with markdown, the catalogue.")] = False,
) -> None:
    """Explain a check: what it means, why it matters, how it is repaired and what that risks."""
    from dltdoctor.checks import CHECKS  # noqa: PLC0415
    from dltdoctor.doctor import chosen  # noqa: PLC0415
    from dltdoctor.report import docs  # noqa: PLC0415
    from dltdoctor.report import explain as report  # noqa: PLC0415

    if code and every:
        raise UsageError("a code and --all are two different questions", "Give one of them.")
    if code is None and not every:
        if format is PageFormat.MARKDOWN:
            write_bytes(f"{docs.check_table()}\n".encode())
        else:
            report.render_list(CHECKS, file=sys.stdout)
        return
    checks = CHECKS if code is None else chosen([code], ())
    if format is PageFormat.MARKDOWN:
        page = docs.checks_page() if every else "\n".join(map(docs.section, checks))
        write_bytes(page.encode())
        return
    for number, check in enumerate(checks):
        sys.stdout.write("\n" if number else "")
        report.render(check, file=sys.stdout)


register_check(app)
register_demo(app)
register(app)
register_clean(app)


def main() -> NoReturn:
    """Run a command; every error a user can cause is two lines on stderr and a documented exit code."""
    code = 0
    try:
        try:
            app(prog_name=PROGRAM)
        finally:
            sys.stdout.flush()
    except DoctorError as error:
        _complain(error.message, error.hint)
        code = error.exit_code
    except KeyboardInterrupt:
        _complain("interrupted")
        code = 130
    except BrokenPipeError:
        _close_stdout()
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            code = _confess(error)
        else:
            _close_stdout()
            _complain(f"the report could not be written: {os.strerror(error.errno)}")
            code = 3
    except Exception as error:  # noqa: BLE001 - told without its text, which may hold the user's data
        code = _confess(error)
    sys.exit(code)


def _confess(error: Exception) -> int:
    """Admit a bug; the exit code. The traceback only for those who ask, it may hold names and values."""
    if os.environ.get("DLTDOCTOR_TRACEBACK"):
        raise error
    _complain(
        f"dltdoctor has a bug: {type(error).__name__}",
        "Nothing was changed. Run again with DLTDOCTOR_TRACEBACK=1 for the details; they may hold names from your project.",
    )
    return 3


def _close_stdout() -> None:
    """Nobody reads it any more: what is still buffered must not raise again when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str, hint: str = "") -> None:
    from dltdoctor.report.safe import safe  # noqa: PLC0415

    sys.stderr.write(f"dltdoctor: {safe(message)}\n")
    if hint:
        sys.stderr.write(f"  {safe(hint)}\n")
