"""Lets dlt finish a pending load, in a child process with the project's own Python."""

import contextlib
import importlib.resources
import io
import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import IO, Any, NamedTuple
from urllib.parse import quote, urlencode

from dltdoctor.errors import CouldNotLookError, RefusedError
from dltdoctor.snapshot import Target
from dltdoctor.steps.step import FinishLoad
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.error_text import error_line
from dltdoctor.world.mask import mask

EXPECTED = "DLTDOCTOR_EXPECTED"
REPORT = "\x1edltdoctor "
# Bare variables win over every file (failure-modes §4), and would change what is loaded or where to.
TRAPS = (
    "DATASET_NAME",
    "DATASET_NAME_LAYOUT",
    "DESTINATION_NAME",
    "DESTINATION_TYPE",
    "DEV_MODE",
    "FULL_REFRESH",
    "PIPELINES_DIR",
    "PIPELINE_NAME",
    "REFRESH",
    "STAGING_NAME",
    "STAGING_TYPE",
)
_FIELDS = {
    "host": "HOST",
    "port": "PORT",
    "dbname": "DATABASE",
    "user": "USERNAME",
    "password": "PASSWORD",
    "connect_timeout": "CONNECT_TIMEOUT",
    "client_encoding": "CLIENT_ENCODING",
}
_TICK = 0.2

Progress = Callable[[str], None]


class Finished(NamedTuple):
    """What dlt loaded, oldest first, and which dlt it was; `line` says so in a sentence."""

    load_ids: tuple[str, ...]
    dlt_version: str
    line: str


class LoadNotFinishedError(CouldNotLookError):
    """dlt gave up. `has_moved` says that it has worked on the package: file steps before it then stand."""

    def __init__(self, message: str, hint: str, *, has_moved: bool) -> None:
        super().__init__(message, hint)
        self.has_moved = has_moved


def finish(
    step: FinishLoad,
    secrets_environ: Mapping[str, str],
    progress: Progress = lambda _: None,
    timeout: float | None = None,
) -> Finished:
    """Run dlt until nothing is pending; `timeout` in seconds.

    Raises RefusedError when nothing was begun, LoadNotFinishedError when dlt failed, was interrupted by
    the timeout or died. Ctrl-C is passed on once, and raised here when dlt has ended.
    """
    package = _listing(step)
    child = _Child(step, secrets_environ, progress)
    try:
        report = child.wait(timeout)
    finally:
        child.end()
    if report.get("outcome") == "finished":
        load_ids = tuple(map(str, report.get("load_ids", ())))
        version = str(report.get("dlt_version"))
        return Finished(load_ids, version, f"dlt {version} loaded {', '.join(load_ids) or 'what was pending'}")
    said = child.shown(str(report.get("text", ""))) or child.last_line or "it said nothing"
    if report.get("outcome") == "refused":
        raise RefusedError(f"{step.pipeline} was not loaded: {said}", "Nothing was changed.")
    raise _failure(step, said, has_moved=_listing(step) != package)


def credentials_environ(
    pipeline: str, destination_name: str | None, credentials: Credentials, target: Target, environ: Mapping[str, str]
) -> dict[str, str]:
    """Variables that lead dlt to the database that was examined, before anything it is configured with.

    They may hold a password: for the child's environment only. The whole address wins over a whole
    address elsewhere, the fields over what dlt takes for its own defaults.
    """
    given = {k: v for k, v in credentials.parameters.items() if v}
    given = {"host": target.host, "port": str(target.port), "dbname": target.database, "user": target.user} | given
    password = given.get("password") or environ.get("PGPASSWORD", "")
    if password:
        given["password"] = password
    query = {k: v for k, v in given.items() if k not in _FIELDS}
    said = {"": _url(given, query)} | {f"__{name}": given[key] for key, name in _FIELDS.items() if key in given}
    if query:
        said["__QUERY"] = json.dumps(query)
    where = f"destination__{destination_name or 'postgres'}__credentials"
    # dlt 0.5 does not look under the pipeline's name everywhere
    places = (f"{pipeline}__{where}".upper(), where.upper())
    return {f"{place}{name}": value for place in places for name, value in said.items()}


def _url(given: Mapping[str, str], query: Mapping[str, str]) -> str:
    secret = f":{quote(given['password'], safe='')}" if "password" in given else ""
    host = f"[{given['host']}]" if ":" in given["host"] else given["host"]
    # a directory of sockets cannot stand where a host does
    query = {**query, "host": host} if host.startswith("/") else query
    place = "" if host.startswith("/") else f"{host}:{given['port']}"
    tail = f"?{urlencode(query, quote_via=quote)}" if query else ""
    return f"postgresql://{quote(given['user'], safe='')}{secret}@{place}/{given['dbname']}{tail}"


class _Child:
    """dlt at work: its reports, and everything else that it prints."""

    def __init__(self, step: FinishLoad, secrets_environ: Mapping[str, str], progress: Progress) -> None:
        self._secrets = _secrets(secrets_environ)
        self._progress = progress
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.last_line = ""
        environ = _environment(step, secrets_environ)
        order = {
            "pipeline": step.pipeline,
            "pipelines_dir": step.pipelines_dir,
            "expected": json.loads(environ.pop(EXPECTED)),
        }
        program = (importlib.resources.files("dltdoctor.world") / "finish_load_child.py").read_text("utf-8")
        try:
            self._process = subprocess.Popen(
                [step.interpreter, "-B", "-c", program],
                cwd=step.project,
                env=environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # a second Ctrl-C would make dlt drop its work: it is passed on once
            )
        except OSError as error:
            raise RefusedError(f"{step.interpreter} cannot be run: {error.strerror}", "Nothing was changed.") from None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        with contextlib.suppress(BrokenPipeError), self._process.stdin or io.StringIO() as stdin:
            json.dump(order, stdin)

    def wait(self, timeout: float | None) -> dict[str, Any]:
        """The final report, empty when the child died without one."""
        report: dict[str, Any] = {}
        deadline = None if timeout is None else time.monotonic() + timeout
        interrupted: BaseException | None = None
        while True:
            try:
                line = self._lines.get(timeout=_TICK)
            except queue.Empty:
                if deadline is not None and time.monotonic() > deadline:
                    deadline = None
                    self._stop()
                continue
            except (KeyboardInterrupt, SystemExit) as error:
                if interrupted is None:
                    self._progress("dlt ends what it has begun")
                    self._stop()
                interrupted = error
                continue
            if line is None:
                break
            report = self._heard(line) or report
        if interrupted is not None:
            raise interrupted
        return report

    def end(self) -> None:
        """Waits until dlt has ended what it began; being interrupted in that, too, ends it at once."""
        try:
            if self._process.poll() is None:
                self._stop()
            self._process.wait()
        except BaseException:
            self._process.kill()
            raise
        self._reader.join()

    def shown(self, text: str) -> str:
        """The line of a text that says what went wrong, without secrets and rows."""
        return error_line(mask(text, self._secrets)) or ""

    def _heard(self, line: str) -> dict[str, Any] | None:
        """A line's report, unless it only tells how far dlt is."""
        if line.startswith(REPORT):
            report: dict[str, Any] = json.loads(line.removeprefix(REPORT))
            if "progress" not in report:
                return report
            line = str(report["progress"])
        said = self.shown(line)
        if said:
            self.last_line = said
            self._progress(said)
        return None

    def _stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)

    def _read(self, output: IO[str]) -> None:
        with output:
            for line in output:
                self._lines.put(line.rstrip("\n"))
        self._lines.put(None)


def _environment(step: FinishLoad, secrets_environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in TRAPS}
    quiet = {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "PYTHONWARNINGS": "ignore",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    return {EXPECTED: "{}"} | kept | step.environ | dict(secrets_environ) | quiet


def _secrets(secrets_environ: Mapping[str, str]) -> Collection[str]:
    return [v for k, v in secrets_environ.items() if k.endswith(("__PASSWORD", "__CREDENTIALS"))]


def _listing(step: FinishLoad) -> set[str]:
    """The files of every package: dlt notes how far it is by where they stand."""
    top = os.path.join(step.pipelines_dir, step.pipeline)
    places = (os.path.join(top, "load"), os.path.join(top, "normalize"))
    return {os.path.join(at, name) for place in places for at, _, names in os.walk(place) for name in names}


def _failure(step: FinishLoad, said: str, *, has_moved: bool) -> LoadNotFinishedError:
    return LoadNotFinishedError(
        f"dlt did not finish the load of {step.pipeline}: {said}",
        f"Remove the cause and run dltdoctor fix {step.pipeline} --resume again; "
        f"dltdoctor diagnose {step.pipeline} tells how far it came.",
        has_moved=has_moved,
    )
