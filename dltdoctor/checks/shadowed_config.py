"""A setting that decides where rows go stands in a place that does not count.

Two places give different values and the one that loses is the one people look at: a bare environment
variable such as `DATASET_NAME` beats every TOML section; a TOML section that starts with the pipeline's
name beats the environment; `secrets.toml` beats `config.toml`; an argument in source beats them all;
and a named destination reads nothing from `[destination.postgres]`.

*Why it matters.* You change the value, run again, and nothing happens; or rows go somewhere else on
the one machine that has the variable set.

*Fix safety.* Removing the losing value changes nothing that dlt does today. Removing the winner
changes where the next run loads: look at DD105 first.
"""

from collections.abc import Iterable

import msgspec

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.remedies import rewrite
from dltdoctor.snapshot import Config, ConfigValue, PipelineConfig, Setting, Snapshot
from dltdoctor.words import command

_LAYOUT = "staging_dataset_name_layout"


def _bare_variable() -> Snapshot:
    found = Setting(
        key="dataset_name",
        winner=sketch.candidate("dataset_name", "imagenet", provider="env", location="DATASET_NAME"),
        shadowed=(sketch.candidate("dataset_name", "shop"),),
    )
    return sketch.world(settings=[found])


def _another_destination() -> Snapshot:
    made = sketch.world()
    unused = PipelineConfig(
        pipeline="shop_loader", destination_name="pg_prod", unused=(sketch.candidate(_LAYOUT, "_dlt_staging"),)
    )
    return msgspec.structs.replace(made, config=Config(pipelines={"shop_loader": unused}))


def _deliberate_override() -> Snapshot:
    found = Setting(
        key=_LAYOUT,
        winner=sketch.candidate(
            _LAYOUT, "a_%s", provider="env", location="DESTINATION__POSTGRES__STAGING_DATASET_NAME_LAYOUT"
        ),
        shadowed=(sketch.candidate(_LAYOUT, "b_%s"),),
    )
    return sketch.world(settings=[found])


def _same_value() -> Snapshot:
    return sketch.world(settings=[sketch.setting("dataset_name", "shop")])


@check(
    "DD110",
    Severity.WARNING,
    sick=[_bare_variable, _another_destination],
    well=[_deliberate_override, _same_value, sketch.world],
    url=f"{DLT_DOCS}/general-usage/credentials/setup",
)
def shadowed_config(config: Config) -> Iterable[Note]:
    for pipeline, settings in config.pipelines.items():
        for setting in settings.settings.values():
            for loser in setting.shadowed:
                reason = setting.winner and _surprise(setting.winner, loser)
                if reason and setting.winner:
                    yield _note(pipeline, setting.winner, loser, reason)
                    break
        for value in settings.unused:
            yield Note(
                message=f"{value.key} = {value.display} in {value.location} is not read: the pipeline's destination "
                f"is called {settings.destination_name}, which has a section of its own",
                pipeline=pipeline,
                evidence=(
                    Evidence(f"{value.key} = {value.display} under [{'.'.join(value.sections)}]", value.location),
                ),
                remedy=Remedy(f"Move it to [destination.{settings.destination_name}], or remove it", "manual"),
                identity=f"{value.key} {'.'.join(value.sections)}",
            )


def _surprise(winner: ConfigValue, loser: ConfigValue) -> str | None:
    """Why a person would not expect this outcome; None for an ordinary override."""
    if winner.value == loser.value or winner.key == "credentials" or loser.provider == "default":
        return None
    if winner.provider == "argument":
        return "an argument in source beats every configuration"
    if winner.provider == "env" and "__" not in winner.location:
        return "a bare environment variable beats every section that does not start with the pipeline's name"
    if loser.provider == "env" and winner.pipeline_scoped:
        return "a section that starts with the pipeline's name beats the environment"
    if winner.provider == "secrets.toml" and loser.provider == "config.toml":
        return "secrets.toml is asked before config.toml"
    return None


def _note(pipeline: str, winner: ConfigValue, loser: ConfigValue, reason: str) -> Note:
    if winner.provider == "env":
        remedy = Remedy(
            f"If {loser.display} is what you mean, unset the variable", "manual", command("unset", winner.location)
        )
    else:
        remedy = rewrite(pipeline, loser, "Remove the value that has no effect, or move it to where the winner stands")
    return Note(
        message=f"{winner.key} is {winner.display} from {winner.location}; {loser.display} in {loser.location} "
        f"has no effect, because {reason}",
        pipeline=pipeline,
        evidence=(
            Evidence(f"wins: {winner.key} = {winner.display}", winner.location),
            Evidence(f"loses: {loser.key} = {loser.display}", loser.location),
        ),
        remedy=remedy,
        identity=identity_of(winner, loser),
    )


def identity_of(winner: ConfigValue, loser: ConfigValue) -> str:
    """What stays the same when lines and files move: the setting, and the section or variable that loses."""
    place = loser.location if loser.provider == "env" else ".".join(loser.sections)
    return f"{winner.key} {loser.provider} {place}"
