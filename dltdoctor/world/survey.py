"""The survey: everything that one examination needs is read once, into one frozen snapshot."""

from collections.abc import Iterable, Mapping

from dltdoctor.snapshot import (
    Catalog,
    Config,
    Database,
    Route,
    Snapshot,
    Value,
)
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.declared_readers import declared_readers
from dltdoctor.world.destination import Reading
from dltdoctor.world.known import routes, with_replace_strategy
from dltdoctor.world.pipelines_dirs import PipelinesDir
from dltdoctor.world.request import Progress, Request, project_of, this_machine
from dltdoctor.world.surveyor import Surveyor

__all__ = ["Progress", "Request", "Survey", "project_of", "take", "this_machine"]


class Survey(Value):
    """The snapshot, where its pipelines were looked for, and how each database was reached (by its key)."""

    snapshot: Snapshot
    dirs: tuple[PipelinesDir, ...]
    ways_in: Mapping[str, Credentials] = {}


def take(request: Request, progress: Progress = lambda _: None) -> Survey:
    """Read the local side, then every destination that it leads to."""
    reader = Surveyor(request, progress)
    known, unread = reader.local()
    names = {each.pipeline.name for each in known}
    missing_here = tuple(n for n in request.names if n not in names)
    readings, closed = reader.destinations(known, missing_here)
    unread += closed
    everyone = [each for reading in readings for each in reading.known]
    reached = {name for reading in readings for name in (*reading.names, *reading.elsewhere)}
    everyone += [with_replace_strategy(each) for each in known if each.pipeline.name not in reached]
    ways: list[Route] = [way for reading in readings for way in reading.routes]
    ways += [way for each in everyone if each.pipeline.name not in reached for way in routes(each)]
    databases, of_pipeline = _joined(readings)
    ways_in = {reading.database.target.key: way_in for reading, way_in in zip(readings, reader.ways_in, strict=True)}
    readers, unread_readers = declared_readers(request, databases, ways_in, progress)
    snapshot = Snapshot(
        pipelines=tuple(sorted((reader.in_time(each.pipeline) for each in everyone), key=lambda p: p.name)),
        config=Config(pipelines={each.pipeline.name: each.config for each in everyone}, files=reader.config_files),
        source=reader.source,
        catalog=Catalog(databases=databases, of_pipeline=of_pipeline) if databases else None,
        routes=tuple(sorted(ways, key=lambda w: (w.pipeline, w.final, w.schema))),
        unread=tuple(dict.fromkeys((*unread, *(u for r in readings for u in r.unread), *unread_readers))),
        taken_at=reader.now,
        ended_loads=reader.ended,
        contracts=request.contracts,
        readers=readers,
    )
    return Survey(snapshot=snapshot, dirs=reader.dirs, ways_in=ways_in)


def _joined(readings: Iterable[Reading]) -> tuple[tuple[Database, ...], Mapping[str, str]]:
    databases = tuple(reading.database for reading in readings)
    places = {each.pipeline.name: reading.database.target.key for reading in readings for each in reading.known}
    return databases, places
