"""The settings of the gate: `dltdoctor.toml`, or `[tool.dltdoctor]` in pyproject.toml, as a frozen value.

Pure: a mapping comes in, a value or a `UsageError` comes out. An unknown key is an error, because a
misspelt ignore would ignore nothing and nobody would notice; an ignore without a reason is one, too.
"""

import difflib
import re
from collections.abc import Callable, Collection, Iterable, Mapping

from dltdoctor.errors import UsageError
from dltdoctor.finding import Severity
from dltdoctor.snapshot import Contract, Value

_KEYS = ("baseline", "fail_on", "ignore", "offline", "reader", "select", "severity")
_IGNORE_KEYS = ("code", "dataset", "path", "pipeline", "reason", "table")
_READER_KEYS = ("columns", "fresh_within", "name", "role", "search_path", "tables")
_COLUMN_KEYS = ("non_null",)
_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}

Codes = Mapping[str, str]


class Ignored(Value):
    """A finding that somebody decided to live with, why, and where that is written.

    `code` is a check's code. The others narrow it to a place; None means any. `line` is set for an
    ignore that stands in the source beside what it is about.
    """

    code: str
    reason: str
    origin: str
    pipeline: str | None = None
    dataset: str | None = None
    table: str | None = None
    path: str | None = None
    line: int | None = None


class Settings(Value):
    """What the project has decided about the gate; None where it has decided nothing."""

    origin: str = ""
    fail_on: Severity | None = None
    select: tuple[str, ...] = ()
    offline: bool = False
    baseline: str | None = None
    severities: Mapping[str, Severity] = {}
    ignores: tuple[Ignored, ...] = ()
    contracts: tuple[Contract, ...] = ()


def parse(table: Mapping[str, object], origin: str, codes: Codes, place: Callable[..., str] | None = None) -> Settings:
    """The settings in a table of a TOML file. Raises `UsageError` that names the file and the key.

    `codes` maps the codes and the names of all checks to codes. `place` says for keys in which line
    they stand; without it, `origin` stands for all.
    """
    reader = _Parser(origin, codes, place or (lambda *_: origin))
    reader.known(table, _KEYS, ())
    return Settings(
        origin=origin,
        fail_on=reader.severity(table["fail_on"], ("fail_on",)) if "fail_on" in table else None,
        select=reader.texts(table.get("select", []), ("select",)),
        offline=reader.truth(table.get("offline", False), ("offline",)),
        baseline=reader.text(table["baseline"], ("baseline",)) if "baseline" in table else None,
        severities=reader.severities(table.get("severity", {})),
        ignores=tuple(
            reader.ignore(each, n) for n, each in enumerate(reader.tables(table.get("ignore", []), "ignore"))
        ),
        contracts=tuple(
            reader.contract(each, n) for n, each in enumerate(reader.tables(table.get("reader", []), "reader"))
        ),
    )


class _Parser:
    """Turns the values of one file into settings; every refusal names the place of the key."""

    def __init__(self, origin: str, codes: Codes, place: Callable[..., str]) -> None:
        self.origin = origin
        self.codes = codes
        self.place = place

    def wrong(self, keys: Iterable[str | int], what: str, hint: str = "") -> UsageError:
        path = tuple(keys)
        name = ".".join(str(k + 1) if isinstance(k, int) else k for k in path)
        return UsageError(f"{self.place(*path)}: {name} {what}", hint or "docs/ci.md lists what can be set.")

    def known(self, table: Mapping[str, object], keys: Collection[str], path: tuple[str | int, ...]) -> None:
        for key in table:
            if key not in keys:
                close = difflib.get_close_matches(key.replace("-", "_"), keys, n=1)
                hint = f"Did you mean {close[0]}?" if close else f"These are known: {', '.join(keys)}."
                raise self.wrong((*path, key), "is not a setting", hint)

    def text(self, value: object, path: tuple[str | int, ...]) -> str:
        if not isinstance(value, str) or not value.strip():
            raise self.wrong(path, "has to be a text that is not empty")
        return value

    def texts(self, value: object, path: tuple[str | int, ...]) -> tuple[str, ...]:
        if not isinstance(value, list):
            raise self.wrong(path, 'has to be a list, e.g. ["…"]')
        return tuple(self.text(each, (*path, n)) for n, each in enumerate(value))

    def truth(self, value: object, path: tuple[str | int, ...]) -> bool:
        if not isinstance(value, bool):
            raise self.wrong(path, "has to be true or false")
        return value

    def table(self, value: object, path: tuple[str | int, ...]) -> Mapping[str, object]:
        if not isinstance(value, dict):
            raise self.wrong(path, "has to be a table")
        return value

    def tables(self, value: object, key: str) -> list[Mapping[str, object]]:
        if not isinstance(value, list):
            raise self.wrong((key,), f"has to be a list of tables: write [[{key}]]")
        return [self.table(each, (key, n)) for n, each in enumerate(value)]

    def code(self, value: object, path: tuple[str | int, ...]) -> str:
        text = self.text(value, path).strip()
        found = self.codes.get(text.upper()) or self.codes.get(text.lower())
        if found is None:
            close = difflib.get_close_matches(text.upper(), self.codes, n=1) or difflib.get_close_matches(
                text.lower(), self.codes, n=1
            )
            hint = f"Did you mean {close[0]}? " if close else ""
            raise self.wrong(path, f"names no check: {text!r}", f"{hint}dltdoctor explain lists them all.")
        return found

    def severity(self, value: object, path: tuple[str | int, ...]) -> Severity:
        try:
            return Severity(str(value))
        except ValueError:
            raise self.wrong(path, 'has to be "error", "warning" or "info"') from None

    def severities(self, value: object) -> Mapping[str, Severity]:
        given = self.table(value, ("severity",))
        return {self.code(k, ("severity", k)): self.severity(v, ("severity", k)) for k, v in given.items()}

    def ignore(self, given: Mapping[str, object], number: int) -> Ignored:
        path = ("ignore", number)
        self.known(given, _IGNORE_KEYS, path)
        if "code" not in given:
            raise self.wrong(path, "has no code", "Say which check it is about.")
        if not str(given.get("reason", "")).strip():
            raise self.wrong(path, "has no reason", "Say why, for whoever reads it in a year.")
        place = {k: self.text(given[k], (*path, k)) for k in ("pipeline", "dataset", "table", "path") if k in given}
        return Ignored(
            code=self.code(given["code"], (*path, "code")),
            reason=self.text(given["reason"], (*path, "reason")).strip(),
            origin=self.place(*path),
            pipeline=place.get("pipeline"),
            dataset=place.get("dataset"),
            table=place.get("table"),
            path=place.get("path"),
        )

    def contract(self, given: Mapping[str, object], number: int) -> Contract:
        path = ("reader", number)
        self.known(given, _READER_KEYS, path)
        for key in ("name", "tables"):
            if key not in given:
                raise self.wrong(path, f"has no {key}", "docs/readers.md shows what a contract looks like.")
        tables = self.texts(given["tables"], (*path, "tables"))
        if not tables:
            raise self.wrong((*path, "tables"), "is empty", "Name the tables that it reads.")
        columns = self.table(given.get("columns", {}), (*path, "columns"))
        return Contract(
            name=self.text(given["name"], (*path, "name")),
            tables=tables,
            columns={name: self.column(name, each, (*path, "columns", name)) for name, each in columns.items()},
            role=self.text(given["role"], (*path, "role")) if "role" in given else None,
            search_path=self.texts(given["search_path"], (*path, "search_path")) if "search_path" in given else None,
            fresh_within=self.seconds(given["fresh_within"], (*path, "fresh_within"))
            if "fresh_within" in given
            else None,
            origin=self.place(*path),
        )

    def column(self, name: str, value: object, path: tuple[str | int, ...]) -> float | None:
        given = self.table(value, path)
        self.known(given, _COLUMN_KEYS, path)
        share = given.get("non_null")
        if share is None:
            return None
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
            raise self.wrong((*path, "non_null"), f"of {name} has to be a share from 0 to 1, e.g. 0.95")
        return float(share)

    def seconds(self, value: object, path: tuple[str | int, ...]) -> float:
        found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
        if found is None:
            raise self.wrong(path, 'has to be a time such as "36h", "45m" or "7d"')
        return float(found["number"]) * _SECONDS[found["unit"]]
