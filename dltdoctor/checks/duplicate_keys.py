"""Several rows of one key stand in a table that is merged by it.

A merge keeps one row of a key. More of them come from rows that were appended before the key was declared, from
rows put in by hand, or, where nothing keeps `_dlt_id` unique (`create_indexes=false`), from a job that was
loaded twice.

*Why it matters.* Every sum and every join over the table counts the rows twice, until the next load happens to
bring their key again.

*Fix safety.* Of each key the row of the newest load is kept, of one load the one that stands last; the others
are deleted with what is nested in them. They are kept for undo. Which of them was right dltdoctor cannot know.
"""

from collections.abc import Iterable
from typing import Any

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.chains import ROW_KEY
from dltdoctor.deduced.duplicates import LOAD_ID, deletion, listing, retirement
from dltdoctor.deduced.writers import writers_of
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Catalog, Database, Looks, Pipeline, RepeatedKey, Route, Snapshot
from dltdoctor.words import columns, command, count, relation


def _doubled(**changes: Any) -> Snapshot:
    repeated = {"dataset": "shop", "table": "orders", "columns": ("id",), "keys": 2, "surplus": 3, **changes}
    return sketch.world(on=sketch.database(looks=Looks(repeated=(RepeatedKey(**repeated),))))


def _two_valid_versions() -> Snapshot:
    table = sketch.table("orders", "amount", "_dlt_valid_to", merge_strategy="scd2")
    repeated = RepeatedKey(dataset="shop", table="orders", columns=("id",), keys=1, surplus=1, valid_to="_dlt_valid_to")
    return sketch.world(sketch.pipeline(tables=[table]), on=sketch.database(looks=Looks(repeated=(repeated,))))


def _loaded_twice() -> Snapshot:
    return _doubled(columns=("_dlt_id",))


@check(
    "DD306",
    Severity.ERROR,
    sick=[_doubled, _two_valid_versions, _loaded_twice],
    well=[sketch.world],
    url=f"{DLT_DOCS}/general-usage/merge-loading",
)
def duplicate_keys(pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog) -> Iterable[Note]:
    for database in catalog.databases:
        here = [p for p in pipelines if catalog.of_pipeline.get(p.name) == database.target.key]
        told: set[tuple[str, str]] = set()
        for repeated in sorted(database.looks.repeated, key=lambda r: r.columns == (ROW_KEY,)):
            writers = writers_of(here, routes, repeated.dataset, repeated.table)
            place = (repeated.dataset, repeated.table)
            if writers and place not in told:  # a job that was loaded twice has both doubled
                told.add(place)
                yield _note(repeated, writers[0].route.pipeline, writers[0].origin, database)


def _note(repeated: RepeatedKey, pipeline: str, origin: str, database: Database) -> Note:
    place = relation(repeated.dataset, repeated.table)
    several = "valid versions" if repeated.valid_to else "rows"
    return Note(
        message=f"{place} has several {several} of {count(repeated.keys, 'key')} "
        f"({columns(repeated.columns)}): {count(repeated.surplus, 'row')} too many",
        pipeline=pipeline,
        dataset=repeated.dataset,
        table=repeated.table,
        evidence=(
            Evidence(
                "it is unique, dlt says" if repeated.columns == (ROW_KEY,) else "it is merged by this primary key",
                origin,
            ),
            Evidence(f"{count(repeated.keys, 'key')} with more than one row", listing(repeated)),
        ),
        remedy=_remedy(repeated, pipeline, database),
        identity=",".join(repeated.columns),
    )


def _remedy(repeated: RepeatedKey, pipeline: str, database: Database) -> Remedy:
    table = database.table(repeated.dataset, repeated.table)
    if repeated.valid_to:
        return Remedy("Retire all valid versions of a key but the newest", "manual", retirement(repeated))
    if repeated.columns == (ROW_KEY,) or table is None or not table.has_row_key_index:
        with_load_id = table is not None and table.has(LOAD_ID)
        return Remedy(
            "Look at them first, then delete all rows of a key but the one that stands last; and let dlt make its "
            "indexes, by removing create_indexes = false",
            "manual",
            deletion(repeated, with_load_id=with_load_id),
        )
    return Remedy(
        "Keep the newest row of each key, and delete the others with what is nested in them",
        "unsafe",
        command("dltdoctor", "fix", pipeline, "--unsafe"),
    )
