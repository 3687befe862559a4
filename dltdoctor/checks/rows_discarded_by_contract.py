"""A schema contract drops rows or values silently.

The modes `discard_row` and `discard_value` of a schema contract let dlt leave out whatever would change the
schema: rows or values with a new column, with a value of another type, or of a new table. The contract is kept
in the stored schema, and counts until another one is given. dlt records nowhere what it left out; `freeze` on
the other hand stops the run.

*Why it matters.* The load succeeds, and rows that the source delivered are in no table. A reader cannot tell
them from rows that never were.

*Fix safety.* With `evolve` the next loads keep everything and may add columns. What was discarded comes back
only when the source is read again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.declared import folded
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Pipeline, Resource, Route, Schema, Snapshot, Source
from dltdoctor.words import listed

_WHAT = {"tables": "of new tables", "columns": "in new columns", "data_type": "of another data type"}
_PARTS = {"discard_row": "rows", "discard_value": "values"}
# What dlt gives to a resource whose columns are a Pydantic model that says nothing about extra fields.
_OF_PYDANTIC = {"tables": "evolve", "columns": "discard_value", "data_type": "freeze"}

Modes = tuple[tuple[str, str], ...]


def _stored(contract: Mapping[str, str] = {"columns": "discard_row"}) -> Snapshot:
    return sketch.world(sketch.pipeline(tables=[sketch.table("orders", contract=contract)]))


def _declared() -> Snapshot:
    source = sketch.declared(
        origin="source", contract={"data_type": "discard_value"}, contract_line=3, disposition=None
    )
    return sketch.world(source=source)


def _pydantic() -> Snapshot:
    return _stored(_OF_PYDANTIC)


def _frozen() -> Snapshot:
    return _stored({"tables": "evolve", "columns": "freeze", "data_type": "freeze"})


def _evolving() -> Snapshot:
    return _stored({"tables": "evolve", "columns": "evolve"})


@check(
    "DD310",
    Severity.WARNING,
    Severity.INFO,
    sick=[_stored, _declared, _pydantic],
    well=[_frozen, _evolving, sketch.world],
    url=f"{DLT_DOCS}/general-usage/schema-contracts",
)
def rows_discarded_by_contract(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], source: Source | None = None
) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    declared = tuple(r for r in (source.resources if source else ()) if discarding(r.contract))
    told: set[str] = set()
    for way in routes:
        schema = everyone[way.pipeline].schema(way.schema) if way.pipeline in everyone else None
        for modes, tables in _by_modes(schema).items() if schema else ():
            names = {folded(name) for name in (*tables, schema.name)} if schema else set()
            mine = [
                r
                for r in declared
                if r.pipeline in (None, way.pipeline)
                and (r.origin == "source" or names.intersection(map(folded, r.names)))
            ]
            told.update(r.place for r in mine)
            if schema:
                yield _note(way, schema, modes, tables, mine)
    yield from (_in_source(resource) for resource in declared if resource.place not in told)


def discarding(contract: Mapping[str, str] | None) -> Modes:
    """The entities that the contract discards, each with how."""
    return tuple((entity, mode) for entity, mode in (contract or {}).items() if mode in _PARTS and entity in _WHAT)


def _by_modes(schema: Schema) -> Mapping[Modes, list[str]]:
    """The root tables by what is discarded in them."""
    found: dict[Modes, list[str]] = defaultdict(list)
    for table in schema.data_tables:
        if not table.is_nested and (modes := discarding(table.contract)):
            found[modes].append(table.name)
    return found


def _effects(modes: Modes) -> Iterator[str]:
    for entity, mode in modes:
        yield f"{_PARTS[mode]} {_WHAT[entity]}"


def _note(way: Route, schema: Schema, modes: Modes, tables: list[str], declared: list[Resource]) -> Note:
    contract = next(t.contract for t in schema.data_tables if t.name == tables[0])
    return Note(
        message=f"the schema contract of {listed(tables)} in {way.final} silently drops {listed(_effects(modes))}",
        severity=Severity.INFO if contract == _OF_PYDANTIC else None,
        pipeline=way.pipeline,
        dataset=way.final,
        table=tables[0] if len(tables) == 1 else None,
        evidence=(
            Evidence(f"schema contract {_spelled(modes)} of {listed(tables)}", schema.origin),
            *(_evidence(resource) for resource in declared),
        ),
        remedy=_remedy(modes, declared),
        identity=f"{schema.name} {_spelled(modes)}",
    )


def _in_source(resource: Resource) -> Note:
    modes = discarding(resource.contract)
    return Note(
        message=f"the schema contract of {_given(resource)} silently drops {listed(_effects(modes))}",
        pipeline=resource.pipeline,
        evidence=(_evidence(resource),),
        remedy=_remedy(modes, [resource]),
        identity=f"{resource.file} {resource.origin} {folded(resource.name)}",
    )


def _remedy(modes: Modes, declared: list[Resource]) -> Remedy:
    where = f" ({listed(f'{r.file}:{r.contract_line}' for r in declared)})" if declared else ""
    evolving = ", ".join(f'"{entity}": "evolve"' for entity, _ in modes)
    return Remedy(
        f"If nothing may be lost, give schema_contract={{{evolving}}}{where}, or freeze to be told; then load again what "
        "was left out",
        "manual",
    )


def _spelled(modes: Modes) -> str:
    return ", ".join(f"{entity}: {mode}" for entity, mode in modes)


def _evidence(resource: Resource) -> Evidence:
    contract = _spelled(discarding(resource.contract))
    return Evidence(f"schema_contract of {_given(resource)}: {contract}", f"{resource.file}:{resource.contract_line}")


def _given(resource: Resource) -> str:
    return "the run" if resource.origin == "run" else f"{resource.origin} {resource.name}"
