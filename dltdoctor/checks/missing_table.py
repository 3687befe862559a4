"""A table that dlt created is gone.

The schema stored in the destination says that the table exists and has seen data; the catalog does
not have it. Somebody dropped or renamed it, or dropped the schema and restored only a part.

*Why it matters.* dlt compares schema versions by hash, finds its own, and creates nothing: the next
merge fails with "relation does not exist", or the rows that were dropped never come back because the
cursor is past them.

*Fix safety.* Dropping the resource from the pipeline forgets its cursor and loads it again from the
start. With a pending package, creating the table from its staging twin and resuming keeps everything.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.ledger import Entry, Ledger
from dltdoctor.snapshot import Schema, Snapshot
from dltdoctor.words import command, relation


def _stored() -> dict[str, tuple[Schema, ...]]:
    return {"shop": sketch.pipeline().schemas}


def _dropped() -> Snapshot:
    return sketch.world(on=sketch.database({"shop.other": 1}, stored_schemas=_stored()))


def _there() -> Snapshot:
    return sketch.world(on=sketch.database(stored_schemas=_stored()))


def _never_created() -> Snapshot:
    return sketch.world(on=sketch.database({"shop.other": 1}))


@check("DD401", Severity.ERROR, sick=[_dropped], well=[_there, _never_created], url=f"{DLT_ISSUES}/1926")
def missing_table(ledger: Ledger) -> Iterable[Note]:
    for entry in ledger.with_verdict("missing"):
        if entry.row.final.exists is False:
            yield _note(entry)


def _note(entry: Entry) -> Note:
    row = entry.row
    place = relation(row.final.dataset, row.table)
    resource = entry.table.resource or entry.table.root
    return Note(
        message=f"{place} does not exist, although dlt's stored schema says that it was created",
        pipeline=row.pipeline,
        dataset=row.final.dataset,
        table=row.table,
        evidence=(
            Evidence("no relation of that name", f"pg_class, schema {row.final.dataset}"),
            Evidence(f"schema {row.schema} has the table, with data seen", relation(row.final.dataset, "_dlt_version")),
        ),
        remedy=Remedy(
            "Forget the resource's state and load it again from the start",
            "manual",
            command("dlt", "pipeline", row.pipeline, "drop", resource),
        ),
    )
