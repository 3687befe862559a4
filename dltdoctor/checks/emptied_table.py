"""The final table is empty although loads with rows for it were completed.

Something emptied it: a staging layout that makes staging and final one (with dlt before 1.17), a
replace load that crashed after its TRUNCATE, or a TRUNCATE by hand.

*Why it matters.* An incremental pipeline does not fill it again: the cursor is past the rows.

*Fix safety.* dlt keeps what it loaded in the completed load packages, so do not delete the working dir:
`dltdoctor fix --recover` replays them with dlt's own SQL and inserts what is missing. It is unsafe where some
loads left no package and later ones build on them. Without packages the resource has to be loaded again.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.deduced.kept_packages import holding, tell_all
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.ledger import Entry, Ledger
from dltdoctor.remedies import recover, resume
from dltdoctor.snapshot import Catalog, Job, Package, Pipeline, Snapshot
from dltdoctor.words import command, count, relation


def _after_bare_placeholder() -> Snapshot:
    empty = sketch.database({"shop.orders": 0})
    return sketch.world(sketch.pipeline(packages=[sketch.package(sketch.LATEST, "loaded", sketch.job())]), on=empty)


def _truncated_by_hand() -> Snapshot:
    load = sketch.staged(committed_in=("shop",))
    return sketch.world(on=sketch.database({"shop.orders": 0, "shop_staging.orders": 3}, staged=(load,)))


def _crashed_replace() -> Snapshot:
    replaced = sketch.table("orders", "amount", disposition="replace", merge_strategy=None)
    half = sketch.package(sketch.LATEST, "normalized", sketch.job(status="new", error="server closed the connection"))
    return sketch.world(sketch.pipeline(tables=[replaced], packages=[half]), on=sketch.database({"shop.orders": 0}))


def _never_loaded() -> Snapshot:
    waiting = sketch.package(sketch.LATEST, "normalized", sketch.job(status="new"))
    return sketch.world(
        sketch.pipeline(packages=[waiting], state={"cursors": ()}), on=sketch.database({"shop.orders": 0})
    )


def _replaced_by_nothing() -> Snapshot:
    replaced = sketch.table("orders", "amount", disposition="replace", merge_strategy=None)
    return sketch.world(
        sketch.pipeline(tables=[replaced], packages=[sketch.package(sketch.LATEST, "loaded", sketch.job())]),
        on=sketch.database({"shop.orders": 0}),
    )


@check(
    "DD302",
    Severity.ERROR,
    sick=[_after_bare_placeholder, _truncated_by_hand, _crashed_replace],
    well=[_never_loaded, _replaced_by_nothing],
    url=f"{DLT_ISSUES}/3047",
)
def emptied_table(ledger: Ledger, pipelines: tuple[Pipeline, ...], catalog: Catalog) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    for entry in ledger.entries:
        row = entry.row
        is_empty = row.final.exists and row.final.rows == 0 and row.final.exact
        if not is_empty or row.parent or row.verdict not in ("healthy", "leftover", "missing"):
            continue
        evidence = _evidence(entry, everyone[row.pipeline], catalog)
        if evidence:
            yield _note(entry, everyone[row.pipeline], evidence, catalog)


def _evidence(entry: Entry, pipeline: Pipeline, catalog: Catalog) -> tuple[Evidence, ...]:
    if entry.table.disposition == "replace":
        return _crashed(entry, pipeline)
    staged = tuple(
        Evidence(
            f"{count(load.staged.rows, 'row')} of load {load.staged.load_id} were merged and are still in staging",
            relation(load.staged.staging, entry.row.table),
        )
        for load in entry.loads
        if load.note == "emptied"
    )
    if staged:
        return staged
    if any(c.hard_delete for c in entry.table.columns):
        return ()  # the source may have deleted every row
    loaded = holding(pipeline, entry.row.schema, entry.row.table)
    if loaded:
        return tuple(Evidence(f"load {p.load_id} completed {j.table}.{j.file_id}", p.path) for p, j in loaded[-3:])
    if _has_unfinished(entry, pipeline):
        return ()
    return _committed_cursor(entry, catalog)


def _unfinished(entry: Entry, pipeline: Pipeline) -> list[tuple[Package, Job]]:
    return [
        (p, j)
        for p in pipeline.packages
        if p.stage in ("normalized", "aborted") and p.schema_applied
        for j in p.jobs_of(entry.row.table)
        if j.status != "completed" and not j.is_followup
    ]


def _has_unfinished(entry: Entry, pipeline: Pipeline) -> bool:
    return bool(_unfinished(entry, pipeline)) or bool(pipeline.pending)


def _crashed(entry: Entry, pipeline: Pipeline) -> tuple[Evidence, ...]:
    """The default replace truncates the final table before it loads (#3025)."""
    return tuple(
        Evidence(f"{j.table}.{j.file_id} of the {p.stage} load {p.load_id} did not finish, after the TRUNCATE", j.path)
        for p, j in _unfinished(entry, pipeline)
    )


def _committed_cursor(entry: Entry, catalog: Catalog) -> tuple[Evidence, ...]:
    """Without local packages: the newest committed state says how far this resource was read."""
    database = catalog.database(entry.row.pipeline)
    for stored in database.states if database else ():
        mine = stored.pipeline_name == entry.row.pipeline and stored.dataset == entry.row.final.dataset
        for cursor in stored.state.cursors if mine and stored.committed and stored.state else ():
            if cursor.resource == (entry.table.resource or entry.table.name) and cursor.last_value is not None:
                origin = relation(stored.dataset, "_dlt_pipeline_state")
                return (
                    Evidence(f"cursor {cursor.path} of {cursor.resource} was committed at {cursor.last_value}", origin),
                )
    return ()


def _note(entry: Entry, pipeline: Pipeline, evidence: tuple[Evidence, ...], catalog: Catalog) -> Note:
    row = entry.row
    place = relation(row.final.dataset, row.table)
    if any(p.is_pending for p, _ in _unfinished(entry, pipeline)) and entry.table.disposition == "replace":
        remedy = resume(pipeline.name)
    elif holding(pipeline, row.schema, row.table):
        remedy = _bring_back(entry, pipeline, catalog)
    else:
        remedy = _load_again(entry, pipeline)
    return Note(
        message=f"{place} is empty, although rows for it were loaded",
        pipeline=row.pipeline,
        dataset=row.final.dataset,
        table=row.table,
        evidence=(Evidence("no row", f"select 1 from {place} limit 1"), *evidence),
        remedy=remedy,
    )


def _bring_back(entry: Entry, pipeline: Pipeline, catalog: Catalog) -> Remedy:
    again = "; rewrite the staging layout, too (DD101)" if entry.route.staging == entry.route.final else ""
    return recover(
        pipeline.name,
        f"Find out what emptied it, and bring the rows back from the pipeline's completed load packages{again}",
        is_certain=tell_all(pipeline, entry.route, entry.table, catalog),
    )


def _load_again(entry: Entry, pipeline: Pipeline) -> Remedy:
    resource = entry.table.resource or entry.table.name
    keep = "Do not delete the working dir: its completed packages hold the rows. " if pipeline.packages else ""
    return Remedy(
        f"Find out first what emptied it: a TRUNCATE by hand, or the staging layout (DD101). {keep}"
        "If the source still has the rows, forget how far it was read and load it again from the start",
        "manual",
        command("dlt", "pipeline", entry.row.pipeline, "drop", resource),
    )
