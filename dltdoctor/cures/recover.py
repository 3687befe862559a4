"""Cures that bring back rows and values from dlt's own load packages: what was loaded once is still there."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from dltdoctor.cures.recovery.chain import Chain
from dltdoctor.cures.recovery.clobbered import Lost, Sample, give_back_step, own_alone
from dltdoctor.cures.recovery.emptied import refill_step
from dltdoctor.cures.recovery.history import History, NotRecoverableError
from dltdoctor.cures.recovery.outcome import Case, Recovery, not_all, recovered, refused, told
from dltdoctor.cures.recovery.overtaken import merge_step, record_step, roots_of, unsettled
from dltdoctor.deduced.writers import Writer, shared_tables
from dltdoctor.errors import DoctorError
from dltdoctor.finding import Finding, fingerprint
from dltdoctor.ledger import Entry, Ledger
from dltdoctor.plan import Cure
from dltdoctor.snapshot import Database, Package, Snapshot
from dltdoctor.steps.step import Replay
from dltdoctor.words import listed
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.postgres.session import Session, open_session

EMPTYING = ("DD101", "DD102")

Progress = Callable[[str], None]


def plan(
    findings: Sequence[Finding],
    ledger: Ledger,
    snapshot: Snapshot,
    ways_in: Mapping[str, Credentials],
    progress: Progress,
) -> Recovery:
    """A cure, or the reason why there is none, for every table that lost rows or values."""
    made = Recovery()
    planners = {"DD204": _lost, "DD301": _clobbered, "DD302": _emptied}
    cases = (
        *_emptied_cases(findings, ledger, snapshot, ways_in),
        *_lost_cases(findings, snapshot, ways_in),
        *_clobbered_cases(findings, snapshot, ways_in),
    )
    for case in cases:
        with open_session(case.way_in) as session:
            found = planners[case.finding.code](session, case, progress)
        made = Recovery(
            cures=(*made.cures, *found.cures),
            held=(*made.held, *found.held),
            samples=(*made.samples, *found.samples),
        )
    return made


# ------------------------------------------------------------------------------- emptied tables


def _emptied_cases(
    findings: Sequence[Finding], ledger: Ledger, snapshot: Snapshot, ways_in: Mapping[str, Credentials]
) -> Iterator[Case]:
    """One for each table, however many pipelines miss their rows in it."""
    seen: set[tuple[str, str, str]] = set()
    for finding in findings:
        database = _database(snapshot, finding.pipeline)
        if finding.code != "DD302" or database is None:
            continue
        place = (database.target.key, finding.dataset or "", finding.table or "")
        if place in seen:
            continue
        seen.add(place)
        writers = [e for e in ledger.entries if _writes(e, finding) and _database(snapshot, e.row.pipeline) == database]
        own_first = sorted(writers, key=lambda e: e.row.pipeline != finding.pipeline)
        chains = tuple(_chain(snapshot, database, e) for e in own_first)
        names = {c.pipeline.name for c in chains}
        again = [f.code for f in findings if f.code in EMPTYING and f.pipeline in names]
        beware = f". {again[0]} empties it again at the next run: dltdoctor fix --config" if again else ""
        yield Case(finding=finding, chains=chains, way_in=ways_in[database.target.key], beware=beware)


def _writes(entry: Entry, finding: Finding) -> bool:
    return (entry.row.final.dataset, entry.row.table) == (finding.dataset, finding.table)


def _chain(snapshot: Snapshot, database: Database, entry: Entry) -> Chain:
    pipeline = next(p for p in snapshot.pipelines if p.name == entry.row.pipeline)
    return Chain(
        database=database,
        pipeline=pipeline,
        schema=entry.row.schema,
        final=entry.row.final.dataset,
        root=entry.row.table,
    )


def _emptied(session: Session, case: Case, progress: Progress) -> Recovery:
    try:
        step, history, lacking = refill_step(session, case.way_in, case.chains, progress)
    except NotRecoverableError as error:
        return refused(case, str(error))
    except DoctorError as error:
        return refused(case, told(error))
    step = msgspec.structs.replace(step, note=f"{step.note}{case.beware}")
    return recovered(
        case, f"Fill {case.place} again from dlt's load packages", [(case.chains[0], step, history)], lacking
    )


# ---------------------------------------------------------------------------------- lost loads


def _lost_cases(findings: Sequence[Finding], snapshot: Snapshot, ways_in: Mapping[str, Credentials]) -> Iterator[Case]:
    """The oldest load first: what a later one brought for the same key counts."""
    found: list[Case] = []
    for finding in findings:
        database = _database(snapshot, finding.pipeline)
        if finding.code != "DD204" or database is None:
            continue
        pipeline = next(p for p in snapshot.pipelines if p.name == finding.pipeline)
        package = next((p for p in pipeline.packages if _is_of(finding, p)), None)
        chain = Chain(
            database=database,
            pipeline=pipeline,
            schema=package.schema_name if package else "",
            final=finding.dataset or "",
            root=finding.table or "",
        )
        found.append(Case(finding=finding, chains=(chain,), way_in=ways_in[database.target.key], package=package))
    yield from sorted(found, key=lambda case: case.package.load_id if case.package else "")


def _is_of(finding: Finding, package: Package) -> bool:
    wanted = fingerprint(finding.code, finding.pipeline, finding.dataset, finding.table, package.load_id)
    return wanted == finding.fingerprint


def _lost(session: Session, case: Case, progress: Progress) -> Recovery:
    package, chain = case.package, case.chains[0]
    if package is None or package.is_pending:
        return refused(case, "its load package is not on this machine: the range has to be loaded again")
    steps: list[Replay] = []
    doubts: list[str] = []
    reasons: list[str] = []
    try:
        for root in roots_of(package):
            try:
                lost = unsettled(msgspec.structs.replace(chain, root=root), package)
                if lost:
                    step, doubtful = merge_step(session, case.way_in, lost, progress)
                    steps.append(step)
                    doubts += doubtful
            except NotRecoverableError as error:
                reasons.append(str(error))
    except DoctorError as error:
        return refused(case, told(error))
    if not steps:
        return refused(case, "; ".join(reasons) or "every file of its load package has been loaded")
    cure = Cure(
        code=case.finding.code,
        fingerprint=case.finding.fingerprint,
        pipeline=case.finding.pipeline,
        message=f"Bring the rows of load {package.load_id} to {chain.final} after all",
        safety="unsafe" if doubts else "safe",
        steps=(*steps, *(() if reasons else (record_step(session, chain, package),))),
        cost=listed(doubts, most=9),
        guarantees_missing=tuple(doubts),
    )
    return Recovery(cures=(cure,), held=tuple(not_all(case, chain.pipeline.name, reason) for reason in reasons))


# ---------------------------------------------------------------------------- clobbered columns


def _clobbered_cases(
    findings: Sequence[Finding], snapshot: Snapshot, ways_in: Mapping[str, Credentials]
) -> Iterator[Case]:
    places = snapshot.catalog.of_pipeline if snapshot.catalog else {}
    shared = shared_tables(snapshot.pipelines, snapshot.routes, places)
    for finding in findings:
        database = _database(snapshot, finding.pipeline)
        if finding.code != "DD301" or database is None:
            continue
        writers = shared.get((database.target.key, finding.dataset or "", finding.table or ""), ())
        chains = tuple(_chain_of(snapshot, database, w) for w in writers)
        if chains:
            yield Case(finding=finding, chains=chains, way_in=ways_in[database.target.key], writers=writers)


def _chain_of(snapshot: Snapshot, database: Database, writer: Writer) -> Chain:
    pipeline = next(p for p in snapshot.pipelines if p.name == writer.route.pipeline)
    return Chain(
        database=database,
        pipeline=pipeline,
        schema=writer.route.schema,
        final=writer.route.final,
        root=writer.table.name,
    )


def _clobbered(session: Session, case: Case, progress: Progress) -> Recovery:
    steps: list[tuple[Chain, Replay, History]] = []
    samples: list[Sample] = []
    reasons: list[str] = []
    for chain, writer in zip(case.chains, case.writers, strict=True):
        columns = own_alone(writer, case.writers)
        if not columns or not any(w.overwrites for w in case.writers if w is not writer):
            continue
        try:
            lost = Lost(
                chain=chain,
                key=writer.table.primary_key,
                columns=columns,
                nested=_nested_alone(chain, case.chains),
                others=tuple(w.route.schema for w in case.writers if w is not writer),
            )
            step, history, shown = give_back_step(session, case.way_in, lost, progress)
        except NotRecoverableError as error:
            reasons.append(str(error))
        except DoctorError as error:
            reasons.append(told(error))
        else:
            steps.append((chain, step, history))
            samples += shown
    if not steps:
        return refused(case, "; ".join(reasons) or "no pipeline alone fills the columns that are NULL")
    message = f"Give {case.place} back the values that other pipelines' merges have NULLed"
    return msgspec.structs.replace(recovered(case, message, steps), samples=tuple(samples))


def _nested_alone(chain: Chain, chains: Sequence[Chain]) -> tuple[str, ...]:
    """Tables nested in the root that no other pipeline's schema knows."""
    schemas = [(c.pipeline.schema(c.schema), c is chain) for c in chains]
    others = {name for schema, is_own in schemas if schema and not is_own for name in schema.tables}
    own = chain.pipeline.schema(chain.schema)
    return tuple(t.name for t in (own.chain(chain.root) if own else ()) if t.is_nested and t.name not in others)


def _database(snapshot: Snapshot, pipeline: str | None) -> Database | None:
    return snapshot.catalog.database(pipeline) if snapshot.catalog and pipeline else None
