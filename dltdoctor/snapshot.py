"""What was read for one examination, as frozen values.

Nothing here opens a file or a socket, and nothing here judges. Every value says where it came from,
so that a finding can quote it as evidence. Secrets never get in: a password stays in the room that
connects, and configuration values that may hold one are masked before they become a `ConfigValue`.
"""

from collections.abc import Iterator, Mapping
from typing import Literal, dataclass_transform

import msgspec

Area = Literal["pipelines", "config", "source", "catalog", "ledger"]
Disposition = Literal["append", "replace", "merge", "skip"]


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A frozen value; equality is by content."""


# ----------------------------------------------------------------- what dlt's stored schemas say


class SchemaColumn(Value, gc=False):
    """A column of a dlt schema. Without `data_type` it is incomplete: dlt never creates it.

    `valid_from`, `valid_to` and `row_version` mark the columns that the scd2 merge strategy keeps
    (`row_version` also those that upsert compares).
    """

    name: str
    data_type: str | None = None
    nullable: bool = True
    primary_key: bool = False
    merge_key: bool = False
    hard_delete: bool = False
    dedup_sort: str | None = None
    unique: bool = False
    row_key: bool = False
    root_key: bool = False
    parent_key: bool = False
    incremental: bool = False
    variant: bool = False
    valid_from: bool = False
    valid_to: bool = False
    row_version: bool = False


class SchemaTable(Value):
    """A table of a dlt schema, with what it inherits from its root table already filled in.

    `merge_strategy` is set only where `disposition` is merge. `seen_data` is None when the schema
    was written by a dlt (or a person) that does not record it.
    """

    name: str
    root: str
    parent: str | None = None
    resource: str | None = None
    disposition: Disposition = "append"
    merge_strategy: str | None = None
    replace_strategy: str | None = None
    columns: tuple[SchemaColumn, ...] = ()
    seen_data: bool | None = None

    @property
    def is_nested(self) -> bool:
        return self.parent is not None

    @property
    def is_dlt_own(self) -> bool:
        return self.name.startswith("_dlt_")

    @property
    def primary_key(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns if c.primary_key)

    @property
    def merge_keys(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns if c.merge_key)

    def has(self, column: str) -> bool:
        return any(c.name == column for c in self.columns)


class Schema(Value):
    """A dlt schema as stored in a working dir, a load package or a `_dlt_version` row.

    `origin` is the file path or the qualified table it was read from. `naming` is the last part of
    the naming convention's module name, e.g. "snake_case".
    """

    name: str
    origin: str
    version: int = 0
    version_hash: str = ""
    engine_version: int = 0
    naming: str = "snake_case"
    max_identifier_length: int | None = None
    tables: Mapping[str, SchemaTable] = {}

    def table(self, name: str) -> SchemaTable | None:
        return self.tables.get(name)

    def chain(self, root: str) -> tuple[SchemaTable, ...]:
        """The root table and every table nested under it, parents first as stored."""
        return tuple(t for t in self.tables.values() if t.root == root)

    @property
    def data_tables(self) -> tuple[SchemaTable, ...]:
        return tuple(t for t in self.tables.values() if not t.is_dlt_own)


# ------------------------------------------------------------------------ what a working dir says


class Job(Value):
    """A file of a load package. `error` is the last line of dlt's own exception file, masked."""

    table: str
    file_id: str
    retry: int
    format: str
    status: Literal["new", "started", "completed", "failed"]
    path: str
    size: int = 0
    error: str | None = None

    @property
    def is_followup(self) -> bool:
        """True for the merge or replace job that moves staged rows into the final table."""
        return self.format == "sql"


class Package(Value):
    """A load package on disk.

    `stage` is "extracted" (not yet normalised), "new" (being normalised), "normalized" (pending: dlt
    will load it on its next run), "loaded" or "aborted". `modified` is the newest mtime in it (Unix
    seconds); `is_fresh` means that this was within the last minute before the snapshot. `state_version` is the version of the pipeline state that this load would store.
    `can_rewind` is true when dlt kept the snapshot with which an abort restores the cursor
    (dlt 1.30 and newer).
    """

    load_id: str
    schema_name: str
    stage: Literal["extracted", "new", "normalized", "loaded", "aborted"]
    path: str
    jobs: tuple[Job, ...] = ()
    modified: float = 0.0
    is_fresh: bool = False
    schema_applied: bool = True
    state_version: int | None = None
    can_rewind: bool = False
    schema: Schema | None = None

    @property
    def is_pending(self) -> bool:
        return self.stage in ("extracted", "new", "normalized")

    def jobs_of(self, *tables: str) -> tuple[Job, ...]:
        return tuple(j for j in self.jobs if j.table in tables)

    @property
    def failures(self) -> tuple[Job, ...]:
        """Jobs that dlt recorded an error for, whether or not it will try them again."""
        return tuple(j for j in self.jobs if j.status == "failed" or j.error)


class Cursor(Value):
    """An incremental cursor in the pipeline state: how far dlt believes it has read a resource."""

    source: str
    resource: str
    path: str
    last_value: str | None = None


class State(Value):
    """The pipeline state, from `state.json` or a `_dlt_pipeline_state` row.

    `dataset_name` is as dlt stores it: not normalised. `partial` is true when fields that dlt
    always writes are missing, e.g. in a state pasted into a bug report.
    """

    origin: str
    pipeline_name: str
    version: int = 0
    engine_version: int = 0
    version_hash: str = ""
    dataset_name: str | None = None
    default_schema_name: str | None = None
    schema_names: tuple[str, ...] = ()
    destination_type: str | None = None
    destination_name: str | None = None
    dev_mode: bool | None = None
    first_run: bool | None = None
    cursors: tuple[Cursor, ...] = ()
    run_dir: str | None = None
    settings_dir: str | None = None
    partial: bool = False

    @property
    def destination(self) -> str | None:
        """The factory's short name, e.g. "postgres" for "dlt.destinations.postgres"."""
        return self.destination_type.rsplit(".", 1)[-1] if self.destination_type else None


class Pipeline(Value):
    """A pipeline, put together from its working dir, its rows in the destination, or its source.

    `working_dir` is None when there is no local state. `schemas` come from the working dir when
    there is one, else from the newest `_dlt_version` rows. `storage_version` is the content of
    `load/.version`. `last_destination` is where the last run loaded to, password masked, as text
    that stands in dlt's trace (read without unpickling).
    """

    name: str
    origin: Literal["local", "destination", "source"] = "local"
    working_dir: str | None = None
    profile: str | None = None
    state: State | None = None
    schemas: tuple[Schema, ...] = ()
    packages: tuple[Package, ...] = ()
    storage_version: str | None = None
    last_destination: str | None = None

    def package(self, load_id: str) -> Package | None:
        return next((p for p in self.packages if p.load_id == load_id), None)

    def schema(self, name: str) -> Schema | None:
        return next((s for s in self.schemas if s.name == name), None)

    @property
    def pending(self) -> tuple[Package, ...]:
        return tuple(p for p in self.packages if p.is_pending)


# ------------------------------------------------------------------- what the configuration says


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


# ------------------------------------------------------------------------ what the source says


class Argument(Value):
    """A keyword argument in source. `literal` is false when its value is computed at run time."""

    name: str
    value: str | bool | int | float | None
    literal: bool
    line: int
    column: int = 0


class Call(Value):
    """A call of `dlt.pipeline`, `dlt.attach`, `pipeline.run` or a destination factory.

    `function` is "pipeline", "attach", "run" or the factory's name, e.g. "postgres". For a pipeline,
    `destination` is the factory call (or name) that was given to it, when the source shows it.
    """

    function: str
    file: str
    line: int
    arguments: tuple[Argument, ...] = ()
    destination: "Call | None" = None

    def argument(self, name: str) -> Argument | None:
        return next((a for a in self.arguments if a.name == name), None)

    def literal(self, name: str) -> str | bool | int | float | None:
        found = self.argument(name)
        return found.value if found and found.literal else None


class TextReference(Value):
    """A piece of project text that names a `<schema>.<table>`, and the line it stands on.

    `schema` is spelled as in the text; `table` is None when only the schema is named.
    """

    file: str
    line: int
    schema: str
    table: str | None
    text: str


class Source(Value):
    """The project's source, parsed and never run."""

    root: str = ""
    calls: tuple[Call, ...] = ()
    references: tuple[TextReference, ...] = ()
    files_read: int = 0
    dlt_version: str | None = None
    dlt_version_origin: str | None = None

    def pipeline_calls(self, name: str) -> tuple[Call, ...]:
        return tuple(c for c in self.calls if c.function == "pipeline" and c.literal("pipeline_name") == name)


# ------------------------------------------------------------------------ what the destination says


class Target(Value):
    """The database a pipeline is examined in; `origin` says which candidate for it won."""

    host: str
    port: int
    database: str
    user: str
    origin: str

    @property
    def key(self) -> str:
        return f"{self.host}:{self.port}/{self.database}"


class Column(Value, gc=False):
    """A column in pg_attribute; `type` is format_type()."""

    name: str
    type: str
    not_null: bool


class Table(Value):
    """A relation in pg_class.

    `estimate` is reltuples, -1 when never analysed. `size` is the main fork in bytes, None when not
    asked. `readable` is has_table_privilege SELECT. `has_row_key_index` says that `_dlt_id` can be
    looked up by index.
    """

    schema: str
    name: str
    kind: str = "r"
    owner: str = ""
    estimate: float = -1
    readable: bool = True
    size: int | None = None
    has_row_key_index: bool = True
    columns: tuple[Column, ...] = ()

    def has(self, column: str) -> bool:
        return any(c.name == column for c in self.columns)


class PgSchema(Value):
    """A Postgres schema. `usable` is has_schema_privilege USAGE: without it, it is hidden."""

    name: str
    owner: str = ""
    usable: bool = True


class LoadRow(Value, gc=False):
    """A row of `_dlt_loads`."""

    dataset: str
    load_id: str
    schema_name: str | None
    status: int
    inserted_at: float


class LoadSummary(Value):
    """What `_dlt_loads` of a dataset says for one schema name; times are Unix seconds."""

    dataset: str
    schema_name: str | None
    rows: int
    oldest: float
    newest: float
    newest_load_id: str


class StateRow(Value):
    """A row of `_dlt_pipeline_state`; `committed` means its load has a `_dlt_loads` row of status 0."""

    dataset: str
    pipeline_name: str
    version: int
    load_id: str
    committed: bool
    state: State | None = None


class Rows(Value, gc=False):
    """A count and whether it was counted; `rows` is None when it could not be told."""

    rows: int | None
    exact: bool = True


class StagedLoad(Value):
    """Staged rows of one load in one table, and whether a sample of them is in the final table.

    `load_id` is None for rows without `_dlt_load_id`. `committed_in` are the datasets whose
    `_dlt_loads` list the load. Of `sampled` rows (hard-deleted ones left out), `arrived` were found
    in the final table by `_dlt_id`, `superseded` by key with a newer load id. `proof` names how they
    were looked up: "row-key", "primary-key", "columns" or "none" when nothing could be compared.
    `differing` lists columns that hold values in staging and NULL in the final row of the same key.
    """

    staging: str
    table: str
    final: str
    load_id: str | None
    rows: int
    exact: bool = True
    committed_in: tuple[str, ...] = ()
    sampled: int = 0
    arrived: int = 0
    superseded: int = 0
    proof: Literal["row-key", "primary-key", "columns", "none"] = "none"
    differing: tuple[str, ...] = ()


class NullCount(Value):
    """Rows of `table` last written by loads of `schema_name` whose `columns` are all NULL."""

    dataset: str
    table: str
    schema_name: str
    columns: tuple[str, ...]
    rows: int
    exact: bool = True


class ViewReference(Value):
    """A view or materialised view that reads a table (pg_depend)."""

    schema: str
    view: str
    reads_schema: str
    reads_table: str


class Activity(Value):
    """Signs of a load at work: relations another backend has locked for writing, and sessions."""

    locked: frozenset[tuple[str, str]] = frozenset()
    sessions_by_role: Mapping[str, int] = {}


class Database(Value):
    """Everything that was read from one database, at one moment (`read_at`, server clock).

    `ended_loads` are the `_dlt_loads` rows of the loads that are known to be over. `unread` are relations,
    as (schema, name), whose rows could not be read, e.g. because another session holds a lock.
    """

    target: Target
    server_version: int = 150000
    read_at: float = 0.0
    role: str = ""
    schemas: Mapping[str, PgSchema] = {}
    tables: Mapping[tuple[str, str], Table] = {}
    loads: tuple[LoadSummary, ...] = ()
    ended_loads: tuple[LoadRow, ...] = ()
    states: tuple[StateRow, ...] = ()
    stored_schemas: Mapping[str, tuple[Schema, ...]] = {}
    staged: tuple[StagedLoad, ...] = ()
    counts: Mapping[tuple[str, str], Rows] = {}
    nulls: tuple[NullCount, ...] = ()
    views: tuple[ViewReference, ...] = ()
    activity: Activity = Activity()
    unread: frozenset[tuple[str, str]] = frozenset()

    def table(self, schema: str, name: str) -> Table | None:
        return self.tables.get((schema, name))

    def tables_in(self, schema: str) -> Iterator[Table]:
        return (t for t in self.tables.values() if t.schema == schema)

    def is_dataset(self, schema: str) -> bool:
        """True for a final dataset: dlt keeps `_dlt_loads` only there."""
        return (schema, "_dlt_loads") in self.tables

    def is_staging_shaped(self, schema: str) -> bool:
        """True for what dlt leaves as staging: `_dlt_version` without `_dlt_loads`."""
        return (schema, "_dlt_version") in self.tables and not self.is_dataset(schema)


class Catalog(Value):
    """Every database that was read, and which of them each pipeline loads to."""

    databases: tuple[Database, ...] = ()
    of_pipeline: Mapping[str, str] = {}

    def database(self, pipeline: str) -> Database | None:
        key = self.of_pipeline.get(pipeline)
        return next((d for d in self.databases if d.target.key == key), None)


# ------------------------------------------------------------------------------ routes and the whole


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

    `ended_loads` are known to be over: whatever of them has not arrived is not on its way.
    """

    pipelines: tuple[Pipeline, ...] = ()
    config: Config | None = None
    source: Source | None = None
    catalog: Catalog | None = None
    routes: tuple[Route, ...] = ()
    unread: tuple[Unread, ...] = ()
    taken_at: float = 0.0
    ended_loads: frozenset[str] = frozenset()

    def routes_of(self, pipeline: str) -> tuple[Route, ...]:
        return tuple(r for r in self.routes if r.pipeline == pipeline)
