"""The look of the text reports: hostile names, narrow terminals, ASCII, colours; commands stay whole."""

import io
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from dltdoctor.diagnosis import Diagnosis
from dltdoctor.finding import Remedy, Severity
from dltdoctor.report.safe import safe, safe_command, shorten
from dltdoctor.report.style import Page
from dltdoctor.report.text import render
from tests import report_examples as examples

COMMAND = "dltdoctor fix trust_scores --migrate"
SHELL = shutil.which("bash")
HOSTILE = {
    "[red]shop[/red]": "[red]shop[/red]",
    "[/]": "[/]",
    "\x1b[31mshop": r"\x1b[31mshop",
    "\x9b31mshop": r"\x9b31mshop",
    "sh\nop\r\t\x07": r"sh\nop\r\t\x07",
    "shop\u202etxt.exe": r"shop\u202etxt.exe",
    "sh\u200bop\ufeff": r"sh\u200bop\ufeff",
    "shop\udcff": r"shop\udcff",
    "shop\U000e0041": r"shop\U000e0041",
    ":boom:": ":boom:",
    "100%s%": "100%s%",
}


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Ascii(io.StringIO):
    """A file that can only hold ASCII."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "ascii"


def rendered(diagnosis: Diagnosis, width: int | None = 100, file: io.StringIO | None = None) -> str:
    file = file or io.StringIO()
    render(diagnosis, console_width=width, file=file)
    return file.getvalue()


@pytest.mark.parametrize(("name", "shown"), HOSTILE.items(), ids=ascii)
def test_hostile_names_are_shown_as_what_they_are(name: str, shown: str) -> None:
    report = rendered(examples.named(name))
    assert report.count(shown) >= 15
    assert not re.search("[^\\n\\x20-\\x7e\\xa0-\uffff]|[\u200b-\u200f\u202a-\u202e\ufeff]", report)


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(exclude_categories=()), min_size=1, max_size=90),
    st.integers(24, 130),
    st.booleans(),
)
def test_any_name_keeps_within_the_lines(name: str, width: int, ascii_only: bool) -> None:
    report = rendered(examples.named(name), width, Ascii() if ascii_only else None)
    report.encode("ascii" if ascii_only else "utf-8")
    lines = report.splitlines()
    assert any(line.strip() == COMMAND for line in lines)
    for line in lines:
        assert cell_len(line) <= width or COMMAND in line or "dltdoctor explain" in line
        assert line == line.rstrip()


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("name", ["名前" * 12, "x" * 63, "ü" * 70, "👩\u200d🔬" * 8])
def test_long_and_wide_names_are_cut_in_the_map(name: str, width: int) -> None:
    for line in rendered(examples.named(name), width).splitlines():
        assert cell_len(line) <= width or COMMAND in line


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("abcdefghij", 7, "abc…hij"),
        ("abcdefghij", 8, "abcd…hij"),
        ("abc", 3, "abc"),
        ("名前名前名前", 8, "名前…前"),
        ("abcdef", 2, "ab"),
        ("abc", 0, ""),
    ],
)
def test_a_long_name_is_cut_in_the_middle(text: str, width: int, cut: str) -> None:
    assert shorten(text, width) == cut
    assert cell_len(cut) <= width


def test_ascii_has_marks_arrows_and_bars_of_its_own() -> None:
    report = rendered(examples.stranded(), 100, Ascii())
    assert report.isascii()
    lines = report.splitlines()
    assert lines[0] == "[x]  trust_scores -> public - 1 error - last load 2 hours ago"
    assert lines[3:7] == [
        "     trust_scores     -->  public_staging  -->         public",
        "     orders                      3 staged  STRANDED    7 rows  x DD201",
        "       orders__items             9 staged  STRANDED   12 rows  x",
        "     customers                   1 staged  merged    112 rows  ok",
    ]
    assert rendered(examples.healthy(), 100, Ascii()).startswith("[ok] trust_scores -> public - healthy")


@pytest.mark.parametrize(
    ("variables", "ascii_only"),
    [
        ({"LANG": "C"}, True),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "POSIX"}, True),
        ({"LANG": "C", "LC_ALL": "en_US.UTF-8"}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({"LANG": "C", "PYTHONIOENCODING": "utf-8"}, False),
    ],
)
def test_the_c_locale_means_ascii_although_python_writes_utf_8(
    variables: dict[str, str], ascii_only: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LANG", "PYTHONIOENCODING"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "report.txt"
    with path.open("w", encoding="utf-8") as file:
        render(examples.healthy(), file=file)
    assert path.read_bytes().isascii() is ascii_only


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_no_encoding_is_asked_for_what_it_cannot_say(encoding: str, tmp_path: Path) -> None:
    with (tmp_path / "report.txt").open("w", encoding=encoding) as file:
        render(examples.named("表✓ü"), file=file)


def test_without_a_terminal_the_report_is_plain_and_a_hundred_wide() -> None:
    report = rendered(examples.healthy(), None)
    assert "\x1b" not in report
    assert report == rendered(examples.healthy(), 100)


def test_a_terminal_gets_colours_and_no_color_takes_every_escape_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    coloured = rendered(examples.stranded(), 100, Terminal())
    assert "\x1b[1;31m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == rendered(examples.stranded(), 100)
    assert "\x1b[2m│ \x1b[0m3 rows with load id" in coloured  # a style ends where its piece ends
    monkeypatch.setenv("NO_COLOR", "1")
    assert rendered(examples.stranded(), 100, Terminal()) == rendered(examples.stranded(), 100)


def test_colour_can_be_forced_into_a_pipe_and_no_color_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in rendered(examples.stranded())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in rendered(examples.stranded())


def test_a_very_wide_terminal_keeps_lines_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    assert Page(Terminal()).width == 120
    assert Page(io.StringIO(), 400).width == 400


def test_a_command_is_never_wrapped_or_cut() -> None:
    command = "psql 'postgresql://loader@db/warehouse' -c 'grant select on all tables in schema public to loader'"
    diagnosis = Diagnosis(
        findings=(
            examples.finding(
                "DD003",
                "hidden-schema",
                Severity.WARNING,
                "the role may not look",
                ("no USAGE", "pg_namespace"),
                remedy=Remedy("Grant it", "manual", f"{command}\nunset DATASET_NAME"),
            ),
        ),
        pipelines=(examples.line(),),
    )
    for width in (24, 40, 100):
        lines = [line.strip() for line in rendered(diagnosis, width).splitlines()]
        assert lines[lines.index(command) + 1] == "unset DATASET_NAME"


@pytest.mark.skipif(SHELL is None, reason="needs bash")
@pytest.mark.parametrize("word", ["a\x1b[31mb", "a\nb", "a\u202eb", "it's\x07", 'say "\x08"', "名"])
@pytest.mark.parametrize("quote", ["single", "double", "none"])
def test_a_command_with_unfit_characters_still_means_the_same(word: str, quote: str) -> None:
    quoted = {
        "single": "'" + word.replace("'", "'\\''") + "'",
        "double": '"' + word.replace('"', '\\"') + '"',
        "none": re.sub(r"(['\"\[ ])", r"\\\1", word),
    }[quote]
    if quote == "none" and "\n" in word:
        pytest.skip("a bare line break separates commands")
    command = safe_command(f"printf %s {quoted}", "ascii")
    assert command.isprintable()
    assert command.isascii()
    done = subprocess.run(
        [str(SHELL), "-c", command], capture_output=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    assert done.stdout == word.encode()


def test_what_ascii_cannot_say_is_spelled() -> None:
    assert safe("a → b – c … 名", "ascii") == r"a -> b - c ... \u540d"
    assert safe("a → b – c … 名") == "a → b – c … 名"
