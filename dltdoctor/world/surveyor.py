"""The local side of a request: working dirs, configuration and source, and the ways into the destinations."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from dltdoctor.errors import CouldNotLookError
from dltdoctor.snapshot import (
    ConfigValue,
    Package,
    Pipeline,
    PipelineConfig,
    Source,
    Unread,
)
from dltdoctor.world.config import resolve
from dltdoctor.world.connection import credentials_for
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.destination import Reading, read_destination
from dltdoctor.world.known import Known
from dltdoctor.world.live import ORIGIN, SOURCE_NOT_READ, LivePipeline
from dltdoctor.world.logins import Login, login_of
from dltdoctor.world.pipelines import read_pipelines
from dltdoctor.world.pipelines_dirs import PipelinesDir, find_pipelines_dirs
from dltdoctor.world.providers import Providers, run_dir
from dltdoctor.world.request import Progress, Request, project_of, providers_in
from dltdoctor.world.routing import destination_of, is_computed, pipeline_arguments
from dltdoctor.world.source import INSTALLED, credential_literals, read_source

SUPPORTED = "postgres"
FRESH_SECONDS = 60.0


class Surveyor:
    """The local side of a request, with what is read once and used for every pipeline."""

    def __init__(self, request: Request, progress: Progress) -> None:
        self.request = request
        self.progress = progress
        self.now = time.time()
        self.project = project_of(request)
        self.source: Source | None = None
        self.dirs: tuple[PipelinesDir, ...] = ()
        self.ways_in: list[Credentials] = []
        self.ended: frozenset[str] = frozenset()
        self._providers: dict[Path, Providers] = {}

    @property
    def config_files(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f for p in self._providers.values() for f in p.files))

    def local(self) -> tuple[list[Known], list[Unread]]:
        """The pipelines of the working dirs and of the source, configured, and what was unreadable."""
        request = self.request
        if request.live:
            return self._local_live(request.live)
        if not self.project.is_dir():
            raise CouldNotLookError(
                f"the project {self.project} is not a directory", "Pass the directory that holds the pipeline's code."
            )
        self.progress("reading the project's source")
        source, unread_source = read_source(self.project)
        if source.dlt_version_origin == INSTALLED:  # dltdoctor's own dlt says nothing about the project's
            source = msgspec.structs.replace(source, dlt_version=None, dlt_version_origin=None)
        self.source = source
        providers = self._providers_in(self.project)
        if request.local_state:
            self.dirs = find_pipelines_dirs(
                Path(os.path.realpath(request.cwd / request.pipelines_dir)) if request.pipelines_dir else None,
                environ=request.environ,
                cwd=self.project,
                home=request.home,
                is_root=request.is_root,
                configured=_configured_dir(providers),
            )
        self.progress("reading the working dirs")
        pipelines, unread = read_pipelines(self.dirs, request.names)
        everyone = [*pipelines, *self._only_in_source({p.name for p in pipelines})]
        known = [self.configure(p) for p in everyone]
        unread_config = [u for p in self._providers.values() for u in p.unread]
        return known, [*unread, *unread_source, *unread_config]

    def _local_live(self, live: LivePipeline) -> tuple[list[Known], list[Unread]]:
        """The pipeline of the object alone; the working dir says what the object does not."""
        self.source = live.source
        place = PipelinesDir(path=Path(live.working_dir).parent, origin=ORIGIN)
        self.dirs = (place,)
        found, unread = read_pipelines(self.dirs, (live.name,))
        pipeline = live.known_from(next(iter(found), None))
        self.ended = frozenset(p.load_id for p in pipeline.packages) if live.ended_loads is None else live.ended_loads
        known = self.configure(pipeline)
        unread_config = [u for p in self._providers.values() for u in p.unread]
        return [known], [*unread, *unread_config, SOURCE_NOT_READ]

    def in_time(self, pipeline: Pipeline) -> Pipeline:
        """Packages that were written to a moment ago are marked: a load may be at work."""
        fresh = {p.load_id for p in pipeline.pending if _is_fresh(p, self.now)} - self.ended
        if not fresh:
            return pipeline
        packages = tuple(
            msgspec.structs.replace(p, is_fresh=p.is_pending and p.load_id in fresh) for p in pipeline.packages
        )
        return msgspec.structs.replace(pipeline, packages=packages)

    def _only_in_source(self, names: set[str]) -> list[Pipeline]:
        asked = self.request.names
        found = {
            str(name): None
            for call in (self.source.calls if self.source else ())
            if call.function == "pipeline" and isinstance(name := call.literal("pipeline_name"), str)
        }
        return [Pipeline(name=n, origin="source") for n in found if n not in names and (not asked or n in asked)]

    def _providers_in(self, project: Path) -> Providers:
        if project not in self._providers:
            self._providers[project] = providers_in(project, self.request)
        return self._providers[project]

    def _providers_of(self, pipeline: Pipeline) -> Providers:
        """The project asked for; else the current directory if it has settings; else the last run's."""
        request, state = self.request, pipeline.state
        here = self._providers_in(self.project)
        if request.project or (run_dir(self.project, request.environ) / ".dlt").is_dir():
            return here
        last = Path(state.run_dir) if state and state.run_dir else None
        return self._providers_in(last) if last and last.is_dir() else here

    def configure(self, pipeline: Pipeline) -> Known:
        """The pipeline with its settings; a stranger of the destination has none of this project's."""
        if pipeline.origin == "destination" and not (self.source and self.source.pipeline_calls(pipeline.name)):
            return Known(pipeline=pipeline, config=PipelineConfig(pipeline=pipeline.name))
        name, factory = destination_of(self.source, pipeline)
        config = resolve(
            self._providers_of(pipeline),
            pipeline=pipeline.name,
            destination_name=name,
            destination_type=factory or SUPPORTED,
            arguments=pipeline_arguments(self.source, pipeline),
        )
        live = self.request.live
        if live and live.name == pipeline.name:
            return Known(pipeline=pipeline, config=live.confirmed(config))
        computed = is_computed(self.source, pipeline, "dataset_name")
        return Known(pipeline=pipeline, config=config, computed_dataset=computed)

    def destinations(self, known: list[Known], wanted: tuple[str, ...]) -> tuple[list[Reading], list[Unread]]:
        """Every database, each read once for all its pipelines; and why one could not be."""
        if self.request.offline:
            return [], [Unread(code="offline", what="the destination", reason="--offline", hint="", areas=("catalog",))]
        unread: list[Unread] = []
        groups: list[tuple[Credentials, list[Known]]] = []
        for each in known:
            way_in = self._way_in(each, dsn=self.request.dsn)
            if isinstance(way_in, Unread):
                unread.append(way_in)
                continue
            group = next((g for c, g in groups if c.parameters == way_in.parameters), None)
            if group is None:
                groups.append((way_in, [each]))
            else:
                group.append(each)
        if not groups and not known:
            way_in = self._way_in(None, dsn=self.request.dsn)
            if isinstance(way_in, Credentials):
                groups.append((way_in, []))
            elif wanted or self.request.dsn:
                unread.append(way_in)
        readings: list[Reading] = []
        for way_in, group in groups:
            try:
                readings.append(self._reading(way_in, group, wanted))
                self.ways_in.append(way_in)
            except CouldNotLookError as error:
                unread += _closed(way_in, group, error)
        return readings, unread

    def _reading(self, way_in: Credentials, group: list[Known], wanted: tuple[str, ...]) -> Reading:
        is_local = any(each.pipeline.origin == "local" for each in group)
        return read_destination(
            way_in,
            group,
            self.configure,
            everyone=not is_local or bool(wanted),
            only_acquaintances=self.request.dsn is not None and not self.request.names,
            ended_loads=self.ended,
            logins={each.pipeline.name: login for each in group if (login := self._login(each, way_in))},
            deep=self.request.deep,
            progress=self.progress,
        )

    def _login(self, known: Known, way_in: Credentials) -> Login | None:
        """Who loads the pipeline; None when nothing but PG* variables tells, which dlt does not heed."""
        if self.request.dsn is None:
            return Login() if way_in.parameters else None
        own = self._way_in(known, dsn=None)
        return login_of(own) if isinstance(own, Credentials) else None

    def _way_in(self, known: Known | None, *, dsn: str | None) -> Credentials | Unread:
        request = self.request
        if request.live:
            return request.live.credentials
        if known is None:
            providers, name, destination = self._providers_in(self.project), "", None
            arguments: Mapping[str, ConfigValue] = {}
        else:
            pipeline = known.pipeline
            destination, factory = destination_of(self.source, pipeline)
            if factory and factory != SUPPORTED:
                return Unread(
                    code="offline",
                    what=f"destination {factory}",
                    reason=f"it loads to {factory}, dltdoctor reads Postgres",
                    hint="",
                    areas=("catalog",),
                    pipeline=pipeline.name,
                )
            providers, name = self._providers_of(pipeline), pipeline.name
            arguments = self._with_literals(pipeline_arguments(self.source, pipeline))
        return credentials_for(
            providers,
            pipeline=name,
            destination_name=destination,
            arguments=arguments,
            dsn=dsn,
            environ=request.environ,
        )

    def _with_literals(self, arguments: Mapping[str, ConfigValue]) -> Mapping[str, ConfigValue]:
        """Credentials as they stand in the source: masked in the snapshot, needed here to connect."""
        given = arguments.get("credentials")
        if given is None or self.source is None:
            return arguments
        file, _, line = given.location.rpartition(":")
        raw = credential_literals(self.source).get((file, int(line)))
        return {**arguments, "credentials": msgspec.structs.replace(given, value=raw)}


def _closed(way_in: Credentials, group: list[Known], error: CouldNotLookError) -> list[Unread]:
    place = f"{way_in.display} (from {way_in.origin})"
    names: list[str | None] = [each.pipeline.name for each in group]
    return [
        Unread(
            code="DD002",
            what=place,
            reason=error.message.removeprefix(f"could not connect to {place}: "),
            hint=error.hint,
            areas=("catalog",),
            pipeline=name,
        )
        for name in names or [None]
    ]


def _configured_dir(providers: Providers) -> tuple[str, str] | None:
    found = next(iter(providers.lookup("pipelines_dir", ("pipelines",))), None)
    return (str(found.raw), found.location) if found and found.raw else None


def _is_fresh(package: Package, now: float) -> bool:
    return abs(now - package.modified) < FRESH_SECONDS
