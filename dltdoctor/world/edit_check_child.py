"""dlt's own answer to where pipelines would load: cases as JSON on stdin, its names as JSON on stdout.

It runs in a process of its own, in a temporary directory, because dlt keeps its providers in a global
container. No pipeline is activated, nothing is connected to, and no credentials are resolved.
"""

import contextlib
import inspect
import json
import logging
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

Answer = dict[str, Any]

SOMEWHERE = "postgresql://nobody:nothing@nowhere/none"


def main() -> None:
    """Read the cases, use the environment that comes with them, and answer each."""
    asked = json.load(sys.stdin)
    logging.disable(logging.CRITICAL)
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.geteuid = lambda: 1000  # for root dlt would read the machine's /var/dlt
    with contextlib.suppress(ImportError, TypeError):  # an older dlt looks in the current directory by itself
        _use_providers_here()
    json.dump([_tried(partial(_answer, case)) for case in asked["cases"]], sys.stdout)


def _use_providers_here() -> None:
    from dlt.common.configuration import plugins  # noqa: PLC0415 - only after the environment is set
    from dlt.common.configuration.container import Container  # noqa: PLC0415
    from dlt.common.configuration.specs.config_providers_context import ConfigProvidersContainer  # noqa: PLC0415
    from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext  # noqa: PLC0415
    from dlt.common.runtime.run_context import RunContext  # noqa: PLC0415

    context = plugins.manager().hook.plug_run_context(run_dir=None, runtime_kwargs=None) or RunContext(None)
    pluggable = Container()[PluggableRunContext]
    pluggable.context = context
    pluggable.providers = ConfigProvidersContainer(context.initial_providers())


def _answer(case: Answer) -> Answer:
    names, pipeline = _destination(case), _pipeline(case)
    dev_mode = pipeline.pop("dev_mode", None)
    return {"names": names["names"], "dev_mode": dev_mode, "settings": names["settings"] | pipeline}


def _destination(case: Answer) -> Answer:
    """Both datasets of each schema before Postgres folds and cuts them."""
    from dlt.common.configuration.resolve import inject_section  # noqa: PLC0415
    from dlt.common.configuration.specs.config_section_context import ConfigSectionContext  # noqa: PLC0415
    from dlt.common.schema import Schema  # noqa: PLC0415
    from dlt.destinations import postgres  # noqa: PLC0415
    from dlt.destinations.impl.postgres.configuration import PostgresCredentials  # noqa: PLC0415

    login = PostgresCredentials(SOMEWHERE)
    factory = postgres(credentials=login, destination_name=case["destination_name"], **case["factory"])
    names: list[list[str]] = []
    strategy = None
    with inject_section(ConfigSectionContext(pipeline_name=case["pipeline"], sections=("load",))):
        for dataset, naming in case["ways"]:
            config = factory.configuration(factory.spec()._bind_dataset_name(dataset))  # noqa: SLF001 - dlt's own way
            schema = Schema(
                "any", normalizers={"names": naming, "json": {"module": "dlt.common.normalizers.json.relational"}}
            )
            strategy = config.replace_strategy
            names.append([config.normalize_dataset_name(schema), config.normalize_staging_dataset_name(schema)])
    return {"names": names, "settings": {"replace_strategy": strategy}}


def _pipeline(case: Answer) -> Answer:
    """What dlt.pipeline() would resolve; called itself, it would create the working dir. Empty: dlt is too old."""
    import dlt  # noqa: PLC0415
    from dlt.common.configuration import with_config  # noqa: PLC0415
    from dlt.common.configuration.inject import last_config  # noqa: PLC0415
    from dlt.pipeline.configuration import PipelineConfiguration  # noqa: PLC0415

    def resolved(*_: Any, injection_kwargs: Any = None, **kwargs: Any) -> Any:  # noqa: ARG001 - dlt passes it
        return last_config(**kwargs)

    if "section_arg_name" not in inspect.signature(with_config).parameters:
        return {}
    resolved.__signature__ = inspect.signature(inspect.unwrap(dlt.pipeline))  # type: ignore[attr-defined]
    ask = with_config(resolved, spec=PipelineConfiguration, sections=("pipelines",), section_arg_name="pipeline_name")
    config = ask(case["pipeline"], **case["arguments"])
    return {
        "dev_mode": bool(config.dev_mode if config.full_refresh is None else config.full_refresh),
        "refresh": config.refresh,
        "restore_from_destination": config.restore_from_destination,
    }


def _tried(answer: Callable[[], Answer]) -> Answer:
    try:
        return answer()
    except Exception as error:  # noqa: BLE001 - every refusal is an answer; its text may hold a value
        return {"error": type(error).__name__}


if __name__ == "__main__":
    main()
