"""Sketched worlds for the checks of stored states and stored schemas."""

from collections.abc import Iterable, Mapping

import msgspec

from dltdoctor import sketch
from dltdoctor.snapshot import Column, Cursor, Schema, SchemaTable, Snapshot, State, StateRow, Table

States = tuple[StateRow, ...]
Stored = tuple[str, int, str | None, int | None]


def history(
    *loads: Stored, before: Stored = (sketch.LOADED, 1, "3", 0), after: Stored = (sketch.LATEST, 3, "9", 0)
) -> States:
    """The stored states of the shop loader, each as (load id, version, cursor of orders, status of its load)."""
    return tuple(stored_state(*load) for load in sorted((before, *loads, after), reverse=True))


def stored_state(load_id: str, version: int, cursor: str | None, status: int | None) -> StateRow:
    """A stored state of the shop loader; `cursor` None for one without a cursor."""
    cursors = (
        ()
        if cursor is None
        else (Cursor(source="shop_loader", resource="orders", path="id", last_value=cursor, kind="number"),)
    )
    state = State(origin="shop._dlt_pipeline_state", pipeline_name="shop_loader", version=version, cursors=cursors)
    return StateRow(
        dataset="shop",
        pipeline_name="shop_loader",
        version=version,
        load_id=load_id,
        committed=status == 0,
        status=status,
        state=state,
    )


def schema(name: str, *tables: SchemaTable) -> Schema:
    """A schema as `_dlt_version` of `shop` stores it."""
    return Schema(name=name, origin="shop._dlt_version", version_hash="newest", tables={t.name: t for t in tables})


def sharing(
    name: str,
    stored: Schema,
    tables: Mapping[str, SchemaTable],
    *,
    also: Iterable[str] = (),
    copied: Iterable[str] = (),
) -> Snapshot:
    """Pipelines, each with a table, that store their schema under one name in `shop`.

    `also` are tables that dlt has made besides, `copied` those that a person has.
    """
    local = [
        msgspec.structs.replace(
            sketch.pipeline(each, tables=[known], state={"schema_names": (name,), "default_schema_name": name}),
            schemas=(Schema(name=name, origin=f"{each}/schemas", tables={known.name: known}),),
        )
        for each, known in tables.items()
    ]
    present = {
        ("shop", t): Table(
            schema="shop",
            name=t,
            columns=tuple(
                Column(name=c, type="text", not_null=t not in set(copied))
                for c in ("id", "title", "_dlt_id", "_dlt_load_id")
            ),
        )
        for t in (*{k.name for k in tables.values()}, *also, *copied)
    }
    rows = [
        StateRow(dataset="shop", pipeline_name=p, version=1, load_id=sketch.LOADED, committed=True, status=0)
        for p in tables
    ]
    on = sketch.database({}, tables=present, states=tuple(rows), stored_schemas={"shop": (stored,)})
    return sketch.world(*local, on=on, routes=[sketch.route(p, schema=name) for p in tables])
