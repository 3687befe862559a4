"""A TOML file as values, each of which can say on which line it stands."""

import re
import tomllib
from functools import cached_property
from pathlib import Path

from dltdoctor.snapshot import Unread
from dltdoctor.world.toml_lines import key_lines
from dltdoctor.world.unreadable import UnreadableError, refused

BYTE_ORDER_MARK = "\ufeff"
_POSITION = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)")


class TomlFile:
    """A TOML file that was read. Its values may hold secrets, so its repr shows only the path."""

    def __init__(self, path: Path, text: str, values: dict[str, object]) -> None:
        self.path = path
        self.values = values
        self._text = text

    def __repr__(self) -> str:
        return f"TomlFile({str(self.path)!r})"

    @cached_property
    def _lines(self) -> dict[tuple[str | int, ...], int]:
        return key_lines(self._text)

    def location(self, keys: tuple[str, ...]) -> str:
        """`path:line` of a key; of the file when the key is not in it."""
        line = self._lines.get(keys)
        return f"{self.path}:{line}" if line else str(self.path)

    def line(self, keys: tuple[str, ...]) -> int | None:
        return self._lines.get(keys)


def read_toml(path: Path) -> TomlFile | Unread | None:
    """The file, None when there is none, or why it cannot be read."""
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        return refused(path, error).unread("config")
    try:
        text = raw.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        return _unread(path, "is not UTF-8 text", "Save the file as UTF-8.", at=(line, column))
    return _parsed(path, text)


def _parsed(path: Path, text: str) -> TomlFile | Unread:
    try:
        return TomlFile(path, text, tomllib.loads(text))
    except RecursionError:
        return _unread(path, "is nested too deeply", "Flatten the tables of the file.")
    except tomllib.TOMLDecodeError as error:
        values = _as_dlt_reads_it(text)
        return _invalid(path, text, error) if values is None else TomlFile(path, text, values)


def _as_dlt_reads_it(text: str) -> dict[str, object] | None:
    """The values by tomlkit, with which dlt reads its files; None when it refuses the text too."""
    import tomlkit  # noqa: PLC0415 - slow to import, and needed only for a text that tomllib refuses
    import tomlkit.exceptions  # noqa: PLC0415

    try:
        return tomlkit.parse(text).unwrap()
    except (tomlkit.exceptions.TOMLKitError, ValueError, RecursionError):
        return None


def _invalid(path: Path, text: str, error: tomllib.TOMLDecodeError) -> Unread:
    if text.startswith(BYTE_ORDER_MARK):
        what = "starts with a byte order mark, which dlt refuses"
        return _unread(path, what, "Save it as UTF-8 without BOM.", at=(1, 1))
    found = _POSITION.fullmatch(str(error))
    lines = text.split("\n")
    at = (len(lines), len(lines[-1]) + 1)
    if found and found["line"]:
        at = (int(found["line"]), int(found["column"]))
    what = f"is not valid TOML: {found['what'] if found else 'cannot be parsed'}"
    return _unread(path, what, "Correct the line; dlt stops there too.", at=at)


def _unread(path: Path, what: str, hint: str, at: tuple[int, int] | None = None) -> Unread:
    where = f" (line {at[0]}, column {at[1]})" if at else ""
    return UnreadableError(str(path), f"{what}{where}", hint).unread("config")
