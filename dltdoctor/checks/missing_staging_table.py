"""A staging table is gone, and dlt will not make it again.

The staging dataset stores the present version of the schema, so dlt expects every table of it that is merged,
or replaced through staging, to be there. Somebody dropped one; or, with dlt before 1.30, the table has only now
become one that is staged, e.g. by another replace strategy.

*Why it matters.* Every load of the table fails with "relation does not exist"; dlt before 1.30 then gives up
the load with the cursor moved on.

*Fix safety.* `fix` creates the table exactly as dlt would, empty, and undo takes it away again. Dropping the
whole staging schema heals for good only with newer versions: dlt 1.16 makes anew what the next load needs,
notes that all is there, and fails at the tables of the load after that.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.deduced.applied import Applied, applied_schemas, held
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.sketch.tables import created
from dltdoctor.snapshot import Catalog, Pipeline, Route, SchemaTable, Snapshot, Source
from dltdoctor.words import command, relation

PEOPLE = sketch.table("people", "name")


def _dropped() -> Snapshot:
    return created(sketch.table("orders"), PEOPLE, without=["shop_staging.people"])


def _replaced_through_staging() -> Snapshot:
    rates = sketch.table("rates", disposition="replace", merge_strategy=None, replace_strategy="insert-from-staging")
    return created(sketch.table("orders"), rates, without=["shop_staging.rates"])


def _staging_gone() -> Snapshot:
    return created(without=["shop_staging.orders"], staging_stores=None)


def _staging_of_an_older_schema() -> Snapshot:
    return created(sketch.table("orders"), PEOPLE, without=["shop_staging.people"], staging_stores="v0")


def _not_staged() -> Snapshot:
    appended = sketch.table("events", disposition="append", merge_strategy=None)
    replaced = sketch.table("rates", disposition="replace", merge_strategy=None)
    return created(PEOPLE, appended, replaced, without=["shop_staging.events", "shop_staging.rates"])


def _made_by_the_next_load_of_a_new_dlt() -> Snapshot:
    appended = sketch.table("events", disposition="append", merge_strategy=None)
    places = ["shop_staging.events", "shop_staging.people"]
    return created(PEOPLE, appended, without=places, storage_version="1.0.2")


def _never_loaded() -> Snapshot:
    unseen = sketch.table("later", seen_data=False)
    return created(PEOPLE, unseen, without=["shop.later", "shop_staging.later"])


@check(
    "DD403",
    Severity.ERROR,
    sick=[_dropped, _replaced_through_staging],
    well=[
        created,
        _staging_gone,
        _staging_of_an_older_schema,
        _not_staged,
        _made_by_the_next_load_of_a_new_dlt,
        _never_loaded,
    ],
    url=f"{DLT_ISSUES}/2862",
)
def missing_staging_table(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog, source: Source | None = None
) -> Iterable[Note]:
    for applied in applied_schemas(pipelines, routes, catalog, source):
        for table in applied.staged:
            staging = applied.route.staging or ""
            is_there = applied.database.table(staging, table.name)
            if not is_there and held(applied.database, applied.route.final, table.name):
                yield _note(applied, staging, table)


def _note(applied: Applied, staging: str, table: SchemaTable) -> Note:
    place, pipeline = relation(staging, table.name), applied.route.pipeline
    return Note(
        message=f"{place} does not exist, and dlt will not create it: its schema is stored there already, and every load "
        f"of {table.name} fails",
        pipeline=pipeline,
        dataset=applied.route.final,
        table=table.name,
        evidence=(
            Evidence("no relation of that name", f"pg_class, schema {staging}"),
            Evidence(
                f"schema {applied.schema.name} has the table, with data seen and write disposition {table.disposition}",
                relation(staging, "_dlt_version"),
            ),
        ),
        remedy=Remedy(
            "Create the table as dlt would", "safe", command("dltdoctor", "fix", pipeline, "--select", "DD403")
        ),
    )
