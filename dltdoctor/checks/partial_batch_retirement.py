"""A table that takes each load for the whole is loaded in parts.

The merge strategy scd2 retires, and cdc deletes, every row that a load does not bring. With an incremental
cursor a load brings only what is new, so all the rest is retired or deleted at each run. A merge key (or,
since dlt 1.30, a destination scope) limits this to the keys that the load brings; dlt 1.0 and older heed no
merge key here.

*Why it matters.* After the second run the table holds one batch, or shows it alone as current. Nothing fails.

*Fix safety.* A merge key counts from the next run on. Rows that were retired stay so, and rows that were
deleted are gone: load the resource once as a whole to get them back.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.declared import Stored, by_name, folded, resources_of, stored_tables
from dltdoctor.deduced.versions import release
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Pipeline, Resource, Route, SchemaColumn, Snapshot, Source
from dltdoctor.words import command, listed, relation

# Measured: 0.4.12, 0.5.4 and 1.0.0 retire whatever the merge key is, 1.5.0 and newer heed it.
_HEEDS_MERGE_KEY, _ENGINE_SINCE_1_0 = (1, 1), 10
_EFFECTS = {"scd2": "retires", "cdc": "deletes"}


def _history(
    strategy: str = "scd2", *, cursor: bool = True, state: dict[str, Any] | None = None, **changes: Any
) -> Snapshot:
    columns = (SchemaColumn(name="id", data_type="bigint", incremental=cursor),)
    table = sketch.table("orders", **{"columns": columns, "merge_strategy": strategy, **changes})
    return sketch.world(sketch.pipeline(tables=[table], state=state))


def _deleting() -> Snapshot:
    return _history("cdc")


def _cursor_in_state() -> Snapshot:
    return _history(cursor=False)


def _declared() -> Snapshot:
    return _in_source_alone()


def _in_source_alone(**changes: Any) -> Snapshot:
    facts: dict[str, Any] = {"strategy": "scd2", "cursor": "updated_at", "cursor_line": 4, **changes}
    return sketch.world(pipelines=(), routes=[], source=sketch.declared(**facts))


def _whole_extracts() -> Snapshot:
    return _history(cursor=False, state={"cursors": ()})


def _with_merge_key() -> Snapshot:
    return _history(columns=(SchemaColumn(name="id", data_type="bigint", incremental=True, merge_key=True),))


def _scoped() -> Snapshot:
    return _history("cdc", is_scoped=True)


def _declared_with_merge_key() -> Snapshot:
    return _in_source_alone(has_key=True, has_merge_key=True)


def _computed_merge_key() -> Snapshot:
    return _in_source_alone(unknown=frozenset({"merge_key"}))


def _merge_key_of_no_use() -> Snapshot:
    return sketch.world(*_with_merge_key().pipelines, source=Source(root=".", dlt_version="1.0.0"))


def _cured_in_source() -> Snapshot:
    facts: dict[str, Any] = {"strategy": "scd2", "has_key": True, "has_merge_key": True}
    return sketch.world(*_history().pipelines, source=sketch.declared(**facts))


@check(
    "DD307",
    Severity.ERROR,
    sick=[_history, _deleting, _cursor_in_state, _declared, _merge_key_of_no_use],
    well=[
        _whole_extracts,
        _with_merge_key,
        _scoped,
        _declared_with_merge_key,
        _computed_merge_key,
        _cured_in_source,
        sketch.world,
    ],
    url=f"{DLT_DOCS}/general-usage/merge-loading#scd2-strategy",
)
def partial_batch_retirement(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], source: Source | None = None
) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    named, newest = by_name(source), _heeds_merge_key(source)
    told: set[str] = set()
    for stored in stored_tables(pipelines, routes):
        effect = _EFFECTS.get(stored.table.merge_strategy or "")
        heeds = newest and not (_is_unknown(source) and 0 < stored.schema.engine_version < _ENGINE_SINCE_1_0)
        if effect is None or stored.table.is_scoped or (stored.table.merge_keys and heeds):
            continue
        declared = resources_of(stored, named)
        partial = tuple(one for one in declared if _is_partial(one, heeds=heeds))
        told.update(one.place for one in partial)
        if declared and all(_is_cured(one, heeds=heeds) for one in declared):
            continue
        evidence = (*_cursors(stored, everyone[stored.route.pipeline]), *map(_evidence, partial))
        if evidence:
            yield _note(stored, effect, evidence)
    for one in source.resources if source else ():
        if one.origin != "source" and one.place not in told and _is_partial(one, heeds=newest):
            yield _in_source(one)


def _is_unknown(source: Source | None) -> bool:
    return release(source.dlt_version if source else None) is None


def _heeds_merge_key(source: Source | None) -> bool:
    """False where the project's dlt is known to be too old."""
    version = release(source.dlt_version if source else None)
    return version is None or version >= _HEEDS_MERGE_KEY


def _cursors(stored: Stored, pipeline: Pipeline) -> Iterator[Evidence]:
    """What says that the table is filled behind a cursor."""
    table = stored.table
    columns = [c.name for c in table.columns if c.incremental]
    if columns:
        yield Evidence(f"{listed(columns)} is an incremental cursor", f"{stored.schema.origin}, table {table.name}")
    state = pipeline.state
    for cursor in state.cursors if state else ():
        if state and (cursor.source, cursor.resource) == (stored.schema.name, table.resource or table.name):
            yield Evidence(f"cursor {cursor.path} of resource {cursor.resource}", state.origin)


def _is_partial(resource: Resource, *, heeds: bool) -> bool:
    whole = (resource.has_merge_key and heeds) or resource.is_scoped or resource.unknown & {"disposition", "merge_key"}
    return resource.disposition == "merge" and resource.strategy in _EFFECTS and bool(resource.cursor) and not whole


def _is_cured(resource: Resource, *, heeds: bool) -> bool:
    """True when the next run loads the whole, limits itself to its keys, or merges in another way."""
    if (resource.has_merge_key and heeds) or resource.is_scoped:
        return True
    if "disposition" in resource.unknown or resource.disposition is None:
        return False
    whole = resource.cursor is None and "cursor" not in resource.unknown
    return whole or resource.disposition != "merge" or resource.strategy not in _EFFECTS


def _note(stored: Stored, effect: str, evidence: tuple[Evidence, ...]) -> Note:
    way, table = stored.route, stored.table
    strategy, keyed = table.merge_strategy or "", bool(table.merge_keys)
    origin = f"{stored.schema.origin}, table {table.name}"
    return Note(
        message=_message(relation(way.final, table.name), strategy, effect, keyed=keyed),
        pipeline=way.pipeline,
        dataset=way.final,
        table=table.name,
        evidence=(Evidence(f"merge strategy {strategy}, {_key(keyed=keyed)}", origin), *evidence),
        remedy=_remedy(strategy, keyed=keyed),
    )


def _in_source(resource: Resource) -> Note:
    strategy, keyed = resource.strategy or "", resource.has_merge_key
    return Note(
        message=_message(f"resource {resource.name}", strategy, _EFFECTS[strategy], keyed=keyed),
        pipeline=resource.pipeline,
        evidence=(Evidence(f"merge strategy {strategy}, {_key(keyed=keyed)}", resource.place), _evidence(resource)),
        remedy=_remedy(strategy, keyed=keyed),
        identity=f"{resource.file} {folded(resource.name)}",
    )


def _key(*, keyed: bool) -> str:
    return "a merge key that dlt before 1.5 does not heed" if keyed else "no merge key"


def _message(place: str, strategy: str, effect: str, *, keyed: bool) -> str:
    return (
        f"{place} is merged with {strategy} behind an incremental cursor and with {_key(keyed=keyed)}: "
        f"each run {effect} every row that it does not bring"
    )


def _remedy(strategy: str, *, keyed: bool) -> Remedy:
    if keyed:
        newer = "Give the project dlt 1.5 or newer, which heeds the merge key, or load the resource whole"
        return Remedy(newer, "manual", command("pip", "install", "dlt>=1.5.0"))
    other = "or load it whole, without the cursor" if strategy == "scd2" else 'or use the strategy "upsert"'
    return Remedy(f"Give the resource a merge_key= (for each key then only its own rows count), {other}", "manual")


def _evidence(resource: Resource) -> Evidence:
    return Evidence(
        f"incremental cursor {resource.cursor} of {resource.name}", f"{resource.file}:{resource.cursor_line}"
    )
