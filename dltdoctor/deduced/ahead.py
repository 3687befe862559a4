"""What to do about a local cursor that is ahead of what was loaded (DD207). Pure.

A wipe of the working dir makes dlt restore the committed state; it is offered where that is all it does.
"""

from dltdoctor.deduced.restore import Restoration
from dltdoctor.deduced.restore_objections import of_restoration
from dltdoctor.deduced.stored_states import Gap, tables_of
from dltdoctor.finding import Remedy
from dltdoctor.remedies import wipe
from dltdoctor.snapshot import Database, Package, Pipeline, SchemaTable, UnlistedRows
from dltdoctor.words import command, count, listed, literal, moment, relation


def remedy(
    pipeline: Pipeline, found: Restoration, gaps: tuple[Gap, ...], database: Database, *, has_staged: bool
) -> Remedy:
    """A wipe where nothing is lost or doubled by it; else what has to be done first."""
    name = pipeline.name
    if has_staged:
        what = "Let the staged rows reach their tables first (DD201); do not run the pipeline before"
        return Remedy(what, "manual", command("dltdoctor", "fix", name, "--migrate"))
    for objection in of_restoration(pipeline, found):
        what = f"Do not run the pipeline. A wipe of the working dir is not the cure here: {objection.reason}"
        return Remedy(what, "manual", objection.command or command("dltdoctor", "clean-cache", name, "--dry-run"))
    kept = [p for p in pipeline.packages if p.load_id > (found.load_id or "") and _holds(p, pipeline, gaps)]
    if kept:
        return Remedy(
            f"Do not run the pipeline: the package of {moment(kept[0].load_id)} holds the rows. When the source still has them, "
            "archive and remove the working dir, and the next run reads them again",
            "unsafe",
            command("dltdoctor", "clean-cache", name, "--unsafe"),
        )
    doubled = _doubled(pipeline, found, database)
    return _set_aside_first(pipeline, doubled) if doubled else wipe(name)


def _set_aside_first(pipeline: Pipeline, doubled: list[UnlistedRows]) -> Remedy:
    roots = {t.root for s in pipeline.schemas for t in s.data_tables if t.is_nested}
    tables = listed(relation(d.dataset, d.table) for d in doubled)
    has_nested = any(d.table in roots for d in doubled)
    return Remedy(
        f"Do not run the pipeline. First set aside the {count(sum(d.rows for d in doubled), 'row')} of the unfinished load in "
        f"{tables}{', with what is nested in them (DD205 says how)' if has_nested else ''}: the next run appends them "
        f"again. Then: {command('dltdoctor', 'fix', pipeline.name)}",
        "manual",
        command("dltdoctor", "diagnose", pipeline.name) if has_nested else _set_aside(doubled),
    )


def _set_aside(doubled: list[UnlistedRows]) -> str:
    """The rows copied to a table of their own and deleted, in one transaction."""
    lines = []
    for rows in doubled:
        place, of_load = relation(rows.dataset, rows.table), f"_dlt_load_id = {literal(rows.load_id)}"
        aside = relation(rows.dataset, f"{rows.table[:40]}_of_{rows.load_id.partition('.')[0]}")
        lines.append(f"CREATE TABLE {aside} AS SELECT * FROM {place} WHERE {of_load};")
        lines.append(f"DELETE FROM {place} WHERE {of_load};")
    return "\n".join(["BEGIN;", *lines, "COMMIT;"])


def _holds(package: Package, pipeline: Pipeline, gaps: tuple[Gap, ...]) -> bool:
    tables = {t.name for gap in gaps for t in tables_of(gap.resource, pipeline.schemas)}
    return any(not j.is_followup for j in package.jobs_of(*tables))


def _is_keyless(table: SchemaTable) -> bool:
    return table.disposition == "merge" and not (table.primary_key or table.merge_keys)


def _doubled(pipeline: Pipeline, found: Restoration, database: Database) -> list[UnlistedRows]:
    """Rows of newer loads that nobody recorded, in tables to which the next run appends them again."""
    appended = {
        t.name
        for s in pipeline.schemas
        for t in s.data_tables
        if not t.is_nested and (t.disposition == "append" or _is_keyless(t))
    }
    after = found.load_id or ""
    mine = [u for u in database.looks.unlisted if u.dataset == found.dataset and u.table in appended]
    return [u for u in mine if u.load_id > after]
