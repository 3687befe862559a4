"""dlt is asked where pipelines would load with edited settings, before the edit is offered.

A copy of the settings with the new bytes is made in a private temporary directory, and read there by dlt in
a process of its own. The directory is removed afterwards, because secrets.toml is in it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dltdoctor.snapshot import Value
from dltdoctor.world.providers import global_dir, settings_dir

TIMEOUT = 60
NO_ANSWER = "it did not answer"
VAULTS = ("AIRFLOW", "AWS", "GOOGLE")
_KEPT = (".workspace", "profile-name")
_FOLDER = ".dlt"


class Case(Value):
    """A pipeline to ask about. `ways` are datasets before normalisation, each with a naming convention.

    `factory` and `arguments` are what the source passes to the destination and to dlt.pipeline().
    """

    pipeline: str
    destination_name: str | None
    factory: Mapping[str, str | bool | int | float | None]
    arguments: Mapping[str, str | bool | int | float | None]
    ways: tuple[tuple[str, str], ...]


class Answer(Value):
    """Final and staging dataset as dlt normalises them, or the name of the exception it raised.

    `dev_mode` is None when this version of dlt could not be asked. `settings` are others that it resolved.
    """

    names: tuple[tuple[str, str], ...] = ()
    dev_mode: bool | None = False
    settings: Mapping[str, str | bool | None] = {}
    error: str | None = None


def ask_dlt(
    cases: Sequence[Case],
    *,
    project: Path,
    environ: Mapping[str, str],
    home: Path,
    is_root: bool,
    edited: Mapping[str, bytes],
) -> tuple[Answer, ...]:
    """What dlt resolves for each case; `edited` are new contents by real path."""
    with tempfile.TemporaryDirectory(prefix="dltdoctor-") as name:
        root = Path(name)
        here, there = root / "project", root / "home"
        _copy(settings_dir(project, environ), here / _FOLDER, edited)
        _copy(global_dir(environ, home=home, is_root=is_root), there / _FOLDER, edited)
        asked = {"environ": _isolated(environ, root), "cases": [_plain(case) for case in cases]}
        return _answers(_run(json.dumps(asked), here, root), len(cases))


def _copy(source: Path, target: Path, edited: Mapping[str, bytes]) -> None:
    target.mkdir(parents=True)
    names = {path.name for path in source.glob("*.toml")} if source.is_dir() else set()
    names |= {Path(path).name for path in edited if Path(path).parent == Path(os.path.realpath(source))}
    for name in sorted(names.union(_KEPT)):
        path = os.path.realpath(source / name)
        if path in edited:
            (target / name).write_bytes(edited[path])
        elif os.path.isfile(path):
            (target / name).write_bytes(Path(path).read_bytes())


def _isolated(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """The caller's settings, and nothing by which dlt would leave the directory."""
    moved = {"DLT_PROJECT_DIR", "XDG_DATA_HOME"}
    return {
        **{name: value for name, value in environ.items() if name not in moved},
        **{f"PROVIDERS__ENABLE_{vault}_SECRETS": "false" for vault in VAULTS},
        "HOME": str(root / "home"),
        "DLT_CONFIG_FOLDER": _FOLDER,
        "DLT_DATA_DIR": str(root / "data"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }


def _plain(case: Case) -> dict[str, Any]:
    return {
        "pipeline": case.pipeline,
        "destination_name": case.destination_name,
        "factory": dict(case.factory),
        "arguments": dict(case.arguments),
        "ways": [list(way) for way in case.ways],
    }


def _run(asked: str, cwd: Path, root: Path) -> str:
    """The child's output; empty when it failed or took too long."""
    here = str(Path(__file__).parents[2])
    environ = {"HOME": str(root / "home"), "PATH": os.defpath, "PYTHONPATH": here, "TMPDIR": str(root)}
    command = [sys.executable, "-s", "-m", "dltdoctor.world.edit_check_child"]
    try:
        done = subprocess.run(
            command, input=asked, cwd=cwd, env=environ, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _answers(output: str, expected: int) -> tuple[Answer, ...]:
    try:
        found = json.loads(output)
    except ValueError:
        found = []
    if len(found) != expected:
        return (Answer(error=NO_ANSWER),) * expected
    return tuple(
        Answer(
            names=tuple((final, staging) for final, staging in one.get("names", ())),
            dev_mode=one.get("dev_mode"),
            settings=one.get("settings", {}),
            error=one.get("error"),
        )
        for one in found
    )
