"""Which dlt (and which sqlglot beside it) the project uses, found without running anything of it.

The virtual environment is what runs; lock files, requirements and an exact pin say what should.
"""

import importlib.metadata
import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_LOCK_BYTES = 20_000_000

_DIST_INFO = r"{}-(?P<version>[0-9][\w.!+]*)\.dist-info"
# uv.lock, poetry.lock, pdm.lock, pylock.toml; parsing a large one would cost a tenth of a second.
_LOCKED = r'(?m)^name = "{}"\r?\n(?:(?!\[)[^\n]*\n){{0,3}}?version = "(?P<version>[^"\n]+)"'
_PINNED = r"(?i)\s*{}\s*(?:\[[^\]]*\])?\s*={{2,3}}\s*(?P<version>[0-9][\w.!+]*)(?!\S*\*)"


def find_dlt_version(root: Path) -> tuple[str, str] | None:
    """The version of the project's dlt and where that stands, or None."""
    return find_version(root, "dlt")


def find_version(root: Path, package: str) -> tuple[str, str] | None:
    """The version of a package that the project uses and where that stands, or None."""
    for find in (_in_environments, _in_locks, _in_requirements, _in_pyproject):
        found = find(root, package)
        if found:
            return found
    return None


def installed_dlt_version() -> str | None:
    """The version of the dlt that dltdoctor runs with, read without importing it."""
    try:
        return importlib.metadata.version("dlt")
    except importlib.metadata.PackageNotFoundError:
        return None


def _in_environments(root: Path, package: str) -> tuple[str, str] | None:
    places = [(root / name, name) for name in (".venv", "venv")]
    active = os.environ.get("VIRTUAL_ENV")
    if active:
        places.append((Path(active), f"VIRTUAL_ENV {active}"))
    for place, origin in places:
        found = _in_environment(place, package)
        if found:
            version, inside = found
            return version, f"{origin}/{inside}"
    return None


def _in_environment(environment: Path, package: str) -> tuple[str, str] | None:
    named_so = re.compile(_DIST_INFO.format(package))
    for places in ("lib*/python*/site-packages", "Lib/site-packages"):
        try:
            found = sorted(environment.glob(f"{places}/{package}-*.dist-info"))
        except OSError:
            continue
        for path in found:
            if named := named_so.fullmatch(path.name):
                return named["version"], path.relative_to(environment).as_posix()
    return None


def _in_locks(root: Path, package: str) -> tuple[str, str] | None:
    locked = re.compile(_LOCKED.format(package))
    for name in ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml"):
        found = locked.search(_text(root / name))
        if found:
            return found["version"], name
    version = _in_pipfile_lock(_text(root / "Pipfile.lock"), package)
    return (version, "Pipfile.lock") if version else None


def _in_pipfile_lock(text: str, package: str) -> str | None:
    try:
        locked = json.loads(text) if text else {}
        found = locked["default"][package]["version"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    return found.removeprefix("==") if isinstance(found, str) else None


def _in_requirements(root: Path, package: str) -> tuple[str, str] | None:
    pinned = re.compile(_PINNED.format(package))
    try:
        files = [*sorted(root.glob("requirements*.txt")), *sorted(root.glob("requirements/*.txt"))]
    except OSError:
        return None
    for file in files:
        for number, line in enumerate(_text(file).splitlines(), start=1):
            found = pinned.match(line)
            if found:
                return found["version"], f"{file.relative_to(root).as_posix()}:{number}"
    return None


def _in_pyproject(root: Path, package: str) -> tuple[str, str] | None:
    pinned = re.compile(_PINNED.format(package))
    try:
        project: Any = tomllib.loads(_text(root / "pyproject.toml"))
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    for requirement in _requirements(project, package):
        found = pinned.match(requirement)
        if found:
            return found["version"], "pyproject.toml"
    return None


def _requirements(project: Any, package: str) -> Iterator[str]:
    """Requirements as PEP 508 has them, and Poetry's, where a bare version is exact, as such."""
    yield from _texts(_at(project, "project", "dependencies"))
    for group in ("project", "optional-dependencies"), ("dependency-groups",):
        tables = _at(project, *group)
        for listed in tables.values() if isinstance(tables, dict) else ():
            yield from _texts(listed)
    poetry = _at(project, "tool", "poetry", "dependencies", package)
    version = poetry.get("version") if isinstance(poetry, dict) else poetry
    if isinstance(version, str):
        yield f"{package}=={version.removeprefix('==')}" if version.lstrip("=")[:1].isdigit() else ""


def _at(table: Any, *keys: str) -> Any:
    for key in keys:
        table = table.get(key) if isinstance(table, dict) else None
    return table


def _texts(listed: Any) -> Iterator[str]:
    return (item for item in listed if isinstance(item, str)) if isinstance(listed, list) else iter(())


def _text(file: Path) -> str:
    """The file's text, empty when it cannot be read or is too large to be what its name says."""
    try:
        if not file.is_file() or file.stat().st_size > MAX_LOCK_BYTES:
            return ""
        return file.read_text("utf-8", errors="replace")
    except OSError:
        return ""
