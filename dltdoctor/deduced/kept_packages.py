"""Which load packages on this machine still hold the rows of a table. Pure."""

from dltdoctor.snapshot import Catalog, Job, Package, Pipeline, Route, SchemaTable


def holding(pipeline: Pipeline, schema: str, table: str) -> list[tuple[Package, Job]]:
    """Completed data jobs of the table in finished packages, oldest first."""
    return [
        (p, j)
        for p in sorted(pipeline.packages, key=lambda p: p.load_id)
        if p.stage == "loaded" and p.schema_name == schema
        for j in p.jobs_of(table)
        if j.status == "completed" and not j.is_followup and j.size and j.format != "reference"
    ]


def tell_all(pipeline: Pipeline, route: Route, table: SchemaTable, catalog: Catalog) -> bool:
    """Whether what the packages bring back is certain: every recorded load is here, or loads only add rows."""
    if table.disposition == "append":
        return True
    database = catalog.database(pipeline.name)
    recorded = sum(
        load.rows
        for load in (database.loads if database else ())
        if (load.dataset, load.schema_name) == (route.final, route.schema)
    )
    return recorded <= len(
        [p for p in pipeline.packages if p.schema_name == route.schema and p.stage == "loaded" and p.jobs]
    )
