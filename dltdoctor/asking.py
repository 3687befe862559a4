"""What every command does with its options and its output: the request, the codes, progress, questions."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from dltdoctor.errors import RefusedError, UsageError
from dltdoctor.parameters import FailOn
from dltdoctor.words import DSN_VARIABLE

if TYPE_CHECKING:
    from dltdoctor.diagnosis import Diagnosis
    from dltdoctor.finding import Severity
    from dltdoctor.world.survey import Progress, Request

AGAIN = "Nothing was changed."


def request_of(
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
        if dsn != os.environ.get(DSN_VARIABLE):
            raise UsageError("--dsn and --offline contradict each other", "Leave one of them out.")
        dsn = None
    if dsn is not None and not dsn.strip():
        raise UsageError(
            "--dsn is empty", f"Write it out, or export {DSN_VARIABLE}=postgresql://user:password@host:port/database."
        )
    return msgspec.structs.replace(
        this_machine(),
        names=tuple(dict.fromkeys(pipelines or ())),
        dsn=dsn,
        pipelines_dir=pipelines_dir,
        project=project,
        deep=deep,
        offline=offline,
    )


def codes_of(given: list[str] | None) -> tuple[str, ...]:
    return tuple(code for text in given or () for code in text.replace(",", " ").split())


def severity_of(fail_on: FailOn) -> "Severity | None":
    from dltdoctor.finding import Severity  # noqa: PLC0415

    return None if fail_on is FailOn.NEVER else Severity(fail_on.value)


def write_bytes(content: bytes) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def write_diagnosis(diagnosis: "Diagnosis", request: "Request", *, verbose: bool) -> None:
    """The text report, with the request's own options in the commands that it prints."""
    from dltdoctor.report import text  # noqa: PLC0415
    from dltdoctor.situation import Situation  # noqa: PLC0415

    text.render(Situation(request).shortened(diagnosis), verbose=verbose, file=sys.stdout)


@contextmanager
def progress(delay: float = 1.0) -> Iterator["Progress"]:
    from dltdoctor.report.progress import Progress  # noqa: PLC0415

    with Progress(delay=delay) as shown:
        yield shown.step


def ask(question: str, *, yes: bool) -> None:
    """Go on after a yes; without a terminal there is nobody to ask, so it is refused."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise RefusedError("nobody is there to say yes: this is not a terminal", f"{AGAIN} Pass --yes to go ahead.")
    sys.stdout.flush()
    if not typer.confirm(question, err=True):
        raise RefusedError("not carried out", AGAIN)
