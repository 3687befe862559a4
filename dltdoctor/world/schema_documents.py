"""dlt's whole schema documents, for its own generator: `snapshot.Schema` holds only what is judged."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dltdoctor.errors import RefusedError
from dltdoctor.snapshot import Column, Package, Pipeline, Table
from dltdoctor.world.documents import stored_document
from dltdoctor.world.files import MAX_SCHEMA, is_missing, read_document
from dltdoctor.world.postgres.session import Session

if TYPE_CHECKING:
    from psycopg.sql import Composed

VERSIONS, LOADS = "_dlt_version", "_dlt_loads"
PLAIN_ENGINE = 9  # any dlt since 1.0 brings it up to its own

_TYPE = re.compile(r"(?P<name>[a-z ]+?)\s*(?:\((?P<sizes>[\d, ]+)\))?(?P<zone> with(?:out)? time zone)?")
_DATA_TYPES = {
    "bigint": "bigint",
    "boolean": "bool",
    "bytea": "binary",
    "character varying": "text",
    "date": "date",
    "double precision": "double",
    "integer": "bigint",
    "json": "json",
    "jsonb": "json",
    "numeric": "decimal",
    "smallint": "bigint",
    "text": "text",
    "time": "time",
    "timestamp": "timestamp",
}
_BITS = {"integer": 32, "smallint": 16}


def package_document(package: Package) -> dict[str, object]:
    """The schema that a load package was made with. Raises `UnreadableError`."""
    return read_document(os.path.join(package.path, "schema.json"), limit=MAX_SCHEMA)


def local_document(pipeline: Pipeline, schema: str) -> dict[str, object] | None:
    """The schema in the pipeline's working dir; None when there is none. Raises `UnreadableError`."""
    if pipeline.working_dir is None or os.sep in schema:
        return None
    path = os.path.join(pipeline.working_dir, "schemas", f"{schema}.schema.json")
    return None if is_missing(path) else read_document(path, limit=MAX_SCHEMA)


def stored_document_query(dataset: str, schema_name: str, version_hash: str | None = None) -> "Composed":
    """The text of a schema that `_dlt_version` of the dataset holds: of that hash, else the newest."""
    from psycopg.sql import SQL, Identifier, Literal  # noqa: PLC0415 - not before a connection is wanted

    statement = "SELECT schema::text FROM {} WHERE schema_name = {}{} ORDER BY inserted_at DESC, version DESC LIMIT 1"
    wanted = SQL("") if version_hash is None else SQL(" AND version_hash = {}").format(Literal(version_hash))
    return SQL(statement).format(Identifier(dataset, VERSIONS), Literal(schema_name), wanted)


def read_stored_document(
    session: Session, dataset: str, schema_name: str, version_hash: str | None = None
) -> dict[str, object] | None:
    """That schema; None when none is stored. Raises `FailedReadError` and `UnreadableError`."""
    rows = session.fetch(stored_document_query(dataset, schema_name, version_hash))
    if not rows or not rows[0][0]:
        return None
    return stored_document(rows[0][0], f"{dataset}.{VERSIONS}")


def plain_document(
    tables: Sequence[Table], primary_keys: Mapping[str, tuple[str, ...]], *, name: str = "plain"
) -> dict[str, object]:
    """A schema made from the catalog, for tables of which no dlt schema is left.

    `tables` are those of the staging schema, each a root table of its own, with their columns as dlt
    would describe them; they are merged by `upsert`, so that columns that are not staged keep what
    they hold. Raises `RefusedError` for a table without a primary key: dlt would append its rows.
    """
    own = {each: {"name": each, "write_disposition": "skip", "columns": {}} for each in (VERSIONS, LOADS)}
    return {
        "version": 1,
        "version_hash": "",
        "engine_version": PLAIN_ENGINE,
        "name": name,
        "tables": own | {table.name: _plain_table(table, primary_keys.get(table.name, ())) for table in tables},
        "settings": {},
        "normalizers": {
            "names": "direct",  # names in the catalog stay as they are
            "json": {"module": "dlt.common.normalizers.json.relational"},
        },
        "previous_hashes": [],
    }


def _plain_table(table: Table, key: tuple[str, ...]) -> dict[str, object]:
    missing = [column for column in key if not table.has(column)]
    if not key or missing:
        what = f"no column {missing[0]} of its key" if missing else "no primary key"
        hint = "Declare the primary key of the final table: by it dlt tells old rows from new ones."
        raise RefusedError(f"{table.schema}.{table.name} has {what}, so its rows cannot be merged", hint)
    return {
        "name": table.name,
        "write_disposition": "merge",
        "x-merge-strategy": "upsert",
        "x-normalizer": {"seen-data": True},
        "columns": {c.name: _plain_column(c, is_key=c.name in key) for c in table.columns},
    }


def _plain_column(column: Column, *, is_key: bool) -> dict[str, object]:
    described: dict[str, object] = {
        "name": column.name,
        "nullable": not (column.not_null or is_key),
        **_data_type(column.type),
    }
    return described | {"primary_key": True} if is_key else described


def _data_type(postgres: str) -> dict[str, object]:
    """The data type of dlt for a type as format_type() spells it; text for one that dlt does not have."""
    found = _TYPE.fullmatch(postgres)
    name = found["name"] if found else ""
    data_type = _DATA_TYPES.get(name)
    if found is None or data_type is None:
        return {"data_type": "text"}
    described: dict[str, object] = {"data_type": data_type}
    sizes = [int(size) for size in (found["sizes"] or "").split(",") if size.strip()]
    if name in _BITS:
        sizes = [_BITS[name]]
    described |= dict(zip(("precision", "scale"), sizes, strict=False))
    if data_type == "timestamp" and found["zone"] != " with time zone":
        described["timezone"] = False
    return described
