"""Two pipelines merge different columns into one table, and each NULLs what the other brought.

dlt's default merge strategy, delete-insert, deletes the row of a key and inserts the new one with the
columns that the merging pipeline's schema knows. Columns that only the other pipeline fills come out NULL.

*Why it matters.* This is what is behind most reports of "the values are in staging and NULL in
production": staging shows what was loaded, the final table shows who wrote last. The staging layout
has nothing to do with it, and changing it cures nothing.

*Fix safety.* With the merge strategy `upsert` a merge updates only the columns of its own schema. Values
that are NULL already are not in the database any more; dlt keeps them in the losing pipeline's completed
load packages, so do not delete its working dir: `dltdoctor fix --recover` writes them back where the column
is NULL, for columns that only the losing pipeline fills and rows that it did not write last itself.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.kept_packages import holding, tell_all
from dltdoctor.deduced.writers import Writer, shared_tables
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.remedies import recover
from dltdoctor.snapshot import Catalog, NullCount, Package, Pipeline, Route, Snapshot
from dltdoctor.words import columns, count, listed, relation

UPSERT = 'write_disposition={"disposition": "merge", "strategy": "upsert"}'


def _two_pipelines(strategy: str = "delete-insert", rows: int = 1, packages: tuple[Package, ...] = ()) -> Snapshot:
    table = sketch.table("orders", "trust_score", merge_strategy=strategy)
    scores = sketch.pipeline("scores", tables=[table], packages=packages)
    concepts = sketch.pipeline("concepts", tables=[sketch.table("orders", "app_concept", merge_strategy=strategy)])
    lost = NullCount(dataset="shop", table="orders", schema_name="concepts", columns=("trust_score",), rows=rows)
    return sketch.world(scores, concepts, on=sketch.database(nulls=(lost,)))


def _packages_kept() -> Snapshot:
    return _two_pipelines(packages=(sketch.package(sketch.LATEST, "loaded", sketch.job(), schema_name="scores"),))


def _upserts() -> Snapshot:
    return _two_pipelines("upsert")


def _not_overlapping_yet() -> Snapshot:
    return _two_pipelines(rows=0)


def _same_columns() -> Snapshot:
    return sketch.world(sketch.pipeline("eu"), sketch.pipeline("us"), on=sketch.database())


@check(
    "DD301",
    Severity.ERROR,
    sick=[_two_pipelines, _packages_kept],
    well=[_upserts, _not_overlapping_yet, _same_columns],
    url=f"{DLT_DOCS}/general-usage/merge-loading",
)
def clobbered_columns(pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog) -> Iterable[Note]:
    for (place, final, name), writers in shared_tables(pipelines, routes, catalog.of_pipeline).items():
        nulls = {
            n.schema_name: n
            for d in catalog.databases
            if d.target.key == place
            for n in d.nulls
            if (n.dataset, n.table) == (final, name)
        }
        lost = [(w, n) for w in writers if (n := nulls.get(w.route.schema)) and n.rows and w.overwrites]
        if lost:
            yield _note(final, name, writers, lost, _remedy(writers, lost, pipelines, catalog))


def _note(
    final: str, table: str, writers: tuple[Writer, ...], lost: list[tuple[Writer, NullCount]], remedy: Remedy
) -> Note:
    names = sorted({w.route.pipeline for w in writers})
    first, nulls = lost[0]
    return Note(
        message=f"{listed(names)} merge different columns into {relation(final, table)} with delete-insert: "
        f"{count(nulls.rows, 'row', exact=nulls.exact)} last written by {first.route.pipeline} "
        f"{'have' if nulls.rows != 1 else 'has'} NULL in {columns(nulls.columns)}",
        dataset=final,
        table=table,
        pipeline=first.route.pipeline,
        evidence=(
            *(
                Evidence(
                    f"{w.route.pipeline} fills {listed(sorted(w.own_columns))} ({w.table.merge_strategy})", w.origin
                )
                for w in writers
            ),
            *(
                Evidence(
                    f"{count(n.rows, 'row', exact=n.exact)} of loads of {n.schema_name} with NULL in {listed(n.columns)}",
                    f"{relation(final, table)} joined with {relation(final, '_dlt_loads')}",
                )
                for _, n in lost
            ),
        ),
        remedy=remedy,
        identity=",".join(names),
    )


def _remedy(
    writers: tuple[Writer, ...],
    lost: list[tuple[Writer, NullCount]],
    pipelines: tuple[Pipeline, ...],
    catalog: Catalog,
) -> Remedy:
    """Give the values back where the packages of a pipeline that lost them are here."""
    _, nulls = lost[0]
    everyone = {p.name: p for p in pipelines}
    keep = [
        w
        for w in writers
        if w.own_columns & set(nulls.columns) and holding(everyone[w.route.pipeline], w.route.schema, w.table.name)
    ]
    if not keep:
        return Remedy(
            f"Give both resources {UPSERT}, then load the losing pipeline again; keep its working dir, "
            "its completed packages still hold the values",
            "manual",
        )
    losers = sorted({w.route.pipeline for w in keep})
    return recover(
        losers,
        f"Give the values back that the load packages of {listed(losers)} hold; give both resources {UPSERT}, so that it does "
        "not happen again",
        is_certain=all(tell_all(everyone[w.route.pipeline], w.route, w.table, catalog) for w in keep),
    )
