"""Where pipelines are looked for, compared with dlt's own answer on the same machine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dltdoctor.world.pipelines_dirs import PipelinesDir, find_pipelines_dirs

# dlt imported once; each case gets a process of its own, because dlt remembers its run context
ASK_DLT = """
import json, os, sys
from dlt.common.pipeline import get_dlt_pipelines_dir
for case in json.load(sys.stdin):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.environ.clear()
        os.environ.update(case["environ"])
        os.chdir(case["cwd"])
        os.geteuid = lambda: case["uid"]
        os.write(writing, os.path.abspath(get_dlt_pipelines_dir()).encode())
        os._exit(0)
    os.close(writing)
    print(os.read(reading, 10_000).decode())
    os.wait()
"""

Case = dict[str, Any]


def _ask_dlt(cases: list[Case]) -> list[str]:
    ran = subprocess.run(
        [sys.executable, "-c", ASK_DLT],
        input=json.dumps(cases),
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.splitlines()


def _workspace(path: Path, **files: str) -> Path:
    (path / ".dlt").mkdir(parents=True)
    (path / ".dlt" / ".workspace").touch()
    for name, content in files.items():
        (path / ".dlt" / name.replace("__", ".").replace("_", "-")).write_text(content)
    return path


def _cases(tmp: Path) -> dict[str, Case]:
    home, old_home, plain = tmp / "home", tmp / "old_home", tmp / "plain"
    for path in (home, old_home / ".dlt", plain):
        path.mkdir(parents=True)
    settings = '[workspace.settings]\nworking_dir = "{}"\n'
    spaces = {
        "workspace": _workspace(tmp / "ws"),
        "pinned": _workspace(tmp / "pinned", profile_name="prod\n"),
        "empty pin": _workspace(tmp / "empty_pin", profile_name=""),
        "configured": _workspace(tmp / "configured", config__toml=settings.format("elsewhere")),
        "configured for the profile": _workspace(
            tmp / "by_profile",
            config__toml=settings.format("elsewhere"),
            dev__config__toml=settings.format("for_dev"),
            prod__config__toml=settings.format("for_prod"),
        ),
        "configured in secrets": _workspace(
            tmp / "in_secrets",
            dev__config__toml=settings.format("for_dev"),
            secrets__toml='[settings]\nworking_dir = "secret_place"\n',
        ),
        "not configured after all": _workspace(
            tmp / "bare", config__toml='working_dir = "a"\n[workspace]\nworking_dir = "b"\n'
        ),
    }
    xdg = {"XDG_DATA_HOME": str(tmp / "xdg")}
    project = {"DLT_PROJECT_DIR": str(tmp / "ws")}
    found: dict[str, tuple[dict[str, str], Path, int]] = {
        "plain": ({}, plain, 1000),
        "root": ({}, plain, 0),
        "root with XDG": (xdg, plain, 0),
        "DLT_DATA_DIR": ({"DLT_DATA_DIR": str(tmp / "data")}, plain, 1000),
        "relative DLT_DATA_DIR": ({"DLT_DATA_DIR": "data"}, plain, 1000),
        "DLT_DATA_DIR for root": ({"DLT_DATA_DIR": str(tmp / "data")}, plain, 0),
        "empty DLT_DATA_DIR": ({"DLT_DATA_DIR": ""}, plain, 1000),
        "XDG": (xdg, plain, 1000),
        "XDG beside an old home": ({**xdg, "HOME": str(old_home)}, plain, 1000),
        "no home": ({"HOME": str(tmp / "nowhere"), "TMPDIR": str(tmp)}, plain, 1000),
        "project is a workspace, cwd is not": (project, plain, 1000),
        "project elsewhere": ({"DLT_PROJECT_DIR": str(plain)}, tmp / "ws", 1000),
        "DLT_DATA_DIR in a workspace": ({"DLT_DATA_DIR": str(tmp / "data")}, tmp / "ws", 1000),
        "profile": ({"WORKSPACE__PROFILE": "tests"}, tmp / "pinned", 1000),
        "configured for another": ({"WORKSPACE__PROFILE": "prod"}, tmp / "by_profile", 1000),
        "configured by variable": ({"WORKSPACE__SETTINGS__WORKING_DIR": "var"}, tmp / "ws", 1000),
        "configured by short variable": ({"SETTINGS__WORKING_DIR": "var"}, tmp / "ws", 1000),
        "not by bare variable": ({"WORKING_DIR": "var"}, tmp / "ws", 1000),
        **{name: ({}, path, 1000) for name, path in spaces.items()},
    }
    common = {"HOME": str(home), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    return {
        name: {"environ": common | environ, "cwd": str(cwd), "uid": uid} for name, (environ, cwd, uid) in found.items()
    }


def _ours(case: Case) -> PipelinesDir:
    environ = case["environ"]
    return find_pipelines_dirs(
        None,
        environ=environ,
        cwd=Path(case["cwd"]),
        home=Path(environ["HOME"]),
        is_root=case["uid"] == 0,
    )[0]


def test_the_first_is_the_one_dlt_uses(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    cases = _cases(tmp_path / "files")
    before = sorted(tmp_path.rglob("*"))
    ours = {name: os.path.normpath(_ours(case).path) for name, case in cases.items()}
    assert sorted(tmp_path.rglob("*")) == before
    # dlt comes second: asked in a workspace it creates folders
    assert ours == dict(zip(cases, _ask_dlt(list(cases.values())), strict=True))


def _find(tmp: Path, explicit: Path | None = None, **given: Any) -> tuple[PipelinesDir, ...]:
    (tmp / "home").mkdir(exist_ok=True)
    facts: dict[str, Any] = {"environ": {}, "cwd": tmp, "home": tmp / "home", "is_root": False} | given
    return find_pipelines_dirs(explicit, **facts)


def test_what_the_user_names_wins(tmp_path: Path) -> None:
    environ = {"PIPELINES_DIR": "from_env", "DLT_DATA_DIR": "data"}
    configured = ("from_config", "config.toml:3")
    assert _find(tmp_path, Path("mine"), environ=environ, configured=configured) == (
        PipelinesDir(path=tmp_path / "mine", origin="--pipelines-dir", required=True),
    )
    assert _find(tmp_path, environ=environ, configured=configured) == (
        PipelinesDir(path=tmp_path / "from_config", origin="config.toml:3"),
    )
    assert _find(tmp_path, environ=environ) == (PipelinesDir(path=tmp_path / "from_env", origin="PIPELINES_DIR"),)


def test_both_eras_and_other_profiles_of_a_workspace(tmp_path: Path) -> None:
    project = _workspace(tmp_path / "ws")
    places = (".dlt/state/dev", ".dlt/.var/dev", ".var/dev", ".dlt/state/prod", ".dlt/.var/tests")
    for place in places:
        (project / place / "pipelines").mkdir(parents=True)
    (project / ".dlt/state/unused").mkdir()
    found = _find(tmp_path, cwd=project)
    assert [str(p.path.relative_to(project).parent) for p in found] == list(places)
    assert [p.profile for p in found] == ["dev", "dev", "dev", "prod", "tests"]
    assert "another profile" in found[3].origin
    prod = _find(tmp_path, cwd=project, profile="prod")
    assert prod[0].path == project / ".dlt/state/prod/pipelines"
    assert "--profile" in prod[0].origin


def test_an_old_workspace_is_found_where_its_dlt_left_it(tmp_path: Path) -> None:
    project = _workspace(tmp_path / "ws")
    (project / ".dlt/.var/dev/pipelines").mkdir(parents=True)
    assert [p.path for p in _find(tmp_path, cwd=project)] == [project / ".dlt/.var/dev/pipelines"]


def test_pipelines_that_dlt_has_forgotten_come_second(tmp_path: Path) -> None:
    (tmp_path / "home/.dlt").mkdir(parents=True)
    (tmp_path / "xdg/dlt/pipelines").mkdir(parents=True)
    found = _find(tmp_path, environ={"XDG_DATA_HOME": str(tmp_path / "xdg")})
    assert [p.path for p in found] == [tmp_path / "home/.dlt/pipelines", tmp_path / "xdg/dlt/pipelines"]
    assert "ignores" in found[1].origin


@pytest.mark.parametrize("content", ["not = toml = at all", "[workspace]\nsettings = 3", "\x00"])
def test_a_broken_config_of_a_workspace_does_not_stop_the_search(tmp_path: Path, content: str) -> None:
    project = _workspace(tmp_path / "ws", config__toml=content)
    assert _find(tmp_path, cwd=project)[0].path == project / ".dlt/state/dev/pipelines"
