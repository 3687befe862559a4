"""A declared reader asks PostgREST for a schema that it does not serve.

PostgREST, and with it Supabase's API, serves the schemas in `pgrst.db_schemas` and no others, whatever
the role may read.

*Why it matters.* The API answers that the table does not exist, while every SQL client sees it.

*Fix safety.* Exposing a schema lets everybody who reaches the API try all of its tables: look at the
privileges and policies of the role first.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.promises import promises
from dltdoctor.snapshot import Catalog, Pipeline, Reader, Route, Snapshot

_SETTING = "pgrst.db_schemas of role authenticator, pg_db_role_setting"


def _not_served() -> Snapshot:
    return sketch.read_by(role="anon", exposed=("public",), exposed_by=_SETTING)


def _served() -> Snapshot:
    return sketch.read_by(role="anon", exposed=("public", "shop"), exposed_by=_SETTING)


@check("DD604", Severity.ERROR, sick=[_not_served], well=[_served, sketch.world])
def schema_not_exposed(
    readers: tuple[Reader, ...], routes: tuple[Route, ...], pipelines: tuple[Pipeline, ...], catalog: Catalog
) -> Iterable[Note]:
    for promise in promises(readers, routes, pipelines, catalog):
        exposed, contract = promise.reader.exposed, promise.contract
        if exposed is None or promise.meant is None or promise.meant.schema in exposed:
            continue
        schemas = ", ".join((*exposed, promise.meant.schema))
        yield Note(
            message=f"{promise.who} reads {promise.table.name} of {promise.meant.schema}, and PostgREST serves only "
            f"{', '.join(exposed) or 'nothing'}",
            pipeline=promise.pipeline,
            dataset=promise.dataset,
            table=promise.table.name,
            evidence=(
                Evidence(f"{contract.name!r} reads {promise.table.declared}", contract.origin),
                Evidence(f"exposed: {', '.join(exposed)}", promise.reader.exposed_by),
            ),
            remedy=Remedy(
                f"Expose the schema where pgrst.db_schemas is set, or in Supabase under API settings: {schemas}",
                "manual",
            ),
            identity=f"{contract.name} {promise.table.declared}",
        )
