"""The README's real output: the demo is played, its commands are run, and what they print is put in the README.

`python docs/story.py` writes it anew; the suite plays it, too, and fails when the README tells something else.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
WIDTH = "110"
# What differs from run to run, and what stands for it in the README.
_CHANGING = (
    (re.compile(r"/[^\s']*dltdoctor-demo-[0-9a-f]+"), "/tmp/demo"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:5432"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "2026-11-23 08:09:18 UTC"),
    (re.compile(r"\b\d{8}T\d{6}-[0-9a-f]{4}(?![0-9a-f])"), "20261123T080918-4f2a"),
    (re.compile(r"\b\d{8}t\d{6}-[0-9a-f]{4}(?![0-9a-f])"), "20261123t080918-4f2a"),
    (re.compile(r"\b1[78]\d{8}\.\d{1,7}"), "1795421358.4224424"),
    (re.compile(r"'[A-Za-z0-9+/]{43}='"), "'fvSTjvWZ…'"),
    (re.compile(r"\b(moments|an?|\d+) ?(minutes?|seconds?)? ago"), "moments ago"),
)


def settled(text: str) -> str:
    """The text with everything that differs from run to run replaced."""
    for pattern, instead in _CHANGING:
        text = pattern.sub(instead, text)
    return text.strip("\n")


def play() -> dict[str, str]:
    """The outputs by the name of their block in the README."""
    stranded = _played(
        "stranded", ["diagnose"], ["fix", "trust_scores", "--migrate", "--unsafe", "--yes"], ["undo", "--yes"]
    )
    recovered = _played("null-scores", ["fix", "--recover", "--yes"])
    names = ("story-diagnose", "story-fix", "story-undo", "story-recover")
    return {name: settled(output) for name, output in zip(names, (*stranded, *recovered), strict=True)}


def _played(scenario: str, *commands: list[str]) -> list[str]:
    """What the commands print, one after the other, in the world of a scenario."""
    with tempfile.TemporaryDirectory() as home:
        diagnosis = _run(["demo", scenario, "--keep"], home)
        kept = re.search(r"^project: +(?P<project>\S+)\npipelines: +(?P<pipelines>\S+)", diagnosis, re.MULTILINE)
        stop = diagnosis.strip().splitlines()[-1]
        try:
            if kept is None:
                raise SystemExit(f"the demo said nothing of its project:\n{diagnosis}")
            there = {"cwd": kept["project"], "DLT_DATA_DIR": str(Path(kept["pipelines"]).parent)}
            return [_run(command, home, **there) for command in commands]
        finally:
            subprocess.run(stop, shell=True, check=False)


def _run(arguments: list[str], home: str, *, cwd: str | None = None, **variables: str) -> str:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "DLT", "XDG_")) and "__" not in k}
    environ |= {"HOME": home, "NO_COLOR": "1", "COLUMNS": WIDTH, "PYTHONIOENCODING": "utf-8", **variables}
    command = [sys.executable, "-m", "dltdoctor", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{shlex.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def with_story(readme: str, outputs: dict[str, str]) -> str:
    """The README with the outputs in their blocks."""
    for name, output in outputs.items():
        pattern = re.compile(rf"(<!-- {name} -->\n```\n\$ [^\n]*\n).*?(```\n)", re.DOTALL)
        readme = pattern.sub(lambda found, output=output: f"{found[1]}{output}\n{found[2]}", readme)
    return readme


def blocks(readme: str) -> Iterator[str]:
    """The names of the README's blocks with real output."""
    yield from re.findall(r"<!-- (story-[a-z]+) -->", readme)


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_story(path.read_text(encoding="utf-8"), play()), encoding="utf-8")
