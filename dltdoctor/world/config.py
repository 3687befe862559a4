"""The routing settings of a pipeline as dlt would resolve them, each with where it comes from.

The order is an argument in the source, then everything under the pipeline's own name, then the same
without it; within each, environment, secrets.toml, config.toml, the most specific section first.
Source: `_resolve_single_value` in dlt/common/configuration/resolve.py.
"""

import json
from collections.abc import Collection, Iterator, Mapping

import msgspec

from dltdoctor.snapshot import ConfigValue, PipelineConfig, Setting
from dltdoctor.world.coerce import Kind, as_text, coerced, expectation
from dltdoctor.world.credential_fields import CREDENTIALS
from dltdoctor.world.mask import HIDDEN, is_secret_name, mask
from dltdoctor.world.options import DESTINATION, LOAD, PIPELINE, Option
from dltdoctor.world.providers import Found, Providers, Sections

Scalar = str | bool | int | float | None


def resolve(
    providers: Providers,
    *,
    pipeline: str,
    destination_name: str | None,
    destination_type: str,
    arguments: Mapping[str, ConfigValue],
    used_destinations: Collection[str] = (),
) -> PipelineConfig:
    """The winner and the shadowed candidates of every routing setting.

    `arguments` are what the source passes to dlt.pipeline() and to the destination factory; one that
    is there wins even when its value is None, because dlt then asks no provider. `used_destinations` are the names that other pipelines load
    to: their sections are not reported as unused.
    """
    factory = destination_type.rsplit(".", 1)[-1]
    name = destination_name or factory
    places = (
        (("destination", name), DESTINATION),
        (("pipelines", pipeline), PIPELINE),
        (("load",), LOAD),
    )
    settings = {
        option.key: _setting(providers, option, pipeline, sections, arguments.get(option.key))
        for sections, options in places
        for option in options
    }
    settings["dev_mode"] = _with_its_old_name(settings["dev_mode"], settings.pop("full_refresh"))
    settings[CREDENTIALS] = _credentials(providers, pipeline, name, arguments.get(CREDENTIALS))
    return PipelineConfig(
        pipeline=pipeline,
        destination_name=name,
        settings=settings,
        unused=(
            *_ignored_arguments(arguments),
            *_unused(providers, pipeline, name, factory, used_destinations),
        ),
    )


def _setting(
    providers: Providers, option: Option, pipeline: str, sections: Sections, argument: ConfigValue | None
) -> Setting:
    found = providers.lookup(option.key, sections, pipeline=pipeline)
    candidates = [_as_given(option, argument)] if argument is not None and option.passable else []
    candidates += [_value(one, option.key, option.kind) for one in found]
    winner, *shadowed = candidates or [_default(option)]
    return Setting(key=option.key, winner=winner, shadowed=tuple(shadowed))


def _as_given(option: Option, argument: ConfigValue) -> ConfigValue:
    """An argument; dlt neither coerces it nor looks further when it is None."""
    if argument.value is None and option.default is not None:
        return msgspec.structs.replace(argument, problem=f"dlt refuses it: {option.key} must not be None")
    return argument


def _with_its_old_name(dev_mode: Setting, full_refresh: Setting) -> Setting:
    """A value of full_refresh, from anywhere, still beats any valid dev_mode."""
    old, new = full_refresh.winner, dev_mode.winner
    if old is None or old.value is None or (new is not None and new.problem):
        return dev_mode
    shadowed = (*full_refresh.shadowed, *dev_mode.candidates)
    return Setting(key="dev_mode", winner=old, shadowed=tuple(c for c in shadowed if c.provider != "default"))


def _credentials(providers: Providers, pipeline: str, name: str, argument: ConfigValue | None) -> Setting:
    """Who gives the address as a whole; single fields stand in the origin of the credentials."""
    found = providers.lookup(CREDENTIALS, ("destination", name), pipeline=pipeline, secret=True)
    candidates = [_masked(argument)] if argument is not None and argument.value is not None else []
    candidates += [_address(one) for one in found]
    return Setting(key=CREDENTIALS, winner=candidates[0] if candidates else None, shadowed=tuple(candidates[1:]))


def _value(found: Found, key: str, kind: Kind) -> ConfigValue:
    problem = None
    try:
        value: Scalar = coerced(found.raw, kind)
    except ValueError:
        value = as_text(found.raw)
        problem = f"dlt refuses it: not {expectation(kind)}"
    if key == "dataset_name_layout" and "%s" not in str(value) and value:
        problem = "dlt refuses it: a dataset_name_layout must contain %s"
    return ConfigValue(
        key=key,
        value=HIDDEN if is_secret_name(key) else value,
        display=display(key, value),
        provider=found.provider,
        location=found.location,
        sections=found.sections,
        pipeline_scoped=found.pipeline_scoped,
        problem=problem,
    )


def display(key: str, value: Scalar) -> str:
    """The value as TOML would spell it, safe to print."""
    if is_secret_name(key):
        return HIDDEN
    if value is None:
        return "None"
    if isinstance(value, str):
        return json.dumps(mask(value), ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _default(option: Option) -> ConfigValue:
    value = option.default
    shown = "not set" if value is None else display(option.key, value)
    return ConfigValue(key=option.key, value=value, display=shown, provider="default", location="dlt's default")


def _address(found: Found) -> ConfigValue:
    """A connection string without its password, or the names of a table's fields."""
    shown = ", ".join(found.raw) if isinstance(found.raw, dict) else mask(as_text(found.raw))
    refused = found.provider == "config.toml"
    return ConfigValue(
        key=CREDENTIALS,
        value=shown,
        display=shown,
        provider=found.provider,
        location=found.location,
        sections=found.sections,
        pipeline_scoped=found.pipeline_scoped,
        problem="dlt refuses it: credentials may not stand in config.toml" if refused else None,
    )


def _masked(argument: ConfigValue) -> ConfigValue:
    shown = mask(as_text(argument.value))
    return ConfigValue(key=CREDENTIALS, value=shown, display=shown, provider="argument", location=argument.location)


def _ignored_arguments(arguments: Mapping[str, ConfigValue]) -> Iterator[ConfigValue]:
    """Arguments that dlt.pipeline() accepts and does not heed."""
    for option in PIPELINE:
        if option.key in arguments and not option.passable:
            problem = f"dlt.pipeline() accepts {option.key} and ignores it"
            yield msgspec.structs.replace(arguments[option.key], problem=problem)


def _unused(
    providers: Providers, pipeline: str, name: str, factory: str, used: Collection[str]
) -> Iterator[ConfigValue]:
    """Values for this destination that stand under another name for it."""
    wrong = [("destinations", name), ("destinations", factory), ("destination", factory)]
    for sections in dict.fromkeys(wrong):
        if sections == ("destination", name) or (sections[0] == "destination" and sections[1] in used):
            continue
        for option in DESTINATION:
            for scope in ((pipeline,), ()):
                for provider in providers.stack:
                    for found in provider.find((*scope, *sections), option.key):
                        yield _value(found, option.key, option.kind)
