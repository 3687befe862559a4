"""Several pipelines store different schemas under one name in one dataset.

dlt names a schema after the source and keeps it in `_dlt_version` by that name alone. Where two pipelines of
one dataset have a source of the same name, each stores its own tables under it, and the newest wins.

*Why it matters.* A machine that starts anew restores the newest schema of that name, which may be the other
pipeline's: types and hints of its own tables are forgotten. A value of another type then fails at the
table, where dlt would have made a variant column. It is an error where whole tables are forgotten, a warning
where one pipeline has only seen columns or nested tables that the other has not.

*Fix safety.* A source's state is kept under its name, too: what is renamed is read from the beginning. Rename the
source that merges, or that is cheap to load again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.sketch import states
from dltdoctor.snapshot import Catalog, Database, Pipeline, Route, Schema, Snapshot, Table
from dltdoctor.words import listed, relation

_MARKS = ("_dlt_id", "_dlt_load_id")


def _forgotten_table() -> Snapshot:
    stored = states.schema("gh", sketch.table("prs", "title"))
    return states.sharing(
        "gh", stored, {"issues": sketch.table("issues", "title"), "prs": sketch.table("prs", "title")}
    )


def _forgotten_column() -> Snapshot:
    stored = states.schema("gh", sketch.table("issues"))
    return states.sharing("gh", stored, {"issues": sketch.table("issues", "title"), "prs": sketch.table("issues")})


def _seen_from_the_database() -> Snapshot:
    stored = states.schema("gh", sketch.table("prs", "title"))
    tables = {"prs": sketch.table("prs", "title"), "issues": sketch.table("prs", "title")}
    return states.sharing("gh", stored, tables, also=("issues",))


def _the_very_same() -> Snapshot:
    stored = states.schema("gh", sketch.table("issues", "title"))
    same = sketch.table("issues", "title")
    return states.sharing("gh", stored, {"issues": same, "again": same})


def _newest_knows_all() -> Snapshot:
    stored = states.schema("gh", sketch.table("issues", "title"), sketch.table("prs"))
    return states.sharing("gh", stored, {"issues": sketch.table("issues"), "prs": sketch.table("prs")})


def _copied_by_a_person() -> Snapshot:
    stored = states.schema("gh", sketch.table("issues", "title"))
    same = sketch.table("issues", "title")
    return states.sharing("gh", stored, {"issues": same, "again": same}, copied=("issues_of_may",))


def _names_of_their_own() -> Snapshot:
    return sketch.world(sketch.pipeline("scores"), sketch.pipeline("concepts"), on=sketch.database())


@check(
    "DD406",
    Severity.ERROR,
    Severity.WARNING,
    sick=[_forgotten_table, _forgotten_column, _seen_from_the_database],
    well=[_the_very_same, _newest_knows_all, _copied_by_a_person, _names_of_their_own, sketch.world],
    url=f"{DLT_DOCS}/general-usage/schema",
)
def shared_schema_name(pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog) -> Iterable[Note]:
    for database in catalog.databases:
        mine = [p for p in pipelines if catalog.of_pipeline.get(p.name) == database.target.key]
        for (dataset, name), sharing in sorted(_sharing(mine, routes, database).items()):
            stored = next((s for s in database.stored_schemas.get(dataset, ()) if s.name == name), None)
            if len(sharing) > 1 and stored and stored.tables:
                lacks = dict(_lacking(stored, dataset, sharing, database))
                if lacks:
                    yield _note(dataset, stored, sharing, lacks)


def _sharing(
    pipelines: Sequence[Pipeline], routes: Iterable[Route], database: Database
) -> Mapping[tuple[str, str], list[Pipeline]]:
    """The pipelines that have stored a state in a dataset, by dataset and schema name."""
    everyone = {p.name: p for p in pipelines}
    has_state = {(r.dataset, r.pipeline_name) for r in database.states}
    found: dict[tuple[str, str], list[Pipeline]] = defaultdict(list)
    for way in routes:
        pipeline = everyone.get(way.pipeline)
        known = pipeline.state.schema_names if pipeline and pipeline.state else ()
        is_loaded = pipeline and way.schema in known and (way.final, way.pipeline) in has_state
        if pipeline and is_loaded and pipeline not in found[way.final, way.schema]:
            found[way.final, way.schema].append(pipeline)
    return found


def _lacking(
    stored: Schema, dataset: str, sharing: Sequence[Pipeline], database: Database
) -> Iterator[tuple[str, str]]:
    """What the newest stored schema does not know, each with the place that does."""
    for pipeline in sharing:
        schema = pipeline.schema(stored.name)
        if schema is None or schema.version_hash == stored.version_hash != "":
            continue
        for table in schema.data_tables:
            there = database.table(dataset, table.name)
            known = stored.table(table.name)
            if there is None or not table.seen_data:
                continue
            if known is None:
                yield f"{'nested ' if table.is_nested else ''}table {table.name}", schema.origin
                continue
            for column in table.columns:
                is_loaded = column.data_type and not column.variant and there.has(column.name)
                if is_loaded and not known.has(column.name):
                    yield f"column {table.name}.{column.name} ({column.data_type})", schema.origin
    everywhere = {t for s in database.stored_schemas.get(dataset, ()) for t in s.tables}
    for relation_ in database.tables_in(dataset):
        if relation_.name not in everywhere and _is_made_by_dlt(relation_):
            yield f"table {relation_.name}", f"pg_class, schema {dataset}"


def _is_made_by_dlt(table: Table) -> bool:
    """A root table as dlt creates it; a copy that somebody made of one has no NOT NULL and no index."""
    marks = {c.name for c in table.columns if c.not_null}
    return table.kind in "rp" and marks.issuperset(_MARKS) and table.has_row_key_index


def _note(dataset: str, stored: Schema, sharing: Sequence[Pipeline], lacks: Mapping[str, str]) -> Note:
    versions, names = relation(dataset, "_dlt_version"), sorted(p.name for p in sharing)
    return Note(
        message=f"pipelines {listed(names)} store different schemas under the name {stored.name} in {dataset}; the newest "
        f"does not know {listed(lacks, most=3)}, and that is what a fresh machine restores",
        severity=Severity.ERROR if any(what.startswith("table ") for what in lacks) else Severity.WARNING,
        dataset=dataset,
        evidence=(
            *(
                Evidence(f"pipeline {p.name} has schema {stored.name}", p.state.origin if p.state else p.name)
                for p in sharing
            ),
            Evidence(f"newest version of {stored.name}: tables {listed(t.name for t in stored.data_tables)}", versions),
            *(Evidence(f"{what} is loaded, and not in it", origin) for what, origin in list(lacks.items())[:5]),
        ),
        remedy=Remedy(
            f"Give each source a name of its own, @dlt.source(name=...) other than {stored.name!r}. Its cursors are kept under "
            "that name: what is renamed is read from the beginning",
            "manual",
        ),
        identity=stored.name,
    )
