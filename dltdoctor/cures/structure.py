"""Cures for tables that lack what dlt believes to be there: columns, staging tables, root keys.

The DDL is dlt's own. Each step has an inverse that takes it back while nothing hangs on what was added.
"""

from collections.abc import Iterable, Mapping, Sequence

from dltdoctor.cures.structure_steps import MAKERS, Patient
from dltdoctor.deduced.applied import Applied, applied_schemas
from dltdoctor.errors import DoctorError, RefusedError
from dltdoctor.finding import Finding
from dltdoctor.ledger import Ledger
from dltdoctor.plan import Cure, HeldBack
from dltdoctor.snapshot import Database, Snapshot
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.postgres.session import Session, open_session
from dltdoctor.world.schema_documents import local_document, read_stored_document

CODES = tuple(MAKERS)
MOVING = ("DD201", "DD203", "DD204", "DD301", "DD302", "DD306", "DD309")


def plan(
    findings: Iterable[Finding], ledger: Ledger, snapshot: Snapshot, ways_in: Mapping[str, Credentials]
) -> tuple[list[Cure], list[HeldBack]]:
    """A cure for each finding of these checks, or why there is none. Reads, read-only, the stored schemas."""
    cures: list[Cure] = []
    refused: list[HeldBack] = []
    for finding in findings:
        make = MAKERS.get(finding.code)
        database = snapshot.catalog.database(finding.pipeline or "") if snapshot.catalog else None
        if make is None or database is None:
            continue
        try:
            with open_session(ways_in[database.target.key]) as session:
                patient = _patient(session, finding, snapshot, database)
                _refuse_over_waiting(patient, ledger)
                step = make(session, patient)
        except DoctorError as error:
            refused.append(
                HeldBack(
                    code=finding.code,
                    pipeline=finding.pipeline,
                    message=finding.message,
                    reason=error.message,
                    command=error.hint or None,
                )
            )
        else:
            cures.append(
                Cure(
                    code=finding.code,
                    fingerprint=finding.fingerprint,
                    pipeline=finding.pipeline,
                    message=step.title,
                    safety="safe",
                    steps=(step,),
                )
            )
    return cures, refused


def _refuse_over_waiting(patient: Patient, ledger: Ledger) -> None:
    """With the column back, rows that were staged before it went would be merged without their values."""
    if patient.finding.code == "DD402" and ledger.waits_in(*patient.place):
        raise RefusedError(
            f"rows in {patient.name} wait for their merge, and would reach the final table without what was lost", ""
        )


def later(
    findings: Sequence[Finding], cures: Iterable[Cure], snapshot: Snapshot
) -> tuple[tuple[Finding, ...], list[HeldBack]]:
    """The findings that the others may plan for beside these cures, and those that wait for the next plan.

    Staged rows are not moved in the plan that changes their tables: each is undone in its own way. A pending load
    can be finished after it.
    """
    cured = {c.fingerprint for c in cures if c.code in MAKERS}
    busy = {f.pipeline for f in findings if f.fingerprint in cured}
    finals = {w.final for w in snapshot.routes if w.pipeline in busy}
    waiting = [f for f in findings if f.code in MOVING and (f.pipeline in busy or f.dataset in finals)]
    held = [
        HeldBack(
            code=f.code,
            pipeline=f.pipeline,
            message=f.message,
            reason="its tables get what they lack first; run the command again afterwards",
        )
        for f in waiting
    ]
    return tuple(f for f in findings if f.fingerprint not in cured and f not in waiting), held


def _patient(session: Session, finding: Finding, snapshot: Snapshot, database: Database) -> Patient:
    if finding.code == "DD405":
        return _of_unapplied(finding, snapshot, database)
    applied = next(a for a in _applied(snapshot) if _is_about(finding, a))
    staging = applied.route.staging or ""
    document = read_stored_document(session, applied.route.final, applied.schema.name, applied.schema.version_hash)
    if document is None:
        raise RefusedError(f"the stored schema {applied.schema.name} could not be read", "")
    return Patient(
        finding=finding,
        database=database,
        final=applied.route.final,
        dataset=staging if finding.code == "DD403" else finding.dataset or "",
        schema=applied.schema,
        table=applied.schema.tables[finding.table or ""],
        document=document,
    )


def _applied(snapshot: Snapshot) -> Iterable[Applied]:
    catalog = snapshot.catalog
    return applied_schemas(snapshot.pipelines, snapshot.routes, catalog, snapshot.source) if catalog else ()


def _is_about(finding: Finding, applied: Applied) -> bool:
    return (
        applied.route.pipeline == finding.pipeline
        and finding.dataset in (applied.route.final, applied.route.staging)
        and finding.table in applied.schema.tables
    )


def _of_unapplied(finding: Finding, snapshot: Snapshot, database: Database) -> Patient:
    """The root key stands in the pipeline's own schema, which the destination may not have yet."""
    pipeline = next(p for p in snapshot.pipelines if p.name == finding.pipeline)
    ways = [w for w in snapshot.routes_of(pipeline.name) if w.final == finding.dataset]
    for way in ways:
        schema = pipeline.schema(way.schema)
        document = local_document(pipeline, way.schema)
        table = schema.table(finding.table or "") if schema else None
        if schema and table and document:
            return Patient(
                finding=finding,
                database=database,
                final=way.final,
                dataset=way.final,
                schema=schema,
                table=table,
                document=document,
            )
    raise RefusedError(f"the schema that has {finding.table} was not found in the working dir", "")
