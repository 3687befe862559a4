"""Diagnoses as values, for the tests of the reports."""

from dltdoctor.diagnosis import Diagnosis, PipelineLine
from dltdoctor.finding import Evidence, Finding, Remedy, Severity, SkippedCheck
from dltdoctor.ledger import FinalSide, LedgerRow, StagingSide, Verdict

NOW = 1_714_640_000.0
TARGET = "db:5432/warehouse"
LOAD = "1714632000.51"


def line(name: str = "trust_scores", dataset: str | None = "public", *, looked: bool = True) -> PipelineLine:
    return PipelineLine(
        name=name,
        dataset=dataset,
        target=TARGET,
        target_origin="secrets.toml:4",
        working_dir=f"pipelines/{name}",
        last_load_at=NOW - 8000 if looked else None,
        looked=looked,
    )


def row(
    table: str,
    staged: int | None,
    final: int | None,
    verdict: Verdict,
    *,
    pipeline: str = "trust_scores",
    parent: str | None = None,
    dataset: str = "public",
    staging: str | None = "public_staging",
    exact: bool = True,
) -> LedgerRow:
    """A row; `staged` None means no staging table, `final` None no final table."""
    return LedgerRow(
        pipeline=pipeline,
        schema=pipeline,
        table=table,
        parent=parent,
        final=FinalSide(dataset=dataset, exists=final is not None, rows=final, exact=exact),
        staging=StagingSide(
            dataset=staging,
            exists=staged is not None,
            rows=staged,
            exact=True,
            load_ids=(LOAD,) if staged else (),
        ),
        verdict=verdict,
    )


def unseen(table: str, pipeline: str) -> LedgerRow:
    """A row of a destination that could not be reached."""
    return LedgerRow(
        pipeline=pipeline,
        schema=pipeline,
        table=table,
        parent=None,
        final=FinalSide(dataset=pipeline, exists=None, rows=None, exact=False),
        staging=StagingSide(dataset=f"{pipeline}_staging", exists=None, rows=None, exact=False, load_ids=()),
        verdict="unknown",
    )


def finding(
    code: str,
    name: str,
    severity: Severity,
    message: str,
    *evidence: tuple[str, str],
    pipeline: str | None = "trust_scores",
    dataset: str | None = None,
    table: str | None = None,
    remedy: Remedy | None = None,
) -> Finding:
    return Finding(
        code=code,
        name=name,
        severity=severity,
        message=message,
        pipeline=pipeline,
        dataset=dataset,
        table=table,
        evidence=tuple(Evidence(fact, source) for fact, source in evidence),
        remedy=remedy,
        fingerprint="0123456789abcdef",
        url=None,
    )


def healthy() -> Diagnosis:
    return Diagnosis(
        pipelines=(line(),),
        ledger=(
            row("app_opportunities_trust", 2, 5, "leftover"),
            row("app_opportunities_trust__tags", 4, 11, "leftover", parent="app_opportunities_trust"),
            row("events", None, 1200, "healthy", exact=False),
        ),
        checks=22,
        taken_at=NOW,
    )


def stranded() -> Diagnosis:
    return Diagnosis(
        pipelines=(line(),),
        ledger=(
            row("orders", 3, 7, "stranded"),
            row("orders__items", 9, 12, "stranded", parent="orders"),
            row("customers", 1, 112, "leftover"),
        ),
        findings=(
            finding(
                "DD201",
                "stranded-rows",
                Severity.ERROR,
                "3 rows are in public_staging.orders only: the merge failed; the next load truncates them",
                (f"3 rows with load id {LOAD}", "public_staging.orders"),
                (
                    "permission denied for table orders",
                    f"load/loaded/{LOAD}/failed_jobs/orders.9a1b2c3d4e.0.sql",
                ),
                dataset="public",
                table="orders",
                remedy=Remedy(
                    "Let the staged rows reach the final table",
                    "safe",
                    "dltdoctor fix trust_scores --migrate",
                ),
            ),
        ),
        why={"DD201": "Readers see the old rows."},
        skipped=(
            SkippedCheck(check="DD605", pipeline=None, reason="no project source was found"),
            SkippedCheck(check="DD101", pipeline="trust_scores", reason="config.toml could not be read"),
            SkippedCheck(check="DD102", pipeline="trust_scores", reason="config.toml could not be read"),
        ),
        checks=22,
        taken_at=NOW,
    )


def null_scores() -> Diagnosis:
    table = "app_opportunities_trust"
    return Diagnosis(
        pipelines=(line(), line("concepts")),
        ledger=(row(table, 2, 5, "leftover"), row(table, 2, 5, "leftover", pipeline="concepts")),
        findings=(
            finding(
                "DD301",
                "clobbered-columns",
                Severity.ERROR,
                "concepts and trust_scores merge different columns: trust_score is NULL in 1 row",
                ("1 row of loads of concepts with NULL in trust_score", "public.app_opportunities_trust"),
                pipeline="concepts",
                dataset="public",
                table=table,
                remedy=Remedy("Give both resources the merge strategy upsert", "manual"),
            ),
        ),
        checks=22,
        taken_at=NOW,
    )


def staging_is_final() -> Diagnosis:
    return Diagnosis(
        pipelines=(line("shop", "shop"),),
        ledger=(row("orders", 0, 0, "healthy", pipeline="shop", dataset="shop", staging="shop"),),
        findings=(
            finding(
                "DD101",
                "staging-is-final",
                Severity.ERROR,
                "staging and final are both 'shop'",
                ("the staging layout is '%s'", "config.toml:3"),
                pipeline="shop",
                dataset="shop",
                remedy=Remedy("Remove the staging layout", "safe", "dltdoctor fix shop --config"),
            ),
        ),
        checks=22,
        taken_at=NOW,
    )


def could_not_look(*pipelines: str) -> Diagnosis:
    return Diagnosis(
        pipelines=tuple(line(name, name, looked=False) for name in pipelines),
        ledger=tuple(unseen("orders", name) for name in pipelines),
        findings=tuple(
            finding(
                "DD002",
                "unreachable-destination",
                Severity.ERROR,
                f"could not look into {TARGET}: password authentication failed",
                ("password authentication failed", TARGET),
                pipeline=name,
                remedy=Remedy("Correct the password in secrets.toml:4", "manual"),
            )
            for name in pipelines
        ),
        skipped=tuple(
            SkippedCheck(check=code, pipeline=name, reason="the destination could not be reached")
            for name in pipelines
            for code in ("DD201", "DD202")
        ),
        checks=22,
        taken_at=NOW,
    )


def sixty() -> Diagnosis:
    """58 healthy pipelines, a stranded one, and one with many tables of which two are sick."""
    many = "p59"
    names = [f"p{number:02}" for number in range(58)]
    sick = stranded()
    wide = [row(f"t{n:03}", None, n, "healthy", pipeline=many, dataset=many, staging=None) for n in range(110)]
    return Diagnosis(
        pipelines=(*(line(name, name) for name in names), *sick.pipelines, line(many, many)),
        ledger=(
            *(row("t", 1, 2, "leftover", pipeline=n, dataset=n, staging=f"{n}_staging") for n in names),
            *sick.ledger,
            *wide,
            row("gone", None, None, "missing", pipeline=many, dataset=many, staging=None),
            row("t007__sick", None, None, "missing", pipeline=many, dataset=many, staging=None, parent="t007"),
        ),
        findings=sick.findings,
        checks=22,
        taken_at=NOW,
    )


def named(name: str) -> Diagnosis:
    """Everything that comes from outside is called `name`."""
    return Diagnosis(
        pipelines=(
            PipelineLine(
                name=name,
                dataset=name,
                target=name,
                target_origin=name,
                working_dir=name,
                last_load_id=name,
                notes=(name,),
            ),
        ),
        ledger=(
            row(name, 1, 2, "stranded", pipeline=name, dataset=name, staging=name + "_staging"),
            row(
                name + "x",
                1,
                2,
                "leftover",
                pipeline=name,
                dataset=name,
                staging=name + "_staging",
                parent=name,
            ),
        ),
        findings=(
            finding(
                "DD201",
                "stranded-rows",
                Severity.ERROR,
                name,
                (name, name),
                pipeline=name,
                dataset=name,
                table=name,
                remedy=Remedy(name, "unsafe", "dltdoctor fix trust_scores --migrate"),
            ),
        ),
        skipped=(SkippedCheck(check="DD605", pipeline=name, reason=name),),
        why={"DD201": name},
        checks=1,
        taken_at=NOW,
    )
