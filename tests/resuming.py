"""How the tests resume a load: plan, carry the steps out as `fix` does, and look again."""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

import msgspec
import psycopg
from psycopg import sql

from dltdoctor import doctor, resume_cures
from dltdoctor.ledger import draw_up
from dltdoctor.plan import Cure, HeldBack
from dltdoctor.resume_cures import Surroundings
from dltdoctor.steps.step import FinishLoad, Rename, Step, WriteFile
from dltdoctor.world.finish_load import Finished, credentials_environ, finish
from dltdoctor.world.survey import Survey, take
from tests.examining import request


class Case(msgspec.Struct, frozen=True):
    """A project, dlt's directory of pipelines, and the database they load to."""

    project: Path
    pipelines_dir: Path
    dsn: str

    def survey(self) -> Survey:
        return take(request(self.project, self.pipelines_dir, dsn=self.dsn))

    def codes(self, *severities: str) -> set[str]:
        found = doctor.diagnose(request(self.project, self.pipelines_dir, dsn=self.dsn)).findings
        return {f.code for f in found if f.severity.value in (severities or ("error", "warning"))}

    def plan(self) -> tuple[list[Cure], list[HeldBack]]:
        survey = self.survey()
        findings = doctor.diagnose(request(self.project, self.pipelines_dir, dsn=self.dsn)).findings
        around = Surroundings(ways_in=survey.ways_in, project=self.project, environ={})
        return resume_cures.plan(findings, survey.snapshot, draw_up(survey.snapshot), around)

    def resume(self, cure: Cure, lines: list[str] | None = None) -> Finished:
        """Carry out a cure; what dlt says on the way is added to `lines`."""
        *files, load = cure.steps
        for step in files:
            carry_out(step)
        assert isinstance(load, FinishLoad)
        return finish(load, self.secrets(load.pipeline), (lines if lines is not None else []).append)

    def secrets(self, pipeline: str) -> dict[str, str]:
        survey = self.survey()
        database = survey.snapshot.catalog.database(pipeline)
        way_in = survey.ways_in[database.target.key]
        return credentials_environ(pipeline, None, way_in, database.target, {})

    def rows(self, table: str, columns: str = "*") -> list[tuple]:
        """The rows of a qualified table, in order."""
        schema, _, name = table.partition(".")
        statement = sql.SQL("SELECT {} FROM {} ORDER BY 1").format(sql.SQL(columns), sql.Identifier(schema, name))
        return self.fetch(statement)

    def fetch(self, statement: sql.Composed) -> list[tuple]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(statement).fetchall()

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(statement)


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


def age(pipelines_dir: Path, seconds: float = 3600) -> None:
    """Make everything older, so that no load looks as if it were running."""
    for folder, _, files in os.walk(pipelines_dir):
        for name in (*files, ""):
            path = os.path.join(folder, name)
            then = os.stat(path).st_mtime - seconds
            os.utime(path, (then, then))


def kinds(cure: Cure) -> Collection[str]:
    return [type(step).__name__ for step in cure.steps]
