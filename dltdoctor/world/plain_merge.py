"""SQL for staged rows in a world without dlt's own tables: rows are known by their declared key alone."""

from dltdoctor.snapshot import Value
from dltdoctor.words import quoted


class Places(Value):
    """Two tables as they stand in SQL, the columns that both have, and the declared key, which may be empty.

    `strict` are columns that cannot be NULL in one of the two: they are compared in a way that can be hashed.
    """

    final: str
    staging: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    strict: frozenset[str] = frozenset()


def create_from_staging(places: Places) -> tuple[str, ...]:
    """The final table as its staging twin is, with its rows."""
    columns = ", ".join(quoted(n) for n in places.columns)
    return (
        f"CREATE TABLE {places.final} (LIKE {places.staging} INCLUDING ALL)",
        f"INSERT INTO {places.final} ({columns}) SELECT {columns} FROM {places.staging}",
    )


def fill_from_staging(places: Places) -> tuple[str, ...]:
    """Values that are NULL in the final table are filled in, rows whose key is absent are added; no value is replaced."""
    match = " AND ".join(
        f"f.{quoted(k)} {'=' if k in places.strict else 'IS NOT DISTINCT FROM'} s.{quoted(k)}"
        for k in places.key or places.columns
    )
    columns = ", ".join(quoted(n) for n in places.columns)
    staged = ", ".join(f"s.{quoted(n)}" for n in places.columns)
    insert = (
        f"INSERT INTO {places.final} ({columns}) SELECT {staged} FROM {places.staging} AS s"
        f" WHERE NOT EXISTS (SELECT 1 FROM {places.final} AS f WHERE {match})"
    )
    fills = [quoted(n) for n in places.columns if n not in places.key]
    if not places.key or not fills:
        return (insert,)
    values = ", ".join(f"{n} = coalesce(f.{n}, s.{n})" for n in fills)
    is_filled = " OR ".join(f"(f.{n} IS NULL AND s.{n} IS NOT NULL)" for n in fills)
    update = f"UPDATE {places.final} AS f SET {values} FROM {places.staging} AS s WHERE {match} AND ({is_filled})"
    return (update, insert)
