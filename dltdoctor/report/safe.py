"""Text from outside made fit for a terminal: names, configuration values and errors are data."""

import re
import unicodedata
from functools import lru_cache

from rich.cells import cell_len, set_cell_size

_PLAIN = re.compile(r"[ -~]*")
_UNFIT = frozenset({"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"})
_SHORT = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
_FOLDED = {
    "→": "->",
    "►": ">",
    "─": "-",
    "–": "-",
    "—": "--",
    "…": "...",
    "·": "-",
    "≈": "~",
    "×": "x",
    "≤": "<=",
    "≥": ">=",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "\u00a0": " ",
}


def safe(text: str, encoding: str = "utf-8") -> str:
    r"""The text in one line: what could move a cursor, reverse a line or hide is shown as `\x1b`.

    What `encoding` cannot say is written in ASCII where there is a usual way, else as `\u4e2d`.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_shown(char, encoding) for char in text)


def safe_command(text: str, encoding: str = "utf-8") -> str:
    r"""The shell command with unfit characters written as `$'\x1b'`, so that it still means the same.

    A line break outside of quotes separates commands and stays.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(_spelled(char, quote, encoding) for char, quote in _with_quotes(text))


def shorten(text: str, width: int, ellipsis: str = "…") -> str:
    """The text, cut in the middle when it takes more than `width` cells."""
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    if room < 2:
        return set_cell_size(text, max(width, 0))
    tail = room // 2
    return _head(text, room - tail) + ellipsis + _head(text[::-1], tail)[::-1]


def _head(text: str, cells: int) -> str:
    """As many leading characters as fit; never half of a wide one."""
    used = 0
    for index, char in enumerate(text):
        used += cell_len(char)
        if used > cells:
            return text[:index]
    return text


@lru_cache(maxsize=4096)
def _shown(char: str, encoding: str) -> str:
    if unicodedata.category(char) in _UNFIT:
        return _SHORT.get(char) or _escaped(char)
    if _can_say(char, encoding):
        return char
    return _FOLDED.get(char) or _escaped(char)


def _escaped(char: str) -> str:
    number = ord(char)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _can_say(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _with_quotes(text: str) -> list[tuple[str, str]]:
    """Each character with the shell quote it stands in: "'", '"' or ""."""
    found, quote, escaped = [], "", False
    for char in text:
        found.append((char, quote))
        if escaped:
            escaped = False
        elif char == "\\" and quote != "'":
            escaped = True
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
    return found


def _spelled(char: str, quote: str, encoding: str) -> str:
    fit = unicodedata.category(char) not in _UNFIT and _can_say(char, encoding)
    if fit or (char == "\n" and not quote):
        return char
    bytes_ = char.encode("utf-8", "surrogateescape" if "\udc80" <= char <= "\udcff" else "surrogatepass")
    spelled = _SHORT.get(char) or "".join(f"\\x{byte:02x}" for byte in bytes_)
    return f"{quote}$'{spelled}'{quote}"
