"""Progress: silence for a second, then a spinner or a line, never a trace of it on a terminal's end."""

import io
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dltdoctor.report.progress import Progress

ROOT = Path(__file__).parent.parent


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("file", [io.StringIO(), Terminal()], ids=["pipe", "terminal"])
def test_nothing_is_shown_of_what_is_over_in_a_second(file: io.StringIO) -> None:
    with Progress(file) as progress:
        progress.step("reading the catalog")
    assert file.getvalue() == ""


def test_a_pipe_gets_a_line_now_and_then() -> None:
    file = io.StringIO()
    with Progress(file, delay=0, every=0.02) as progress:
        progress.step("reading [red] the\x1b[31m catalog")
        wait_for(lambda: "catalog" in file.getvalue())
        progress.step("comparing")
        wait_for(lambda: "comparing" in file.getvalue())
    assert set(file.getvalue().splitlines()) <= {
        "dltdoctor: working ...",
        "dltdoctor: reading [red] the\\x1b[31m catalog ...",
        "dltdoctor: comparing ...",
    }


def test_a_pipe_is_not_flooded() -> None:
    file = io.StringIO()
    with Progress(file, delay=0, every=60) as progress:
        wait_for(lambda: bool(file.getvalue()))
        for number in range(1000):
            progress.step(f"table {number}")
    assert file.getvalue().count("\n") == 1


def test_a_terminal_gets_a_spinner_that_vanishes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    file = Terminal()
    with Progress(file, delay=0) as progress:
        progress.step("reading [bold] the\x1b[31m catalog")
        wait_for(lambda: "reading [bold] the\\x1b[31m catalog" in file.getvalue())
        progress.step("comparing")
        wait_for(lambda: "comparing" in file.getvalue())
    assert re.search(r"\x1b\[2K(\x1b\[\?25h)?$", file.getvalue())
    assert "\x1b[?25h" in file.getvalue()


def test_an_error_ends_it() -> None:
    progress = Progress(io.StringIO(), delay=0)
    with pytest.raises(KeyboardInterrupt), progress:
        raise KeyboardInterrupt
    assert progress.is_over


def test_rich_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys\n"
        "from dltdoctor.report.progress import Progress\n"
        "with Progress(): pass\n"
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
