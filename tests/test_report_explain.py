"""What `explain` shows, for a check made for the test and for every real one."""

import io
import textwrap

import pytest
from rich.cells import cell_len

from dltdoctor.check import Check
from dltdoctor.finding import Severity
from dltdoctor.report.explain import render, render_list

DOC = """Rows are in the cellar.

They were *never* brought up; `100%s%` and `a*b*c` stay as they are, so does [red].

*Why it matters.* Nobody looks there. The next load of this pipeline empties it, and the rows are gone.

1. Look with care.
2. Bring them up, one after
   the other.

    select * from cellar where forgotten and not brought_up and some_more_conditions_that_make_it_long

*Fix safety.* Safe."""


def made(code: str, name: str, *severities: Severity, doc: str = DOC) -> Check:
    return Check(
        code=code,
        name=name,
        severities=severities,
        function=lambda: (),
        areas=("ledger", "config"),
        optional=(),
        doc=doc,
        url="https://example.org/a-long-address-that-is-never-broken-however-narrow-it-gets",
        sick=(),
        well=(),
    )


CHECKS = [
    made("DD801", "cellar-rows", Severity.ERROR, Severity.INFO),
    made("DD802", "damp", Severity.WARNING, doc="It is damp."),
]


def explained(width: int) -> str:
    file = io.StringIO()
    render(CHECKS[0], console_width=width, file=file)
    return file.getvalue()


def listed(width: int) -> str:
    file = io.StringIO()
    render_list(CHECKS, console_width=width, file=file)
    return file.getvalue()


def test_a_check_is_explained_by_its_doc() -> None:
    assert explained(80) == textwrap.dedent("""\
        DD801 cellar-rows · error/info
        Rows are in the cellar.

        They were never brought up; 100%s% and a*b*c stay as they are, so does [red].

        Why it matters. Nobody looks there. The next load of this pipeline empties it,
        and the rows are gone.

        1. Look with care.
        2. Bring them up, one after the other.

            select * from cellar where forgotten and not brought_up and some_more_conditions_that_make_it_long

        Fix safety. Safe.

        It reads: ledger, config.
        https://example.org/a-long-address-that-is-never-broken-however-narrow-it-gets
        """)


def test_narrow_explanations_leave_verbatim_lines_whole() -> None:
    lines = explained(40).splitlines()
    long = [line for line in lines if cell_len(line) > 40]
    assert [line.strip()[:6] for line in long] == ["select", "https:"]


def test_all_checks_are_listed() -> None:
    assert listed(80) == textwrap.dedent("""\
        DD801  cellar-rows  error/info  Rows are in the cellar
        DD802  damp         warning     It is damp

        More about a code: dltdoctor explain CODE
        """)


@pytest.mark.parametrize("width", [24, 40, 60])
def test_narrow_lists(width: int) -> None:
    assert all(cell_len(line) <= width for line in listed(width).splitlines() if "explain" not in line)
