"""Whether a database has ever met a pipeline, and whether the pipeline has ever loaded anywhere."""

from collections.abc import Iterable

from dltdoctor.snapshot import Database, Pipeline

RECORDS = ("_dlt_loads", "_dlt_pipeline_state")


def has_loaded(pipeline: Pipeline) -> bool:
    """Its working dir says that a load was completed."""
    state = pipeline.state
    if pipeline.working_dir is None or state is None or state.partial or state.version < 1:
        return False
    return any(p.stage == "loaded" for p in pipeline.packages) or (
        state.first_run is False and pipeline.last_destination is not None
    )


def knows(database: Database, pipeline: Pipeline, finals: Iterable[str]) -> bool:
    """Some dataset has a state or a load of the pipeline, or one of its own could not be looked into."""
    if any(_is_hidden(database, final) for final in finals) or any(name in RECORDS for _, name in database.unread):
        return True
    if any(state.pipeline_name == pipeline.name for state in database.states):
        return True
    names = {schema.name for schema in pipeline.schemas}
    return any(load.schema_name in names for load in database.loads)


def _is_hidden(database: Database, name: str) -> bool:
    """No USAGE on the schema, or no SELECT on the tables in which dlt records loads and states."""
    schema = database.schemas.get(name)
    own = [database.table(name, table) for table in ("_dlt_loads", "_dlt_pipeline_state")]
    return (schema is not None and not schema.usable) or any(table and not table.readable for table in own)
