"""DD301 in source: the merge strategy upsert for pipelines that merge different columns into one table."""

from dltdoctor.cures.config_rewrites import Change, NotOfferedError
from dltdoctor.deduced.writers import Writer, shared_tables
from dltdoctor.finding import Finding
from dltdoctor.snapshot import Pipeline
from dltdoctor.words import relation
from dltdoctor.world.draft import Draft

Place = tuple[str, int]

DISPOSITION = "write_disposition"
UPSERT = '{"disposition": "merge", "strategy": "upsert"}'
COST = (
    "upsert needs Postgres 15 and a primary key, does not remove duplicates within one load, "
    "and leaves a column as it is when a load does not bring it"
)

NESTED_COST = "; nested rows of keys that are there already lose their parent, whose _dlt_id upsert changes"


def upsert(finding: Finding, draft: Draft) -> Change:
    """Every call that decides how the table is merged updates only the columns it brings."""
    writers = _writers(finding, draft)
    _refuse_unfit(writers, draft)
    wanted = {w.route.pipeline: w for w in writers}
    pipelines = [p for p in draft.pipelines() if p.name in wanted]
    if len(pipelines) < len(wanted):
        raise _by_hand(writers[0], "the source of some of them is not in this project")
    already = Draft(draft.request, draft.snapshot)
    if all(_is_upsert(already, _place(already, p, wanted[p.name])) for p in pipelines):
        raise NotOfferedError("the source asks for upsert already: it counts from the next run on")
    for pipeline in pipelines:
        place = _place(draft, pipeline, wanted[pipeline.name])
        if not _is_upsert(draft, place):
            draft.exchange(*place, DISPOSITION, UPSERT)
    note = "Values that are NULL already do not come back with it: dltdoctor fix --recover fetches them from load packages."
    cost = COST + (NESTED_COST if any(_has_nested(p, wanted[p.name]) for p in pipelines) else "")
    return Change(pipelines=tuple(wanted), safety="unsafe", cost=cost, note=note)


def _writers(finding: Finding, draft: Draft) -> list[Writer]:
    snapshot = draft.snapshot
    places = snapshot.catalog.of_pipeline if snapshot.catalog else {}
    shared = shared_tables(snapshot.pipelines, snapshot.routes, places)
    place = (finding.dataset, finding.table)
    return [w for (_, *found), writers in shared.items() if tuple(found) == place for w in writers if w.overwrites]


def _refuse_unfit(writers: list[Writer], draft: Draft) -> None:
    catalog = draft.snapshot.catalog
    if not writers:
        raise NotOfferedError("no pipeline merges the table with delete-insert any more")
    if any(not w.table.primary_key or w.table.merge_keys for w in writers):
        raise NotOfferedError("upsert needs a primary key and no merge key")
    database = catalog.database(writers[0].route.pipeline) if catalog else None
    if database and database.server_version < 150000:
        raise NotOfferedError(f"upsert needs Postgres 15, {database.target.key} is older")


def _place(draft: Draft, pipeline: Pipeline, writer: Writer) -> Place:
    """The one call whose write disposition counts: that of the run, else that of the resource."""
    runs = _runs(draft, pipeline, writer)
    found = runs or _resources(draft, writer)
    if not runs:
        own_files = {call.file for call in draft.source.pipeline_calls(pipeline.name)}
        found = [place for place in found if place[0] in own_files] or found
    if len(found) != 1:
        raise _by_hand(writer, f"{len(found)} places may decide how {pipeline.name} merges it")
    if not (_is_upsert(draft, found[0]) or _is_plain(draft, found[0])):
        raise _by_hand(writer, f"what {found[0][0]} says cannot be told without running it")
    return found[0]


def _runs(draft: Draft, pipeline: Pipeline, writer: Writer) -> list[Place]:
    """Runs of the pipeline that give a write disposition to the table."""
    found: list[Place] = []
    for call in draft.source.calls:
        if call.function != "run" or call.literal("pipeline_name") != pipeline.name or not call.argument(DISPOSITION):
            continue
        if call.argument("table_name") and call.literal("table_name") != writer.table.name:
            continue
        if not call.argument("table_name") and not _is_only_table(pipeline, writer):
            raise _by_hand(writer, f"{call.file}:{call.line} gives one write disposition to several tables")
        program = draft.program(call.file)
        found += [(call.file, i) for i in program.ordinals(call) if program.spelled(i, DISPOSITION)]
    return found


def _has_nested(pipeline: Pipeline, writer: Writer) -> bool:
    schema = pipeline.schema(writer.route.schema)
    return schema is not None and len(schema.chain(writer.table.name)) > 1


def _is_only_table(pipeline: Pipeline, writer: Writer) -> bool:
    schema = pipeline.schema(writer.route.schema)
    return [t.name for t in (schema.data_tables if schema else ()) if not t.is_nested] == [writer.table.name]


def _resources(draft: Draft, writer: Writer) -> list[Place]:
    """Resources of the project that fill the table and give a write disposition."""
    wanted = {writer.table.name, writer.table.resource or writer.table.name}
    return [
        (program.file, decoration.ordinal)
        for program in draft.programs(b"resource")
        for decoration in program.decorations()
        if decoration.names & wanted and decoration.disposition
    ]


def _is_upsert(draft: Draft, place: Place) -> bool:
    file, ordinal = place
    return "upsert" in (draft.program(file).spelled(ordinal, DISPOSITION) or "")


def _is_plain(draft: Draft, place: Place) -> bool:
    file, ordinal = place
    return draft.program(file).text_of(ordinal, DISPOSITION) == "merge"


def _by_hand(writer: Writer, reason: str) -> NotOfferedError:
    where = relation(writer.route.final, writer.table.name)
    return NotOfferedError(f"{reason}; give every resource that fills {where} {DISPOSITION}={UPSERT}")
