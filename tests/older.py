"""An environment with another dlt than the installed one, made from the package index when a test asks for it."""

import os
import subprocess
import sys
from pathlib import Path


def interpreter(version: str, place: Path) -> str:
    """The Python of a fresh virtual environment with that dlt; `DLTDOCTOR_TEST_DLT_<VERSION>` may name one that is there."""
    given = os.environ.get(f"DLTDOCTOR_TEST_DLT_{version.replace('.', '_')}")
    if given:
        return given
    python = place / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    wanted = [f"dlt[postgres]=={version}", "setuptools<81"]
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *wanted], check=True, timeout=300)
    return str(python)
