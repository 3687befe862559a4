"""One value of a TOML file removed or replaced; every other byte stays as it is.

The new bytes are the old ones with one stretch cut out or exchanged. They are read again, by tomllib and
by tomlkit, with which dlt reads its files, and have to say the same as before but for that one key.
"""

import json
import re
import tomllib
from typing import Any, NamedTuple

from dltdoctor.errors import RefusedError
from dltdoctor.world.toml_lines import Path, Scan

Keys = tuple[str, ...]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_REST_OF_LINE = re.compile(r"[^\n]*(?:\n|\Z)")


class _Pair(NamedTuple):
    """Where a key and its value stand in the text."""

    start: int
    value: int
    end: int
    inline: bool


class _Spans(Scan):
    """A scan that also remembers where pairs and headers begin and end."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.pairs: dict[Path, _Pair] = {}
        self.headers: dict[Path, int] = {}
        self._inline = 0
        self._last: tuple[Path, int] = ((), 0)

    def _pair(self, table: Path) -> None:
        start = self.at
        super()._pair(table)
        path, value = self._last
        end = value + len(self.text[value : self.at].rstrip())
        self.pairs[path] = _Pair(start, value, end, self._inline > 0)

    def _value(self, path: Path) -> None:
        start = self.at
        super()._value(path)
        self._last = path, start

    def _inline_table(self, path: Path) -> None:
        self._inline += 1
        super()._inline_table(path)
        self._inline -= 1

    def _header(self) -> Path:
        path = super()._header()
        self.headers[path] = self.at
        return path


def without_key(content: bytes, origin: str, keys: Keys, *, line: int | None = None) -> bytes:
    """The file without a key, its value and the comment on its line.

    `keys` are the sections and the key; `line` is where it is expected. `origin` names the file in
    messages. Raises `RefusedError` when the file cannot be read or the key is not there.
    """
    text, old = _read(content, origin)
    spans = _spans(text)
    pair = _found(spans, origin, keys, line)
    start, end = _inline_cut(text, pair) if pair.inline else _line_cut(text, pair)
    return _checked(text[:start] + text[end:], origin, [_without(values, keys) for values in old], keys)


def with_key(content: bytes, origin: str, keys: Keys, value: str, *, line: int | None = None) -> bytes:
    """The file with another text for a key, or with the key added to its section.

    Raises `RefusedError` as `without_key` does; with `line` the key has to be there.
    """
    text, old = _read(content, origin)
    spans = _spans(text)
    spelled = json.dumps(value, ensure_ascii=False)
    if keys in spans.pairs or line is not None:
        pair = _found(spans, origin, keys, line)
        new = text[: pair.value] + spelled + text[pair.end :]
    else:
        new = _with_line(text, spans, keys, f"{_spelled(keys[-1:])} = {spelled}")
    return _checked(new, origin, [_with(values, keys, value) for values in old], keys)


def _read(content: bytes, origin: str) -> tuple[str, list[dict[str, Any]]]:
    """The text and what each reader finds in it: they differ in the line ends of long strings."""
    try:
        text = content.decode("utf-8")
        return text, _readings(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refused(f"{origin}:{line} is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        found = re.search(r"(?:at )?line (\d+)(?:,? col(?:umn)? \d+)?", str(error))
        where = f"{origin}:{found[1]}" if found else origin
        raise _refused(f"{where} is not TOML that can be edited: {_first_line(error)}") from None


def _readings(text: str) -> list[dict[str, Any]]:
    import tomlkit  # noqa: PLC0415 - slow to import, and needed only to edit

    return [tomllib.loads(text), tomlkit.parse(text).unwrap()]


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).split("\n", 1)[0]


def _refused(message: str) -> RefusedError:
    return RefusedError(message, "Edit the file by hand; nothing was changed.")


def _spans(text: str) -> _Spans:
    spans = _Spans(text)
    spans.run()
    return spans


def _found(spans: _Spans, origin: str, keys: Keys, line: int | None) -> _Pair:
    pair = spans.pairs.get(keys)
    name = ".".join(keys)
    if pair is None:
        raise _refused(f"{origin}: there is no {name} = … that could be edited")
    if line is not None and spans.found.get(keys) != line:
        raise _refused(f"{origin} has changed: {name} does not stand on line {line} any more")
    return pair


def _line_cut(text: str, pair: _Pair) -> tuple[int, int]:
    start = text.rfind("\n", 0, pair.start) + 1
    rest = _REST_OF_LINE.match(text, pair.end)
    return start, rest.end() if rest else pair.end


def _inline_cut(text: str, pair: _Pair) -> tuple[int, int]:
    """The pair with one of its commas."""
    after = re.compile(r"[ \t]*,[ \t]*").match(text, pair.end)
    if after:
        return pair.start, after.end()
    before = re.search(r"[ \t]*,[ \t]*\Z", text[: pair.start])
    return (before.start() if before else pair.start), pair.end


def _with_line(text: str, spans: _Spans, keys: Keys, pair: str) -> str:
    """The text with a pair under its section's header, which is put at the end when there is none."""
    newline = "\r\n" if "\r\n" in text else "\n"
    section = keys[:-1]
    if section in spans.headers:
        end = text.find("\n", spans.headers[section])
        if end < 0:
            return f"{text}{newline}{pair}{newline}"
        return f"{text[: end + 1]}{pair}{newline}{text[end + 1 :]}"
    gap = "" if not text or text.endswith("\n") else newline
    blank = newline if text.strip() else ""
    return f"{text}{gap}{blank}[{_spelled(section)}]{newline}{pair}{newline}"


def _spelled(keys: Keys) -> str:
    return ".".join(k if _BARE_KEY.fullmatch(k) else json.dumps(k, ensure_ascii=False) for k in keys)


def _checked(text: str, origin: str, wanted: list[dict[str, Any]], keys: Keys) -> bytes:
    """The text as bytes, when each reader finds in it what is wanted and nothing else."""
    try:
        found = _readings(text)
    except (ValueError, RecursionError):
        found = []
    if [_canonical(_pruned(v, keys[:-1])) for v in found] != [_canonical(_pruned(v, keys[:-1])) for v in wanted]:
        raise _refused(f"{origin}: {'.'.join(keys)} cannot be changed without touching something else")
    return text.encode("utf-8")


def _without(values: dict[str, Any], keys: Keys) -> dict[str, Any]:
    if len(keys) == 1:
        return {k: v for k, v in values.items() if k != keys[0]}
    inner = values.get(keys[0])
    return {**values, keys[0]: _without(inner, keys[1:])} if isinstance(inner, dict) else values


def _with(values: dict[str, Any], keys: Keys, value: str) -> dict[str, Any]:
    if len(keys) == 1:
        return {**values, keys[0]: value}
    inner = values.get(keys[0], {})
    return {**values, keys[0]: _with(inner if isinstance(inner, dict) else {}, keys[1:], value)}


def _pruned(values: dict[str, Any], sections: Keys) -> dict[str, Any]:
    """Without the sections on the way to the key that are empty: a dotted key takes them with it."""
    if not sections or not isinstance(inner := values.get(sections[0]), dict):
        return values
    kept = _pruned(inner, sections[1:])
    return {**values, sections[0]: kept} if kept else {k: v for k, v in values.items() if k != sections[0]}


def _canonical(values: dict[str, Any]) -> str:
    """A text that differs wherever a value or its type does."""
    return json.dumps(values, sort_keys=True, default=lambda value: f"{type(value).__name__} {value.isoformat()}")
