"""Pipelines put together from both sides: what a working dir does not tell, the destination may."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from dltdoctor.snapshot import (
    Database,
    Pipeline,
    PipelineConfig,
    Route,
    Schema,
    SchemaColumn,
    SchemaTable,
    State,
    Value,
)
from dltdoctor.world.naming import DEFAULT_LAYOUT, staging_name
from dltdoctor.world.routing import routes_of

PLAIN_ORIGIN = "the catalog: there is no dlt schema"


class Known(Value):
    """A pipeline with its configuration; `datasets` are those it was found in, if that is how."""

    pipeline: Pipeline
    config: PipelineConfig
    computed_dataset: bool = False
    datasets: tuple[str, ...] = ()


Configure = Callable[[Pipeline], Known]


def completed(known: Sequence[Known], database: Database, configure: Configure, *, everyone: bool) -> list[Known]:
    """The known pipelines with what the destination adds, then those only the destination knows.

    Unless `everyone` is asked for, strangers count only where they share a dataset with a known one.
    """
    found = {p.name: (p, datasets) for p, datasets in _discovered(database, known)}
    complete = [_with_stored(each, found.get(each.pipeline.name), database) for each in known]
    names = {each.pipeline.name for each in complete}
    mine = {way.final for each in complete for way in routes(each, database)}
    for name, (pipeline, datasets) in found.items():
        if name not in names and (everyone or mine.intersection(datasets)):
            complete.append(msgspec.structs.replace(configure(pipeline), datasets=datasets))
    if not complete and not any(database.is_dataset(s) for s in database.schemas):
        complete += [
            Known(pipeline=p, config=PipelineConfig(pipeline=p.name), datasets=(p.name,))
            for p in _plain_pairs(database)
        ]
    return [with_replace_strategy(_with_plain_tables(each, database)) for each in complete]


def routes(known: Known, database: Database | None = None) -> tuple[Route, ...]:
    """The ways of a pipeline, one for each schema and each dataset it was found in."""
    ways = routes_of(known.pipeline, known.config, computed_dataset=known.computed_dataset)
    if database is None:
        return ways
    if known.datasets:
        ways = tuple(
            _moved(way, dataset)
            for dataset in known.datasets
            for way in ways
            if not database.stored_schemas.get(dataset)
            or any(s.name == way.schema for s in database.stored_schemas[dataset])
        )
    return tuple(msgspec.structs.replace(way, staged_in=_staged_in(way, database)) for way in ways)


def _moved(way: Route, dataset: str) -> Route:
    """The same way into the dataset it was found in, whose name is Postgres' own."""
    if way.final == dataset:
        return way
    staging, error = staging_name(dataset, way.layout, normalize=False)
    return msgspec.structs.replace(
        way, raw_dataset=dataset, final=dataset, next_final=dataset, staging=staging, layout_error=error
    )


def _staged_in(way: Route, database: Database) -> str | None:
    """Another staging schema than the layout's, when that one is not there."""
    if way.staging and way.staging != way.final and way.staging in database.schemas:
        return None
    usual, _ = staging_name(way.final, DEFAULT_LAYOUT, normalize=False)
    if usual and usual != way.final and usual in database.schemas and not database.is_dataset(usual):
        return usual
    mine = {(s.name, s.version_hash) for s in database.stored_schemas.get(way.final, ()) if s.name == way.schema}
    for name, stored in database.stored_schemas.items():
        is_free = database.is_staging_shaped(name) and not _is_usual_staging_of_another(name, database)
        if is_free and mine.intersection((s.name, s.version_hash) for s in stored):
            return name
    return None


def _is_usual_staging_of_another(name: str, database: Database) -> bool:
    return name.endswith("_staging") and database.is_dataset(name.removesuffix("_staging"))


def with_replace_strategy(known: Known) -> Known:
    """The setting is the destination's: dlt keeps no trace of it in its schemas."""
    strategy = known.config.value("replace_strategy")
    if not isinstance(strategy, str) or strategy == "truncate-and-insert":
        return known
    schemas = tuple(
        msgspec.structs.replace(
            schema,
            tables={
                name: msgspec.structs.replace(table, replace_strategy=table.replace_strategy or strategy)
                if table.disposition == "replace"
                else table
                for name, table in schema.tables.items()
            },
        )
        for schema in known.pipeline.schemas
    )
    return msgspec.structs.replace(known, pipeline=msgspec.structs.replace(known.pipeline, schemas=schemas))


def _discovered(database: Database, known: Sequence[Known]) -> Iterator[tuple[Pipeline, tuple[str, ...]]]:
    """Pipelines by the states, then by the schemas, that the destination stores; with their datasets."""
    claimed = {name for each in known if each.pipeline.state for name in each.pipeline.state.schema_names}
    by_name: dict[str, dict[str, State]] = defaultdict(dict)
    for row in sorted(database.states, key=lambda r: (r.committed, r.load_id)):
        state = row.state or State(
            origin=f"{row.dataset}._dlt_pipeline_state", pipeline_name=row.pipeline_name, version=row.version
        )
        by_name[row.pipeline_name][row.dataset] = state
    for name, states in by_name.items():
        newest = max(states.values(), key=lambda s: s.version)
        wanted = {n for s in states.values() for n in (*s.schema_names, s.default_schema_name) if n}
        schemas: dict[str, Schema] = {}
        for dataset in states:
            for schema in database.stored_schemas.get(dataset, ()):
                if schema.name in wanted or not wanted:
                    schemas.setdefault(schema.name, schema)
        claimed |= wanted | set(schemas)
        yield Pipeline(name=name, origin="destination", state=newest, schemas=tuple(schemas.values())), tuple(states)
    for dataset, stored in database.stored_schemas.items():
        for schema in stored if database.is_dataset(dataset) else ():
            if schema.name not in claimed:
                yield Pipeline(name=schema.name, origin="destination", schemas=(schema,)), (dataset,)


def _with_stored(known: Known, found: tuple[Pipeline, tuple[str, ...]] | None, database: Database) -> Known:
    """The newer of each schema; and the stored state, when there is none on this machine."""
    pipeline = known.pipeline
    if pipeline.state is None and found:
        stored, datasets = found
        merged = msgspec.structs.replace(pipeline, state=stored.state, schemas=pipeline.schemas or stored.schemas)
        if pipeline.origin == "source":
            merged = msgspec.structs.replace(merged, origin="destination")
        return msgspec.structs.replace(known, pipeline=merged, datasets=datasets)
    finals = {way.final for way in routes_of(pipeline, known.config, computed_dataset=known.computed_dataset)}
    by_name = {s.name: s for final in finals for s in database.stored_schemas.get(final, ())}
    wanted = pipeline.state.schema_names if pipeline.state else ()
    local = {s.name: s for s in pipeline.schemas}
    for name in wanted or local:
        stored_schema = by_name.get(name)
        if stored_schema and (name not in local or stored_schema.version > local[name].version):
            local[name] = stored_schema
    return msgspec.structs.replace(known, pipeline=msgspec.structs.replace(pipeline, schemas=tuple(local.values())))


def _with_plain_tables(known: Known, database: Database) -> Known:
    """Where dlt left no schema, the tables themselves say what can be compared."""
    pipeline = known.pipeline
    if pipeline.schemas:
        return known
    tables: dict[str, SchemaTable] = {}
    for way in routes(known, database):
        if (way.final, "_dlt_version") in database.unread:  # it has a schema, which would say what to compare
            continue
        staging = way.examined_staging
        for schema in (staging, way.final) if staging else ():
            for table in database.tables_in(schema):
                if table.kind in "rp" and (staging, table.name) in database.tables:
                    tables.setdefault(
                        table.name,
                        SchemaTable(
                            name=table.name,
                            root=table.name,
                            disposition="merge",
                            columns=tuple(SchemaColumn(name=c.name, data_type=c.type) for c in table.columns),
                        ),
                    )
    if not tables:
        return known
    state = pipeline.state
    name = (state.default_schema_name if state else None) or pipeline.name
    schema_made = Schema(name=name, origin=PLAIN_ORIGIN, tables=tables)
    return msgspec.structs.replace(known, pipeline=msgspec.structs.replace(pipeline, schemas=(schema_made,)))


def _plain_pairs(database: Database) -> Iterator[Pipeline]:
    """In a database without any trace of dlt: schemas that have a `_staging` twin with tables."""
    for name in database.schemas:
        twin = f"{name}_staging"
        if twin in database.schemas and any(database.tables_in(twin)):
            yield Pipeline(name=name, origin="destination")


def places(known: Iterable[Known], key: str) -> Mapping[str, str]:
    """Every pipeline's database."""
    return {each.pipeline.name: key for each in known}
