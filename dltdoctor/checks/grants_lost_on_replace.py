"""Every replace with staging-optimized makes a new table, without the grants of the old one.

dlt drops the final table and moves the staging table into its place. Grants, indexes and columns that
others added go with the dropped table. Default privileges of the final schema do not help: the new table
was made in the staging schema. A view that reads the table makes the DROP fail.

*Why it matters.* A reader that worked yesterday gets "permission denied" after the next load, or the load
itself is stuck behind a view.

*Fix safety.* insert-from-staging fills the table that is there, in one transaction: readers see the old
rows or the new ones, and grants and views stay. It takes about as long. Grants that are lost already have
to be given again once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.remedies import rewrite
from dltdoctor.snapshot import (
    Catalog,
    Config,
    Database,
    Grant,
    Grants,
    Pipeline,
    Route,
    Schema,
    SchemaTable,
    Snapshot,
    ViewReference,
)
from dltdoctor.words import identifier, listed, relation

OPTIMIZED, INSTEAD = "staging-optimized", "insert-from-staging"
MOST = 5
_READ = frozenset({Grant(grantee="bi", privilege="SELECT")})


def _world(grants: Grants, **changes: Any) -> Snapshot:
    replaced = [
        sketch.table(name, "amount", disposition="replace", merge_strategy=None, replace_strategy=OPTIMIZED)
        for name in ("orders", "prices")
    ]
    database = sketch.database({"shop.orders": 3, "shop.prices": 3, "shop.log": 9}, grants=grants, **changes)
    return sketch.world(sketch.pipeline(tables=[*replaced, sketch.table("log", disposition="append")]), on=database)


def _siblings_have_them() -> Snapshot:
    return _world(Grants(tables={("shop", "log"): _READ}))


def _default_in_the_final_schema() -> Snapshot:
    return _world(Grants(defaults={("shop", "loader"): _READ}))


def _view_in_the_way() -> Snapshot:
    view = ViewReference(schema="reports", view="daily", reads_schema="shop", reads_table="orders")
    return _world(Grants(), views=(view,))


def _nobody_has_grants() -> Snapshot:
    return _world(Grants())


def _default_in_the_staging_schema() -> Snapshot:
    tables = {("shop", name): _READ for name in ("orders", "prices", "log")}
    return _world(Grants(tables=tables, defaults={("shop_staging", "loader"): _READ}))


def _not_optimized() -> Snapshot:
    sick = _siblings_have_them()
    plain = sketch.table("orders", disposition="replace", merge_strategy=None, replace_strategy="insert-from-staging")
    return msgspec.structs.replace(sick, pipelines=(sketch.pipeline(tables=[plain, sketch.table("log")]),))


@check(
    "DD503",
    Severity.WARNING,
    sick=[_siblings_have_them, _default_in_the_final_schema, _view_in_the_way],
    well=[_nobody_has_grants, _default_in_the_staging_schema, _not_optimized],
    url=f"{DLT_DOCS}/general-usage/full-loading#the-staging-optimized-strategy",
)
def grants_lost_on_replace(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog, config: Config | None = None
) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    for way in routes:
        pipeline, database = everyone.get(way.pipeline), catalog.database(way.pipeline)
        schema = pipeline.schema(way.schema) if pipeline else None
        if pipeline is None or database is None or schema is None or not way.staging:
            continue
        remade = [t for t in schema.data_tables if _is_remade(t, schema) and database.table(way.final, t.name)]
        lost = {t.name: grants for t in remade if (grants := _lost(t.name, way, schema, database))}
        views = [v for v in database.views if v.reads_schema == way.final and v.reads_table in {t.name for t in remade}]
        if lost or views:
            yield _note(way, lost, views, database, config)


def _is_remade(table: SchemaTable, schema: Schema) -> bool:
    root = schema.table(table.root) or table
    return root.disposition == "replace" and root.replace_strategy == OPTIMIZED and root.seen_data is not False


def _lost(name: str, way: Route, schema: Schema, database: Database) -> frozenset[Grant]:
    """What others have on the table, or should have as on its siblings, and will not have after a replace."""
    table, grants = database.table(way.final, name), database.grants
    owner = table.owner if table else ""
    held = grants.tables.get((way.final, name), frozenset())
    promised = grants.default(way.final, owner) | _of_siblings(way, schema, database)
    return (held | promised) - grants.default(way.staging or "", owner)


def _of_siblings(way: Route, schema: Schema, database: Database) -> frozenset[Grant]:
    """What others have on every table of the dataset that stays when it is loaded; dlt's own do not count."""
    staying = [
        database.grants.tables.get((way.final, t.name), frozenset())
        for t in database.tables_in(way.final)
        if t.kind in "rp" and not t.name.startswith("_dlt_") and not _is_known_remade(t.name, schema)
    ]
    return frozenset.intersection(*staying) if staying else frozenset()


def _is_known_remade(name: str, schema: Schema) -> bool:
    table = schema.table(name)
    return table is not None and _is_remade(table, schema)


def _note(
    way: Route,
    lost: Mapping[str, frozenset[Grant]],
    views: Sequence[ViewReference],
    database: Database,
    config: Config | None,
) -> Note:
    tables = sorted({*lost, *(v.reads_table for v in views)})
    gone = {n: g - database.grants.tables.get((way.final, n), frozenset()) for n, g in lost.items()}
    return Note(
        message=_message(way, lost, gone, views),
        pipeline=way.pipeline,
        dataset=way.final,
        table=tables[0] if len(tables) == 1 else None,
        evidence=(
            Evidence(
                f"replace_strategy = {OPTIMIZED}: {listed(tables)} is dropped and made anew", _origin(way, config)
            ),
            *(Evidence(*_fact(way, n, lost[n], gone[n])) for n in sorted(lost)[:MOST]),
            *(
                Evidence(f"{relation(v.schema, v.view)} reads {relation(way.final, v.reads_table)}", "pg_depend")
                for v in views[:MOST]
            ),
        ),
        remedy=_remedy(way, gone, config),
    )


def _message(
    way: Route,
    lost: Mapping[str, frozenset[Grant]],
    gone: Mapping[str, frozenset[Grant]],
    views: Sequence[ViewReference],
) -> str:
    if views:
        names = sorted({relation(v.schema, v.view) for v in views})
        read = listed(sorted({relation(way.final, v.reads_table) for v in views}))
        return f"the next replace cannot drop {read}: {listed(names)} {'reads' if len(names) == 1 else 'read'} it"
    missing = sorted(n for n in lost if gone[n])
    who = listed(sorted({g.grantee for n in lost for g in lost[n]}))
    if missing:
        return f"{who} may not read {listed([relation(way.final, n) for n in missing])}: each replace drops its grants"
    return f"the grants of {who} on {listed([relation(way.final, n) for n in sorted(lost)])} will be gone after the next replace"


def _fact(way: Route, name: str, lost: frozenset[Grant], gone: frozenset[Grant]) -> tuple[str, str]:
    what = listed(sorted(f"{g.privilege} to {g.grantee}" for g in (gone or lost)))
    place = relation(way.final, name)
    if gone:
        return (
            f"{place} has no grant of {what}, which its siblings or the schema's default privileges have",
            "pg_class.relacl",
        )
    return f"{place} has {what}, and {way.staging} has no such default privilege", "pg_class.relacl, pg_default_acl"


def _origin(way: Route, config: Config | None) -> str:
    winner = config.of(way.pipeline)["replace_strategy"].winner if config else None
    return winner.location if winner and winner.value == OPTIMIZED else "the stored schema"


def _remedy(way: Route, gone: Mapping[str, frozenset[Grant]], config: Config | None) -> Remedy:
    winner = config.of(way.pipeline)["replace_strategy"].winner if config else None
    lines = " ".join(_grants(way, gone))
    instead = f'Set replace_strategy to "{INSTEAD}"'
    if winner is None or winner.value != OPTIMIZED:
        return Remedy(f"{instead}; then give back the grants", "manual", lines or None)
    made = rewrite(way.pipeline, winner, instead)
    if winner.provider == "env":
        made = msgspec.structs.replace(made, safety="manual")
    return msgspec.structs.replace(made, title=f"{made.title}; then, as the owner: {lines}") if lines else made


def _grants(way: Route, gone: Mapping[str, frozenset[Grant]]) -> Iterator[str]:
    tables: dict[Grant, list[str]] = {}
    for name in sorted(gone):
        for grant in gone[name]:
            tables.setdefault(grant, []).append(relation(way.final, name))
    for grant in sorted(tables, key=lambda g: (g.grantee, g.privilege)):
        who = grant.grantee if grant.grantee == "PUBLIC" else identifier(grant.grantee)
        yield f"GRANT {grant.privilege} ON {', '.join(tables[grant])} TO {who};"
