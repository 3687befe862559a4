"""What a process leaves behind: files in a temporary directory of its own, and processes that know it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PATIENCE = 20.0


def run_python(code: str, temporary: Path) -> str:
    """Run Python with that temporary directory, to success; what it printed."""
    with _start(code, temporary) as process:
        said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    return said


def run_python_until(line: str, code: str, temporary: Path, number: signal.Signals) -> int:
    """Run Python until it prints a line that begins so, and send it a signal then; its exit code."""
    with _start(code, temporary) as process:
        assert process.stdout is not None
        seen = []
        for said in process.stdout:
            seen.append(said)
            if said.startswith(line):
                process.send_signal(number)
                break
        else:
            pytest.fail(f"it never said {line!r}, but {seen}")
        process.communicate(timeout=PATIENCE)
    return process.returncode


def _start(code: str, temporary: Path) -> subprocess.Popen[str]:
    # sys.path as it is here: the process must find the package also where it is not installed.
    environ = os.environ | {"TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environ)


def leftovers(temporary: Path, patience: float = PATIENCE) -> list[str]:
    """Files in the directory and processes that name it, as soon as there are none, or after the seconds."""
    deadline = time.monotonic() + patience
    while (found := [*_files(temporary), *_processes(temporary)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _files(temporary: Path) -> list[str]:
    return [path.name for path in temporary.iterdir()]


def _processes(temporary: Path) -> list[str]:
    """Command lines of other processes that have the directory in their arguments or environment."""
    if not Path("/proc/self/environ").exists():
        lines = subprocess.run(["ps", "axeww", "-o", "command="], capture_output=True, text=True, check=True)
        return [line for line in lines.stdout.splitlines() if str(temporary) in line]
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # gone, or another user's
            command = (process / "cmdline").read_bytes()
            known = command
            with contextlib.suppress(PermissionError):
                known += (process / "environ").read_bytes()
            if str(temporary).encode() in known:
                found.append(f"{process.name}: {command.decode(errors='replace')}")
    return found
