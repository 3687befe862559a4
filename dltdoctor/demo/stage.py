"""Where a scenario is played: a project directory, its scripts, and the database they load into."""

import os
import shutil
import site
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import LiteralString

import msgspec
import psycopg

from dltdoctor.errors import DoctorError

BUG = "this is a bug of the demo: please report it, with your version of dlt"
FILES = Path(__file__).with_name("project")
# Everything else of the caller's environment might be a setting of dlt or of libpq.
INHERITED = (
    "DYLD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LD_LIBRARY_PATH",
    "PATH",
    "PYTHONPATH",
    "TERM",
    "TMPDIR",
    "VIRTUAL_ENV",
)


class Login(msgspec.Struct, frozen=True):
    """What a project's secrets.toml says about its database."""

    host: str
    port: int
    database: str
    username: str
    password: str

    @property
    def dsn(self) -> str:
        """The same as a URL."""
        return f"postgresql://{self.username}:{self.password}@{self.host}:{self.port}/{self.database}"

    @property
    def toml(self) -> str:
        """The same as dlt's documentation tells a newcomer to write it."""
        return f"""\
[destination.postgres.credentials]
host = "{self.host}"
port = {self.port}
database = "{self.database}"
username = "{self.username}"
password = "{self.password}"
"""


class Stage(msgspec.Struct, frozen=True):
    """A directory with `project/`, `data/` (dlt's) and an empty `home/`, and the loader's database."""

    root: Path
    login: Login
    progress: Callable[[str], None]

    @property
    def project(self) -> Path:
        return self.root / "project"

    @property
    def pipelines_dir(self) -> Path:
        return self.root / "data" / "pipelines"

    @property
    def environ(self) -> dict[str, str]:
        """The environment of the scripts, and of whoever wants to see what they see."""
        return script_environment(home=self.root / "home", data_dir=self.root / "data")

    def furnish(self, files: tuple[str, ...]) -> None:
        """Write the project as its author would have, with the given files of `demo/project/`."""
        (self.root / "home").mkdir()
        settings = self.project / ".dlt"
        settings.mkdir(parents=True)
        for name in files:
            shutil.copyfile(FILES / name, self.project / name)
        shutil.copyfile(FILES / "config.toml", settings / "config.toml")
        secrets = settings / "secrets.toml"
        secrets.touch(mode=0o600)
        secrets.write_text(self.login.toml, encoding="utf-8")

    def run(self, script: str, argument: str) -> None:
        """Run a script of the project that is to succeed."""
        self.progress(f"$ python {script} {argument}")
        done = run_script(script, argument, project=self.project, environ=self.environ)
        if done.returncode != 0:
            raise DoctorError(f"{script} {argument} failed: {self._last_line(done)}", BUG)

    def run_to_fail(self, script: str, argument: str, words: str) -> None:
        """Run a script of the project that is to fail with these words."""
        self.progress(f"$ python {script} {argument}   (it fails: {words})")
        done = run_script(script, argument, project=self.project, environ=self.environ)
        if done.returncode == 0:
            raise DoctorError(f"{script} {argument} was to fail, but succeeded", BUG)
        if words not in done.stdout:
            last = self._last_line(done)
            raise DoctorError(f"{script} {argument} failed otherwise: {last}", BUG)

    def execute(self, statement: LiteralString) -> None:
        """Execute SQL as the loader."""
        self.progress(f"{self.login.username}=> {statement};")
        with psycopg.connect(self.login.dsn, autocommit=True) as connection:
            connection.execute(statement)

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text of a project's file that occurs in it exactly once."""
        self.progress(f"$ edit {name}   ({' '.join(new.split())})")
        path = self.project / name
        text = path.read_text(encoding="utf-8")
        if text.count(old) != 1:
            raise ValueError(f"{name} holds {old!r} {text.count(old)} times")
        path.write_text(text.replace(old, new), encoding="utf-8")

    def append(self, name: str, text: str) -> None:
        """Add a text to the end of a project's file."""
        self.progress(f"$ edit {name}   ({' '.join(text.split())})")
        with (self.project / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def remove_working_dir(self, pipeline: str) -> None:
        """Remove what dlt keeps about a pipeline on this machine."""
        self.progress(f"$ rm -rf {self.pipelines_dir / pipeline}")
        shutil.rmtree(self.pipelines_dir / pipeline)

    def _last_line(self, done: subprocess.CompletedProcess[str]) -> str:
        lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        return lines[-1].replace(self.login.password, "***") if lines else "it said nothing"


def script_environment(*, home: Path, data_dir: Path) -> dict[str, str]:
    """An environment in which dlt finds no settings of the caller's, and calls nobody."""
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    own = {"HOME": str(home), "DLT_DATA_DIR": str(data_dir), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    own["PYTHONUSERBASE"] = site.getuserbase()  # with another HOME, what pip installed --user would be gone
    return kept | own


def run_script(
    script: str, *arguments: str, project: Path, environ: Mapping[str, str], python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run a script in its project's directory; stdout holds what it wrote to stderr, too."""
    return subprocess.run(
        [python, script, *arguments],
        cwd=project,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
        start_new_session=True,  # Ctrl-C reaches us alone; dlt would take its time to finish
    )
