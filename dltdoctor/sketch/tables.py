"""The shop's tables as dlt has made them in both datasets, for the examples of what can drift."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from dltdoctor import sketch
from dltdoctor.snapshot import Column, SchemaTable, Snapshot, Table

PG_TYPES = {"bigint": "bigint", "text": "character varying", "timestamp": "timestamp with time zone"}


def created(
    *tables: SchemaTable,
    without: Iterable[str] = (),
    types: Mapping[str, str] = {},
    rows: int = 3,
    stored: str | None = "v1",
    staging_stores: str | None = "v1",
    naming: str = "snake_case",
    extra: Mapping[tuple[str, str], Table] = {},
    **changes: Any,
) -> Snapshot:
    """Tables as dlt has made them in both datasets; `without` "shop.orders" or "shop.orders.amount".

    `types` are by such a place, too. The pipeline's schema is of version v1; `stored` and `staging_stores` are the
    versions that the datasets hold.
    """
    loader = sketch.pipeline(tables=tables, **changes)
    own = msgspec.structs.replace(loader.schemas[0], version_hash="v1", naming=naming)
    there: dict[tuple[str, str], Table] = {}
    for dataset in ("shop", "shop_staging"):
        for each in own.tables.values():
            place = f"{dataset}.{each.name}"
            columns = tuple(
                Column(name=c.name, type=types.get(f"{place}.{c.name}", PG_TYPES[c.data_type]), not_null=not c.nullable)
                for c in each.columns
                if c.data_type and f"{place}.{c.name}" not in without
            )
            if place not in without:
                there[dataset, each.name] = Table(schema=dataset, name=each.name, owner="loader", columns=columns)
    versions = {"shop": stored, "shop_staging": staging_stores}
    held = {
        s: (msgspec.structs.replace(own, version_hash=v, origin=s, tables=own.tables if s == "shop" else {}),)
        for s, v in versions.items()
        if v
    }
    counts = {f"{schema}.{name}": rows for schema, name in there}
    base = sketch.database(counts, stored_schemas=held, tables={**there, **extra})
    return sketch.world(msgspec.structs.replace(loader, schemas=(own,)), on=base)


def relation_with(schema: str, name: str, *columns: str, kind: str = "r") -> Table:
    """A relation with these columns of text."""
    made = tuple(Column(name=c, type="character varying", not_null=False) for c in columns)
    return Table(schema=schema, name=name, kind=kind, owner="loader", columns=made)
