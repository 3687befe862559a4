"""The working dir was written by a newer dlt than the project has.

A newer dlt upgrades the files it opens; an older one cannot read them back.

*Why it matters.* The older dlt stops with `NoMigrationPathException`, or with a schema engine it
does not know, and pending packages stay where they are.

*Fix safety.* Upgrading dlt in the project keeps everything. Editing `load/.version` by hand does not
convert the packages.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Pipeline, Snapshot, Source
from dltdoctor.words import command

# Measured on the releases themselves: the first dlt that writes what it names.
_STORAGE_SINCE = {"1.0.1": (1, 28, 0), "1.0.2": (1, 30, 0)}
_ENGINE_SINCE = {10: (1, 0, 0), 11: (1, 4, 1)}


def _older_project() -> Snapshot:
    source = Source(root=".", dlt_version="1.28.1", dlt_version_origin="uv.lock")
    return sketch.world(sketch.pipeline(storage_version="1.0.2"), source=source)


def _same_project() -> Snapshot:
    source = Source(root=".", dlt_version="1.31.0", dlt_version_origin="uv.lock")
    return sketch.world(sketch.pipeline(storage_version="1.0.2"), source=source)


@check("DD005", Severity.WARNING, sick=[_older_project], well=[_same_project, sketch.world])
def version_skew(pipelines: tuple[Pipeline, ...], source: Source) -> Iterable[Note]:
    have = _numbers(source.dlt_version)
    if have is None:
        return
    for pipeline in pipelines:
        written = _written_by(pipeline)
        if written and written[0] > have:
            needed = ".".join(str(n) for n in written[0])
            yield Note(
                message=f"the working dir was written by dlt {needed} or newer, the project has dlt {source.dlt_version}",
                pipeline=pipeline.name,
                evidence=(
                    Evidence(written[1], pipeline.working_dir or pipeline.name),
                    Evidence(f"dlt {source.dlt_version}", source.dlt_version_origin or source.root),
                ),
                remedy=Remedy("Give the project the newer dlt", "manual", command("pip", "install", f"dlt>={needed}")),
            )


def _written_by(pipeline: Pipeline) -> tuple[tuple[int, ...], str] | None:
    """The oldest dlt that can have written this working dir, and what says so."""
    if pipeline.working_dir is None:
        return None
    signs = [
        (v, f"schema engine {s.engine_version} in {s.origin}")
        for s in pipeline.schemas
        if (v := _ENGINE_SINCE.get(s.engine_version))
    ]
    if storage := _STORAGE_SINCE.get(pipeline.storage_version or ""):
        signs.append((storage, f"load/.version is {pipeline.storage_version}"))
    return max(signs, default=None)


def _numbers(version: str | None) -> tuple[int, ...] | None:
    """The release part of a version, None for what is not plain numbers, e.g. a branch."""
    parts = (version or "").split(".")[:3]
    return tuple(int(p) for p in parts) if parts and all(p.isdigit() for p in parts) else None
