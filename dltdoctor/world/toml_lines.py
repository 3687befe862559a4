"""Finds the line of every key in a TOML text that is known to be valid.

tomllib gives values without positions and tomlkit takes milliseconds to give little more, so the
keys are found by a scan that understands strings, arrays, inline tables and headers, and nothing
else. Its findings are compared with tomllib's in the tests.
"""

import re
import tomllib
from bisect import bisect_right

Path = tuple[str | int, ...]

_INLINE_SPACE = re.compile(r"[ \t]*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'|[^\s.=\]"\'#]+')
_STRING = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL)
_BARE = re.compile(r"[^,\]}\r\n#]*")


def key_lines(text: str) -> dict[Path, int]:
    """The 1-based line of every key and table; an array's elements are numbered from 0."""
    return Scan(text).run()


class Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, int] = {}
        self.last_of_array: dict[Path, int] = {}
        self.line_starts = [0, *(newline.end() for newline in re.finditer("\n", text))]

    def run(self) -> dict[Path, int]:
        table: Path = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self.found

    def _header(self) -> Path:
        is_array = self.text.startswith("[[", self.at)
        start = self.at
        self.at += 2 if is_array else 1
        keys = self._dotted_key()
        path: Path = ()
        for depth, key in enumerate(keys, 1):
            path = (*path, key)
            self._record(path, start)
            if is_array and depth == len(keys):
                self.last_of_array[path] = self.last_of_array.get(path, -1) + 1
            if path in self.last_of_array:
                path = (*path, self.last_of_array[path])
                self._record(path, start)
        self.at += 2 if is_array else 1
        return path

    def _pair(self, table: Path) -> None:
        start = self.at
        path = table
        for key in self._dotted_key():
            path = (*path, key)
            self._record(path, start)
        self.at += 1
        self._skip(_INLINE_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        match self.text[self.at]:
            case "[":
                self._array(path)
            case "{":
                self._inline_table(path)
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_BARE)

    def _array(self, path: Path) -> None:
        index = 0
        while self._has_more("]"):
            self._record((*path, index), self.at)
            self._value((*path, index))
            index += 1

    def _inline_table(self, path: Path) -> None:
        while self._has_more("}"):
            self._pair(path)

    def _has_more(self, closing: str) -> bool:
        """Steps over an opening bracket, a comma or the closing bracket, and the blanks around."""
        self._skip(_BLANK)
        if self.text[self.at] != closing:
            self.at += 1
            self._skip(_BLANK)
        if self.text[self.at] != closing:
            return True
        self.at += 1
        return False

    def _dotted_key(self) -> list[str]:
        keys = []
        while True:
            self._skip(_INLINE_SPACE)
            keys.append(_plain(self._skip(_KEY)))
            self._skip(_INLINE_SPACE)
            if self.text[self.at] != ".":
                return keys
            self.at += 1

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            return ""
        self.at = match.end()
        return match.group()

    def _record(self, path: Path, offset: int) -> None:
        self.found.setdefault(path, bisect_right(self.line_starts, offset))


def _plain(key: str) -> str:
    if key[0] == '"' and "\\" in key:
        return str(tomllib.loads(f"k = {key}")["k"])
    return key[1:-1] if key[0] in "\"'" else key
