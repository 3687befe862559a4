"""The real command in a process of its own, as a user or a script starts it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from dltdoctor.report.json import Report
from tests.witness import saw

COMMAND = [sys.executable, "-m", "dltdoctor"]
Done = subprocess.CompletedProcess[str]


def environment(changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The test's environment with changes; None takes a variable away."""
    whole = {**os.environ, **(changes or {})}
    return {name: value for name, value in whole.items() if value is not None}


def dltdoctor(
    *arguments: str | Path, cwd: Path | None = None, env: Mapping[str, str | None] | None = None, timeout: float = 60
) -> Done:
    """Run it without a terminal; whatever happens, there is never a traceback."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
    )
    assert_tidy(done)
    return done


def shell(line: str, *, cwd: Path | None = None, env: Mapping[str, str | None] | None = None) -> Done:
    """Run a line as it would be pasted; `dltdoctor` in it is the one of this checkout."""
    function = f'dltdoctor() {{ "{sys.executable}" -m dltdoctor "$@"; }}\n'
    done = subprocess.run(
        ["bash", "-c", function + line],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert_tidy(done)
    return done


def assert_tidy(done: Done) -> None:
    """No traceback, no bug, no terminal escape."""
    for text in (done.stdout, done.stderr):
        assert "Traceback" not in text, text
        assert "has a bug" not in text, text
        assert "check crashed" not in text, text
        assert "\x1b" not in text, text


def complaint(done: Done) -> str:
    """The one line that says what is wrong; a second one says what to do."""
    line, hint = (line for line in done.stderr.splitlines() if not _is_progress(line))
    assert line.startswith("dltdoctor: "), done.stderr
    assert hint.startswith("  "), done.stderr
    return line


def report(done: Done) -> Report:
    """The JSON on stdout, which has to be the contract's and nothing else."""
    found = msgspec.json.decode(done.stdout, type=Report)
    saw({finding.code for finding in found.findings})
    return found


def codes(done: Done) -> set[str]:
    return {finding.code for finding in report(done).findings}


def is_quiet(done: Done) -> bool:
    """Nothing on stderr but the progress that a slow machine is shown."""
    return all(_is_progress(line) for line in done.stderr.splitlines())


def _is_progress(line: str) -> bool:
    return line.startswith("dltdoctor: ") and line.endswith(" ...")
