"""The pipeline loads to something else than Postgres.

dltdoctor reads Postgres catalogs. For other destinations the working dir, the configuration and the
source were still examined.

*Why it matters.* A report without findings says less here than it does for Postgres.

*Fix safety.* There is nothing to repair.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Severity
from dltdoctor.snapshot import Pipeline, Snapshot


def _filesystem() -> Snapshot:
    return sketch.world(sketch.pipeline(state={"destination_type": "dlt.destinations.filesystem"}))


@check(
    "DD004",
    Severity.INFO,
    sick=[_filesystem],
    well=[sketch.world],
    url=f"{DLT_DOCS}/dlt-ecosystem/destinations",
)
def unsupported_destination(pipelines: tuple[Pipeline, ...]) -> Iterable[Note]:
    for pipeline in pipelines:
        state = pipeline.state
        if state and state.destination and state.destination != "postgres":
            yield Note(
                message=f"loads to {state.destination}: only its working dir, configuration and source were examined",
                pipeline=pipeline.name,
                evidence=(Evidence(f"destination_type is {state.destination_type}", state.origin),),
            )
