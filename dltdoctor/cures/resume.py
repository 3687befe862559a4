"""Plans how pending loads are finished by dlt itself: one cure for each pipeline.

dlt loads every pending package of a pipeline, oldest first, so all of them have to be fit for it.
"""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from dltdoctor.cures.restaging import Arrangement, HindranceError, arrange, refuse_without_merge
from dltdoctor.deduced.strangers import knows
from dltdoctor.deduced.unfinished import chains, is_staged
from dltdoctor.errors import DoctorError
from dltdoctor.finding import Finding
from dltdoctor.ledger import Ledger
from dltdoctor.plan import Cure, HeldBack
from dltdoctor.snapshot import Database, Package, Pipeline, PipelineConfig, Schema, Snapshot
from dltdoctor.steps.step import FinishLoad
from dltdoctor.words import command, count, identifier, listed, moment
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.finish_load import EXPECTED
from dltdoctor.world.interpreter import fitness, project_interpreter
from dltdoctor.world.package_contents import read_contents
from dltdoctor.world.postgres.session import Session, open_session

CODES = ("DD202", "DD206", "DD208", "DD302")
# While these last, dlt would load into the wrong place, or empty it.
FIRST = {
    "DD101": "its staging dataset is its final dataset",
    "DD102": "dlt refuses its staging layout",
    "DD104": "its staging dataset is another pipeline's dataset",
    "DD109": "the database may not be the one it loads to",
}
# While these last, the load of the table would fail again.
STUCK = {
    "DD402": "a column that dlt would load is gone",
    "DD403": "a staging table that dlt would fill is gone",
    "DD405": "dlt cannot add the root key that its merge needs",
    "DD407": "dlt's merge fails at the table's name: bring its staged rows over yourself",
}
LASTING = "what dlt loads, dlt cannot take back"
ABORTING = "dlt before 1.30 gives a load up when its merge fails again; its rows are then for fix --migrate"

_Place = tuple[str, str]  # staging dataset and table


class Surroundings(NamedTuple):
    """What planning needs beside the snapshot; `ways_in` are credentials by the database's key."""

    ways_in: Mapping[str, Credentials]
    project: Path
    environ: Mapping[str, str]
    follows_last_run: bool = True


def plan(
    findings: Iterable[Finding], snapshot: Snapshot, ledger: Ledger, surroundings: Surroundings
) -> tuple[list[Cure], list[HeldBack]]:
    """A cure for every pipeline with a pending package that a finding names, or why there is none.

    Reads, read-only: the job files of what is half done, and counts in the database.
    """
    everything = tuple(findings)
    pipelines = {p.name: p for p in snapshot.pipelines}
    cures: list[Cure] = []
    held: list[HeldBack] = []
    staged_into: dict[_Place, str] = {}
    for name, mine in _by_pipeline(everything, pipelines).items():
        planner = _Planner(pipelines[name], snapshot, ledger, surroundings)
        try:
            _refuse_before_others(name, everything)
            _refuse_stuck(pipelines[name], everything)
            cure, places = planner.cure(mine)
            _refuse_beside(name, places, staged_into)
        except HindranceError as hindrance:
            held += [_held_back(f, hindrance.reason, hindrance.command) for f in mine]
        except DoctorError as error:
            held += [_held_back(f, error.message, None) for f in mine]
        else:
            staged_into |= dict.fromkeys(places, name)
            cures.append(cure)
    return cures, held


def _refuse_before_others(name: str, findings: Iterable[Finding]) -> None:
    for finding in findings:
        if finding.pipeline == name and finding.code in FIRST:
            raise HindranceError(FIRST[finding.code], command("dltdoctor", "explain", finding.code))


def _refuse_stuck(pipeline: Pipeline, findings: Iterable[Finding]) -> None:
    """A table that is still to be loaded, and that cannot be."""
    roots = {
        table.root
        for package in pipeline.pending
        for job in package.jobs
        if job.status != "completed" and package.schema and (table := package.schema.table(job.table))
    }
    for finding in findings:
        schema = next((s for s in pipeline.schemas if finding.table in s.tables), None)
        table = schema.table(finding.table or "") if schema else None
        if finding.code in STUCK and finding.pipeline == pipeline.name and table and table.root in roots:
            helps = ("--migrate",) if finding.code == "DD407" else ("--select", finding.code)
            raise HindranceError(
                f"{table.name}: {STUCK[finding.code]}", command("dltdoctor", "fix", pipeline.name, *helps)
            )


def _refuse_beside(name: str, places: Collection[_Place], staged_into: Mapping[_Place, str]) -> None:
    """What one load stages, another that was counted at the same time no longer finds as it was."""
    other = next((staged_into[place] for place in places if place in staged_into), None)
    if other:
        raise HindranceError(
            f"it shares staging tables with {other}, whose load is finished first",
            command("dltdoctor", "fix", name, "--resume"),
        )


def _by_pipeline(findings: Iterable[Finding], pipelines: Mapping[str, Pipeline]) -> Mapping[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        pipeline = pipelines.get(finding.pipeline or "")
        if finding.code in CODES and pipeline and pipeline.pending and pipeline.working_dir:
            found.setdefault(pipeline.name, []).append(finding)
    return found


def _held_back(finding: Finding, reason: str, help_with: str | None) -> HeldBack:
    return HeldBack(
        code=finding.code, pipeline=finding.pipeline, message=finding.message, reason=reason, command=help_with
    )


class _Planner:
    """One pipeline's pending packages."""

    def __init__(self, pipeline: Pipeline, snapshot: Snapshot, ledger: Ledger, around: Surroundings) -> None:
        self._pipeline = pipeline
        self._snapshot = snapshot
        self._ledger = ledger
        self._around = around
        self._config = snapshot.config.of(pipeline.name) if snapshot.config else PipelineConfig(pipeline=pipeline.name)
        self._routes = {r.schema: r for r in snapshot.routes_of(pipeline.name)}

    def cure(self, findings: list[Finding]) -> tuple[Cure, Collection[_Place]]:
        """The cure and the staging tables that it depends on or truncates; raises HindranceError or DoctorError."""
        database = self._known_database()
        refuse_without_merge(self._pipeline, database)
        self._refuse_at_work()
        project = self._project()
        interpreter = project_interpreter(project, self._around.environ)
        upgrade = fitness(interpreter, self._pipeline)
        with open_session(self._around.ways_in[database.target.key]) as session:
            arrangements = self._arrangements(session, database)
        places = {self._place(p, t) for p, _, tables in arrangements for t in tables}
        self._refuse_over_stranded({self._place(p, t) for p, a, _ in arrangements for t in a.truncates})
        first = self._pipeline.pending[0]
        notes = [n for _, a, _ in arrangements for n in a.notes]
        finish = FinishLoad(
            title=f"Let dlt {interpreter.dlt_version} finish {_loads(self._pipeline.pending)}",
            pipeline=self._pipeline.name,
            load_id=first.load_id,
            pipelines_dir=(self._pipeline.working_dir or "").rpartition("/")[0],
            project=str(project),
            interpreter=interpreter.path,
            destination_name=self._config.destination_name,
            environ=self._environ(first),
            note="; ".join(n for n in (*notes, self._several(), upgrade) if n),
        )
        worst = min(findings, key=lambda f: CODES.index(f.code))
        return (
            Cure(
                code=worst.code,
                fingerprint=worst.fingerprint,
                pipeline=self._pipeline.name,
                message=worst.message,
                safety="safe",
                steps=(*(s for _, a, _ in arrangements for s in a.steps), finish),
                guarantees_missing=(LASTING, ABORTING) if interpreter.aborts else (LASTING,),
            ),
            places,
        )

    def _known_database(self) -> Database:
        catalog = self._snapshot.catalog
        database = catalog.database(self._pipeline.name) if catalog else None
        if database is None:
            raise HindranceError("its database could not be read")
        finals = {r.final for r in self._routes.values()}
        here = [f for f in finals if database.is_dataset(f)]
        if not here or not knows(database, self._pipeline, finals):
            raise HindranceError(
                f"{database.target.key} knows nothing of it yet, so nothing shows that this is its database; "
                "running the pipeline itself loads what is pending"
            )
        return database

    def _refuse_at_work(self) -> None:
        mine = (e for e in self._ledger.entries if e.row.pipeline == self._pipeline.name)
        if any(p.is_fresh for p in self._pipeline.pending) or any(e.row.verdict == "in-flight" for e in mine):
            raise HindranceError(
                "a load of it seems to be running", command("dltdoctor", "diagnose", self._pipeline.name)
            )

    def _project(self) -> Path:
        """Where the pipeline's configuration is: where dltdoctor looked for it, too."""
        state, here = self._pipeline.state, self._around.project
        last = Path(state.run_dir) if state and state.run_dir else None
        if self._around.follows_last_run and last and last.is_dir() and not (here / ".dlt").is_dir():
            return last
        return here

    def _arrangements(self, session: Session, database: Database) -> list[tuple[Package, Arrangement, Collection[str]]]:
        """Package by package, oldest first, with the tables of each that are staged."""
        found: list[tuple[Package, Arrangement, Collection[str]]] = []
        disturbed: set[str] = set()
        for package in self._pipeline.pending:
            if package.stage != "normalized":
                tables = self._tables_to_come(package)
                found.append((package, Arrangement(truncates=frozenset(tables)), tables))
                continue
            if package.schema is None or package.schema_name not in self._routes:
                raise HindranceError(f"the schema of package {package.load_id} could not be read")
            route = self._routes[package.schema_name]
            if route.staging is None:
                raise HindranceError("dlt refuses its staging layout")
            every = chains(package, self._replace_strategy)
            contents = read_contents(session, package, every, route, database)
            made = arrange(package, every, contents, disturbed=frozenset(disturbed))
            tables = {n for c in every if c.staged and not c.is_done for n in c.names}
            found.append((package, made, tables))
            disturbed |= tables
        return found

    @property
    def _replace_strategy(self) -> str | None:
        value = self._config.value("replace_strategy")
        return value if isinstance(value, str) else None

    def _tables_to_come(self, package: Package) -> set[str]:
        """Staged tables of a package that is yet to be normalized, as far as the stored schema knows them."""
        schema: Schema | None = self._pipeline.schema(package.schema_name)
        if schema is None:
            return set()
        known = (table for job in package.jobs if (table := schema.table(job.table)))
        roots = {t.root for t in known if is_staged(t, self._replace_strategy)}
        return {t.name for root in roots for t in schema.chain(root)}

    def _place(self, package: Package, table: str) -> _Place:
        route = self._routes.get(package.schema_name)
        return (route.staging or "" if route else "", table)

    def _refuse_over_stranded(self, truncated: Collection[_Place]) -> None:
        """Where dlt stages, it truncates; rows that are nowhere else have to be moved before."""
        own = {p.load_id for p in self._pipeline.pending}
        for entry in self._ledger.entries:
            for load in (*entry.loads_with("stranded"), *entry.loads_with("false-commit")):
                staged = load.staged
                if (staged.staging, staged.table) in truncated and staged.load_id not in own:
                    raise HindranceError(
                        f"{identifier(staged.staging)}.{identifier(staged.table)} holds "
                        f"{count(staged.rows, 'row', exact=staged.exact)} of another load that are nowhere else, and "
                        "dlt would truncate it: migrate them first",
                        command("dltdoctor", "fix", entry.row.pipeline, "--migrate"),
                    )

    def _several(self) -> str:
        pending = self._pipeline.pending
        return f"dlt loads all {len(pending)} pending packages, oldest first" if len(pending) > 1 else ""

    def _environ(self, package: Package) -> dict[str, str]:
        """What the source passes as arguments, and where dlt has to end up."""
        state, name = self._pipeline.state, self._pipeline.name.upper()
        section = self._config.destination_name
        route = self._routes.get(package.schema_name) or next(iter(self._routes.values()))
        given: dict[str, str] = {}
        if state and state.dataset_name:
            for prefix in (f"{name}__PIPELINES__{name}", name):
                given[f"{prefix}__DATASET_NAME"] = state.dataset_name
                given[f"{prefix}__DATASET_NAME_LAYOUT"] = "%s"
        for key in ("staging_dataset_name_layout", "enable_dataset_name_normalization", "replace_strategy"):
            winner = self._config[key].winner
            if winner and winner.provider == "argument" and winner.value is not None:
                variable = f"DESTINATION__{section.upper()}__{key.upper()}"
                given[variable] = given[f"{name}__{variable}"] = str(winner.value)
        given[f"{name}__LOAD__AUTO_ABORT_ON_TERMINAL_ERROR"] = "false"
        expected = {"schema": route.schema, "final": route.final, "staging": route.staging}
        given[EXPECTED] = msgspec.json.encode(expected).decode()
        return given


def _loads(pending: tuple[Package, ...]) -> str:
    when = listed((moment(p.load_id) for p in pending), most=2)
    return f"the {'loads' if len(pending) > 1 else 'load'} of {when}"
