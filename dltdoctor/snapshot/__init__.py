"""What was read for one examination, as frozen values.

Nothing here opens a file or a socket, and nothing here judges. Every value says where it came from,
so that a finding can quote it as evidence. Secrets never get in: a password stays in the room that
connects, and configuration values that may hold one are masked before they become a `ConfigValue`.
"""

from typing import Literal

from dltdoctor.snapshot.around import RowsAround
from dltdoctor.snapshot.configuration import Config, ConfigValue, PipelineConfig, Setting
from dltdoctor.snapshot.destination import (
    Activity,
    Catalog,
    Column,
    Database,
    LoadRow,
    LoadSummary,
    NullCount,
    PgSchema,
    Rows,
    StagedLoad,
    StateRow,
    Table,
    Target,
    ViewReference,
)
from dltdoctor.snapshot.local import Cursor, Job, Package, Pipeline, State
from dltdoctor.snapshot.looks import Looks, Orphans, RepeatedKey, RowsOfLoad, UnlistedRows, VariantRows
from dltdoctor.snapshot.privileges import BarePath, Grant, Grants, Lacking
from dltdoctor.snapshot.readers import Contract, Copy, DeclaredTable, Reader, Share
from dltdoctor.snapshot.schema import Disposition, Schema, SchemaColumn, SchemaTable
from dltdoctor.snapshot.source import Argument, Call, Resource, Source, TextReference
from dltdoctor.snapshot.value import Value

__all__ = [
    "Activity",
    "Area",
    "Argument",
    "BarePath",
    "Call",
    "Catalog",
    "Column",
    "Config",
    "ConfigValue",
    "Contract",
    "Copy",
    "Cursor",
    "Database",
    "DeclaredTable",
    "Disposition",
    "Grant",
    "Grants",
    "Job",
    "Lacking",
    "LoadRow",
    "LoadSummary",
    "Looks",
    "NullCount",
    "Orphans",
    "Package",
    "PgSchema",
    "Pipeline",
    "PipelineConfig",
    "Reader",
    "RepeatedKey",
    "Resource",
    "Route",
    "Rows",
    "RowsAround",
    "RowsOfLoad",
    "Schema",
    "SchemaColumn",
    "SchemaTable",
    "Setting",
    "Share",
    "Snapshot",
    "Source",
    "StagedLoad",
    "State",
    "StateRow",
    "Table",
    "Target",
    "TextReference",
    "UnlistedRows",
    "Unread",
    "Value",
    "VariantRows",
    "ViewReference",
]

Area = Literal["pipelines", "config", "source", "catalog", "ledger", "readers"]


class Route(Value):
    """Where one schema of a pipeline goes: names as Postgres holds them.

    `final` and `staging` follow the dataset name that dlt has in its state (what was loaded);
    `next_final` follows the configuration and source (what the next run will use). `layout` is the
    raw staging layout; `layout_error` says why dlt cannot use it; `staging` is None then.
    `staged_in` is the schema whose staged rows were looked at, when that is not `staging`: one that an
    earlier layout left behind, or that holds the same stored schema.
    """

    pipeline: str
    schema: str
    raw_dataset: str
    final: str
    next_final: str
    staging: str | None
    layout: str | None
    layout_error: str | None = None
    layout_origin: str = "dlt's default"
    staged_in: str | None = None

    @property
    def examined_staging(self) -> str | None:
        """Where staged rows are looked for."""
        return self.staged_in or (self.staging if self.staging != self.final else None)


class Unread(Value):
    """Something that could not be read: not the same as nothing being there.

    `code` is the check that reports it (DD001 to DD003); `areas` are those that are incomplete for
    `pipeline` (None: for all). `tables` are the relations of `dataset` whose rows are not known for it.
    """

    code: Literal["DD001", "DD002", "DD003", "offline"]
    what: str
    reason: str
    hint: str
    areas: tuple[Area, ...]
    pipeline: str | None = None
    dataset: str | None = None
    tables: tuple[str, ...] = ()


class Snapshot(Value):
    """Everything that was read for one examination. `taken_at` is Unix seconds, local clock.

    `ended_loads` are known to be over: whatever of them has not arrived is not on its way. `contracts`
    are the declared readers, `readers` what each finds in each database.
    """

    pipelines: tuple[Pipeline, ...] = ()
    config: Config | None = None
    source: Source | None = None
    catalog: Catalog | None = None
    routes: tuple[Route, ...] = ()
    unread: tuple[Unread, ...] = ()
    taken_at: float = 0.0
    ended_loads: frozenset[str] = frozenset()
    contracts: tuple[Contract, ...] = ()
    readers: tuple[Reader, ...] = ()

    def routes_of(self, pipeline: str) -> tuple[Route, ...]:
        return tuple(r for r in self.routes if r.pipeline == pipeline)
