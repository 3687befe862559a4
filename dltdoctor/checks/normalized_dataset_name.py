"""The Postgres schema is called otherwise than the dataset.

dlt normalises the dataset's name by the schema's naming convention: snake_case and sql_ci_v1 give lower case,
sql_cs_v1 and direct keep the case, so that SQL has to quote it; a name that is too long is cut and gets a tag.
`state.json` and the logs show the name as it was given.

*Why it matters.* A reader that looks for the name as it was given finds no such schema, or an old one of
that name.

*Fix safety.* There is nothing to repair; a new dataset name would begin a new dataset.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Severity
from dltdoctor.snapshot import Catalog, Pipeline, Route, Schema, Snapshot
from dltdoctor.words import identifier, listed

_BYTES = 63


def _snake_case() -> Snapshot:
    local = sketch.pipeline(dataset="MyData")
    return sketch.world(local, on=sketch.database({"my_data.orders": 3}), routes=[sketch.route(final="my_data")])


def _needs_quotes() -> Snapshot:
    local = sketch.pipeline(dataset="MyData")
    return sketch.world(local, on=sketch.database({"MyData.orders": 3}), routes=[sketch.route(final="MyData")])


def _too_long() -> Snapshot:
    local = sketch.pipeline(dataset="a" * 80)
    return sketch.world(local, routes=[sketch.route(final="a" * 50 + "kt9q2w" + "a" * 7)])


def _as_it_is() -> Snapshot:
    return sketch.world(on=sketch.database())


def _apart_for_a_schema() -> Snapshot:
    return sketch.world(routes=[sketch.route(), sketch.route(final="shop_erp", schema="erp")])


def _no_local_name() -> Snapshot:
    return sketch.world(sketch.pipeline(state={"dataset_name": None}), routes=[sketch.route()])


@check(
    "DD108",
    Severity.INFO,
    sick=[_snake_case, _needs_quotes, _too_long],
    well=[_as_it_is, _apart_for_a_schema, _no_local_name],
    url=f"{DLT_DOCS}/general-usage/naming-convention",
)
def normalized_dataset_name(
    pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog | None = None
) -> Iterable[Note]:
    for pipeline in pipelines:
        state = pipeline.state
        ways = [w for w in routes if w.pipeline == pipeline.name]
        default = state.default_schema_name if state else None
        home = next((w for w in ways if w.schema == default), ways[0] if ways else None)
        given = state.dataset_name if state else None
        if home and given and (given != home.final or identifier(home.final) != home.final):
            schema = pipeline.schema(home.schema)
            database = catalog.database(pipeline.name) if catalog else None
            quoted = (
                [t.name for t in database.tables_in(home.final) if identifier(t.name) != t.name] if database else []
            )
            yield _note(pipeline, given, home, schema, sorted(quoted))


def _note(pipeline: Pipeline, given: str, home: Route, schema: Schema | None, quoted: list[str]) -> Note:
    naming = schema.naming if schema else "snake_case"
    written = identifier(home.final)
    says = [f"the dataset {given!r} is the Postgres schema {written}"] if given != home.final else []
    if written != home.final:
        says.append(f"{written} has to be quoted in SQL")
    why = f"naming convention {naming}"
    if len(given.encode()) > _BYTES:
        why += f"; Postgres keeps {_BYTES} bytes of a name, and dlt puts a tag for the rest"
    origin = pipeline.state.origin if pipeline.state else ""
    tables = (Evidence(f"so have the tables {listed(identifier(t) for t in quoted)}", f"pg_class, schema {written}"),)
    return Note(
        message="; ".join(says),
        pipeline=pipeline.name,
        dataset=home.final,
        evidence=(
            Evidence(f"dataset_name is {given!r}", origin),
            Evidence(why, schema.origin if schema else "dlt's default"),
            *(tables if quoted else ()),
        ),
    )
