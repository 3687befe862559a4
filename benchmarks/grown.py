"""A shop grown: thousands of tables like those of the real pipeline, in both datasets, known to dlt's schema.

Each pair has column names of its own, which its twin in staging shares: the hard case for a reader
that keeps what repeats only once.
"""

import base64
import json
import zlib
from typing import Any

import psycopg
from dlt.common.schema.utils import bump_version_if_modified
from psycopg import sql

from benchmarks.shop import DATASET, DATASETS, NAME, Shop

PAIR = ("orders", "orders__items")  # a root table and the table nested in it
TABLES_A_PAIR = len(PAIR) * len(DATASETS)
COLUMNS_A_TABLE = 23
BATCH = 50  # statements in one transaction: each table costs the server a lock


def grow(shop: Shop, tables: int) -> None:
    """Make it `tables` data tables in all, each with its rows."""
    numbers = range(1, tables // TABLES_A_PAIR)
    with shop.connect() as connection:
        originals = [(d, t, _columns(connection, d, t)) for d in DATASETS for t in PAIR]
        for start in range(0, len(numbers), BATCH):
            copies = [_copy(n, *original) for n in numbers[start : start + BATCH] for original in originals]
            connection.execute(sql.SQL("\n").join(copies))
        _grow_schema(shop, connection, numbers)
        connection.execute("ANALYZE")


def _columns(connection: psycopg.Connection, dataset: str, table: str) -> list[tuple[str, str]]:
    """The name of each column, and the rest of its definition."""
    return connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END "
        "FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
        (f"{dataset}.{table}",),
    ).fetchall()


def _copy(number: int, dataset: str, table: str, columns: list[tuple[str, str]]) -> sql.Composed:
    defined = [sql.SQL("{} {}").format(sql.Identifier(_column(c, number)), sql.SQL(rest)) for c, rest in columns]
    return sql.SQL("CREATE TABLE {0} ({1}, UNIQUE (_dlt_id)); INSERT INTO {0} SELECT * FROM {2};").format(
        sql.Identifier(dataset, _table(table, number)), sql.SQL(", ").join(defined), sql.Identifier(dataset, table)
    )


def _table(name: str, number: int) -> str:
    return name.replace("orders", f"orders_{number}")


def _column(name: str, number: int) -> str:
    return name if name.startswith("_dlt_") else f"{name}_of_{number}"


def _grow_schema(shop: Shop, connection: psycopg.Connection, numbers: range) -> None:
    """Tell dlt's schema, in the working dir and as both datasets store it, of the new tables."""
    path = shop.working_dir / "schemas" / f"{NAME}.schema.json"
    schema = json.loads(path.read_bytes())
    for number in numbers:
        for table in PAIR:
            schema["tables"][_table(table, number)] = _renamed(schema["tables"][table], number)
    version, version_hash, *_ = bump_version_if_modified(schema)
    content = json.dumps(schema)
    path.write_text(content, encoding="utf-8")
    stored = base64.b64encode(zlib.compress(content.encode())).decode()
    for dataset in DATASETS:
        connection.execute(
            sql.SQL("UPDATE {} SET version = %s, version_hash = %s, schema = %s").format(
                sql.Identifier(dataset, "_dlt_version")
            ),
            (version, version_hash, stored),
        )
    loads = sql.Identifier(DATASET, "_dlt_loads")
    connection.execute(sql.SQL("UPDATE {} SET schema_version_hash = %s").format(loads), (version_hash,))


def _renamed(table: dict[str, Any], number: int) -> dict[str, Any]:
    names = {key: _table(table[key], number) for key in ("name", "parent", "resource") if key in table}
    columns = {_column(c, number): {**hints, "name": _column(c, number)} for c, hints in table["columns"].items()}
    return {**table, **names, "columns": columns}
