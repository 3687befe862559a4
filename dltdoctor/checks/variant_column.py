"""Values of a column stand in another column beside it.

When a value does not fit the type of its column, dlt makes a variant column, e.g. `amount__v_text`, and leaves
the column itself NULL in that row.

*Why it matters.* Whoever reads the column sees NULL: sums are too small, and filters leave the rows out. dlt
says nothing of it.

*Fix safety.* A view that joins both columns changes no row; dlt cannot drop the table while a view reads it, so drop
the view before a refresh. A `columns` hint together with `refresh` loads the table anew with one type.
"""

from collections import defaultdict
from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.writers import writers_of
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Catalog, Database, Looks, Pipeline, Route, Snapshot, VariantRows
from dltdoctor.words import count, identifier, listed, relation

NUMBERS = ("smallint", "integer", "bigint", "numeric", "double precision", "real")


def _two_types(rows: int = 2) -> Snapshot:
    seen = VariantRows(dataset="shop", table="orders", column="amount", variant="amount__v_text", rows=rows, beside=3)
    return sketch.world(
        sketch.pipeline(tables=[sketch.table("orders", "amount", "amount__v_text")]),
        on=sketch.database(looks=Looks(variants=(seen,) if rows else ())),
    )


def _loaded_anew() -> Snapshot:
    """The schema still knows the variant column, and nothing stands in it any more."""
    return _two_types(rows=0)


@check(
    "DD303",
    Severity.WARNING,
    sick=[_two_types],
    well=[_loaded_anew, sketch.world],
    url=f"{DLT_DOCS}/general-usage/schema#variant-columns",
)
def variant_column(pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog) -> Iterable[Note]:
    for database in catalog.databases:
        here = [p for p in pipelines if catalog.of_pipeline.get(p.name) == database.target.key]
        by_column: dict[tuple[str, str, str], list[VariantRows]] = defaultdict(list)
        for seen in database.looks.variants:
            by_column[seen.dataset, seen.table, seen.column].append(seen)
        for (dataset, table, _), found in by_column.items():
            writers = writers_of(here, routes, dataset, table)
            if writers:
                yield _note(found, writers[0].route.pipeline, writers[0].table.resource, database)


def _note(found: list[VariantRows], pipeline: str, resource: str | None, database: Database) -> Note:
    first = found[0]
    place = relation(first.dataset, first.table)
    where = listed(f"{v.variant} ({count(v.rows, 'row', exact=v.exact)})" for v in found)
    return Note(
        message=f"{place}: values of {first.column} stand in {where}, where {first.column} is NULL",
        pipeline=pipeline,
        dataset=first.dataset,
        table=first.table,
        evidence=tuple(_evidence(v) for v in found),
        remedy=Remedy(
            f"Read both columns through a view; or give the resource {resource or first.table} a columns hint "
            f'for {first.column}, and load it once with refresh="drop_resources" (which reads the source from the '
            "start: only if it still has every row)",
            "manual",
            _view(found, database),
        ),
        identity=first.column,
    )


def _evidence(seen: VariantRows) -> Evidence:
    place = relation(seen.dataset, seen.table)
    if seen.beside is None:
        return Evidence(
            f"{count(seen.rows, 'row', exact=False)} with a value in {seen.variant}",
            f"pg_stats or the last blocks of {place}",
        )
    return Evidence(
        f"{count(seen.rows, 'row')} with a value in {seen.variant} only, {seen.beside:,} with one in {seen.column}",
        f"select count({identifier(seen.variant)}), count({identifier(seen.column)}) from {place}",
    )


def _view(found: list[VariantRows], database: Database) -> str:
    """The statement that makes a view with the column whole; as text, unless all of its types are numbers."""
    first = found[0]
    table = database.table(first.dataset, first.table)
    types = {c.name: c.type for c in table.columns} if table else {}
    names = [first.column, *(v.variant for v in found)]
    are_numbers = all(types.get(n, "").partition("(")[0] in NUMBERS for n in names)
    cast = "numeric" if are_numbers else "text"
    whole = ", ".join(f"{identifier(n)}::{cast}" for n in names)
    others = [identifier(n) for n in types if n not in names]
    selected = ", ".join([*others, f"COALESCE({whole}) AS {identifier(first.column)}"])
    view = relation(first.dataset, f"{first.table}_with_{first.column}"[:63])
    return f"CREATE VIEW {view} AS SELECT {selected} FROM {relation(first.dataset, first.table)};"
