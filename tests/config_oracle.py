"""dlt's own answers: reads cases as JSON from stdin, writes what dlt resolves for each to stdout.

It runs in a process of its own, because dlt keeps its providers in a global container. It creates no
file: neither a pipeline nor a run context is activated.
"""

import inspect
import json
import logging
import os
import sys
from typing import Any

import dlt
from dlt.common.configuration import plugins, with_config
from dlt.common.configuration.container import Container
from dlt.common.configuration.exceptions import ConfigFieldMissingException
from dlt.common.configuration.inject import last_config
from dlt.common.configuration.resolve import inject_section, resolve_configuration
from dlt.common.configuration.specs.config_providers_context import ConfigProvidersContainer
from dlt.common.configuration.specs.config_section_context import ConfigSectionContext
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.runtime.run_context import RunContext
from dlt.destinations import postgres
from dlt.destinations.impl.postgres.configuration import PostgresCredentials
from dlt.load.configuration import LoaderConfiguration
from dlt.pipeline.configuration import PipelineConfiguration

SOMEWHERE = "postgresql://u:p@h/d"
DESTINATION = ("staging_dataset_name_layout", "enable_dataset_name_normalization", "replace_strategy")
PIPELINE = (
    "dataset_name",
    "dataset_name_layout",
    "use_single_dataset",
    "refresh",
    "restore_from_destination",
    "pipelines_dir",
)
LOAD = ("truncate_staging_dataset", "raise_on_failed_jobs")


def _resolved_config(*_: Any, injection_kwargs: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    return last_config(**kwargs)


# dlt.pipeline() itself would create the working dir; this resolves the same arguments the same way.
_resolved_config.__signature__ = inspect.signature(inspect.unwrap(dlt.pipeline))  # type: ignore[attr-defined]
pipeline = with_config(
    _resolved_config, spec=PipelineConfiguration, sections=("pipelines",), section_arg_name="pipeline_name"
)


def main() -> None:
    logging.disable(logging.CRITICAL)
    os.geteuid = lambda: 1000  # for root dlt would read the machine's /var/dlt
    _ = Container()[PluggableRunContext]  # made here: made in a workspace, it would create directories
    json.dump([_answer(case) for case in json.load(sys.stdin)], sys.stdout)


def _answer(case: dict[str, Any]) -> dict[str, Any]:
    os.environ.clear()
    os.environ.update(case["environ"])
    os.chdir(case["project"])
    _use_providers_of_working_dir()
    named, pipeline_name = {"destination_name": case["destination_name"]}, case["pipeline"]
    credentials = postgres(case["credentials"], **named)
    factory = postgres(**{"credentials": PostgresCredentials.from_init_value(SOMEWHERE), **named, **case["factory"]})
    return {
        "pipeline": _tried(lambda: _pipeline(pipeline_name, case["arguments"])),
        "destination": _tried(lambda: _destination(factory, pipeline_name)),
        "load": _tried(lambda: _load(pipeline_name)),
        "credentials": _tried(lambda: _credentials(credentials, pipeline_name)),
    }


def _use_providers_of_working_dir() -> None:
    context = plugins.manager().hook.plug_run_context(run_dir=None, runtime_kwargs=None) or RunContext(None)
    pluggable = Container()[PluggableRunContext]
    pluggable.context = context
    pluggable.providers = ConfigProvidersContainer(context.initial_providers())


def _tried(resolve: Any) -> dict[str, Any]:
    try:
        return {"values": resolve()}
    except ConfigFieldMissingException as error:
        return {"error": type(error).__name__, "missing": list(error.traces)}
    except Exception as error:  # noqa: BLE001 - every refusal is an answer
        return {"error": type(error).__name__}


def _pipeline(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    config = pipeline(name, **arguments)
    dev_mode = config.dev_mode if config.full_refresh is None else config.full_refresh
    return {"dev_mode": dev_mode, **{key: config[key] for key in PIPELINE}}


def _context(pipeline_name: str) -> Any:
    return inject_section(ConfigSectionContext(pipeline_name=pipeline_name, sections=("load",)))


def _destination(factory: Any, pipeline_name: str) -> dict[str, Any]:
    with _context(pipeline_name):
        config = factory.configuration(factory.spec()._bind_dataset_name("ds"))
    return {key: config[key] for key in DESTINATION}


def _load(pipeline_name: str) -> dict[str, Any]:
    with _context(pipeline_name):
        config = resolve_configuration(LoaderConfiguration(), accept_partial=True)
    return {key: config[key] for key in LOAD}


def _credentials(factory: Any, pipeline_name: str) -> dict[str, Any]:
    with _context(pipeline_name):
        credentials = factory.configuration(factory.spec()._bind_dataset_name("ds")).credentials
    keywords = {"host": "host", "port": "port", "database": "dbname", "username": "user", "password": "password"}
    values = {keyword: credentials[name] for name, keyword in keywords.items()}
    return {**credentials.get_query(), **values}


if __name__ == "__main__":
    main()
