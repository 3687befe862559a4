"""A pipeline object of the calling process: it holds what otherwise has to be looked for.

Only attributes are read, and the destination's configuration is resolved as each of dlt's steps does it:
through dlt's own providers, a vault or Airflow's variables among them. No state is saved, nothing is
connected, and no load storage is opened (failure-modes §9).
"""

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from dltdoctor.errors import CouldNotLookError, UsageError
from dltdoctor.snapshot import ConfigValue, Pipeline, PipelineConfig, Setting, Source, State, Unread, Value
from dltdoctor.world.config import Scalar, display
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.dsn import MalformedDsnError, libpq_parameters

ORIGIN = "the pipeline object"
POSTGRES = "postgres"

SOURCE_NOT_READ = Unread(
    code="offline",
    what="the project's source",
    reason="verify_load does not read it",
    hint="",
    areas=("source",),
)

_OF_DESTINATION = ("staging_dataset_name_layout", "enable_dataset_name_normalization", "replace_strategy")
_NEEDED = ("pipeline_name", "working_dir", "dataset_name", "default_schema_name", "destination")


class LivePipeline(Value):
    """What a pipeline object knows of itself. `settings` are values as dlt has resolved them.

    `ended_loads` are known to be over, so that no sign of work excuses them; None means all of which the
    working dir has a package.
    """

    name: str
    working_dir: str
    credentials: Credentials
    destination_name: str
    settings: Mapping[str, Scalar]
    dlt_version: str
    dataset_name: str | None = None
    default_schema_name: str | None = None
    ended_loads: frozenset[str] | None = None

    @property
    def source(self) -> Source:
        """In place of the source, which is not read: nothing in it could say more than the object."""
        return Source(dlt_version=self.dlt_version, dlt_version_origin="the running process")

    def known_from(self, found: Pipeline | None) -> Pipeline:
        """The pipeline of the working dir with the object's own names; its state may be from before the run."""
        pipeline = found or Pipeline(name=self.name, origin="source")
        state = pipeline.state or State(origin=ORIGIN, pipeline_name=self.name, partial=True)
        state = msgspec.structs.replace(
            state,
            dataset_name=self.dataset_name or state.dataset_name,
            default_schema_name=self.default_schema_name or state.default_schema_name,
            destination_type=POSTGRES,
            destination_name=self.destination_name,
        )
        return msgspec.structs.replace(pipeline, state=state) if self.dataset_name else pipeline

    def confirmed(self, config: PipelineConfig) -> PipelineConfig:
        """The settings that the files give, where dlt has the same value; else the object's own."""
        settings = dict(config.settings)
        for key, value in self.settings.items():
            setting = settings.get(key) or Setting(key=key)
            if setting.winner is None or setting.winner.value != value or setting.winner.problem:
                settings[key] = Setting(key=key, winner=_own(key, value), shadowed=setting.candidates)
        return msgspec.structs.replace(config, settings=settings)


def _own(key: str, value: Scalar) -> ConfigValue:
    return ConfigValue(key=key, value=value, display=display(key, value), provider="argument", location=ORIGIN)


def read_live_pipeline(pipeline: Any, ended_loads: frozenset[str] | None) -> LivePipeline:
    """The object in a frozen value.

    Raises `UsageError` for what is no pipeline with a destination, `CouldNotLookError` for a destination
    that is not Postgres or whose configuration dlt itself cannot resolve.
    """
    if any(not hasattr(pipeline, name) for name in _NEEDED):
        raise UsageError(
            f"a dlt pipeline is needed, not {type(pipeline).__name__}", "Pass what dlt.pipeline() returns."
        )
    name = str(pipeline.pipeline_name)
    if pipeline.destination is None:
        raise UsageError(
            f"pipeline {name} has no destination yet", "Pass the pipeline object that has run, after it has run."
        )
    config = _destination_config(pipeline, name)
    kind = str(getattr(config, "destination_type", ""))
    if kind != POSTGRES:
        raise CouldNotLookError(f"pipeline {name} loads to {kind}, dltdoctor reads Postgres")
    settings: dict[str, Scalar] = {key: getattr(config, key) for key in _OF_DESTINATION}
    settings["use_single_dataset"] = bool(pipeline.config.use_single_dataset)
    if pipeline.dataset_name:
        settings["dataset_name"] = str(pipeline.dataset_name)
        settings["dataset_name_layout"] = None  # it is in the name already
    return LivePipeline(
        name=name,
        working_dir=os.path.realpath(pipeline.working_dir),
        credentials=_credentials(config, name),
        destination_name=str(pipeline.destination.destination_name),
        settings=settings,
        dlt_version=_dlt_version(),
        dataset_name=pipeline.dataset_name,
        default_schema_name=pipeline.default_schema_name,
        ended_loads=ended_loads,
    )


def _destination_config(pipeline: Any, name: str) -> Any:
    """The destination's configuration; values that are missing stay unset, for the checks to find."""
    from dlt.common.configuration import inject_section  # noqa: PLC0415 - the caller has imported dlt
    from dlt.common.configuration.specs.config_section_context import ConfigSectionContext  # noqa: PLC0415

    style = ConfigSectionContext.prefer_existing
    try:
        with inject_section(ConfigSectionContext(pipeline_name=name, sections=(), merge_style=style)):
            return pipeline.destination.configuration(None, accept_partial=True)
    except Exception as error:  # noqa: BLE001 - a provider may raise anything; its text may hold the secret
        raise CouldNotLookError(
            f"dlt cannot resolve the destination of pipeline {name} ({type(error).__name__})",
            "pipeline.destination_client() says why.",
        ) from None


def _credentials(config: Any, name: str) -> Credentials:
    """The way in that dlt itself takes: its connection string, with everything that it says."""
    found = config.credentials
    if found is None or not (found.host and found.database):
        raise CouldNotLookError(
            f"pipeline {name} has no credentials for its destination",
            "dlt finds none either: look at its .dlt directory, its environment, and the working directory.",
        )
    try:
        return Credentials(parameters=libpq_parameters(found.to_native_representation()), origin=ORIGIN)
    except MalformedDsnError as error:
        raise CouldNotLookError(f"the credentials of pipeline {name} cannot be used: {error}") from None


def _dlt_version() -> str:
    from dlt.version import __version__  # noqa: PLC0415

    return str(__version__)
