"""What the configuration says, with the place of every candidate."""

from collections.abc import Mapping
from typing import Literal

from dltdoctor.snapshot.value import Value


class ConfigValue(Value):
    """One candidate for a setting and the place it stands in.

    `value` is the scalar as dlt would coerce it, None for an explicit None; `display` is safe to
    print. `provider` is "argument", "env", "secrets.toml", "config.toml" or "default"; `location`
    is `path:line` or the variable's name; `sections` are those it was found under. `problem` says why
    dlt refuses the value and stops, e.g. because it cannot be coerced.
    """

    key: str
    value: str | bool | int | float | None
    display: str
    provider: Literal["argument", "env", "secrets.toml", "config.toml", "default"]
    location: str
    sections: tuple[str, ...] = ()
    pipeline_scoped: bool = False
    problem: str | None = None


class Setting(Value):
    """A setting as dlt resolves it for one pipeline: the winner, then those it shadows, in order."""

    key: str
    winner: ConfigValue | None = None
    shadowed: tuple[ConfigValue, ...] = ()

    @property
    def candidates(self) -> tuple[ConfigValue, ...]:
        return (self.winner, *self.shadowed) if self.winner else self.shadowed


class PipelineConfig(Value):
    """The routing settings of one pipeline.

    `unused` are values that stand where dlt does not look for this pipeline, but where its owner
    may believe it does: another destination section than the one the pipeline names.
    """

    pipeline: str
    destination_name: str = "postgres"
    settings: Mapping[str, Setting] = {}
    unused: tuple[ConfigValue, ...] = ()

    def __getitem__(self, key: str) -> Setting:
        return self.settings.get(key) or Setting(key=key)

    def value(self, key: str) -> str | bool | int | float | None:
        winner = self[key].winner
        return winner.value if winner else None


class Config(Value):
    """The configuration of every pipeline, and the files it was read from."""

    pipelines: Mapping[str, PipelineConfig] = {}
    files: tuple[str, ...] = ()

    def of(self, pipeline: str) -> PipelineConfig:
        return self.pipelines.get(pipeline) or PipelineConfig(pipeline=pipeline)
