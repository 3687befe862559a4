"""The names of datasets as Postgres holds them.

dlt is the oracle: whatever is not an ordinary name goes through dlt's own naming convention. Importing
dlt costs half a second, so a name that every convention is known to leave alone does not ask it.
Source: `DestinationClientDwhConfiguration` in dlt/common/destination/client.py.
"""

import importlib
import re
import warnings
from functools import lru_cache
from typing import Any

from dltdoctor.snapshot import Value

MAX_IDENTIFIER = 63
DEFAULT_LAYOUT = "%s_staging"
DEFAULT_DATASET_SUFFIX = "_dataset"
CASE_SENSITIVE = frozenset({"sql_cs_v1", "direct", "duck_case"})
CASE_INSENSITIVE = frozenset({"snake_case", "sql_ci_v1", "s3_tables"})
KNOWN = CASE_SENSITIVE | CASE_INSENSITIVE

EMPTY_LAYOUT = "the layout is empty: dlt stops with a ValueError that has no message"
NO_LAYOUT = "the layout is None: dlt stops with ConfigFieldMissingException (staging_dataset_name_layout)"

# Lower case, no leading digit, no doubled or trailing underscore: every convention leaves it alone.
_ORDINARY = re.compile(r"(?:[a-z][a-z0-9]*|_[a-z0-9]+)(?:_[a-z0-9]+)*")


class DatasetNames(Value):
    """The schemas of one dlt schema of a pipeline.

    `raw` is the final dataset before normalisation, `final` and `staging` are as Postgres holds them.
    `staging` is None when dlt cannot use the layout; `layout_error` says why. `certain` is false when
    the naming convention is not one of dlt's own: its code is the user's and is not run.
    """

    raw: str
    final: str
    staging: str | None
    layout_error: str | None = None
    certain: bool = True

    @property
    def collide(self) -> bool:
        """True when the final and the staging dataset are one schema."""
        return self.staging == self.final


def is_known_naming(naming: str) -> bool:
    """True for dlt's own naming conventions, the only ones whose result can be told."""
    return naming in KNOWN


def dataset_names(
    dataset_name: str,
    layout: str | None = DEFAULT_LAYOUT,
    *,
    schema_name: str = "",
    default_schema_name: str | None = None,
    use_single_dataset: bool = True,
    naming: str = "snake_case",
    normalize: bool = True,
) -> DatasetNames:
    """Both datasets of a schema, from what dlt has in its state and its configuration."""
    raw = raw_dataset(
        dataset_name,
        schema_name=schema_name,
        default_schema_name=default_schema_name,
        use_single_dataset=use_single_dataset,
    )
    staging, error = staging_name(raw, layout, naming=naming, normalize=normalize)
    return DatasetNames(
        raw=raw,
        final=final_name(raw, naming=naming, normalize=normalize),
        staging=staging,
        layout_error=error,
        certain=is_known_naming(naming),
    )


def raw_dataset(
    dataset_name: str,
    *,
    schema_name: str = "",
    default_schema_name: str | None = None,
    use_single_dataset: bool = True,
) -> str:
    """The final dataset before normalisation: a schema that is not the default one adds its name.

    An unknown `schema_name` ("") counts as the default one.
    """
    if use_single_dataset or not schema_name or default_schema_name in (None, schema_name):
        return dataset_name
    return f"{dataset_name}_{schema_name}"


def configured_dataset(
    pipeline_name: str, dataset_name: str | None, dataset_name_layout: str | None = None
) -> tuple[str | None, str | None]:
    """The dataset name that dlt would store on its next run, and why it would not.

    Without dev_mode, which appends the time of the run. Source: `Pipeline._make_dataset_name`.
    """
    name = dataset_name or pipeline_name + DEFAULT_DATASET_SUFFIX
    if not dataset_name_layout:
        return name, None
    if "%s" not in dataset_name_layout:
        return None, "dataset_name_layout must contain a '%s' placeholder"
    return _fill(dataset_name_layout, name)


def final_name(raw: str, *, naming: str = "snake_case", normalize: bool = True) -> str:
    """The final dataset as Postgres holds it; a name that dlt refuses stays as it is."""
    name, error = _as_held(raw, naming, normalize=normalize)
    return effective_name(raw) if error else name


def staging_name(
    final_raw: str, layout: str | None, *, naming: str = "snake_case", normalize: bool = True
) -> tuple[str | None, str | None]:
    """The staging dataset as Postgres holds it, or the error with which dlt refuses the layout.

    Without "%s" the layout is the whole name, whatever else it was meant to be.
    """
    if layout is None:
        return None, NO_LAYOUT
    if not layout:
        return None, EMPTY_LAYOUT
    name, error = _fill(layout, final_raw) if "%s" in layout else (layout, None)
    if name is None:
        return None, error
    held, error = _as_held(name, naming, normalize=normalize)
    return (None, error) if error else (held, None)


def normalize_dataset(name: str, naming: str, *, max_length: int = MAX_IDENTIFIER) -> str:
    """What dlt's `normalize_table_identifier` makes of it, folded as dlt folds it for Postgres; not yet truncated.

    A convention that is not dlt's own leaves the name as it is. Raises ValueError, as dlt does, for a
    blank name.
    """
    return fold(_normalized(name, naming, max_length), naming)


def fold(name: str, naming: str) -> str:
    """Lower case, unless the naming convention is case-sensitive (`Destination.adjust_capabilities`)."""
    return name.lower() if naming in CASE_INSENSITIVE else name


def effective_name(name: str) -> str:
    """The first 63 bytes, cut where a character ends, as a UTF8 Postgres truncates any identifier."""
    raw = name.encode("utf-8", "surrogatepass")
    if len(raw) <= MAX_IDENTIFIER:
        return name
    return raw[:MAX_IDENTIFIER].decode("utf-8", "ignore")


def _as_held(name: str, naming: str, *, normalize: bool) -> tuple[str, str | None]:
    try:
        folded = normalize_dataset(name, naming) if normalize else fold(name, naming)
    except ValueError as error:
        return name, str(error).strip() or "the name is blank"
    return effective_name(folded), None


def _fill(layout: str, name: str) -> tuple[str | None, str | None]:
    try:
        filled = layout % name
    except (TypeError, ValueError) as error:
        return None, str(error)
    return filled, None


def _normalized(name: str, naming: str, max_length: int) -> str:
    if not is_known_naming(naming):
        return name
    if len(name) <= max_length and _ORDINARY.fullmatch(name) and naming != "s3_tables":
        return name
    try:
        convention = _convention(naming, max_length)
    except ImportError:  # A dlt from before this convention.
        return name
    normalized: str = convention.normalize_table_identifier(name)
    return normalized


@lru_cache(maxsize=32)
def _convention(naming: str, max_length: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = importlib.import_module(f"dlt.common.normalizers.naming.{naming}")
        return module.NamingConvention(max_length)
