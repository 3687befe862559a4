"""What the source declares about the tables that the stored schemas know. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from dltdoctor.snapshot import Pipeline, Resource, Route, Schema, SchemaTable, Source, Value


class Stored(Value):
    """A root table of a stored schema, and the way it goes."""

    route: Route
    schema: Schema
    table: SchemaTable


def stored_tables(pipelines: Iterable[Pipeline], routes: Iterable[Route]) -> Iterator[Stored]:
    """Every root table that has seen data, once for each dataset it goes to."""
    everyone = {p.name: p for p in pipelines}
    for way in routes:
        schema = everyone[way.pipeline].schema(way.schema) if way.pipeline in everyone else None
        for table in schema.data_tables if schema else ():
            if schema and not table.is_nested and table.seen_data is not False:
                yield Stored(route=way, schema=schema, table=table)


ByName = Mapping[str, tuple[Resource, ...]]


def by_name(source: Source | None) -> ByName:
    """The resources, and the runs that bring rows, by each of their names, folded."""
    found: dict[str, list[Resource]] = defaultdict(list)
    for one in source.resources if source else ():
        if one.origin != "source":
            for name in dict.fromkeys(map(folded, one.names)):
                found[name].append(one)
    return {name: tuple(resources) for name, resources in found.items()}


def resources_of(stored: Stored, declared: ByName) -> tuple[Resource, ...]:
    """The resources of the source that fill the table, as far as names tell."""
    if not declared:
        return ()
    names = dict.fromkeys((folded(stored.table.name), folded(stored.table.resource or "")))
    found = {(one.place, one.names): one for name in names for one in declared.get(name, ())}
    return tuple(one for one in found.values() if one.pipeline in (None, stored.route.pipeline))


def folded(name: str) -> str:
    """A name as any of dlt's naming conventions could leave it."""
    return "".join(c for c in name.lower() if c.isalnum())
