"""The house itself: lint, format, types, import contracts, and the documents that must tell the truth."""

import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from dltdoctor.checks import CHECKS

ROOT = Path(__file__).parent.parent
SCRIPTS = Path(sysconfig.get_path("scripts"))


def _run(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _tool(name: str) -> str:
    found = SCRIPTS / name
    return str(found) if found.exists() else shutil.which(name) or name


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("lint-imports", "--no-cache"),
    ],
    ids=" ".join,
)
def test_lint(command):
    _run(_tool(command[0]), *command[1:])


def test_types():
    _run(sys.executable, "-m", "mypy")


def test_readme_names_every_check():
    named = set(re.findall(r"\| (DD\d{3}) \|", (ROOT / "README.md").read_text()))
    assert named == {check.code for check in CHECKS}


def test_no_place_of_a_machine_is_named():
    listed = _run("git", "ls-files") if (ROOT / ".git").exists() else ""
    for name in listed.splitlines():
        path = ROOT / name
        if path.suffix in (".py", ".md", ".toml", ".sql", ".sh", ".yml") and path.is_file():
            text = path.read_text(errors="replace")
            for word in ("/work/", "/root/", "pypi.org"):
                allowed = name.startswith(("tests/", "fixtures/"))
                assert word not in text or allowed, f"{name} names {word}"
