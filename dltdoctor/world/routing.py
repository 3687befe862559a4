"""Where each schema of a pipeline goes, from its state, its source and its configuration."""

from collections.abc import Iterable, Iterator, Mapping

from dltdoctor.snapshot import Call, ConfigValue, Pipeline, PipelineConfig, Route, Schema, Setting, Source
from dltdoctor.world.naming import DEFAULT_LAYOUT, configured_dataset, dataset_names

LAYOUT = "staging_dataset_name_layout"
_PIPELINE_ARGUMENTS = ("dataset_name", "dev_mode", "full_refresh", "refresh", "pipelines_dir", "credentials")
_DESTINATION_ARGUMENTS = (LAYOUT, "enable_dataset_name_normalization", "replace_strategy", "credentials")


def pipeline_arguments(source: Source | None, pipeline: Pipeline) -> Mapping[str, ConfigValue]:
    """What the source passes explicitly for this pipeline, where every call of it agrees.

    A None given to `dlt.pipeline` means "not given"; one given to a destination factory is a value.
    A dataset name given to `run` replaces the pipeline's.
    """
    found: dict[str, list[ConfigValue]] = {}
    for call in _calls(source, pipeline):
        for value in (*_values(call, _PIPELINE_ARGUMENTS), *_values(call.destination, _DESTINATION_ARGUMENTS)):
            if value.value is not None or value.key in _DESTINATION_ARGUMENTS:
                found.setdefault(value.key, []).append(value)
    if at_run := [v for call in _runs(source, pipeline) for v in _values(call, ("dataset_name",))]:
        found["dataset_name"] = at_run
    return {key: values[0] for key, values in found.items() if len({v.value for v in values}) == 1}


def _values(call: Call | None, names: Iterable[str]) -> Iterator[ConfigValue]:
    for name in names if call else ():
        argument = call.argument(name) if call else None
        if call and argument and argument.literal:
            yield ConfigValue(
                key=name,
                value=argument.value,
                display=repr(argument.value),
                provider="argument",
                location=f"{call.file}:{argument.line}",
            )


def is_computed(source: Source | None, pipeline: Pipeline, name: str) -> bool:
    """True when some call gives the argument a value that only running it would tell."""
    if name == "dataset_name" and _differs_by_run(source, pipeline):
        return True
    return any((a := call.argument(name)) and not a.literal for call in _calls(source, pipeline))


def _differs_by_run(source: Source | None, pipeline: Pipeline) -> bool:
    """True when `run` is given a dataset name, unless every run is given the same one."""
    runs = _runs(source, pipeline)
    names = {call.literal("dataset_name") for call in runs}
    return any(call.argument("dataset_name") for call in runs) and (len(names) > 1 or None in names)


def _runs(source: Source | None, pipeline: Pipeline) -> tuple[Call, ...]:
    """The runs of this pipeline, and those with a dataset name of which the source does not show whose they are."""
    return tuple(
        call
        for call in (source.calls if source else ())
        if call.function == "run"
        and (
            call.literal("pipeline_name") == pipeline.name
            or (call.literal("pipeline_name") is None and call.argument("dataset_name"))
        )
    )


def destination_of(source: Source | None, pipeline: Pipeline) -> tuple[str | None, str | None]:
    """The destination's name and factory: from the state, else from the source."""
    state = pipeline.state
    if state and state.destination:
        return state.destination_name, state.destination
    for call in _calls(source, pipeline):
        if call.destination:
            name = call.destination.literal("destination_name")
            return (str(name) if name else None), call.destination.function
    return None, None


def _calls(source: Source | None, pipeline: Pipeline) -> tuple[Call, ...]:
    """The calls that make this pipeline; of several datasets, those of the one in its state."""
    calls = source.pipeline_calls(pipeline.name) if source else ()
    dataset = pipeline.state.dataset_name if pipeline.state else None
    same = tuple(c for c in calls if dataset is not None and c.literal("dataset_name") == dataset)
    return same or calls


def routes_of(pipeline: Pipeline, config: PipelineConfig, *, computed_dataset: bool) -> tuple[Route, ...]:
    """A route for every schema of the pipeline; at least one, for its default schema."""
    state = pipeline.state
    setting = config[LAYOUT]
    layout = setting.winner.value if setting.winner else DEFAULT_LAYOUT
    text = None if layout is None else str(layout)
    stored = state.dataset_name if state else None
    configured, _ = configured_dataset(
        pipeline.name, _text(config.value("dataset_name")), _text(config.value("dataset_name_layout"))
    )
    is_given = bool(config.value("dataset_name")) and not computed_dataset
    loaded = stored or configured or f"{pipeline.name}_dataset"
    upcoming = configured if is_given and configured and not _in_dev_mode(pipeline, config) else loaded
    single = config.value("use_single_dataset") is not False
    normalize = config.value("enable_dataset_name_normalization") is not False
    default = state.default_schema_name if state else None
    made = []
    for schema in pipeline.schemas or (_unknown_schema(pipeline),):
        naming = schema.naming
        facts = {
            "schema_name": schema.name,
            "default_schema_name": default,
            "use_single_dataset": single,
            "naming": naming,
            "normalize": normalize,
        }
        names = dataset_names(loaded, text, **facts)  # type: ignore[arg-type]
        following = dataset_names(upcoming, text, **facts)  # type: ignore[arg-type]
        made.append(
            Route(
                pipeline=pipeline.name,
                schema=schema.name,
                raw_dataset=names.raw,
                final=names.final,
                next_final=following.final,
                staging=names.staging,
                layout=text,
                layout_error=names.layout_error,
                layout_origin=_origin(setting),
            )
        )
    return tuple(made)


def _in_dev_mode(pipeline: Pipeline, config: PipelineConfig) -> bool:
    """In dev mode the name grows a timestamp on every run: that is DD106, not a drift."""
    return config.value("dev_mode") is True or bool(pipeline.state and pipeline.state.dev_mode)


def _unknown_schema(pipeline: Pipeline) -> Schema:
    state = pipeline.state
    name = (state.default_schema_name if state else None) or pipeline.name
    return Schema(name=name, origin="no schema was found")


def _origin(setting: Setting) -> str:
    winner = setting.winner
    return winner.location if winner and winner.provider != "default" else "dlt's default"


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def places_by_staging(routes: Iterable[Route], places: Mapping[str, str]) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """The final datasets that use a staging dataset, by (database, staging)."""
    found: dict[tuple[str, str], set[str]] = {}
    for way in routes:
        staging = way.examined_staging
        if staging and way.pipeline in places:
            found.setdefault((places[way.pipeline], staging), set()).add(way.final)
    return {key: tuple(sorted(finals)) for key, finals in found.items()}
