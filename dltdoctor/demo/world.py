"""The world of a scenario: a throw-away server, a project, and what its pipelines left behind."""

import contextlib
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import msgspec
import psycopg

from dltdoctor.demo.interrupts import Terminated, signals_held, terminations_raised
from dltdoctor.demo.scenarios import Scenario, find_scenario
from dltdoctor.demo.server import HOST, Server, start_server
from dltdoctor.demo.stage import BUG, Login, Stage
from dltdoctor.errors import CouldNotLookError, DoctorError
from dltdoctor.words import PROGRAM

DATABASE = "warehouse"
LOADER = "loader"
LIBRARIES = ("dlt", "psycopg2")  # what the scenarios' scripts import
LOOKS = ("COLORTERM", "COLUMNS", "LINES", "NO_COLOR", "PYTHONIOENCODING")  # how the caller wants output to look


class DemoWorld(msgspec.Struct, frozen=True, kw_only=True):
    """Where a diagnosis has to look.

    `dsn` is that of the loader, who is no superuser; `admin_dsn` that of one. `environ` is the environment of
    the scenario's scripts. `stop_command` is a shell line that removes a kept world, all of it.
    """

    scenario: Scenario
    stage: Stage
    project: Path
    pipelines_dir: Path
    dsn: str
    admin_dsn: str
    environ: dict[str, str]
    stop_command: str

    def rows(self) -> dict[str, float | None]:
        """The score of each submission that the readers of public see."""
        with psycopg.connect(self.dsn) as connection:
            found = connection.execute("SELECT submission_id, trust_score FROM public.app_opportunities_trust")
            return dict(found.fetchall())

    def run_cure(self) -> None:
        """Carry the scenario's cure out in the project, without asking; its output goes where ours goes."""
        looks = {name: os.environ[name] for name in LOOKS if name in os.environ}
        command = [sys.executable, "-m", PROGRAM, *self.scenario.cure, "--yes"]
        done = subprocess.run(
            command, cwd=self.project, env=self.environ | looks, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode not in (0, 1):  # 1: only the next run can show that it is cured
            raise DoctorError(f"the cure of {self.scenario.name} ended with exit code {done.returncode}", BUG)

    def run_next(self, progress: Callable[[str], None]) -> None:
        """Let the pipeline run once more, as after the cure it can."""
        if self.scenario.next_run:
            msgspec.structs.replace(self.stage, progress=progress).run(*self.scenario.next_run)


@contextlib.contextmanager
def build_world(
    name: str, *, keep: bool = False, progress: Callable[[str], None] = lambda _: None
) -> Iterator[DemoWorld]:
    """The world of a scenario for the block.

    With `keep` it outlives the block, unless the block ended by Ctrl-C, SIGTERM or SIGHUP. Without it, or
    when the scenario could not be played to its end, everything is gone afterwards.
    """
    scenario = find_scenario(name)
    _need_libraries()
    with terminations_raised(), contextlib.ExitStack() as undo:
        progress("starting a throw-away Postgres")
        server = undo.enter_context(start_server())
        root = Path(tempfile.gettempdir()).resolve() / f"dltdoctor-demo-{secrets.token_hex(8)}"
        undo.callback(_remove, root)  # before it exists: no gap for a Ctrl-C
        root.mkdir(mode=0o700)
        world = build(scenario, server, root, progress=progress)
        try:
            yield world
        except (KeyboardInterrupt, Terminated):
            keep = False
            raise
        finally:
            if keep:
                server.keep()
                undo.pop_all()


def build(
    scenario: Scenario, server: Server, root: Path, *, progress: Callable[[str], None] = lambda _: None
) -> DemoWorld:
    """Play a scenario on a server without a database `warehouse`, in an empty directory."""
    login = Login(HOST, server.port, DATABASE, LOADER, server.create_role(LOADER))
    admin_dsn = server.create_database(DATABASE, owner=LOADER)
    stage = Stage(root, login, progress)
    stage.furnish(scenario.files)
    scenario.play(stage)
    return DemoWorld(
        scenario=scenario,
        stage=stage,
        project=stage.project,
        pipelines_dir=stage.pipelines_dir,
        dsn=login.dsn,
        admin_dsn=admin_dsn,
        environ=stage.environ,
        stop_command=f"{server.stop_command}; rm -rf {shlex.quote(str(root))}",
    )


def _need_libraries() -> None:
    for library in LIBRARIES:
        if find_spec(library) is None:
            raise CouldNotLookError(
                f"the demo runs real pipelines and needs {library}, which is not installed",
                "run: pip install 'dltdoctor[demo]'",
            )


def _remove(directory: Path) -> None:
    with signals_held():
        shutil.rmtree(directory, ignore_errors=True)
