"""Whole schemas of staging datasets, read only where something is absent there.

Since 1.30 dlt stores in staging a schema of the staged tables only, whose hash nobody else knows: whether dlt
would make what is absent, its content tells.
"""

from collections.abc import Sequence

import msgspec

from dltdoctor.deduced.applied import doubtful_stagings
from dltdoctor.snapshot import Database, Pipeline, Route, Schema
from dltdoctor.world.postgres.batches import read_parts
from dltdoctor.world.postgres.dlt_tables import VERSIONS, own_tables, schema_of
from dltdoctor.world.postgres.session import Session


def with_staging_schemas(
    session: Session, database: Database, pipelines: Sequence[Pipeline], routes: Sequence[Route]
) -> Database:
    """The database with the content of the schemas of those staging datasets; what cannot be read stays as it is."""
    here = dict.fromkeys((p.name for p in pipelines), database.target.key)
    datasets = doubtful_stagings(pipelines, routes, database, here)
    if not datasets:
        return database
    from dltdoctor.world.postgres import dlt_sql  # noqa: PLC0415 - it needs psycopg

    own = [t for t in own_tables(database.tables, VERSIONS, ("schema_name",)) if t.schema in datasets]
    rows = read_parts(session, [dlt_sql.stored_schemas(i, t, with_content=True) for i, t in enumerate(own)]).rows
    stored = dict(database.stored_schemas)
    for i, name, version, _, version_hash, content in rows:
        dataset = own[i].schema
        known = Schema(name=name, origin=f"{dataset}.{VERSIONS}", version=version or 0, version_hash=version_hash or "")
        whole = schema_of(content, known, dataset, []) if content else known
        stored[dataset] = tuple(whole if s.name == name else s for s in stored[dataset])
    return msgspec.structs.replace(database, stored_schemas=stored)
