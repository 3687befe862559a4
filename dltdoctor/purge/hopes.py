"""What people hope for when they remove a working dir, what is true, and the command that does it."""

from collections.abc import Iterator

from dltdoctor.ledger import Ledger
from dltdoctor.purge.judgement import Purge
from dltdoctor.snapshot import Database, Pipeline, Snapshot, Value
from dltdoctor.words import command, count, identifier, listed, relation


class Hope(Value):
    """A hope, the truth about it, and what to run instead."""

    hope: str
    truth: str
    command: str | None = None


def hopes(pipeline: Pipeline, purge: Purge, snapshot: Snapshot, ledger: Ledger) -> tuple[Hope, ...]:
    """Those that this pipeline gives reason for first, then those that everybody has."""
    database = snapshot.catalog.database(pipeline.name) if snapshot.catalog else None
    return (
        *_stuck_load(purge),
        *_other_dataset(pipeline, snapshot, database),
        *_new_schema(pipeline, ledger),
        *_renamed_table(pipeline, ledger),
    )


def _stuck_load(purge: Purge) -> Iterator[Hope]:
    kinds = {o.kind for o in purge.objections}
    if kinds & {"pending-packages", "stranded-rows"}:
        flag = "--resume" if "pending-packages" in kinds else "--migrate"
        yield Hope(
            hope="that the stuck load goes away",
            truth="a purge takes its rows with it. Let the load end first",
            command=command("dltdoctor", "fix", purge.pipeline, flag),
        )


def _other_dataset(pipeline: Pipeline, snapshot: Snapshot, database: Database | None) -> Iterator[Hope]:
    for way in snapshot.routes_of(pipeline.name)[:1]:
        if way.next_final != way.final:
            is_free = database is not None and way.next_final not in database.schemas
            yield Hope(
                hope=f"that the rows move to {way.next_final}",
                truth=f"dlt begins anew there, and what is in {way.final} stays behind (DD105). "
                "Move data and state together: rename the schema, then set the new name",
                command=f"ALTER SCHEMA {identifier(way.final)} RENAME TO {identifier(way.next_final)};"
                if is_free
                else command("dltdoctor", "diagnose", pipeline.name),
            )


def _new_schema(pipeline: Pipeline, ledger: Ledger) -> Iterator[Hope]:
    tables = [t for s in pipeline.schemas for t in s.data_tables if not t.is_nested and t.resource]
    resources = sorted({t.resource for t in tables if t.resource})
    if not resources:
        return
    mine = [e.row for e in ledger.entries if e.row.pipeline == pipeline.name and e.row.final.exists]
    known = [r.final.rows for r in mine if r.final.rows is not None]
    rows = count(sum(known), "row", exact=all(r.final.exact for r in mine))
    yield Hope(
        hope="that tables, columns or types are made anew",
        truth=f"dlt restores the schema from the destination and keeps the tables. This drops {count(len(mine), 'table')} "
        f"with {rows} ({listed(relation(r.final.dataset, r.table) for r in mine)}) and the cursors of these "
        "resources; the next run loads them from the beginning, as far as the source still has the rows. "
        'From code: pipeline.run(..., refresh="drop_resources")',
        command=command("dlt", "pipeline", pipeline.name, "drop", *resources),
    )


def _renamed_table(pipeline: Pipeline, ledger: Ledger) -> Iterator[Hope]:
    row = next((e.row for e in ledger.entries if e.row.pipeline == pipeline.name and e.row.final.exists), None)
    if row:
        yield Hope(
            hope="that a table which was renamed in the code takes its rows along",
            truth="dlt makes a table of the new name, and the old one stays with its rows. Rename it and the tables "
            f"nested in it before the next run, as ALTER TABLE {relation(row.final.dataset, row.table)} RENAME TO ...; "
            "this shows every copy of a table",
            command=command("dltdoctor", "where", row.table),
        )
