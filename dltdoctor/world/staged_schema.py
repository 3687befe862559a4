"""Which schema document the staged rows of a load were made with."""

from typing import Any

from dltdoctor.snapshot import Database, Package, Pipeline
from dltdoctor.world.postgres.session import Session
from dltdoctor.world.schema_documents import local_document, package_document, read_stored_document
from dltdoctor.world.unreadable import UnreadableError


def chain_document(
    session: Session, database: Database, pipeline: Pipeline, place: tuple[str, str], package: Package | None
) -> dict[str, Any] | None:
    """`place` is the final dataset and dlt's schema name. The package's schema, else the one stored in the destination, else the working dir's; None without any."""
    if package is not None:
        try:
            return package_document(package)
        except UnreadableError:
            pass
    final, name = place
    if (final, "_dlt_version") in database.tables:
        stored = read_stored_document(session, final, name)
        if stored:
            return stored
    return local_document(pipeline, name)
