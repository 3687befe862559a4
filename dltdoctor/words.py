"""The small words of messages: counts, lists and names as a person writes them."""

import datetime as dt
import shlex
from collections.abc import Iterable, Sequence

PROGRAM = "dltdoctor"
DSN_VARIABLE = "DLTDOCTOR_DSN"  # instead of --dsn, whose value a list of processes and a history show


# pg_get_keywords(), those that cannot stand bare as a name of a table or a column.
_RESERVED = frozenset(
    [
        "all",
        "analyse",
        "analyze",
        "and",
        "any",
        "array",
        "as",
        "asc",
        "asymmetric",
        "authorization",
        "binary",
        "both",
        "case",
        "cast",
        "check",
        "collate",
        "collation",
        "column",
        "concurrently",
        "constraint",
        "create",
        "cross",
        "current_catalog",
        "current_date",
        "current_role",
        "current_schema",
        "current_time",
        "current_timestamp",
        "current_user",
        "default",
        "deferrable",
        "desc",
        "distinct",
        "do",
        "else",
        "end",
        "except",
        "false",
        "fetch",
        "for",
        "foreign",
        "freeze",
        "from",
        "full",
        "grant",
        "group",
        "having",
        "ilike",
        "in",
        "initially",
        "inner",
        "intersect",
        "into",
        "is",
        "isnull",
        "join",
        "lateral",
        "leading",
        "left",
        "like",
        "limit",
        "localtime",
        "localtimestamp",
        "natural",
        "not",
        "notnull",
        "null",
        "offset",
        "on",
        "only",
        "or",
        "order",
        "outer",
        "overlaps",
        "placing",
        "primary",
        "references",
        "returning",
        "right",
        "select",
        "session_user",
        "similar",
        "some",
        "symmetric",
        "table",
        "tablesample",
        "then",
        "to",
        "trailing",
        "true",
        "union",
        "unique",
        "user",
        "using",
        "variadic",
        "verbose",
        "when",
        "where",
        "window",
        "with",
    ]
)


def count(number: int | None, noun: str, *, exact: bool = True, plural: str | None = None) -> str:
    """A count with its noun: "1 row", "≈ 12,000 rows", "an unknown number of rows"."""
    many = plural or f"{noun}s"
    if number is None:
        return f"an unknown number of {many}"
    return f"{'' if exact else '≈ '}{number:,} {noun if number == 1 else many}"


def listed(names: Iterable[str], *, most: int = 4) -> str:
    """Names with commas and "and"; those past `most` are counted."""
    all_names = list(names)
    shown, rest = all_names[:most], len(all_names) - most
    if rest > 0:
        return f"{', '.join(shown)} and {rest:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def relation(schema: str, table: str) -> str:
    """A qualified table name, quoted where SQL would need it."""
    return f"{identifier(schema)}.{identifier(table)}"


def identifier(name: str) -> str:
    """A name as it has to be written in SQL."""
    plain = name.isascii() and name.replace("_", "a").isalnum() and name == name.lower() and not name[0].isdigit()
    return name if plain and name not in _RESERVED else quoted(name)


def begins_bare(name: str) -> bool:
    """True when a longer name that begins with this one needs no quotes; case apart.

    Postgres takes every character beyond ASCII for a letter.
    """
    return (
        not name[:1].isdecimal() and all(c.isalnum() or c in "_$" or not c.isascii() for c in name) and name[:1] != "$"
    )


def quoted(name: str) -> str:
    """A name in double quotes, whatever it is: for SQL that is run."""
    return '"{}"'.format(name.replace('"', '""'))


def qualified(schema: str, table: str) -> str:
    """A qualified name for SQL that is run."""
    return f"{quoted(schema)}.{quoted(table)}"


def literal(text: str) -> str:
    """A text as a string constant for SQL that is run."""
    return "'{}'".format(text.replace("'", "''"))


def command(*words: str) -> str:
    """Words as a shell line."""
    return shlex.join(words)


def moment(load_id: str) -> str:
    """A load id as a time, e.g. "2026-11-23 07:31:04 UTC"; the id itself when it is none."""
    try:
        when = dt.datetime.fromtimestamp(float(load_id), dt.UTC)
    except (ValueError, OverflowError, OSError):
        return load_id
    return when.strftime("%Y-%m-%d %H:%M:%S UTC")


def columns(names: Sequence[str]) -> str:
    """Column names for a sentence."""
    return f"column{'s' if len(names) != 1 else ''} {listed(names)}"
