"""Reads the whole catalog of the database that `PG*` names: python -m benchmarks.readers dltdoctor|sqlalchemy.

Both print how many columns they read, so that it is seen that they read the same.
"""

import gc
import sys


def by_dltdoctor() -> int:
    from dltdoctor.__main__ import GC_THRESHOLDS  # noqa: PLC0415 - each pays for its own imports only
    from dltdoctor.world.credentials import Credentials  # noqa: PLC0415
    from dltdoctor.world.postgres.catalog import read_catalog  # noqa: PLC0415
    from dltdoctor.world.postgres.session import open_session  # noqa: PLC0415

    gc.set_threshold(*GC_THRESHOLDS)
    with open_session(Credentials(parameters={}, origin="PG*")) as session:
        relations = read_catalog(session)
    return sum(len(table.columns) for table in relations.tables.values())


def by_sqlalchemy() -> int:
    """Its quickest way: one call for all tables of a schema, not one a table."""
    import sqlalchemy  # noqa: PLC0415

    with sqlalchemy.create_engine("postgresql+psycopg://").connect() as connection:
        inspector = sqlalchemy.inspect(connection)
        schemas = [s for s in inspector.get_schema_names() if s != "information_schema"]
        tables = [inspector.get_multi_columns(schema=s) for s in schemas]
    return sum(len(columns) for found in tables for columns in found.values())


if __name__ == "__main__":
    readers = {"dltdoctor": by_dltdoctor, "sqlalchemy": by_sqlalchemy}
    print(readers[sys.argv[1]](), "columns")
