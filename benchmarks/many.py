"""Many pipelines, and many load packages, made of what one real pipeline left behind."""

import base64
import json
import shutil
import zlib
from typing import Any

import psycopg
from psycopg import sql

from benchmarks.shop import DATASET, DATASETS, NAME, Shop


def add_packages(shop: Shop, packages: int) -> None:
    """Make it `packages` loaded packages in all, older ones, each in `_dlt_loads`."""
    loaded = shop.working_dir / "load" / "loaded"
    newest = max(loaded.iterdir())
    more = packages - len(list(loaded.iterdir()))
    ids = [f"{float(newest.name) - 3600 * n:.6f}" for n in range(1, more + 1)]
    for load_id in ids:
        shutil.copytree(newest, loaded / load_id)
    with shop.connect() as connection:
        loads = sql.Identifier(DATASET, "_dlt_loads")
        statement = sql.SQL(
            "INSERT INTO {0} SELECT (l).* FROM unnest(%s::text[]) AS new (id), LATERAL ("
            "SELECT jsonb_populate_record(t, jsonb_build_object("
            "'load_id', new.id, 'inserted_at', to_timestamp(new.id::float8))) AS l FROM {0} AS t LIMIT 1) AS made"
        )
        connection.execute(statement.format(loads), (ids,))


def add_pipelines(shop: Shop, pipelines: int) -> None:
    """Make it `pipelines` pipelines in all, each with a working dir and both datasets of its own."""
    with shop.connect() as connection:
        for number in range(1, pipelines):
            _copy_working_dir(shop, number)
            with connection.transaction():
                _copy_datasets(connection, number)
        connection.execute("ANALYZE")


def _copy_working_dir(shop: Shop, number: int) -> None:
    copy = shop.working_dir.with_name(f"{NAME}_{number}")
    shutil.copytree(shop.working_dir, copy)
    state = copy / "state.json"
    state.write_text(json.dumps(_moved(json.loads(state.read_bytes()), number)), encoding="utf-8")


def _copy_datasets(connection: psycopg.Connection, number: int) -> None:
    for dataset in DATASETS:
        copy = _dataset(dataset, number)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(copy)))
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (dataset,)).fetchall()
        for (name,) in names:
            statement = sql.SQL("CREATE TABLE {0} (LIKE {1} INCLUDING ALL); INSERT INTO {0} SELECT * FROM {1}")
            connection.execute(statement.format(sql.Identifier(copy, name), sql.Identifier(dataset, name)))
    _move_states(connection, number)


def _move_states(connection: psycopg.Connection, number: int) -> None:
    states = sql.Identifier(_dataset(DATASET, number), "_dlt_pipeline_state")
    rows = connection.execute(sql.SQL("SELECT state, _dlt_id FROM {}").format(states)).fetchall()
    for stored, key in rows:
        state = json.dumps(_moved(json.loads(zlib.decompress(base64.b64decode(stored))), number))
        moved = base64.b64encode(zlib.compress(state.encode())).decode()
        statement = sql.SQL("UPDATE {} SET pipeline_name = %s, state = %s WHERE _dlt_id = %s").format(states)
        connection.execute(statement, (f"{NAME}_{number}", moved, key))


def _moved(state: dict[str, Any], number: int) -> dict[str, Any]:
    return state | {"pipeline_name": f"{NAME}_{number}", "dataset_name": _dataset(DATASET, number)}


def _dataset(dataset: str, number: int) -> str:
    return dataset.replace(DATASET, f"{DATASET}_{number}")
