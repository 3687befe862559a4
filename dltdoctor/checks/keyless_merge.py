"""A table is merged without a key.

The write disposition is `merge` with the default strategy, delete-insert, and the resource has neither a
primary key nor a merge key. There is nothing to compare by, so dlt appends, and says so only in its log.
Before dlt 0.4.9 such a table was replaced instead.

*Why it matters.* Every row that is loaded again is there twice: after a run that repeats a page, and after
every full load. Counts and sums are wrong, and nothing fails.

*Fix safety.* Adding a key to the resource counts from the next run on: dlt then replaces the rows of the keys
that it loads, duplicates of them included. Duplicates of keys that do not come again stay.
"""

from collections.abc import Iterable
from typing import Any

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.declared import by_name, folded, resources_of, stored_tables
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Pipeline, Resource, Route, SchemaColumn, SchemaTable, Snapshot, Source
from dltdoctor.words import relation

_PLAIN = (SchemaColumn(name="id", data_type="bigint"), SchemaColumn(name="_dlt_id", data_type="text"))
_DEFAULT = (None, "delete-insert")
_KEY = Remedy("Give the resource a primary_key= or a merge_key=, then look for duplicates that are there", "manual")


def _stored(**changes: Any) -> Snapshot:
    return sketch.world(sketch.pipeline(tables=[sketch.table("orders", **{"columns": _PLAIN, **changes})]))


def _declared(**changes: Any) -> Snapshot:
    return sketch.world(pipelines=(), routes=[], source=sketch.declared(**changes))


def _scd2() -> Snapshot:
    return _stored(merge_strategy="scd2")


def _appends() -> Snapshot:
    return _stored(disposition="append", merge_strategy=None)


def _merge_key() -> Snapshot:
    return _stored(columns=(SchemaColumn(name="day", data_type="date", merge_key=True),))


def _scoped() -> Snapshot:
    return _stored(is_scoped=True)


def _nested() -> Snapshot:
    child = sketch.table("orders__items", columns=_PLAIN, root="orders", parent="orders")
    return sketch.world(sketch.pipeline(tables=[sketch.table("orders"), child]))


def _cured_in_source() -> Snapshot:
    pipeline = sketch.pipeline(tables=[sketch.table("orders", columns=_PLAIN)])
    return sketch.world(pipeline, source=sketch.declared(has_key=True))


def _keyed_at_run_time() -> Snapshot:
    return sketch.world(source=sketch.declared())


def _computed_key() -> Snapshot:
    return _declared(unknown=frozenset({"key"}))


def _declared_scd2() -> Snapshot:
    return _declared(strategy="scd2")


@check(
    "DD305",
    Severity.WARNING,
    sick=[_stored, _declared],
    well=[
        _scd2,
        _appends,
        _merge_key,
        _scoped,
        _nested,
        _cured_in_source,
        _keyed_at_run_time,
        _computed_key,
        _declared_scd2,
        sketch.world,
    ],
    url=f"{DLT_DOCS}/general-usage/merge-loading",
)
def keyless_merge(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], source: Source | None = None
) -> Iterable[Note]:
    known: set[str] = set()
    named = by_name(source)
    suspected = any(_is_declared_keyless(one) for ones in named.values() for one in ones)
    for stored in stored_tables(pipelines, routes):
        is_keyless = _is_keyless(stored.table)
        if not is_keyless and not (suspected and stored.table.disposition == "merge"):
            continue
        declared = resources_of(stored, named)
        if not is_keyless:
            known.update(one.place for one in declared)
            continue
        known.update(one.place for one in declared if _is_declared_keyless(one))
        if declared and all(_is_cured(one) for one in declared):
            continue
        place = relation(stored.route.final, stored.table.name)
        yield Note(
            message=f"{place} is merged without a key, so dlt only appends: every row that is loaded again is there twice",
            pipeline=stored.route.pipeline,
            dataset=stored.route.final,
            table=stored.table.name,
            evidence=(
                Evidence(
                    "write disposition merge (delete-insert), no column is a primary key or a merge key",
                    f"{stored.schema.origin}, table {stored.table.name}",
                ),
                *(_evidence(one) for one in declared if _is_declared_keyless(one)),
            ),
            remedy=_KEY,
        )
    yield from (_in_source(one) for one in (source.resources if source else ()) if _is_news(one, known))


def _is_keyless(table: SchemaTable) -> bool:
    keyed = table.primary_key or table.merge_keys or table.is_scoped
    return table.disposition == "merge" and table.merge_strategy == "delete-insert" and not keyed


def _is_declared_keyless(resource: Resource) -> bool:
    merged = resource.disposition == "merge" and resource.strategy in _DEFAULT
    keyed = resource.has_key or resource.is_scoped
    return merged and not keyed and not resource.unknown & {"disposition", "key"}


def _is_cured(resource: Resource) -> bool:
    """True when the next run does not append any more."""
    if resource.has_key or resource.is_scoped:
        return True
    other = resource.disposition != "merge" or resource.strategy not in _DEFAULT
    return other and resource.disposition is not None and "disposition" not in resource.unknown


def _is_news(resource: Resource, known: set[str]) -> bool:
    return resource.origin != "source" and resource.place not in known and _is_declared_keyless(resource)


def _in_source(resource: Resource) -> Note:
    return Note(
        message=f"{'table' if resource.origin == 'run' else 'resource'} {resource.name} is merged without a key, so dlt "
        "only appends: every row that is loaded again is there twice",
        pipeline=resource.pipeline,
        evidence=(_evidence(resource),),
        remedy=_KEY,
        identity=f"{resource.file} {folded(resource.name)}",
    )


def _evidence(resource: Resource) -> Evidence:
    given = "the run" if resource.origin == "run" else f"resource {resource.name}"
    return Evidence(f"write_disposition is merge and {given} has no primary_key and no merge_key", resource.place)
