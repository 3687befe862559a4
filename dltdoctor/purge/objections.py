"""Why a purge is refused: one function for each thing that would be lost, or that is not known.

Pure; a reason is a sentence that needs no other.
"""

from collections.abc import Collection, Iterator

from dltdoctor.checks.in_flight_load import running
from dltdoctor.deduced.restore import Doubled, Restoration
from dltdoctor.deduced.restore_objections import Kind, Objection
from dltdoctor.ledger import Ledger
from dltdoctor.purge.packages import Shelf
from dltdoctor.snapshot import Database, Package, Pipeline, Snapshot, Unread, Value
from dltdoctor.words import command, count, listed, literal, moment, relation

# What --unsafe never admits: the tool would act on something else than a working dir.
NEVER: frozenset[Kind] = frozenset({"place"})
# What is refused only because nothing is known.
BLIND: frozenset[Kind] = frozenset({"unreadable", "unreachable"})
# What matters when only completed packages are pruned: the cursor stays.
OF_PRUNING: frozenset[Kind] = frozenset({"place", "running", "unreadable", "unreachable", "not-postgres"})

AT_WORK_SECONDS = 600.0


class Facts(Value):
    """What was seen of one working dir: bytes, files, newest mtime (Unix seconds).

    `strange` was not made by dlt. `extractions` are those that have not ended, with their newest mtimes.
    `holders` are processes that have a file of it open. `problem` and `hint` say why it is no place to purge.
    """

    size: int = 0
    files: int = 0
    newest: float = 0.0
    strange: tuple[str, ...] = ()
    extractions: tuple[tuple[str, float], ...] = ()
    holders: tuple[int, ...] = ()
    has_trace: bool = False
    problem: str = ""
    hint: str = ""


def of_place(facts: Facts) -> Iterator[Objection]:
    if facts.problem:
        yield Objection(kind="place", reason=f"{facts.problem}. {facts.hint}".strip())
    if facts.strange:
        yield Objection(kind="strange-files", reason=f"it holds what dlt did not make: {listed(facts.strange)}")


def at_work(pipeline: Pipeline, snapshot: Snapshot, ledger: Ledger, facts: Facts) -> Iterator[Objection]:
    signs = [sign for _, sign in running(pipeline, snapshot.routes, snapshot.catalog)]
    mine = [e for e in ledger.entries if e.row.pipeline == pipeline.name]
    signs += [load.why for e in mine for load in e.loads_with("in-flight")]
    if facts.holders:
        signs.append(f"process {listed(map(str, facts.holders))} has files of it open")
    for path, when in facts.extractions:
        if snapshot.taken_at - when < AT_WORK_SECONDS:
            signs.append(f"an extraction wrote to {path} within the last ten minutes")
    if signs:
        yield Objection(kind="running", reason=f"it seems to be running: {listed(dict.fromkeys(signs), most=2)}")


def unseen(pipeline: Pipeline, snapshot: Snapshot, database: Database | None) -> Iterator[Objection]:
    mine = [u for u in snapshot.unread if u.pipeline == pipeline.name]
    for unread in mine:
        if unread.code == "DD001":
            yield Objection(kind="unreadable", reason=f"{unread.what} could not be read: {unread.reason}")
    state = pipeline.state
    if state is None or state.partial:
        yield Objection(kind="unreadable", reason="it has no whole state.json, so nothing can be compared")
    if database is None:
        yield _closed(pipeline, [*mine, *(u for u in snapshot.unread if u.pipeline is None)])
        return
    for way in snapshot.routes_of(pipeline.name):
        schema = database.schemas.get(way.final)
        own = [database.table(way.final, name) for name in ("_dlt_loads", "_dlt_pipeline_state", "_dlt_version")]
        hidden = (schema and not schema.usable) or any(t and not t.readable for t in own)
        unread_tables = [name for dataset, name in database.unread if dataset == way.final]
        if hidden or unread_tables:
            what = relation(way.final, min(unread_tables)) if unread_tables else f"dlt's tables in {way.final}"
            yield Objection(kind="unreachable", reason=f"the role {database.role} cannot read {what}")


def _closed(pipeline: Pipeline, unread: Collection[Unread]) -> Objection:
    factory = pipeline.state.destination if pipeline.state else None
    if factory and factory != "postgres":
        return Objection(
            kind="not-postgres",
            reason=f"it loads to {factory}, where dltdoctor does not look: whether the state is stored there is not known",
        )
    why = next((f"{u.what}: {u.reason}" for u in unread if u.code in ("DD002", "offline")), "no way to it was found")
    return Objection(
        kind="unreachable", reason=f"its destination could not be looked at ({why}), so nothing is known to be restored"
    )


def of_packages(name: str, shelf: Shelf) -> Iterator[Objection]:
    waiting = (*shelf.pending, *shelf.extracted)
    if waiting:
        yield Objection(
            kind="pending-packages",
            reason=f"{shown(waiting, 'has', 'have')} not been loaded: {_tables(waiting)} only there",
            command=command("dltdoctor", "fix", name, "--resume"),
        )
    if shelf.sole_copies:
        yield Objection(
            kind="aborted-packages",
            reason=f"{shown(shelf.sole_copies, 'failed and was', 'failed and were')} never recorded as loaded: "
            f"{_tables(shelf.sole_copies)} perhaps only there",
            command=command("dltdoctor", "diagnose", name),
        )
    if shelf.unrecorded:
        yield Objection(
            kind="unrecorded-loads",
            reason=f"the destination does not record {shown(shelf.unrecorded, 'that', 'that')} dlt has loaded: "
            "was it restored from a backup, or is it another database?",
            command=command("dltdoctor", "diagnose", name),
        )


def of_staged_rows(name: str, ledger: Ledger) -> Iterator[Objection]:
    mine = [e for e in ledger.entries if e.row.pipeline == name and e.row.parent is None]
    stuck = [(e, load) for e in mine for verdict in ("stranded", "false-commit") for load in e.loads_with(verdict)]
    if stuck:
        rows = sum(load.staged.rows for _, load in stuck)
        places = listed(dict.fromkeys(relation(load.staged.staging, e.row.table) for e, load in stuck))
        yield Objection(
            kind="stranded-rows",
            reason=f"{count(rows, 'row')} in {places} never reached the final table, and the load package "
            "is what proves that they are whole; the next run would truncate them",
            command=command("dltdoctor", "fix", name, "--migrate"),
        )


def state_ahead(name: str, found: Restoration) -> Objection:
    return Objection(
        kind="state-ahead",
        reason=f"the local state (version {found.local_version}) is ahead of the committed one "
        f"(version {found.version if found.load_id else 'none'}), and for the reasons above a wipe is not the cure",
        command=command("dltdoctor", "diagnose", name),
    )


def of_doubled(found: Doubled) -> Objection:
    place = relation(found.dataset, found.table)
    if found.load_id is None:
        return Objection(
            kind="uncommitted-rows",
            reason=f"the rows of {place} do not tell their load: some of those that would be read again may be there already, "
            "and would be there twice",
            command=command("dltdoctor", "where", found.table),
        )
    nested = ", with what is nested in them," if found.has_nested else ""
    delete = f"DELETE FROM {place} WHERE _dlt_load_id = {literal(found.load_id)};"
    return Objection(
        kind="uncommitted-rows",
        reason=f"{count(found.rows, 'row')} of the unfinished load of {moment(found.load_id)} are in {place} already, and the next "
        f"run would append them a second time. A purge is the cure (DD207) once they are deleted{nested}: they are read again",
        command=command("dltdoctor", "where", found.table) if found.has_nested else delete,
    )


def shown(packages: Collection[Package], one: str, many: str) -> str:
    if len(packages) == 1:
        return f"the load of {moment(next(iter(packages)).load_id)} {one}"
    return f"{count(len(packages), 'load')} {many}"


def _tables(packages: Collection[Package]) -> str:
    tables = dict.fromkeys(j.table for p in packages for j in p.jobs if not j.table.startswith("_dlt_"))
    return f"its rows of {listed(tables)} are" if tables else "it has no rows, but what it says is"
