"""Working dirs that are archived and removed, so that dlt restores the committed state: what is seen of them,
the judgement with the destination at hand, the step; and the cure of DD207, which is such a wipe.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from dltdoctor.deduced.restore import Doubled
from dltdoctor.deduced.restore_objections import Objection
from dltdoctor.errors import CouldNotLookError, RefusedError
from dltdoctor.finding import Finding
from dltdoctor.ledger import Ledger
from dltdoctor.plan import Cure, HeldBack
from dltdoctor.purge.judgement import Purge, appended_tables, judge, with_doubled
from dltdoctor.purge.objections import Facts
from dltdoctor.snapshot import Pipeline, Snapshot, Value
from dltdoctor.steps.step import ArchiveDirectory
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.directory_steps import archive_step
from dltdoctor.world.postgres.dlt_tables import read_load_rows
from dltdoctor.world.postgres.session import open_session
from dltdoctor.world.postgres.uncommitted import read_uncommitted
from dltdoctor.world.room import check_room, need
from dltdoctor.world.survey import Request, Survey, project_of
from dltdoctor.world.trees import check_place, extractions, holders, read_tree, strange_entries

CODE = "DD207"
# What needs the load packages, or the rows that the next load truncates.
_FIRST = ("DD201", "DD202", "DD203", "DD204", "DD206", "DD208", "DD301", "DD302")
_OF_TABLES = ("DD301", "DD302")  # the packages of every pipeline that writes the table bring its rows back


class Shed(Value):
    """Where working dirs may be wiped: what was asked for, what was seen, and where archives are kept."""

    request: Request
    survey: Survey
    archives: Path

    @property
    def ways_in(self) -> Mapping[str, Credentials]:
        return self.survey.ways_in


def plan(
    findings: Sequence[Finding],
    everything: Sequence[Finding],
    snapshot: Snapshot,
    ledger: Ledger,
    shed: Shed,
    progress: Callable[[str], None],
) -> tuple[list[Cure], list[HeldBack]]:
    """A wipe for each cursor that is ahead of what was loaded, where nothing is lost or doubled by it.

    `everything` that was found may need the packages, also what nobody asked to repair now.
    """
    mine = [f for f in findings if f.code == CODE and f.remedy and f.remedy.safety == "safe"]
    everyone = {p.name: p for p in snapshot.pipelines if p.working_dir}
    chosen = [everyone[f.pipeline] for f in mine if f.pipeline in everyone]
    if not chosen:
        return [], []
    recorded = recorded_loads(chosen, snapshot, shed)
    open_by = holders(p.working_dir for p in chosen if p.working_dir)
    cures: list[Cure] = []
    held: list[HeldBack] = []
    for finding in mine:
        pipeline = everyone.get(finding.pipeline or "")
        if pipeline is None:
            continue
        waiting = next((f for f in everything if comes_first(f, pipeline.name, ledger)), None)
        if waiting:
            held.append(_after(finding, waiting))
            continue
        facts = msgspec.structs.replace(facts_of(pipeline, shed), holders=open_by.get(pipeline.working_dir or "", ()))
        purge = judge(pipeline, snapshot, ledger, recorded.get(pipeline.name, {}), facts)
        if purge.is_cure:
            progress(f"looking for rows of {pipeline.name} that would be doubled")
            purge = looked_for_doubled(purge, ledger, snapshot, shed)
        made = _cure(finding, purge, shed)
        if isinstance(made, Cure):
            cures.append(made)
        else:
            held.append(made)
    return cures, held


def _cure(finding: Finding, purge: Purge, shed: Shed) -> Cure | HeldBack:
    objection = next(iter(purge.objections), None)
    if objection is None and purge.is_cure:
        try:
            step = archived(purge, ("",), shed.archives)
        except RefusedError as error:
            objection = Objection(kind="place", reason=f"{error.message}. {error.hint}")
        else:
            return Cure(
                code=finding.code,
                fingerprint=finding.fingerprint,
                pipeline=finding.pipeline,
                message=finding.message,
                safety="safe",
                steps=(step,),
            )
    return HeldBack(
        code=finding.code,
        pipeline=finding.pipeline,
        message=finding.message,
        reason=objection.reason if objection else "what dlt would restore is not known",
        command=objection.command if objection else None,
    )


def comes_first(finding: Finding, pipeline: str, ledger: Ledger) -> bool:
    """Its own cure needs what is in the working dir."""
    if finding.code not in _FIRST or finding.remedy is None or finding.remedy.safety == "manual":
        return False
    if finding.code not in _OF_TABLES:
        return finding.pipeline == pipeline
    place = (finding.dataset, finding.table)
    return any((e.row.final.dataset, e.row.table) == place for e in ledger.entries if e.row.pipeline == pipeline)


def _after(finding: Finding, first: Finding) -> HeldBack:
    return HeldBack(
        code=finding.code,
        pipeline=finding.pipeline,
        message=finding.message,
        reason=f"{first.code} comes first: it needs what is in the working dir",
        command=first.remedy.command if first.remedy else None,
    )


def recorded_loads(chosen: Iterable[Pipeline], snapshot: Snapshot, shed: Shed) -> Mapping[str, Mapping[str, int]]:
    """Which of the local loads the destination records, with their status, by pipeline."""
    chosen = tuple(chosen)
    found: dict[str, dict[str, int]] = {}
    for database in snapshot.catalog.databases if snapshot.catalog else ():
        names = [p for p in chosen if snapshot.catalog and snapshot.catalog.database(p.name) is database]
        ids = {p.load_id for pipeline in names for p in pipeline.packages}
        ids |= {s.load_id for s in database.states if not s.committed}
        if not ids:
            continue
        with open_session(shed.ways_in[database.target.key]) as session:
            rows = read_load_rows(session, database.tables, ids)
        statuses = {row.load_id: row.status for row in rows}
        found |= {pipeline.name: statuses for pipeline in names}
    return found


def looked_for_doubled(purge: Purge, ledger: Ledger, snapshot: Snapshot, shed: Shed) -> Purge:
    """The judgement after a look at rows that the next run would append a second time."""
    try:
        return with_doubled(purge, _doubled(purge, ledger, snapshot, shed))
    except CouldNotLookError as error:
        unknown = Objection(kind="unreachable", reason=f"whether rows would be doubled is not known: {error.message}")
        return msgspec.structs.replace(purge, objections=(unknown,), is_cure=False)


def _doubled(purge: Purge, ledger: Ledger, snapshot: Snapshot, shed: Shed) -> list[Doubled]:
    """Rows of unrecorded loads that are in their tables already."""
    catalog, after = snapshot.catalog, purge.restoration.load_id if purge.restoration else None
    database = catalog.database(purge.pipeline) if catalog else None
    if database is None or after is None:
        return []
    parents = {(e.row.final.dataset, e.table.parent) for e in ledger.entries}
    with open_session(shed.ways_in[database.target.key]) as session:
        found = read_uncommitted(session, database, appended_tables(purge, ledger), after)
    return [
        Doubled(
            dataset=each.dataset,
            table=each.table,
            load_id=each.load_id,
            rows=each.rows,
            has_nested=(each.dataset, each.table) in parents,
        )
        for each in found
    ]


def facts_of(pipeline: Pipeline, shed: Shed) -> Facts:
    """What is seen of a working dir; a place that is none to purge is not looked into."""
    place, request = pipeline.working_dir or "", shed.request
    if str(Path(place).parent) not in {str(d.path) for d in shed.survey.dirs}:
        return Facts(problem=f"{place} is itself the pipelines dir", hint="Pass its parent as --pipelines-dir.")
    try:
        own = str(shed.archives.parent)
        check_place(place, home=str(request.home), forbidden=(str(request.cwd), str(project_of(request)), own))
        tree = read_tree(place)
    except RefusedError as error:
        return Facts(problem=error.message, hint=error.hint)
    return Facts(
        size=tree.size,
        files=tree.files,
        newest=tree.newest,
        strange=strange_entries(place),
        extractions=extractions(place),
        has_trace=any(e.path == "trace.pickle" for e in tree.entries),
    )


def archived(purge: Purge, parts: tuple[str, ...], folder: Path) -> ArchiveDirectory:
    """The step that archives and removes parts of a working dir. Raises `RefusedError` without room for it."""
    tree = read_tree(purge.working_dir, parts)
    check_room(folder, need(tree), f"the archive of {purge.pipeline}")
    return archive_step(purge.working_dir, parts, tree.fingerprint, folder)
