"""What becomes of a value that Postgres carries from a column of one type to a column of another. Pure.

Source: the assignment casts of pg_cast, and the btree operators across types (Postgres 15).
"""

import re

_TYPE = re.compile(
    r"(?P<name>[a-z ]+?)\s*(?:\((?P<sizes>[\d, ]+)\))?(?P<zone> with(?:out)? time zone)?(?P<array>\[\])?"
)

_INTEGERS = {"smallint": 2, "integer": 4, "bigint": 8}
_FLOATS = {"real": 4, "double precision": 8}
_TEXTS = {"character varying", "text", "character"}
_NUMBERS = {*_INTEGERS, *_FLOATS, "numeric"}
_MOMENTS = {"date", "timestamp without time zone", "timestamp with time zone"}
_DOCUMENTS = {"json", "jsonb"}


def trouble(source: str, target: str, *, is_key: bool) -> str | None:
    """Why carrying values from `source` to `target` fails or changes them; None when it does neither.

    Types are as format_type() spells them. The values of a key are compared across the two, too.
    """
    if source == target:
        return None
    (one, one_sizes), (other, other_sizes) = _parts(source), _parts(target)
    if is_key and not _comparable(one, other):
        return f"{source} and {target} cannot be compared"
    if one == other:
        return _narrower(one, one_sizes, other_sizes)
    if other in _TEXTS:
        return "longer values are refused" if other_sizes else None
    if one in _TEXTS:
        return "Postgres refuses to store text there"
    if {one, other} <= _NUMBERS:
        return _between_numbers(one, other, other_sizes)
    if {one, other} <= _MOMENTS:
        return _between_moments(one, other)
    if {one, other} <= _DOCUMENTS:
        return None
    return f"Postgres refuses to store {source} as {target}"


def _parts(spelled: str) -> tuple[str, tuple[int, ...]]:
    found = _TYPE.fullmatch(spelled)
    if found is None:
        return spelled, ()
    sizes = tuple(int(size) for size in (found["sizes"] or "").split(",") if size.strip())
    return f"{found['name']}{found['zone'] or ''}{found['array'] or ''}", sizes


def _comparable(one: str, other: str) -> bool:
    return one == other or any({one, other} <= family for family in (_NUMBERS, _TEXTS, _MOMENTS))


def _narrower(name: str, source: tuple[int, ...], target: tuple[int, ...]) -> str | None:
    """The same type with other sizes: length, precision and scale, or digits of a second."""
    if not target or source == target:
        return None
    if name == "numeric":
        return _narrower_numeric(source, target)
    if source and source[0] <= target[0]:
        return None
    return "fractions of a second are rounded" if name.startswith("time") else "longer values are refused"


def _narrower_numeric(source: tuple[int, ...], target: tuple[int, ...]) -> str | None:
    digits, scale = (*target, 0)[:2]
    had, had_scale = (*source, 0)[:2] if source else (1000, 1000)
    if had_scale > scale:
        return "decimal places are rounded"
    return "larger values are refused" if had - had_scale > digits - scale else None


def _between_numbers(one: str, other: str, sizes: tuple[int, ...]) -> str | None:
    if one in _INTEGERS and other in _INTEGERS:
        return "larger values are refused" if _INTEGERS[one] > _INTEGERS[other] else None
    if other in _INTEGERS:
        return "fractions are rounded"
    if other == "numeric":
        return (
            "decimal places are rounded" if sizes and one in _FLOATS else "larger values are refused" if sizes else None
        )
    return None if one == "real" or (one in ("smallint", "integer") and other != "real") else "digits are lost"


def _between_moments(one: str, other: str) -> str | None:
    if other == "date":
        return "the time of day is lost"
    return None if one == "date" else "values shift with the time zone of the session"
