"""What dlt writes into `insert_values` files for Postgres, as regular expressions over bytes.

`InsertValuesWriter` and `escape_postgres_literal` are the same from dlt 0.4.12 to 1.31.0: a row a line;
texts and JSON as E'' with ' doubled and backslash, newline and carriage return escaped; dates, times
and bytes as plain ''; numbers and booleans as Python prints them. Anything else is refused.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

# Possessive throughout: one pass, no way back, whatever a hostile file holds.
_TEXT = rb"E'[^'\\\n\r\x00]*+(?:(?:''|\\[\\nr])[^'\\\n\r\x00]*+)*+'"
_PLAIN = rb"'(?:[0-9][0-9T:.+-]*+|\\x(?:[0-9a-f]{2})*+)'"
_NUMBER = rb"-?[0-9][0-9.]*+(?:[eE][+-]?[0-9]++)?"
# the number -0.0 is 0 in SQL, while COPY would keep its sign: rows that hold one are looked at closely
_NEGATIVE_ZERO = rb"-(?=0[0.]*+(?:[eE][+-]?[0-9]++)?[,)])"
_EASY_NUMBER = rb"(?!%s)%s" % (_NEGATIVE_ZERO, _NUMBER)
_VALUE = rb"(?:%s|%s|%s|NULL|True|False)" % (_TEXT, _PLAIN, _NUMBER)
_EASY_VALUE = rb"(?:%s|%s|%s|NULL|True|False)" % (_TEXT, _PLAIN, _EASY_NUMBER)
_IDENTIFIER = rb'"(?:[^"\n\r\x00]|"")++"'
# from so many columns on, what unrolling saves is spent on compiling
_MANY = 80

VALUE = re.compile(_VALUE)
HEADER = re.compile(rb"INSERT INTO \{\}\((%s(?:,%s)*+)\)" % (_IDENTIFIER, _IDENTIFIER))
IDENTIFIER = re.compile(_IDENTIFIER)
# where the E of a text cannot be told from a text that holds or ends with ,E
AMBIGUOUS = re.compile(rb",E'[',)]")
NEGATIVE_ZERO = re.compile(rb"(?<=[,(])%s" % _NEGATIVE_ZERO)
ESCAPE = re.compile(rb"\\[\\nr]")
ESCAPED = {b"\\\\": b"\\", b"\\n": b"\n", b"\\r": b"\r"}


@lru_cache(maxsize=128)
def row_pattern(columns: int) -> re.Pattern[bytes]:
    """One row with that many values, without what follows it."""
    return re.compile(rb"\((?:%s,){%d}%s\)" % (_VALUE, columns - 1, _VALUE))


@lru_cache(maxsize=128)
def easy_rows_pattern(columns: int) -> re.Pattern[bytes]:
    """Any number of rows, each followed by another, and without a negative zero."""
    if columns >= _MANY:
        return re.compile(rb"(?:\((?:%s,){%d}%s\),\n)*+" % (_EASY_VALUE, columns - 1, _EASY_VALUE))
    return re.compile(rb"(?:\(%s\),\n)*+" % rb",".join([_EASY_VALUE] * columns))


def what_is_wrong(line: bytes, columns: Sequence[str]) -> str:
    """Why the line is no row of these columns; never with a value of it."""
    if b"\r" in line:
        return "there is a carriage return, which dlt escapes: the file was converted after dlt wrote it"
    if b"\x00" in line:
        return "there is a zero byte, which Postgres cannot store"
    if not line.startswith(b"("):
        return "it does not begin with ( as a row does"
    found, at = 0, 1
    while value := VALUE.match(line, at):
        found, at = found + 1, value.end() + 1
        if line[value.end() : at] != b",":
            break
    if value is None:
        of = f" of column {columns[found]}" if found < len(columns) else ""
        return f"value {found + 1}{of} is not a literal that dlt writes for Postgres"
    if line[value.end() : at] != b")":
        return (
            f"value {found} of column {columns[min(found, len(columns)) - 1]} is followed by something else than , or )"
        )
    if found != len(columns):
        return f"it has {found} values for {len(columns)} columns"
    return "its end is neither , nor ; and the end of the line"
