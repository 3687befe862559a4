"""The jobs of a load package: their files, and what dlt noted when one went wrong."""

import os
from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from dltdoctor.snapshot import Job
from dltdoctor.world.documents import text
from dltdoctor.world.error_text import error_line
from dltdoctor.world.files import MAX_ERROR_TEXT, entries, is_missing, read_bytes, read_document
from dltdoctor.world.unreadable import UnreadableError

Status = Literal["new", "started", "completed", "failed"]

JOB_FOLDERS: Mapping[str, Status] = {
    "new_jobs": "new",
    "started_jobs": "started",
    "completed_jobs": "completed",
    "failed_jobs": "failed",
}
_EXCEPTION = ".exception"
# how dlt will settle a job that ended but was not yet moved (1.25 and newer)
_SETTLED: Mapping[str, Status] = {"completed": "completed", "failed": "failed"}


class JobFolders(NamedTuple):
    """The jobs, and the newest mtime among their files (Unix seconds)."""

    jobs: tuple[Job, ...]
    modified: float


class JobName(NamedTuple):
    """A job file's name, `<table>.<file id>.<retry>.<format>[.gz]`, in parts."""

    table: str
    file_id: str
    retry: int
    format: str


def job_name(file: str) -> JobName | None:
    """The parts of the name, from the right: a table's name may hold dots. None for other files."""
    parts = file.removesuffix(".gz").rsplit(".", 3)
    # isdecimal alone would let digits of other scripts pass
    if len(parts) != 4 or not parts[0] or not (parts[2].isascii() and parts[2].isdecimal()):
        return None
    return JobName(parts[0], parts[1], int(parts[2]), parts[3])


def read_jobs(path: str, inside: Mapping[str, os.DirEntry[str]], problems: list[UnreadableError]) -> JobFolders:
    """The jobs of the package at `path`, in which `inside` stands."""
    jobs: list[Job] = []
    modified = 0.0
    for folder, status in JOB_FOLDERS.items():
        if folder not in inside:
            continue
        try:
            files = entries(os.path.join(path, folder))
        except UnreadableError as error:
            if not is_missing(error.origin):
                problems.append(error)
            continue
        for file in files:
            name = None if file.name.endswith(_EXCEPTION) else job_name(file.name)
            if name is None:
                continue
            try:
                stat = file.stat()
            except OSError:
                continue
            modified = max(modified, stat.st_mtime)
            jobs.append(_job(name, status, file.path, stat.st_size))
    if all(job.status == "completed" for job in jobs):
        return JobFolders(tuple(jobs), modified)
    notes = _notes(path, inside, problems)
    return JobFolders(tuple(_with_outcome(job, notes, problems) for job in jobs), modified)


def _job(name: JobName, status: Status, path: str, size: int) -> Job:
    return Job(
        table=name.table,
        file_id=name.file_id,
        retry=name.retry,
        format=name.format,
        status=status,
        path=path,
        size=size,
    )


class _Notes(NamedTuple):
    """What stands in the package's hidden folders: tries that failed, and jobs to be moved."""

    tries: Mapping[tuple[str, str], Mapping[int, str]]
    transitions: Mapping[str, str]


def _notes(path: str, inside: Mapping[str, os.DirEntry[str]], problems: list[UnreadableError]) -> _Notes:
    tries: dict[tuple[str, str], dict[int, str]] = {}
    for file in _hidden(path, ".exceptions", inside, problems):
        parts = file.name.removesuffix(_EXCEPTION).rsplit(".", 2)
        if len(parts) == 3 and parts[2].isascii() and parts[2].isdecimal():
            tries.setdefault((parts[0], parts[1]), {})[int(parts[2])] = file.path
    transitions = {file.name: file.path for file in _hidden(path, ".pending_transitions", inside, problems)}
    return _Notes(tries, transitions)


def _hidden(
    path: str, folder: str, inside: Mapping[str, os.DirEntry[str]], problems: list[UnreadableError]
) -> list[os.DirEntry[str]]:
    if folder not in inside:
        return []
    try:
        return entries(os.path.join(path, folder))
    except UnreadableError as error:
        if not is_missing(error.origin):  # dlt has moved the package on meanwhile
            problems.append(error)
        return []


def _with_outcome(job: Job, notes: _Notes, problems: list[UnreadableError]) -> Job:
    """The job with the status dlt will settle it with, and with its error unless it is completed."""
    status, message = job.status, None
    marker = notes.transitions.get(os.path.basename(job.path))
    if status == "started" and marker:
        status, message = _transition(marker, problems)
    message = None if status == "completed" else message or _noted_error(job, notes)
    error = error_line(message) if message else None
    if (status, error) == (job.status, job.error):
        return job
    return msgspec.structs.replace(job, status=status, error=error)


def _transition(marker: str, problems: list[UnreadableError]) -> tuple[Status, str | None]:
    try:
        transition = read_document(marker)
    except UnreadableError as error:
        if not is_missing(marker):
            problems.append(error)
        return "started", None
    status = _SETTLED.get(text(transition.get("state")) or "", "started")
    return status, text(transition.get("failed_message"))


def _noted_error(job: Job, notes: _Notes) -> str | None:
    """The text of dlt's newest exception file for the job, whichever dlt wrote it."""
    beside = job.path + _EXCEPTION
    if job.status == "failed" and not is_missing(beside):
        return _error_text(beside)
    tries = notes.tries.get((job.table, job.file_id), {})
    return _error_text(tries[max(tries)]) if tries else None


def _error_text(path: str) -> str:
    try:
        return read_bytes(path, limit=MAX_ERROR_TEXT).decode("utf-8", "replace")
    except UnreadableError as error:
        return "" if is_missing(path) else f"dlt's note of the error cannot be read: {error.reason}"
