"""A few rows that show what a recovery brings back; their values only where they were asked for."""

from collections.abc import Sequence
from typing import IO

from rich.text import Text

from dltdoctor.cures.recovery.clobbered import Sample
from dltdoctor.report.style import Page

MASK = "***"


def render_samples(
    samples: Sequence[Sample], *, show_values: bool, console_width: int | None = None, file: IO[str]
) -> None:
    """A line for each row: its key, and what its NULLs become."""
    if not samples:
        return
    page = Page(file, console_width)
    masked = "" if show_values else " (values masked; --show-values shows them)"
    page.line(Text("For example"), page.text(f"{masked}:"))
    for sample in samples:
        shown = as_json(sample, show_values=show_values)
        key = ", ".join(f"{name} {value}" for name, value in shown["key"].items())
        changes = ", ".join(f"{name} NULL {page.glyphs.arrow} {value}" for name, value in shown["values"].items())
        page.line(page.text(f"{sample.place} with {key}: {changes}"), indent=4, hang=4)
    page.blank()


def as_json(sample: Sample, *, show_values: bool) -> dict[str, dict[str, str]]:
    """A row for `--format json`."""
    return {
        "key": {name: value if show_values else MASK for name, value in sample.key},
        "values": {name: value if show_values else MASK for name, value in sample.values},
    }
