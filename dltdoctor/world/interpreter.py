"""The Python that runs the project's dlt, found and judged without running it.

A working dir that a newer dlt has written cannot be opened by an older one (NoMigrationPathException),
and a newer one brings it up to its own version, which locks the older one out (failure-modes FM-28).
"""

import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from dltdoctor.errors import RefusedError
from dltdoctor.snapshot import Pipeline

_DIST_INFO = re.compile(r"dlt-(?P<version>[0-9][\w.!+]*)\.dist-info")
_SITE_PACKAGES = ("lib*/python*/site-packages", "Lib/site-packages")
_PROGRAMS = ("bin/python", "Scripts/python.exe")
_MAX_SOURCE = 4_000_000

Number = tuple[int, ...]


class Interpreter(NamedTuple):
    """A Python with dlt. `origin` says how it was found; `site_packages` is where its dlt is installed."""

    path: str
    dlt_version: str
    origin: str
    site_packages: str

    @property
    def aborts(self) -> bool:
        """Whether its dlt gives up a package when a job fails for good (failure-modes §1.2)."""
        return (_number(".".join(self.dlt_version.split(".")[:2])) or (0,)) < (1, 30)


class Versions(NamedTuple):
    """Versions of what dlt keeps on disk; None where they could not be read."""

    storage: Number | None
    schema: Number | None
    state: Number | None


def project_interpreter(project: Path, environ: Mapping[str, str]) -> Interpreter:
    """The project's own Python that has dlt, else the active one's, else this one; RefusedError without any."""
    for path, folders, origin in _candidates(project, environ):
        for folder in folders:
            version = _dlt_in(folder)
            if version:
                return Interpreter(path, version, origin, str(folder))
    raise RefusedError(
        f"no Python with dlt was found for {project}",
        "Create the project's .venv, or activate its environment, and run dltdoctor again.",
    )


def fitness(interpreter: Interpreter, pipeline: Pipeline) -> str:
    """What to say of the interpreter: empty when it is the very version that wrote the working dir.

    Raises RefusedError when the working dir was written by a newer dlt.
    """
    theirs = Versions(
        storage=_number(pipeline.storage_version),
        schema=max((_engine(s.engine_version) for s in pipeline.schemas), default=None),
        state=_engine(pipeline.state.engine_version) if pipeline.state else None,
    )
    own = _versions_of(Path(interpreter.site_packages))
    for written, known in zip(theirs, own, strict=True):
        if written and known and written > known:
            raise RefusedError(
                f"the working dir of {pipeline.name} was written by a newer dlt than {interpreter.dlt_version}, "
                f"which {interpreter.origin} has",
                "Run dltdoctor with the environment that the pipeline runs in: activate it, or make it the "
                "project's .venv.",
            )
    if (theirs.storage and own.storage and theirs.storage < own.storage) or (
        theirs.schema and own.schema and theirs.schema < own.schema
    ):
        return (
            f"dlt {interpreter.dlt_version} ({interpreter.origin}) is newer than the dlt that wrote the working dir "
            "and brings it up to its version; the older dlt cannot open it afterwards"
        )
    return ""


def _candidates(project: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, list[Path], str]]:
    environments = [(project / name, name) for name in (".venv", "venv")]
    active = environ.get("VIRTUAL_ENV")
    if active:
        environments.append((Path(active), "VIRTUAL_ENV"))
    for place, origin in environments:
        program = next((place / name for name in _PROGRAMS if (place / name).is_file()), None)
        if program and os.access(program, os.X_OK):
            # not resolved: behind the link there is a Python without the environment's packages
            yield str(program.absolute()), _site_packages(place), origin
    own = [Path(sysconfig.get_path("purelib")), *(Path(p) for p in sys.path if p)]
    yield sys.executable, list(dict.fromkeys(own)), "the Python that runs dltdoctor"


def _site_packages(environment: Path) -> list[Path]:
    return [found for pattern in _SITE_PACKAGES for found in sorted(environment.glob(pattern))]


def _dlt_in(folder: Path) -> str | None:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return None
    return next((found["version"] for name in names if (found := _DIST_INFO.fullmatch(name))), None)


def _versions_of(site_packages: Path) -> Versions:
    """As they stand in the text of the installed dlt."""
    storage = _constant(site_packages / "dlt/common/storages/load_storage.py", "STORAGE_VERSION")
    schema = _constant(site_packages / "dlt/common/schema/typing.py", "SCHEMA_ENGINE_VERSION")
    state = _constant(site_packages / "dlt/pipeline/state_sync.py", "PIPELINE_STATE_ENGINE_VERSION")
    return Versions(storage, schema, state)


def _constant(file: Path, name: str) -> Number | None:
    try:
        with file.open(encoding="utf-8", errors="replace") as source:
            text = source.read(_MAX_SOURCE)
    except OSError:
        return None
    found = re.search(rf"^\s*{name}\b[^=\n]*=\s*[\"']?(\d[\d.]*)", text, re.MULTILINE)
    return _number(found[1]) if found else None


def _engine(version: int) -> Number:
    return (version,)


def _number(text: str | None) -> Number | None:
    parts = (text or "").strip(".").split(".")
    return tuple(map(int, parts)) if all(p.isascii() and p.isdecimal() for p in parts) else None
