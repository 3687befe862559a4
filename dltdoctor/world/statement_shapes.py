"""The shapes of the statements that dlt writes into a follow-up job, and nothing else.

A job file is text in the user's directory: before dltdoctor runs it, every statement must be one of
these, every table one of the two datasets', and every word one that dlt uses. So a file cannot reach
another schema, call a function or run a second statement.
"""

from collections.abc import Sequence

from dltdoctor.snapshot import Value
from dltdoctor.world.sql_tokens import Token, UnknownSqlError, quoted, split, tokens

_KEYWORDS = frozenset(
    {
        *("create", "temp", "temporary", "table", "as", "drop", "if", "exists", "alter", "set", "schema", "truncate"),
        *("like", "including", "all", "delete", "insert", "into", "values", "update", "merge", "using", "on", "when"),
        *("matched", "then", "select", "from", "where", "and", "or", "not", "in", "is", "null", "distinct", "true"),
        *("false", "case", "else", "end", "row_number", "over", "partition", "order", "by", "asc", "desc", "concat"),
    }
)
_ADDITION = frozenset({"not", "null"})
_ALIASES = frozenset({"d", "s", "_dlt_dedup_rn", "_dlt_dedup_numbered"})
_SIGNS = frozenset({"=", "<>", "!=", ".", ",", "(", ")", "*"})
_BEFORE_RELATION = frozenset({"from", "into", "table", "using", "like"})


class ShapeError(ValueError):
    """A statement that dlt does not write; the message says what is wrong with it."""


class Places(Value):
    """The two schemas that statements may name; with `tables`, only these tables in them."""

    final: str
    staging: str
    tables: frozenset[str] | None = None


def check_shapes(statements: Sequence[str], places: Places, *, any_expression: bool = False) -> None:
    """Raise `ShapeError` unless every statement is one of dlt's.

    With `any_expression` what stands inside is free, for SQL that the source's author wrote into hints;
    what a statement does, and to which table, is checked all the same.
    """
    temporary: set[str] = set()
    for statement in statements:
        one = _Statement(_only(statement), places, temporary)
        one.check_target()
        if not any_expression:
            one.check_words()


def is_bare_column(found: Sequence[Token], at: int) -> bool:
    """Whether a word stands where dlt writes a column unquoted as it removes duplicates.

    That is the column of dedup_sort until dlt 1.27, and that of hard_delete in all versions.
    """
    around = [token.value if token.kind in ("word", "sign") else "" for token in found[max(at - 2, 0) : at + 2]]
    match around:
        case ["order", "by", _, "asc" | "desc"] | [_, ",", _, "from"]:
            return found[at].kind == "word"
    return False


def check_creates(statements: Sequence[str], schema: str) -> None:
    """Raise `ShapeError` unless every statement is one CREATE TABLE in the schema."""
    for statement in statements:
        words = [token.value if token.kind == "word" else token.text for token in _only(statement)]
        start = 5 if words[2:5] == ["if", "not", "exists"] else 2
        if words[:2] != ["create", "table"] or words[start : start + 2] != [quoted(schema), "."]:
            raise ShapeError(f"not a table of {schema}: {statement:.60}")


def check_additions(statements: Sequence[str], schema: str, columns: int) -> None:
    """Raise `ShapeError` unless all of it is ALTER TABLE … ADD COLUMN in the schema, for so many columns."""
    added = 0
    for statement in statements:
        words = [token.value if token.kind == "word" else token.text for token in _only(statement)]
        if words[:2] != ["alter", "table"] or words[2:4] != [quoted(schema), "."] or words[5:7] != ["add", "column"]:
            raise ShapeError(f"no new column of {schema}: {statement:.60}")
        if not _ADDITION.issuperset(w for w in words[5:] if w in _KEYWORDS):
            raise ShapeError(f"more than a new column of {schema}: {statement:.60}")
        added += words.count("add")
    if added != columns:
        raise ShapeError(f"{added} new columns instead of {columns}")


def _only(statement: str) -> tuple[Token, ...]:
    """The tokens of the one statement in the text."""
    try:
        parts = split(tokens(statement))
    except UnknownSqlError as error:
        raise ShapeError(str(error)) from None
    if len(parts) != 1:
        raise ShapeError(f"{len(parts)} statements where there should be one: {statement:.60}")
    return parts[0]


class _Statement:
    """One statement being read; `temporary` gathers the temporary tables that were made so far."""

    def __init__(self, found: tuple[Token, ...], places: Places, temporary: set[str]) -> None:
        self.found = found
        self.places = places
        self.temporary = temporary

    def check_words(self) -> None:
        """Everything that stands in it."""
        for at, token in enumerate(self.found):
            if token.kind == "quoted" and self._text(at - 1) != ".":
                self._chain(at)
            elif token.kind == "sign" and token.text not in _SIGNS:
                raise ShapeError(f"dlt does not write {token.text!r}: {self._excerpt(at)}")
            elif token.kind == "word":
                self._word(at, token.value)

    def check_target(self) -> None:
        """What the statement does, and to what."""
        words = tuple(t.value if t.kind == "word" else "" for t in self.found[:5])
        match words:
            case ("create", "temp" | "temporary", "table", name, "as") if name not in _KEYWORDS | _ALIASES:
                self._expect(5, "select")
                self.temporary.add(name)
            case ("create", "table", *_):
                rest = self._named(2, self.places.staging)
                self._expect(rest, "(", "like")
                self._expect(self._named(rest + 2, self.places.final), "including", "all", ")", None)
            case ("alter", "table", *_):
                rest = self._named(2, self.places.staging)
                self._expect(rest, "set", "schema")
                self._expect(rest + 2, quoted(self.places.final), None)
            case ("drop", "table", "if", "exists", *_):
                self._expect(self._writable(4), None)
            case ("drop" | "truncate", "table", *_):
                self._expect(self._writable(2), None)
            case ("delete", "from", *_) | ("insert", "into", *_) | ("merge", "into", *_):
                self._writable(2)
            case ("update", *_):
                self._expect(self._writable(1), "set")
            case _:
                raise ShapeError(f"a statement that dlt does not write: {self._excerpt(0)}")

    def _writable(self, at: int) -> int:
        """The place after a final table or a temporary one, which a statement may change."""
        if self._is_temporary(at):
            return at + 1
        return self._named(at, self.places.final)

    def _named(self, at: int, schema: str) -> int:
        """The place after a table of the schema."""
        names = self.found[at : at + 3]
        is_qualified = [t.kind for t in names] == ["quoted", "sign", "quoted"] and names[1].text == "."
        if not is_qualified or names[0].value != schema or self._text(at + 3) == ".":
            raise ShapeError(f"it should name a table of {schema}: {self._excerpt(at)}")
        return at + 3

    def _relation(self, at: int) -> None:
        """A table that is read or written: of the two datasets, temporary, or a subquery."""
        following = at
        if self._text(at) in ("(", "if"):
            return
        if self._is_temporary(at):
            following = at + 1
        elif at < len(self.found) and self.found[at].kind == "quoted" and self._text(at + 1) == ".":
            following = at + 3
        else:
            raise ShapeError(f"it names a table without its schema: {self._excerpt(at)}")
        if self._text(following) == ",":
            raise ShapeError(f"a list of tables: {self._excerpt(at)}")

    def _chain(self, at: int) -> None:
        """A quoted name, or several with dots between: those with dots begin with one of the two schemas."""
        end = at
        while self._text(end + 1) == "." and end + 2 < len(self.found) and self.found[end + 2].kind == "quoted":
            end += 2
        names = [token.value for token in self.found[at : end + 1 : 2]]
        places = self.places
        if len(names) > 1 and names[0] not in (places.final, places.staging):
            raise ShapeError(f"it names {'.'.join(names)}, which is neither in {places.final} nor in {places.staging}")
        if len(names) > 1 and places.tables is not None and names[1] not in places.tables:
            raise ShapeError(f"it names {'.'.join(names)}, which is not a table of this chain")
        if self._text(end + 1) == "(" and not (self._text(at - 1) in ("into", "table") and len(names) > 1):
            raise ShapeError(f"it calls a function: {self._excerpt(at)}")

    def _word(self, at: int, word: str) -> None:
        if word in _BEFORE_RELATION and not self._is_comparison(at):
            self._relation(at + 1)
        if word in _KEYWORDS or self._is_bare_column(at):
            return
        if word not in _ALIASES | self.temporary:
            raise ShapeError(f"dlt does not write {word!r}: {self._excerpt(at)}")
        takes_columns = self._text(at - 1) == "into" and word in self.temporary
        if (self._text(at + 1) == "(" and not takes_columns) or (
            self._text(at + 1) == "." and self._text(at + 3) == "("
        ):
            raise ShapeError(f"it calls a function: {self._excerpt(at)}")

    def _is_bare_column(self, at: int) -> bool:
        """Whether it is one of the columns that dlt does not quote, and is right without."""
        return self.found[at].text == self.found[at].value and is_bare_column(self.found, at)

    def _is_comparison(self, at: int) -> bool:
        """Whether this FROM is that of IS [NOT] DISTINCT FROM."""
        return self._text(at - 1) == "distinct" and self._text(at - 2) in ("is", "not")

    def _is_temporary(self, at: int) -> bool:
        found = self.found[at : at + 1]
        return bool(found) and found[0].kind == "word" and found[0].value in self.temporary

    def _expect(self, at: int, *wanted: str | None) -> None:
        for place, text in enumerate(wanted, at):
            if self._text(place) != text:
                raise ShapeError(f"a statement that dlt does not write: {self._excerpt(0)}")

    def _text(self, at: int) -> str | None:
        """The token as it stands, a word lower-cased; None outside of the statement."""
        if not 0 <= at < len(self.found):
            return None
        token = self.found[at]
        return token.value if token.kind == "word" else token.text

    def _excerpt(self, at: int) -> str:
        return " ".join(token.text for token in self.found[max(at, 0) : at + 8])
