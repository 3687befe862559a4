"""Two sources load a table of one name into one dataset, and one of them replaces it.

dlt keeps the tables of a source apart by its schema's name, but in the database a table is found by its own
name only. A load that replaces it empties it first, whoever's rows stand there.

*Why it matters.* After each run the table holds the rows of whoever ran last, and both report success.

*Fix safety.* One of the resources needs a table of another name. Its rows of before are not in the database any
more: load it again after the change.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.writers import Writer
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Catalog, Database, LoadSummary, Pipeline, Route, Snapshot
from dltdoctor.words import count, listed, relation

A_DAY = 86_400.0
A_MONTH, A_WEEK = 35 * A_DAY, 7 * A_DAY
"""How long a source may have been silent and still be believed to run: with columns of its own, with the same."""

Span = tuple[float, float]


def _summary(schema: str, oldest: float, newest: float, rows: int = 2) -> LoadSummary:
    return LoadSummary(
        dataset="shop",
        schema_name=schema,
        rows=rows,
        oldest=sketch.NOW - oldest * A_DAY,
        newest=sketch.NOW - newest * A_DAY,
        newest_load_id=f"{sketch.NOW - newest * A_DAY}",
    )


def _two(first: str, second: str, *, eu: Span = (9, 1), us: Span = (8, 0), same: bool = False) -> Snapshot:
    """Two pipelines with a table of orders each; `eu` and `us` are days ago of their first and last load."""
    tables = [
        sketch.table("orders", "amount" if same else column, disposition=disposition, merge_strategy=None)
        for disposition, column in ((first, "region"), (second, "state"))
    ]
    pipelines = [sketch.pipeline(n, tables=[t]) for n, t in zip(("eu", "us"), tables, strict=True)]
    loads = (_summary("eu", *eu), _summary("us", *us))
    return sketch.world(*pipelines, on=sketch.database({"shop.orders": 3}, loads=loads))


def _both_replace() -> Snapshot:
    return _two("replace", "replace")


def _one_replaces() -> Snapshot:
    return _two("append", "replace", same=True)


def _first_runs() -> Snapshot:
    return _two("replace", "replace", eu=(1, 1), us=(0, 0))


def _perhaps_renamed() -> Snapshot:
    """The same columns, one began after the other had ended: two sources, or one that got a new name."""
    return _two("replace", "replace", eu=(9, 1), us=(0, 0), same=True)


def _renamed_long_ago() -> Snapshot:
    return _two("replace", "replace", eu=(99, 50), us=(49, 0), same=True)


def _both_append() -> Snapshot:
    return _two("append", "append")


def _both_merge() -> Snapshot:
    return _two("merge", "merge")


def _no_longer_loaded() -> Snapshot:
    """One of the sources has never brought a row of it."""
    unseen = sketch.table("orders", "state", disposition="replace", merge_strategy=None, seen_data=False)
    mine = sketch.table("orders", "region", disposition="replace", merge_strategy=None)
    loads = (_summary("eu", 9, 1), _summary("us", 8, 0))
    return sketch.world(
        sketch.pipeline("eu", tables=[mine]),
        sketch.pipeline("us", tables=[unseen]),
        on=sketch.database({"shop.orders": 3}, loads=loads),
    )


def _one_schema_two_pipelines() -> Snapshot:
    table = sketch.table("orders", "amount", disposition="replace", merge_strategy=None)
    one, other = sketch.pipeline("shop_loader", tables=[table]), sketch.pipeline("backfill", tables=[table])
    shared = msgspec.structs.replace(other.schemas[0], name="shop_loader")
    other = msgspec.structs.replace(other, schemas=(shared,))
    ways = [sketch.route("shop_loader"), sketch.route("backfill", schema="shop_loader")]
    return sketch.world(one, other, on=sketch.database({"shop.orders": 3}), routes=ways)


@check(
    "DD308",
    Severity.ERROR,
    Severity.WARNING,
    sick=[_both_replace, _one_replaces, _first_runs, _perhaps_renamed],
    well=[
        _renamed_long_ago,
        _both_append,
        _both_merge,
        _no_longer_loaded,
        _one_schema_two_pipelines,
        sketch.world,
    ],
    url=f"{DLT_DOCS}/general-usage/resource#duplicate-and-rename-resources",
)
def same_table_two_sources(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog
) -> Iterable[Note]:
    for database in catalog.databases:
        here = {p.name: p for p in pipelines if catalog.of_pipeline.get(p.name) == database.target.key}
        ways = [way for way in routes if way.pipeline in here]
        spans = _spans(database)
        for (dataset, table), writers in _by_table(here, ways).items():
            loading = [w for w in writers if (dataset, w.route.schema) in spans and database.table(dataset, table)]
            for replacing, other in _pairs(loading):
                one, two = (spans[dataset, w.route.schema] for w in (replacing, other))
                severity = _severity(replacing, other, one, two, database.read_at)
                if severity:
                    yield _note(dataset, table, (replacing, other), (one, two), severity)


def _spans(database: Database) -> Mapping[tuple[str, str], LoadSummary]:
    return {(s.dataset, s.schema_name): s for s in database.loads if s.schema_name}


def _by_table(pipelines: Mapping[str, Pipeline], routes: Iterable[Route]) -> Mapping[tuple[str, str], list[Writer]]:
    """Everyone who brings rows of a root table, by schema name; tables that only one schema knows are left out."""
    found: dict[tuple[str, str], dict[str, Writer]] = defaultdict(dict)
    for way in routes:
        schema = pipelines[way.pipeline].schema(way.schema)
        for table in schema.data_tables if schema else ():
            if schema and not table.is_nested and table.seen_data is not False:
                writer = Writer(route=way, table=table, origin=schema.origin)
                found[way.final, table.name].setdefault(way.schema, writer)
    return {place: list(writers.values()) for place, writers in found.items() if len(writers) > 1}


def _pairs(writers: list[Writer]) -> Iterable[tuple[Writer, Writer]]:
    """One that replaces, and each other; of two that replace, once."""
    replacing = [w for w in writers if w.table.disposition == "replace"]
    for w in replacing[:1]:
        yield from ((w, other) for other in writers if other is not w)


def _severity(one: Writer, other: Writer, first: LoadSummary, second: LoadSummary, now: float) -> Severity | None:
    """None for a source that has ended long ago: it was renamed, or is not run any more."""
    if first.oldest <= second.newest and second.oldest <= first.newest:
        return Severity.ERROR  # each has loaded while the other was in use
    silent = now - min(first.newest, second.newest)
    if one.own_columns != other.own_columns:
        return Severity.ERROR if silent <= A_MONTH else None
    return Severity.WARNING if silent <= A_WEEK else None


def _note(
    dataset: str, table: str, writers: tuple[Writer, Writer], loads: tuple[LoadSummary, LoadSummary], severity: Severity
) -> Note:
    replacing, other = writers
    place = relation(dataset, table)
    last = other if loads[1].newest > loads[0].newest else replacing
    names = sorted(w.route.schema for w in writers)
    verb = {"replace": "replaces", "append": "appends to", "merge": "merges", "skip": "keeps"}
    doubt = "" if severity is Severity.ERROR else ", unless it is one source under a new name"
    return Note(
        message=f"{_who(replacing)} replaces {place}, which {_who(other)} "
        f"{verb[other.table.disposition]}, too: each replacing load removes the rows of the other{doubt}",
        pipeline=last.route.pipeline,
        dataset=dataset,
        table=table,
        severity=severity,
        evidence=tuple(
            Evidence(
                f"{_who(w)}: {w.table.disposition}, columns {listed(sorted(w.own_columns))}, "
                f"{count(s.rows, 'load')} recorded",
                w.origin,
            )
            for w, s in zip(writers, loads, strict=True)
        ),
        remedy=Remedy(
            f"Give one of them a table of its own, e.g. {other.table.resource or table}.with_name"
            f'("{other.route.schema}_{table}"), or @dlt.resource(table_name="{other.route.schema}_{table}"), '
            "then load it again",
            "manual",
        ),
        identity=",".join(names),
    )


def _who(writer: Writer) -> str:
    way = writer.route
    return way.schema if way.schema == way.pipeline else f"{way.schema} (pipeline {way.pipeline})"
