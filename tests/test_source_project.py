"""Which dlt a project uses, by the files that say so."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from dltdoctor.world.project import find_dlt_version, installed_dlt_version

UV = 'version = 1\n\n[[package]]\nname = "dlt"\nversion = "1.21.0"\nsource = { registry = "x" }\n'
POETRY = '[[package]]\nname = "dlt-x"\nversion = "9"\n\n[[package]]\nname = "dlt"\nversion = "1.5.0"\n'
PIPFILE = json.dumps({"default": {"dlt": {"extras": ["postgres"], "version": "==1.16.0"}}})


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("uv.lock", UV, ("1.21.0", "uv.lock")),
        ("poetry.lock", POETRY, ("1.5.0", "poetry.lock")),
        ("pdm.lock", UV.replace("\n", "\r\n"), ("1.21.0", "pdm.lock")),
        ("pylock.toml", UV.replace("package", "packages"), ("1.21.0", "pylock.toml")),
        ("Pipfile.lock", PIPFILE, ("1.16.0", "Pipfile.lock")),
        ("requirements.txt", "x\ndlt==0.5.4\n", ("0.5.4", "requirements.txt:2")),
        ("requirements-dev.txt", "dlt[postgres] == 1.0.0  # pinned\n", ("1.0.0", "requirements-dev.txt:1")),
        (
            "requirements/base.txt",
            "dlt===1.0.0a1; python_version>'3'\n",
            ("1.0.0a1", "requirements/base.txt:1"),
        ),
        ("pyproject.toml", '[project]\ndependencies=["dlt[x]==1.0.0"]', ("1.0.0", "pyproject.toml")),
        ("pyproject.toml", '[project.optional-dependencies]\nx=["dlt==1.0.0"]', ("1.0.0", "pyproject.toml")),
        (
            "pyproject.toml",
            '[dependency-groups]\nx=[{include-group="y"}, "dlt==1.0.0"]',
            ("1.0.0", "pyproject.toml"),
        ),
        ("pyproject.toml", '[tool.poetry.dependencies]\ndlt="1.0.0"', ("1.0.0", "pyproject.toml")),
        (
            "pyproject.toml",
            '[tool.poetry.dependencies]\ndlt={version="==1.0.0", extras=[]}',
            ("1.0.0", "pyproject.toml"),
        ),
        ("pyproject.toml", '[tool.poetry.dependencies]\ndlt="^1.0.0"', None),
        ("pyproject.toml", '[project]\ndependencies=["dlt>=1.0.0"]', None),
        ("pyproject.toml", '[project]\ndependencies="dlt==1.0.0"', None),
        ("pyproject.toml", "[project", None),
        ("requirements.txt", "dlt==1.*\ndlt>=1.0\ndlt-plus==1.0\n# dlt==1.0\n", None),
        ("uv.lock", '[[package]]\nname = "dlt"\n\n[[package]]\nversion = "2"\n', None),
        ("Pipfile.lock", "{", None),
        ("Pipfile.lock", "[]", None),
        ("uv.lock", "\x00\x01", None),
    ],
)
def test_files_that_say_which_dlt(file: str, text: str, found: object, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(text.encode())
    assert find_dlt_version(tmp_path) == found


@pytest.mark.parametrize("name", [".venv", "venv"])
def test_an_environment_wins_over_a_lock(name: str, tmp_path: Path) -> None:
    site = Path("lib/python3.12/site-packages")
    (tmp_path / name / site / "dlt-1.31.0.dist-info").mkdir(parents=True)
    (tmp_path / name / site / "dlt_plus-9.dist-info").mkdir()
    (tmp_path / "uv.lock").write_text(UV)
    assert find_dlt_version(tmp_path) == ("1.31.0", f"{name}/{site.as_posix()}/dlt-1.31.0.dist-info")


def test_the_active_environment_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    active = tmp_path / "env"
    (active / "lib/python3.11/site-packages/dlt-1.2.0.dist-info").mkdir(parents=True)
    monkeypatch.setenv("VIRTUAL_ENV", str(active))
    found = find_dlt_version(tmp_path)
    assert found is not None
    assert found[0] == "1.2.0"
    assert found[1].startswith("VIRTUAL_ENV ")


def test_files_that_are_something_else(tmp_path: Path) -> None:
    for name in ("uv.lock", "requirements.txt", "pyproject.toml", ".venv"):
        (tmp_path / name).mkdir()
    (tmp_path / "poetry.lock").symlink_to(tmp_path / "poetry.lock")
    assert find_dlt_version(tmp_path) is None
    assert find_dlt_version(tmp_path / "nowhere") is None


def test_the_installed_one_is_read_from_its_metadata() -> None:
    assert installed_dlt_version() == version("dlt")
