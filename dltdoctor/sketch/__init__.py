"""Small worlds for the examples of checks: a shop whose loader merges orders.

Examples are sketches, not evidence: every sickness is also made by a real dlt run in the suite.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from dltdoctor.snapshot import (
    Argument,
    Catalog,
    Column,
    Config,
    ConfigValue,
    Contract,
    Copy,
    Cursor,
    Database,
    DeclaredTable,
    Job,
    LoadSummary,
    Package,
    PgSchema,
    Pipeline,
    PipelineConfig,
    Reader,
    Resource,
    Route,
    Rows,
    Schema,
    SchemaColumn,
    SchemaTable,
    Setting,
    Share,
    Snapshot,
    Source,
    StagedLoad,
    State,
    StateRow,
    Table,
    Target,
)

LOADED, LATEST, NOW = "1700000100.0", "1700000200.0", 1700100000.0
TARGET = Target(host="db", port=5432, database="warehouse", user="loader", origin="secrets.toml")


def table(name: str = "orders", *columns: str, **changes: Any) -> SchemaTable:
    """A root merge table keyed by id; `columns` come after id."""
    made = tuple(SchemaColumn(name=c, data_type="text") for c in (*columns, "_dlt_load_id", "_dlt_id"))
    key = SchemaColumn(name="id", data_type="bigint", nullable=False, primary_key=True)
    facts: dict[str, Any] = {
        "name": name,
        "root": name,
        "disposition": "merge",
        "merge_strategy": "delete-insert",
        "columns": (key, *made),
        "seen_data": True,
    }
    return SchemaTable(**{**facts, **changes})


def pipeline(
    name: str = "shop_loader",
    *,
    dataset: str = "shop",
    tables: Iterable[SchemaTable] = (),
    packages: Iterable[Package] = (),
    version: int = 2,
    engine_version: int = 0,
    state: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Pipeline:
    """A pipeline with local state and one schema named after it."""
    facts: dict[str, Any] = {
        "origin": f"{name}/state.json",
        "pipeline_name": name,
        "version": version,
        "dataset_name": dataset,
        "default_schema_name": name,
        "schema_names": (name,),
        "destination_type": "dlt.destinations.postgres",
        "first_run": False,
        "cursors": (Cursor(source=name, resource="orders", path="id", last_value="6"),),
    }
    schema = Schema(
        name=name,
        origin=f"schemas/{name}.schema.json",
        engine_version=engine_version,
        tables={t.name: t for t in (tuple(tables) or (table("orders", "amount"),))},
    )
    return Pipeline(
        name=name,
        working_dir=f"pipelines/{name}",
        state=State(**{**facts, **(state or {})}),
        schemas=(schema,),
        packages=tuple(packages),
        **changes,
    )


def job(table: str = "orders", kind: str = "insert_values", status: Any = "completed", **changes: Any) -> Job:
    """A job file of a package."""
    file = f"{table}.abc.0.{kind}"
    return Job(table=table, file_id="abc", retry=0, format=kind, status=status, path=file, size=99, **changes)


def package(load_id: str = LATEST, stage: Any = "loaded", *jobs: Job, **changes: Any) -> Package:
    """A package of the shop loader, old enough not to be running."""
    facts: dict[str, Any] = {"schema_name": "shop_loader", "path": f"load/{stage}/{load_id}", "modified": 1700000300.0}
    return Package(load_id=load_id, stage=stage, jobs=jobs, **{**facts, **changes})


def staged(load_id: str | None = LATEST, rows: int = 3, *, arrived: int = 0, **changes: Any) -> StagedLoad:
    """Staged orders, all of them looked up in the final table."""
    facts: dict[str, Any] = {
        "staging": "shop_staging",
        "table": "orders",
        "final": "shop",
        "load_id": load_id,
        "rows": rows,
        "sampled": rows,
        "arrived": arrived,
        "proof": "row-key",
    }
    return StagedLoad(**{**facts, **changes})


def database(
    counts: Mapping[str, int] | None = None,
    *,
    loads: Iterable[LoadSummary] | None = None,
    hidden: Iterable[str] = (),
    **changes: Any,
) -> Database:
    """A database of tables given as {"schema.table": rows}; `shop` is a dataset unless told otherwise."""
    rows = {"shop.orders": 3, "shop_staging.orders": 3} if counts is None else dict(counts)
    places: dict[tuple[str, str], int] = {}
    for place, number in rows.items():
        schema, _, name = place.partition(".")
        places[schema, name] = number
    own: list[tuple[str, str]] = []
    for schema in dict.fromkeys(s for s, _ in places):
        own.append((schema, "_dlt_version"))
        if not schema.endswith("_staging"):
            own += [(schema, "_dlt_loads"), (schema, "_dlt_pipeline_state")]
    column = Column(name="_dlt_id", type="text", not_null=True)
    tables = {p: Table(schema=p[0], name=p[1], owner="loader", columns=(column,)) for p in (*places, *own)}
    tables.update(changes.pop("tables", {}))
    summary = LoadSummary(
        dataset="shop",
        schema_name="shop_loader",
        rows=1,
        oldest=1600000000.0,
        newest=1700000100.0,
        newest_load_id=LOADED,
    )
    names = {s for s, _ in tables}
    facts: dict[str, Any] = {
        "target": TARGET,
        "read_at": NOW,
        "role": "loader",
        "schemas": {n: PgSchema(name=n, owner="loader", usable=n not in set(hidden)) for n in names},
        "tables": tables,
        "counts": {p: Rows(rows=n) for p, n in places.items()},
        "loads": (summary,) if loads is None else tuple(loads),
        "states": (
            StateRow(dataset="shop", pipeline_name="shop_loader", version=1, load_id=LOADED, committed=True, status=0),
        ),
    }
    return Database(**{**facts, **changes})


def setting(key: str, value: Any, *, provider: Any = "config.toml", location: str = ".dlt/config.toml:3") -> Setting:
    """A setting with one candidate."""
    return Setting(key=key, winner=candidate(key, value, provider=provider, location=location))


def candidate(
    key: str, value: Any, *, provider: Any = "config.toml", location: str = ".dlt/config.toml:3", **changes: Any
) -> ConfigValue:
    """One candidate for a setting."""
    return ConfigValue(key=key, value=value, display=repr(value), provider=provider, location=location, **changes)


def route(pipeline: str = "shop_loader", final: str = "shop", staging: str | None = None, **changes: Any) -> Route:
    """The way of a pipeline's only schema, by dlt's default layout unless told otherwise."""
    facts: dict[str, Any] = {
        "pipeline": pipeline,
        "schema": pipeline,
        "raw_dataset": final,
        "final": final,
        "next_final": final,
        "staging": staging or f"{final}_staging",
        "layout": "%s_staging",
    }
    return Route(**{**facts, **changes})


def world(
    *pipelines: Pipeline,
    on: Database | None = None,
    routes: Iterable[Route] | None = None,
    settings: Iterable[Setting] = (),
    **changes: Any,
) -> Snapshot:
    """A snapshot of the pipelines (the shop loader when none is given) on one database."""
    everyone = pipelines or (pipeline(),)
    ways = [route(p.name, (p.state and p.state.dataset_name) or "shop") for p in everyone]
    table_of_settings = {s.key: s for s in settings}
    facts: dict[str, Any] = {
        "pipelines": everyone,
        "routes": tuple(ways if routes is None else routes),
        "config": Config(
            pipelines={p.name: PipelineConfig(pipeline=p.name, settings=table_of_settings) for p in everyone}
        ),
        "source": Source(root="."),
        "catalog": Catalog(databases=(on,), of_pipeline={p.name: on.target.key for p in everyone}) if on else None,
        "taken_at": NOW,
    }
    return Snapshot(**{**facts, **changes})


def argument(name: str, value: Any, line: int = 3) -> Argument:
    """An argument as it stands in the source."""
    return Argument(name=name, value=value, literal=True, line=line)


def declared(name: str = "orders", *, pinned: str | None = None, **changes: Any) -> Source:
    """A source with one resource that merges, and the dlt that the project is pinned to."""
    facts: dict[str, Any] = {"origin": "resource", "file": "load.py", "line": 3, "names": (name,)}
    made = Resource(**{**facts, "disposition": "merge", "pipeline": "shop_loader", **changes})
    return Source(root=".", resources=(made,), dlt_version=pinned, dlt_version_origin="uv.lock" if pinned else None)


def copy(schema: str = "shop", table: str = "orders", **changes: Any) -> Copy:
    """A relation that the reader may read."""
    return Copy(schema=schema, table=table, **changes)


def read_by(  # noqa: PLR0913 - one parameter for each part of a contract
    table: str = "orders",
    *,
    columns: Mapping[str, float | None] = {},
    shares: Mapping[str, Share] = {},
    copies: tuple[Copy, ...] | None = None,
    resolved: str | None = "shop",
    search_path: tuple[str, ...] = ("shop",),
    role: str | None = None,
    fresh_within: float | None = None,
    **changes: Any,
) -> Snapshot:
    """The shop with a declared reader of one table."""
    contract = Contract(
        name="scoring",
        tables=(table,),
        columns=columns,
        role=role,
        fresh_within=fresh_within,
        origin="dltdoctor.toml:1",
    )
    found = (copy(columns=shares),) if copies is None else copies
    reader = Reader(
        contract=contract,
        database=TARGET.key,
        role=role or "loader",
        search_path=search_path,
        search_path_origin="search_path of the server, pg_settings",
        tables=(DeclaredTable(declared=table, name=table, resolved=resolved, copies=found),),
        **changes,
    )
    return world(on=database(), contracts=(contract,), readers=(reader,))
