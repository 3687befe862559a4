"""The routing settings: where dlt looks for each, what type it has, and what dlt takes without it.

Source: `PipelineConfiguration`, `DestinationClientDwhConfiguration` and `LoaderConfiguration` of
dlt 1.31.
"""

from typing import NamedTuple

from dltdoctor.world.coerce import BOOL, TEXT, Kind

REPLACE_STRATEGIES = ("truncate-and-insert", "insert-from-staging", "staging-optimized")
REFRESH_MODES = ("drop_sources", "drop_resources", "drop_data")


class Option(NamedTuple):
    """A setting of a configuration class of dlt; `kind` is as in `coerce`.

    `passable` is true when dlt heeds an argument of this name. `dlt.pipeline()` accepts every field of
    `PipelineConfiguration` and silently ignores those that are not in its signature.
    """

    key: str
    kind: Kind
    default: str | bool | None = None
    passable: bool = True


DESTINATION = (
    Option("staging_dataset_name_layout", TEXT, "%s_staging"),
    Option("enable_dataset_name_normalization", BOOL, default=True),
    Option("replace_strategy", REPLACE_STRATEGIES),
)
PIPELINE = (
    Option("dataset_name", TEXT),
    Option("dataset_name_layout", TEXT, passable=False),
    Option("use_single_dataset", BOOL, default=True, passable=False),
    Option("full_refresh", BOOL),
    Option("dev_mode", BOOL, default=False),
    Option("refresh", REFRESH_MODES),
    Option("restore_from_destination", BOOL, default=True, passable=False),
    Option("pipelines_dir", TEXT),
)
LOAD = (
    Option("truncate_staging_dataset", BOOL, default=False, passable=False),
    Option("raise_on_failed_jobs", BOOL, default=True, passable=False),
)
