"""The small words of messages: counts, lists and names as a person writes them."""

import datetime as dt
import shlex
from collections.abc import Iterable, Sequence


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
    return name if plain else '"{}"'.format(name.replace('"', '""'))


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
