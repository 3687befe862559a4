"""Where the settings of the gate stand: `dltdoctor.toml`, else `[tool.dltdoctor]` of the pyproject.toml beside it."""

from collections.abc import Callable, Mapping
from pathlib import Path

from dltdoctor.errors import UsageError
from dltdoctor.snapshot import Unread, Value
from dltdoctor.world.toml import TomlFile, read_toml

OWN_FILE = "dltdoctor.toml"
SHARED_FILE = "pyproject.toml"
TABLE = ("tool", "dltdoctor")


class SettingsTable(Value):
    """The table with the settings, the file's name as it was asked for, and where a key of it stands."""

    values: Mapping[str, object]
    origin: str
    place: Callable[..., str]


def find_settings(project: Path, given: Path | None, cwd: Path) -> SettingsTable | None:
    """The settings of the project, or of the file that was named; None when there are none.

    Raises `UsageError` for a file that cannot be read or understood.
    """
    if given is not None:
        path = cwd / given
        if not path.is_file():
            raise UsageError(f"there is no settings file {given}", "Name one, or leave --config out.")
        return _table(path, str(given), required=True)
    return _table(project / OWN_FILE, OWN_FILE) or _table(project / SHARED_FILE, SHARED_FILE)


def _table(path: Path, shown: str, *, required: bool = False) -> SettingsTable | None:
    read = read_toml(path)
    if isinstance(read, Unread):
        if not required and path.name == SHARED_FILE and not _mentions_us(path):
            return None  # somebody else's file: whoever owns it complains
        raise UsageError(f"{shown} {read.reason}", read.hint)
    if read is None:
        return None
    prefix = TABLE if path.name == SHARED_FILE else ()
    values: object = read.values
    for key in prefix:
        values = values.get(key) if isinstance(values, dict) else None
    if values is None:
        return None
    if not isinstance(values, dict):
        raise UsageError(f"{shown}: {'.'.join(prefix)} has to be a table", "docs/ci.md lists what can be set.")
    return SettingsTable(values=values, origin=shown, place=_places(read, shown, prefix))


def _mentions_us(path: Path) -> bool:
    try:
        return b"dltdoctor" in path.read_bytes()
    except OSError:
        return False


def _places(file: TomlFile, shown: str, prefix: tuple[str, ...]) -> Callable[..., str]:
    def place(*keys: str | int) -> str:
        path: tuple[str | int, ...] = (*prefix, *keys)
        while path:
            line = file.line(path)  # type: ignore[arg-type]
            if line:
                return f"{shown}:{line}"
            path = path[:-1]
        return shown

    return place
