"""Load packages on disk, in every state and as every dlt since 0.4 lays them out.

dlt keeps every loaded package, so a working dir may hold thousands: of those that ended well only
names, sizes and markers are read; schemas only of those that are pending, aborted or have failures.
"""

import os
import re
from typing import Literal, NamedTuple

import msgspec

from dltdoctor.snapshot import Package, Schema
from dltdoctor.world.documents import mapping, number, text
from dltdoctor.world.doubled import counted
from dltdoctor.world.files import MAX_SCHEMA, entries, is_missing, read_document, read_head, read_marker
from dltdoctor.world.jobs import JOB_FOLDERS, JobFolders, read_jobs
from dltdoctor.world.schemas import read_schema
from dltdoctor.world.unreadable import UnreadableError

Stage = Literal["extracted", "new", "normalized", "loaded", "aborted"]

# the order in which packages move on: one that moves while being read is met again, never missed
_PLACES: tuple[tuple[tuple[str, str], Stage], ...] = (
    (("normalize", "extracted"), "extracted"),
    (("load", "new"), "new"),
    (("load", "normalized"), "normalized"),
    (("load", "loaded"), "loaded"),
)
_NAME = re.compile(rb'"name"\s*:\s*("(?:[^"\\]|\\.)*")')
_HEAD = 1024


class Packages(NamedTuple):
    """The packages of a working dir, oldest first, and what of them could not be read."""

    packages: tuple[Package, ...]
    problems: tuple[UnreadableError, ...]


def read_packages(working_dir: str) -> Packages:
    """Every load package under `working_dir`."""
    found: list[Package] = []
    problems: list[UnreadableError] = []
    for folders, stage in _PLACES:
        place = os.path.join(working_dir, *folders)
        if is_missing(place):
            continue
        try:
            candidates = [entry for entry in entries(place) if not entry.name.startswith(".")]
        except UnreadableError as error:
            problems.append(error)
            continue
        for entry in candidates:
            package = _package(entry, stage, problems)
            if package:
                found.append(package)
    return Packages(tuple(sorted(found, key=lambda package: package.load_id)), tuple(problems))


def _package(entry: os.DirEntry[str], place: Stage, problems: list[UnreadableError]) -> Package | None:
    """The package in a directory; None when it is none, or has just moved on."""
    try:
        inside = {item.name: item for item in entries(entry.path)} if entry.is_dir() else {}
    except UnreadableError as error:
        if not is_missing(entry.path):
            problems.append(error)
        return None
    except OSError:
        return None
    if "schema.json" not in inside and not any(folder in inside for folder in JOB_FOLDERS):
        return None
    folders = read_jobs(entry.path, inside, problems)
    stage = _stage(entry.path, place, inside, problems)
    schema_name, schema = _schema(entry.path, inside, problems, whole=_is_of_interest(stage, folders))
    return Package(
        load_id=entry.name,
        schema_name=schema_name,
        stage=stage,
        path=entry.path,
        jobs=counted(folders.jobs, schema),
        modified=max(folders.modified, _newest(inside)),
        schema_applied=_is_applied(stage, inside),
        state_version=_state_version(entry.path, inside, problems),
        can_rewind=".restore" in inside,
        schema=schema,
    )


def _stage(path: str, place: Stage, inside: dict[str, os.DirEntry[str]], problems: list[UnreadableError]) -> Stage:
    if place != "loaded" or "package_completed.json" not in inside:
        return place
    try:
        marker = read_marker(os.path.join(path, "package_completed.json"))
    except UnreadableError as error:
        problems.append(error)
        return place
    return "aborted" if marker == "aborted" else "loaded"


def _is_applied(stage: Stage, inside: dict[str, os.DirEntry[str]]) -> bool:
    """Whether dlt has brought the destination's tables up to the package's schema."""
    if "applied_schema_updates.json" in inside:
        return True
    return stage not in ("extracted", "new") and "schema_updates.json" not in inside


def _is_of_interest(stage: Stage, folders: JobFolders) -> bool:
    return stage != "loaded" or any(job.status != "completed" for job in folders.jobs)


def _schema(
    path: str, inside: dict[str, os.DirEntry[str]], problems: list[UnreadableError], *, whole: bool
) -> tuple[str, Schema | None]:
    """The schema's name and, where asked for, the schema."""
    file = os.path.join(path, "schema.json")
    if "schema.json" not in inside:
        return "", None
    try:
        if not whole and (name := _name_in_head(read_head(file, size=_HEAD))):
            return name, None
        schema = read_schema(read_document(file, limit=MAX_SCHEMA), file)
    except UnreadableError as error:
        if not is_missing(file):
            problems.append(error)
        return "", None
    return schema.name, schema if whole else None


def _name_in_head(head: bytes) -> str | None:
    """The schema's name, which dlt writes before the tables."""
    found = _NAME.search(head.partition(b'"tables"')[0])
    try:
        return text(msgspec.json.decode(found[1])) if found else None
    except msgspec.DecodeError:
        return None


def _state_version(path: str, inside: dict[str, os.DirEntry[str]], problems: list[UnreadableError]) -> int | None:
    file = os.path.join(path, "load_package_state.json")
    if "load_package_state.json" not in inside:
        return None
    try:
        state = mapping(read_document(file).get("pipeline_state"))
    except UnreadableError as error:
        if not is_missing(file):
            problems.append(error)
        return None
    return number(state.get("version"))


def _newest(inside: dict[str, os.DirEntry[str]]) -> float:
    """The newest mtime among files and folders; what has just gone does not count."""
    newest = 0.0
    for item in inside.values():
        try:
            newest = max(newest, item.stat().st_mtime)
        except OSError:
            continue
    return newest
