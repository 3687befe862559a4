"""The role that loads lacks a privilege that dlt's next load needs.

What is needed depends on the write disposition: DELETE for a merge by delete-insert, UPDATE for upsert
and scd2, TRUNCATE for replace and for every staging table, the database's TEMPORARY for a merge with
nested tables, its CREATE while there is no staging dataset, and the table itself for a pending load that
adds a column, and for a replace with staging-optimized, which drops it. A role that may write nothing at
all is taken for one that only looks.

*Why it matters.* Rows are staged and then not merged. With dlt before 1.30 the load is aborted and the
cursor moves on: the next run leaves those rows out for good.

*Fix safety.* The printed GRANT gives this role what its loads need, nothing else. Only the owner or a
superuser can run it, so it is yours to run.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.deduced.needs import DROP, Need, needs_of
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Catalog, Config, Database, Lacking, Pipeline, Route, Snapshot
from dltdoctor.snapshot.privileges import OWNERSHIP
from dltdoctor.words import identifier, listed, relation

MOST_NAMED = 10
_HAS = {"database": "has_database_privilege()", "schema": "has_schema_privilege()", "table": "has_table_privilege()"}


def _of(lacking: Lacking, *tables: str) -> Snapshot:
    database = sketch.database({f"shop.{t}": 3 for t in tables or ("orders",)} | {"shop_staging.orders": 3})
    return sketch.world(on=msgspec.structs.replace(database, lacking={"shop_loader": lacking}))


def _no_delete() -> Snapshot:
    return _of(Lacking(role="loader", tables={("shop", "orders"): frozenset({"DELETE", "UPDATE", OWNERSHIP})}))


def _no_staging_dataset() -> Snapshot:
    database = sketch.database(
        {"shop.orders": 3}, lacking={"shop_loader": Lacking(role="loader", database=frozenset({"CREATE"}))}
    )
    return sketch.world(on=database)


def _hidden_staging() -> Snapshot:
    return _of(Lacking(role="loader", schemas={"shop_staging": frozenset({"USAGE", "CREATE"})}))


def _nothing_that_is_needed() -> Snapshot:
    everything = frozenset({"UPDATE", "TRUNCATE", OWNERSHIP})
    return _of(
        Lacking(
            role="loader",
            database=frozenset({"CREATE", "TEMPORARY"}),
            schemas={"shop": frozenset({"CREATE", OWNERSHIP}), "shop_staging": frozenset({"CREATE", OWNERSHIP})},
            tables={
                ("shop", "orders"): everything,
                ("shop", "somebody_elses"): everything | {"SELECT", "INSERT", "DELETE"},
                ("shop", "_dlt_version"): everything | {"INSERT", "DELETE"},
            },
        )
    )


def _append_only() -> Snapshot:
    log = sketch.table("orders", disposition="append", merge_strategy=None)
    lacking = Lacking(role="loader", tables={("shop", "orders"): frozenset({"SELECT", "UPDATE", "DELETE", "TRUNCATE"})})
    database = sketch.database({"shop.orders": 3}, lacking={"shop_loader": lacking})
    return sketch.world(sketch.pipeline(tables=[log]), on=database)


def _a_role_that_only_looks() -> Snapshot:
    names = ("orders", "_dlt_version", "_dlt_loads", "_dlt_pipeline_state")
    return _of(Lacking(role="analyst", tables={("shop", n): frozenset({"INSERT", "DELETE"}) for n in names}))


@check(
    "DD502",
    Severity.ERROR,
    sick=[_no_delete, _no_staging_dataset, _hidden_staging],
    well=[_nothing_that_is_needed, _append_only, _a_role_that_only_looks, sketch.world],
    url=f"{DLT_ISSUES}/3228",
)
def missing_privilege(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog, config: Config | None = None
) -> Iterable[Note]:
    ways_of: dict[str, list[Route]] = defaultdict(list)
    for way in routes:
        if way.final == way.next_final:
            ways_of[way.pipeline].append(way)
    for pipeline in pipelines:
        database = catalog.database(pipeline.name)
        lacking = database.lacking.get(pipeline.name) if database else None
        if database is None or lacking is None:
            continue
        restores = config is None or config.of(pipeline.name).value("restore_from_destination") is not False
        ways = ways_of[pipeline.name]
        for final in dict.fromkeys(way.final for way in ways if database.is_dataset(way.final)):
            if _only_reads(pipeline, final, database, lacking):
                continue
            needs = _missing(pipeline, [w for w in ways if w.final == final], database, lacking, restores=restores)
            if needs:
                yield _note(pipeline, final, needs, database, lacking.role)


def _only_reads(pipeline: Pipeline, final: str, database: Database, lacking: Lacking) -> bool:
    """True for a role that may write nothing in the dataset and has not loaded: it looks, another one loads."""
    writable = (t for t in database.tables_in(final) if "INSERT" not in lacking.tables.get((final, t.name), ()))
    last = pipeline.last_destination or ""
    return not any(t.kind in "rp" for t in writable) and not any(f"//{lacking.role}{end}" in last for end in ":@")


def _missing(
    pipeline: Pipeline, ways: Sequence[Route], database: Database, lacking: Lacking, *, restores: bool
) -> list[Need]:
    """What is needed and not there, each privilege on each thing once."""
    found: dict[tuple[str, ...], Need] = {}
    for way in ways:
        schema = pipeline.schema(way.schema)
        for need in needs_of(pipeline, schema, way, database, restores=restores) if schema else ():
            if _is_lacking(need, lacking):
                found.setdefault(need[:4], need)
    return list(found.values())


def _is_lacking(need: Need, lacking: Lacking) -> bool:
    of_schema = lacking.schemas.get(need.schema, frozenset())
    if need.on == "database":
        return need.privilege in lacking.database
    if need.on == "schema":
        return need.privilege in of_schema
    of_table = lacking.tables.get((need.schema, need.table), frozenset())
    if need.privilege == DROP:
        return OWNERSHIP in of_table and OWNERSHIP in of_schema
    return need.privilege in of_table


def _note(pipeline: Pipeline, final: str, needs: Sequence[Need], database: Database, role: str) -> Note:
    tables = {n.table for n in needs if n.on == "table" and not n.table.startswith("_dlt_")}
    owners = sorted(_owners(needs, database))
    return Note(
        message=f"the role {role} that loads {pipeline.name} lacks {listed(_things(needs, database), most=3)}, "
        "which its next load needs",
        pipeline=pipeline.name,
        dataset=final,
        table=next(iter(tables)) if len(tables) == 1 else None,
        evidence=tuple(
            Evidence(
                f"no {_words(n.privilege)} {_place(n.on, n.schema, n.table, database)}: {n.why}",
                "pg_class.relowner" if _is_ownership(n.privilege) else _HAS[n.on],
            )
            for n in needs[:MOST_NAMED]
        ),
        remedy=Remedy(
            f"As {listed(owners)} or a superuser, grant what the load needs; then run the pipeline again"
            if owners
            else "As a superuser, grant what the load needs; then run the pipeline again",
            "manual",
            " ".join(_grants(needs, database, role)),
        ),
    )


def _things(needs: Sequence[Need], database: Database) -> Iterator[str]:
    """E.g. "DELETE on shop.orders", many tables of a schema together."""
    for (on, privileges, schema), tables in _grouped(needs).items():
        what = _words(" and ".join(privileges))
        names = [relation(schema, table) for table in tables]
        yield f"{what} {listed(names, most=2) if on == 'table' else _place(on, schema, '', database)}"


def _grants(needs: Sequence[Need], database: Database, role: str) -> Iterator[str]:
    who = identifier(role)
    for (on, privileges, schema), tables in _grouped(needs).items():
        if _is_ownership(privileges[0]):
            yield from (f"ALTER TABLE {relation(schema, t)} OWNER TO {who};" for t in tables)
        elif on != "table":
            thing = f"SCHEMA {identifier(schema)}" if on == "schema" else _database(database)
            yield f"GRANT {', '.join(privileges)} ON {thing} TO {who};"
        elif len(tables) > MOST_NAMED:
            yield f"GRANT {', '.join(privileges)} ON ALL TABLES IN SCHEMA {identifier(schema)} TO {who};"
        else:
            yield f"GRANT {', '.join(privileges)} ON {', '.join(relation(schema, t) for t in tables)} TO {who};"


def _grouped(needs: Sequence[Need]) -> dict[tuple[str, tuple[str, ...], str], list[str]]:
    """The tables by what is missing on them; ownership, which no GRANT gives, by itself."""
    missing: dict[tuple[str, str, str, bool], list[str]] = {}
    for need in needs:
        place = (need.on, need.schema, need.table, _is_ownership(need.privilege))
        missing.setdefault(place, []).append(need.privilege)
    grouped: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for (on, schema, table, _), privileges in missing.items():
        grouped.setdefault((on, tuple(privileges), schema), []).append(table)
    return grouped


def _owners(needs: Sequence[Need], database: Database) -> set[str]:
    schemas = {database.schemas[n.schema].owner for n in needs if n.on == "schema" and n.schema in database.schemas}
    tables = {t.owner for n in needs if n.on == "table" and (t := database.table(n.schema, n.table))}
    return (schemas | tables) - {""}


def _place(on: str, schema: str, table: str, database: Database) -> str:
    if on == "table":
        return relation(schema, table)
    return f"the schema {schema}" if on == "schema" else f"the database {database.target.database}"


def _database(database: Database) -> str:
    return f"DATABASE {identifier(database.target.database)}"


def _words(privilege: str) -> str:
    return "ownership of" if _is_ownership(privilege) else f"{privilege} on"


def _is_ownership(privilege: str) -> bool:
    return privilege in (OWNERSHIP, DROP)
