"""SQL as Postgres cuts it into words: as much of its lexical rules as dlt's statements need.

What dlt never writes (comments, dollar quotes, parameters, backslashes in plain literals) is an error,
because whoever reads the tokens decides by them whether a statement may run.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<space>[\ \t\r\n\f\v]+)
    | (?P<refused>--|/\*|\$|\\|\x00|[uU]&["']|[bBxXnN]')
    | (?P<string>'(?:[^'\\]|'')*'|[eE]'(?:[^'\\]|''|\\.)*')
    | (?P<quoted>"(?:[^"]|"")+")
    | (?P<number>[0-9]+(?:\.[0-9]+)?(?![A-Za-z_\x80-\U0010ffff]))
    | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)
    | (?P<sign><>|<=|>=|!=|::|[-+*/=<>.,();%|~!@#&^?:\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A piece of SQL: a "word", a "quoted" identifier, a "string", a "number" or a "sign".

    `value` is the name of a quoted identifier, the lower-cased word, else the text.
    """

    kind: str
    text: str
    value: str


class UnknownSqlError(ValueError):
    """Text that is not cut here; the message says why."""


def tokens(text: str) -> tuple[Token, ...]:
    """The tokens of SQL without white space. Raises `UnknownSqlError`."""
    return tuple(_token(kind, piece) for kind, piece in _pieces(text) if kind != "space")


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """Kind and text of every piece, white space too."""
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None or match.lastgroup == "refused":
            raise UnknownSqlError(f"unexpected {text[position : position + 12]!r} at character {position + 1}")
        yield match.lastgroup, match.group()
        position = match.end()


def _token(kind: str, text: str) -> Token:
    if kind == "quoted":
        return Token(kind, text, text[1:-1].replace('""', '"'))
    return Token(kind, text, text.lower() if kind == "word" else text)


def split(found: Sequence[Token]) -> tuple[tuple[Token, ...], ...]:
    """The statements between semicolons."""
    statements: list[list[Token]] = [[]]
    for token in found:
        if token.text == ";":
            statements.append([])
        else:
            statements[-1].append(token)
    return tuple(tuple(statement) for statement in statements if statement)


def on_one_line(text: str) -> str:
    """The SQL with every run of white space outside of quotes as one blank, and no semicolon at its end.

    Raises `UnknownSqlError`.
    """
    return "".join(" " if kind == "space" else piece for kind, piece in _pieces(text)).strip().rstrip("; ")


def lines(text: str) -> tuple[str, ...]:
    """The statements of a file with one a line, cut at semicolons, too; as `on_one_line` makes them."""
    statements = [""]
    for kind, piece in _pieces(text):
        if piece == ";" or (kind == "space" and "\n" in piece):
            statements.append("")
        else:
            statements[-1] += " " if kind == "space" else piece
    return tuple(statement.strip() for statement in statements if statement.strip())


def quoted(name: str) -> str:
    """The name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'
