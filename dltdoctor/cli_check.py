"""The command `check`: the gate before a deploy, with the manners of CI."""

import enum
import io
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from dltdoctor.asking import codes_of, progress, request_of, severity_of, write_bytes
from dltdoctor.errors import CouldNotLookError, UsageError
from dltdoctor.parameters import Deep, Dsn, FailOn, Ignore, Offline, PipelinesDir, Select, Verbose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dltdoctor.gate import Verdict
    from dltdoctor.world.survey import Request


class CheckFormat(enum.StrEnum):
    """How a verdict can be written."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"
    GITLAB = "gitlab"
    MARKDOWN = "markdown"


# The variable that a CI system sets, and the format that it shows.
SYSTEMS = {"GITHUB_ACTIONS": CheckFormat.GITHUB, "GITLAB_CI": CheckFormat.GITLAB}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(check)


def check(  # noqa: PLR0913 - one parameter for each option
    path: Annotated[
        Path | None, typer.Argument(metavar="[PATH]", help="The project [default: here].", show_default=False)
    ] = None,
    dsn: Dsn = None,
    pipelines_dir: PipelinesDir = None,
    select: Select = None,
    ignore: Ignore = None,
    fail_on: Annotated[
        FailOn | None,
        typer.Option("--fail-on", help="Exit with 1 from this severity on [default: error].", show_default=False),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="FILE", help="Findings in it do not fail.", show_default=False),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="The settings [default: dltdoctor.toml, else [tool.dltdoctor] in pyproject.toml].",
            show_default=False,
        ),
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        CheckFormat | None,
        typer.Option(
            "--format", "-f", help="What to write to stdout [default: what the CI system shows].", show_default=False
        ),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output", metavar="FORMAT=FILE", help="Also write this; may be given several times.", show_default=False
        ),
    ] = None,
    *,
    offline: Offline = False,
    no_local_state: Annotated[
        bool, typer.Option("--no-local-state", help="Do not read working dirs, as in a fresh container.")
    ] = False,
    deep: Deep = False,
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 in spite of findings.")] = False,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Write the findings of now to the baseline.")
    ] = False,
    suggest_readers: Annotated[
        bool, typer.Option("--suggest-readers", help="Print a first contract for the readers that can be seen.")
    ] = False,
    verbose: Verbose = False,
) -> None:
    """The gate before a deploy: fails on findings that are not ignored and not in the baseline.

    Offline it reads the project's source, TOML and environment only.
    """
    import msgspec  # noqa: PLC0415

    from dltdoctor import gate  # noqa: PLC0415 - --help and explain do without

    outputs = [_output(each) for each in output or ()]
    request = request_of(None, dsn, pipelines_dir, path, deep=deep, offline=offline)
    settings = gate.read_settings(request, config)
    is_offline = offline or (settings.offline and dsn is None)
    request = msgspec.structs.replace(
        request,
        offline=is_offline,
        dsn=None if is_offline else request.dsn,
        local_state=not (is_offline or no_local_state),
    )
    if suggest_readers:
        from dltdoctor.suggest import suggest  # noqa: PLC0415

        with progress() as step:
            sys.stdout.write(suggest(request, step))
        return
    shown = format or _shown(request.environ, outputs)
    wish = gate.Wish(
        fail_on=severity_of(fail_on) if fail_on else settings.fail_on or severity_of(FailOn.ERROR),
        exit_zero=exit_zero,
        select=codes_of(select),
        ignore=codes_of(ignore),
        baseline=request.cwd / baseline if baseline else None,
        update_baseline=update_baseline,
        with_edits=CheckFormat.SARIF in (shown, *(kind for kind, _ in outputs)),
    )
    with progress() as step:
        verdict = gate.judge(request, settings, wish, progress=step)
    for kind, file in outputs:
        _save(request.cwd / file, _rendered(verdict, request, kind, verbose=verbose))
    if shown is CheckFormat.TEXT:
        _write_text(verdict, request, verbose=verbose, file=sys.stdout)
    else:
        write_bytes(_rendered(verdict, request, shown, verbose=verbose))
    raise typer.Exit(verdict.exit_code)


def _output(given: str) -> tuple[CheckFormat, Path]:
    kind, _, file = given.partition("=")
    if kind not in list(CheckFormat) or not file:
        raise UsageError(
            f"--output {given} is not FORMAT=FILE",
            f"Write e.g. sarif=report.sarif; there are {', '.join(CheckFormat)}.",
        )
    return CheckFormat(kind), Path(file)


def _shown(environ: "Mapping[str, str]", outputs: "Sequence[tuple[CheckFormat, Path]]") -> CheckFormat:
    """What the CI system understands, unless a file has that already: then a person reads stdout."""
    written = {kind for kind, _ in outputs}
    found = (kind for variable, kind in SYSTEMS.items() if environ.get(variable, "").lower() == "true")
    return next((kind for kind in found if kind not in written), CheckFormat.TEXT)


def _rendered(verdict: "Verdict", request: "Request", kind: CheckFormat, *, verbose: bool) -> bytes:
    if kind is CheckFormat.TEXT:
        page = io.StringIO()
        _write_text(verdict, request, verbose=verbose, file=page)
        return page.getvalue().encode("utf-8", "replace")
    from dltdoctor.report import github, gitlab, json, junit, markdown, sarif  # noqa: PLC0415

    match kind:
        case CheckFormat.JSON:
            return json.render(verdict.diagnosis)
        case CheckFormat.SARIF:
            return sarif.render(verdict)
        case CheckFormat.JUNIT:
            return junit.render(verdict)
        case CheckFormat.GITLAB:
            return gitlab.render(verdict)
        case CheckFormat.GITHUB:
            return github.render(verdict).encode("utf-8", "replace")
        case CheckFormat.MARKDOWN:
            return markdown.render(verdict).encode("utf-8", "replace")


def _write_text(verdict: "Verdict", request: "Request", *, verbose: bool, file: IO[str]) -> None:
    from dltdoctor.report import verdict as report  # noqa: PLC0415
    from dltdoctor.situation import Situation  # noqa: PLC0415

    report.render(verdict, Situation(request).shortened(verdict.diagnosis), verbose=verbose, file=file)


def _save(file: Path, content: bytes) -> None:
    try:
        file.write_bytes(content)
    except OSError as error:
        raise CouldNotLookError(f"{file} cannot be written: {error.strerror}", "Name another file.") from None
