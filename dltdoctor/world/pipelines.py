"""The local side: every pipeline in dlt's pipelines directories, read without dlt.

Nothing is created, changed or unpickled. What cannot be read becomes `Unread`, and the rest is
still read.
"""

import os
from collections.abc import Callable, Collection, Iterator, Sequence

from dltdoctor.snapshot import Package, Pipeline, Schema, State, Unread
from dltdoctor.world.files import MAX_SCHEMA, entries, is_missing, read_document, read_marker
from dltdoctor.world.packages import read_packages
from dltdoctor.world.pipelines_dirs import PipelinesDir
from dltdoctor.world.schemas import read_schema
from dltdoctor.world.state import read_state
from dltdoctor.world.trace import last_destination
from dltdoctor.world.unreadable import UnreadableError, refused

STATE = "state.json"
_SIGNS = frozenset({STATE, "load", "schemas"})
_SCHEMA = ".schema.json"


def read_pipelines(
    dirs: Sequence[PipelinesDir],
    names: Collection[str] = (),
    *,
    progress: Callable[[str], None] | None = None,
) -> tuple[tuple[Pipeline, ...], tuple[Unread, ...]]:
    """The pipelines in `dirs` (of those, only `names` when given), and what could not be read.

    Of two with the same name the one in the earlier directory is read: dlt would use that one. A
    directory may also be a working dir itself, as in an unpacked bug report. `progress` is called
    with a pipeline's name before it is read.
    """
    pipelines: dict[str, Pipeline] = {}
    unread: list[Unread] = []
    for place in dirs:
        for name, path in _working_dirs(place, unread):
            if name in pipelines or (names and name not in names):
                continue
            if progress:
                progress(name)
            pipelines[name] = _read_pipeline(name, path, place, unread)
    return tuple(pipelines.values()), tuple(unread)


def pipeline_names(dirs: Sequence[PipelinesDir]) -> tuple[str, ...]:
    """The names alone of the pipelines in `dirs`, of those that can be read."""
    return tuple(dict.fromkeys(name for place in dirs for name, _ in _working_dirs(place, [])))


def _working_dirs(place: PipelinesDir, unread: list[Unread]) -> Iterator[tuple[str, str]]:
    """Name and path of what looks like a pipeline, in order of the names."""
    path = str(place.path)
    try:
        found = entries(path)
    except UnreadableError as error:
        if place.required or not is_missing(path):
            unread.append(_dir_error(error, place).unread("pipelines"))
        return
    if any(entry.name == STATE for entry in found):
        yield _name_in_state(path) or os.path.basename(os.path.abspath(path)), path
    for entry in found:
        try:
            if entry.is_dir() and _looks_like_pipeline(entry.path):
                yield entry.name, entry.path
        except OSError as error:
            unread.append(refused(entry.path, error).unread("pipelines", pipeline=entry.name))


def _dir_error(error: UnreadableError, place: PipelinesDir) -> UnreadableError:
    """The refusal, with the rule that chose the directory."""
    hint = f"{error.hint} The directory was chosen by {place.origin}."
    return UnreadableError(error.origin, error.reason, hint)


def _name_in_state(path: str) -> str | None:
    """The pipeline's own name, for a working dir that may have been unpacked under any name."""
    file = os.path.join(path, STATE)
    try:
        return read_state(read_document(file), file).pipeline_name or None
    except UnreadableError:
        return None


def _looks_like_pipeline(path: str) -> bool:
    """True for a working dir, and for a directory that refuses to be looked into."""
    try:
        return any(entry.name in _SIGNS for entry in entries(path))
    except UnreadableError:
        return True


def _read_pipeline(name: str, path: str, place: PipelinesDir, unread: list[Unread]) -> Pipeline:
    problems: list[UnreadableError] = []
    state = _state(name, path, problems)
    schemas = _schemas(path, problems)
    packages = _packages(path, problems)
    version = _storage_version(path, problems)
    unread.extend(problem.unread("pipelines", pipeline=name) for problem in problems)
    return Pipeline(
        name=name,
        working_dir=path,
        profile=place.profile,
        state=state,
        schemas=schemas,
        packages=packages,
        storage_version=version,
        last_destination=last_destination(os.path.join(path, "trace.pickle")),
    )


def _state(name: str, path: str, problems: list[UnreadableError]) -> State | None:
    file = os.path.join(path, STATE)
    if is_missing(file):
        return None
    try:
        return read_state(read_document(file), file, pipeline_name=name)
    except UnreadableError as error:
        problems.append(error)
        return None


def _schemas(path: str, problems: list[UnreadableError]) -> tuple[Schema, ...]:
    """Those in `schemas/`, then those that lie beside `state.json`, as in bug reports."""
    found: dict[str, Schema] = {}
    for file in _schema_files(path, problems):
        name = os.path.basename(file).removesuffix(_SCHEMA).removesuffix(".json")
        try:
            schema = read_schema(read_document(file, limit=MAX_SCHEMA), file, name=name)
        except UnreadableError as error:
            problems.append(error)
            continue
        found.setdefault(schema.name, schema)
    return tuple(found.values())


def _schema_files(path: str, problems: list[UnreadableError]) -> Iterator[str]:
    for folder in (os.path.join(path, "schemas"), path):
        if is_missing(folder):
            continue
        try:
            found = entries(folder)
        except UnreadableError as error:
            problems.append(error)
            continue
        for entry in found:
            if entry.name.endswith(_SCHEMA) or entry.name == "schema.json":
                yield entry.path


def _packages(path: str, problems: list[UnreadableError]) -> tuple[Package, ...]:
    packages, refusals = read_packages(path)
    problems.extend(refusals)
    return packages


def _storage_version(path: str, problems: list[UnreadableError]) -> str | None:
    file = os.path.join(path, "load", ".version")
    try:
        return read_marker(file)
    except UnreadableError as error:
        problems.append(error)
        return None
