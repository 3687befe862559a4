"""How the tests resume a load: plan, carry the steps out as `fix` does, and look again."""

import hashlib
import os
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from dltdoctor import doctor
from dltdoctor.cures import resume
from dltdoctor.cures.resume import Surroundings
from dltdoctor.finding import Finding
from dltdoctor.ledger import draw_up
from dltdoctor.plan import Cure, HeldBack
from dltdoctor.steps.step import FinishLoad, Rename, Step, WriteFile
from dltdoctor.world.finish_load import Finished, credentials_environ, finish
from dltdoctor.world.survey import Survey, take
from tests.examining import request
from tests.real import RealWorld


class Case(msgspec.Struct, frozen=True):
    """A project, dlt's directory of pipelines, and the database they load to."""

    project: Path
    pipelines_dir: Path
    dsn: str

    @classmethod
    def of(cls, world: RealWorld) -> "Case":
        return cls(world.project, world.pipelines_dir, world.dsn)

    def survey(self) -> Survey:
        return take(request(self.project, self.pipelines_dir, dsn=self.dsn))

    def findings(self) -> tuple[Finding, ...]:
        return doctor.diagnose(request(self.project, self.pipelines_dir, dsn=self.dsn)).findings

    def codes(self, *severities: str) -> set[str]:
        return {f.code for f in self.findings() if f.severity.value in (severities or ("error", "warning"))}

    def plan(self, findings: tuple[Finding, ...] | None = None) -> tuple[list[Cure], list[HeldBack]]:
        survey = self.survey()
        around = Surroundings(ways_in=survey.ways_in, project=self.project, environ={})
        found = self.findings() if findings is None else findings
        return resume.plan(found, survey.snapshot, draw_up(survey.snapshot), around)

    def resume(self, cure: Cure, lines: list[str] | None = None) -> Finished:
        """Carry out a cure; what dlt says on the way is added to `lines`."""
        for step in cure.steps[:-1]:
            carry_out(step)
        load = finishing(cure)
        return finish(load, self.secrets(load.pipeline), (lines if lines is not None else []).append)

    def secrets(self, pipeline: str) -> dict[str, str]:
        survey = self.survey()
        database = survey.snapshot.catalog.database(pipeline) if survey.snapshot.catalog else None
        assert database
        way_in = survey.ways_in[database.target.key]
        return credentials_environ(pipeline, None, way_in, database.target, {})

    def column(self, table: str, name: str) -> list[object]:
        """A column of a qualified table, in order."""
        schema, _, relation = table.partition(".")
        parts = sql.Identifier(name), sql.Identifier(schema, relation)
        with psycopg.connect(self.dsn) as connection:
            found = connection.execute(sql.SQL("SELECT {} FROM {} ORDER BY 1").format(*parts)).fetchall()
        return [value for (value,) in found]

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statement.encode())

    def configure(self, **files: str) -> None:
        """Write dlt's `config` and `secrets` of the project."""
        for name, text in files.items():
            (self.project / ".dlt" / f"{name}.toml").write_text(text, encoding="utf-8")

    def age(self) -> None:
        """Make everything an hour older, so that no load looks as if it were running."""
        for path in self.pipelines_dir.rglob("*"):
            then = path.stat().st_mtime - 3600
            os.utime(path, (then, then))


def carry_out(step: Step) -> None:
    """A file step, refused where the file is another by now."""
    if isinstance(step, Rename):
        assert not Path(step.target).exists()
        Path(step.source).rename(step.target)
    elif isinstance(step, WriteFile):
        path = Path(step.path)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == step.before
        assert step.content is None
        path.unlink()
    else:
        raise TypeError(step)


def finishing(cure: Cure) -> FinishLoad:
    """The last step, which is dlt's."""
    step = cure.steps[-1]
    assert isinstance(step, FinishLoad)
    return step


def kinds(cure: Cure) -> list[str]:
    """What its steps are, e.g. ["Rename", "FinishLoad"]."""
    return [type(step).__name__ for step in cure.steps]
