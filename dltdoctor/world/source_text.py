"""Where project text names a staging dataset: SQL, YAML and JavaScript or TypeScript.

Comments do not count, and neither does a bare word: a reference is `schema.table`, or the schema in a
place where a schema is meant.
"""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from itertools import accumulate, islice
from typing import NamedTuple

from dltdoctor.snapshot import TextReference
from dltdoctor.world.source_secrets import masked_text

MAX_TEXT = 120
MAX_HITS = 200  # In one file: a dump that is no reader must not fill the report.
HOLE = "\x00"  # What an f-string computes.
_IDENTIFIER = r"""[^\W\d][\w$]*|"[^"\n]+"|[\x00{%]|\$\{"""
# Without one of these a string that says "from x_staging.t" is prose.
_SQL_SHAPE = re.compile(
    r"\A\s*(?:from|(?:left|right|inner|full|cross)?\s*join)\b"
    r"|\b(?:select|insert|update|delete|merge|create|copy|grant|with)\b",
    re.IGNORECASE,
)
# What stands before a name that is read; DDL and what writes to the table is no reader.
_READ = re.compile(
    r"(?:\b(?:from|join|using)(?:\s+(?:only|lateral))?|\bfrom\b[^;]*,|\bgrant\b[^;]*\bon(?:\s+table)?|')"
    r'\s*\(?\s*(?:[\w"$\x00]+\s*\.\s*)?\Z',
    re.IGNORECASE,
)
_COPY = re.compile(r"\bcopy\s*\Z", re.IGNORECASE)
_TO = re.compile(r"[^;]*\bto\b", re.IGNORECASE)
_LONGEST_STATEMENT = 2_000
_YAML_VALUE = re.compile(r"(?:^|:|-)[ \t]+[\"']?\Z")
_SQL_TOKEN = re.compile(
    r"(?P<blank>--[^\n]*|\{#.*?(?:#\}|\Z)|/\*.*?(?:\*/|\Z))|(?P<text>'(?:[^']|'')*')|\"[^\"\n]*\"", re.DOTALL
)
_JS_TOKEN = re.compile(
    r"(?P<blank>//[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<text>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)",
    re.DOTALL,
)
_YAML_COMMENT = re.compile(r"(?:(?<=\s)|^)#[^\n]*", re.MULTILINE)
# `data_staging.csv` is a file.
_FILE_SUFFIXES = frozenset(
    {
        "cfg",
        "conf",
        "csv",
        "db",
        "duckdb",
        "env",
        "gz",
        "html",
        "ini",
        "ipynb",
        "js",
        "json",
        "jsonl",
        "log",
        "md",
        "parquet",
        "py",
        "sh",
        "sql",
        "sqlite",
        "toml",
        "ts",
        "tsv",
        "txt",
        "xlsx",
        "xml",
        "yaml",
        "yml",
        "zip",
    }
)


class Hit(NamedTuple):
    """A staging dataset in a text: where it starts, its schema as spelled, and the table if named."""

    start: int
    schema: str
    table: str | None


class Names:
    """The patterns for `…_staging` and further schema names given literally."""

    def __init__(self, staging_names: Collection[str] = ()) -> None:
        self._given = frozenset(name for name in staging_names if name)
        parts = "|".join(re.escape(name) for name in sorted(self._given, key=len, reverse=True))
        either = rf"[\w$]+_staging|{parts}" if parts else r"[\w$]+_staging"
        quoted = rf'"(?P<q>(?:[^"\n]+_staging{"|" + parts if parts else ""}))"'
        self.bare = re.compile(either, re.IGNORECASE)
        self._anywhere = re.compile(rf"_staging{'|' + parts if parts else ''}".encode(), re.IGNORECASE)
        self._qualified = re.compile(
            rf"""(?<![\w$@/\x00-])(?:{quoted}|(?P<s>{either})(?![\w$]))\s*\.\s*(?P<t>{_IDENTIFIER})""",
            re.IGNORECASE,
        )
        name = rf"""["'`]?(?P<s>{either})(?![\w$])["'`]?"""
        self._path = re.compile(rf"""\bsearch_path\s*(?:=|\bto\b)[^;\n]*?(?<![\w$]){name}""", re.IGNORECASE)
        self._source = re.compile(
            rf"""\bsource\(\s*["'](?P<s>{either})["']\s*,\s*["'](?P<t>\w+)["']\s*\)""", re.IGNORECASE
        )
        self._schema = re.compile(
            rf"""\bschema["']?\s*(?:\(|=|:)\s*["'`](?P<s>{either})["'`]"""
            rf"""(?:\s*\)\s*\.\s*from_?\(\s*["'`](?P<t>\w+)["'`])?""",
            re.IGNORECASE,
        )
        self._yaml_schema = re.compile(rf"^[ \t-]*schema:\s*{name}\s*$", re.IGNORECASE | re.MULTILINE)
        self._yaml_source = re.compile(rf"^[ \t]*- name:\s*{name}\s*$", re.IGNORECASE | re.MULTILINE)

    def may_be_in(self, data: bytes) -> bool:
        """A cheap test on the bytes of a file, before it is parsed."""
        return self._anywhere.search(data) is not None

    def is_staging(self, text: str) -> bool:
        return self.bare.fullmatch(text) is not None

    def in_sql(self, text: str) -> Iterator[Hit]:
        """Hits in SQL; a quoted text counts only when it is nothing but a qualified name."""
        plain = _blanked(_SQL_TOKEN, text, self._qualified)
        for found in self._qualified.finditer(plain):
            if _is_read(plain, found):
                yield _hit(found)
        yield from _hits(self._path, _blanked(_SQL_TOKEN, text))

    def in_string(self, text: str) -> Iterator[Hit]:
        """Hits in a string of a program: SQL, or nothing but a qualified name."""
        if _SQL_SHAPE.search(text):
            yield from self.in_sql(text)
            return
        found = self._qualified.fullmatch(text.strip())
        if found and found["t"].lower() not in _FILE_SUFFIXES:
            yield _hit(found)
        yield from _hits(self._path, text)

    def in_file(self, suffix: str, text: str) -> Iterator[Hit]:
        """Hits in a file that is not Python."""
        if suffix == ".sql":
            yield from _hits(self._source, _blanked(_SQL_TOKEN, text))
            yield from self.in_sql(text)
        elif suffix in (".yml", ".yaml"):
            yield from self._in_yaml(_YAML_COMMENT.sub(_spaces, text))
        else:
            yield from _hits(self._schema, _blanked(_JS_TOKEN, text))
            for found in _JS_TOKEN.finditer(text):
                if found["text"]:
                    inside = self.in_string(found["text"][1:-1])
                    yield from (hit._replace(start=found.start() + 1 + hit.start) for hit in inside)

    def _in_yaml(self, text: str) -> Iterator[Hit]:
        yield from _hits(self._yaml_schema, text)
        if re.search(r"^sources:", text, re.MULTILINE):
            yield from _hits(self._yaml_source, text)
        for found in self._qualified.finditer(text):
            before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
            is_name = _YAML_VALUE.search(before) and found["t"].lower() not in _FILE_SUFFIXES
            if is_name or _is_read(text, found):
                yield _hit(found)
        yield from _hits(self._path, text)


def read_text(file: str, suffix: str, text: str, names: Names) -> tuple[TextReference, ...]:
    """The references of a file that is not Python, in the order of lines."""
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    hits: dict[tuple[int, str, str | None], Hit] = {}
    for hit in islice(names.in_file(suffix, text), MAX_HITS):
        hits.setdefault((bisect_right(starts, hit.start), hit.schema, hit.table), hit)
    ordered = sorted(hits.items(), key=lambda item: item[1].start)
    return tuple(reference(file, line, hit, lines[line - 1]) for (line, _, _), hit in ordered)


def reference(file: str, line: int, hit: Hit, text: str) -> TextReference:
    """The reference, with its line of text masked and cut."""
    shown = masked_text(text.strip())
    shown = shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "…"
    return TextReference(file=file, line=line, schema=hit.schema, table=hit.table, text=shown)


def _is_read(text: str, found: re.Match[str]) -> bool:
    start = max(text.rfind(";", 0, found.start()) + 1, found.start() - _LONGEST_STATEMENT)
    before = text[start : found.start()]
    if _COPY.search(before):
        return _TO.match(text, found.end()) is not None
    return _READ.search(before) is not None


def _hit(found: re.Match[str]) -> Hit:
    table = found["t"].strip('"')
    is_computed = not re.match(r"\w", table) and found["t"][0] != '"'
    return Hit(found.start(), found["q"] or found["s"], None if is_computed else table)


def _hits(pattern: re.Pattern[str], text: str) -> Iterator[Hit]:
    for found in pattern.finditer(text):
        groups = found.groupdict()
        yield Hit(found.start("s"), groups["s"], groups.get("t"))


def _spaces(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def _blanked(tokens: re.Pattern[str], text: str, kept: re.Pattern[str] | None = None) -> str:
    """The text with spaces for comments; with `kept`, also for strings that do not match it whole."""

    def blank(found: re.Match[str]) -> str:
        if found["blank"]:
            return _spaces(found)
        if kept is None or not found["text"]:
            return found[0]
        return found[0] if kept.fullmatch(found[0][1:-1]) else _spaces(found)

    return tokens.sub(blank, text)
