"""The options that commands share, each declared once."""

import enum
from pathlib import Path
from typing import Annotated

import typer

from dltdoctor.words import DSN_VARIABLE


class Format(enum.StrEnum):
    """What is written to stdout."""

    TEXT = "text"
    JSON = "json"


class PageFormat(enum.StrEnum):
    """How a text is written: for a terminal, or for a page."""

    TEXT = "text"
    MARKDOWN = "markdown"


class FailOn(enum.StrEnum):
    """The severity from which on the exit code is 1."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    NEVER = "never"


Pipelines = Annotated[
    list[str] | None,
    typer.Argument(metavar="[PIPELINE]...", help="Names of pipelines; none means all.", show_default=False),
]
Dsn = Annotated[
    str | None,
    typer.Option(
        "--dsn",
        metavar="DSN",
        envvar=DSN_VARIABLE,
        help="Look into this database, whatever dlt would resolve.",
        show_default=False,
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
