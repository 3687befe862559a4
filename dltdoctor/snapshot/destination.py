"""What the destination says: catalog, loads, states, staged rows."""

import functools
from collections.abc import Iterator, Mapping
from typing import Literal

from dltdoctor.snapshot.around import RowsAround
from dltdoctor.snapshot.local import State
from dltdoctor.snapshot.looks import Looks
from dltdoctor.snapshot.privileges import BarePath, Grants, Lacking
from dltdoctor.snapshot.schema import Schema
from dltdoctor.snapshot.value import Value


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
    """A row of `_dlt_pipeline_state`; `committed` means its load has a `_dlt_loads` row of status 0.

    `status` is that row's, None where no row records the load.
    """

    dataset: str
    pipeline_name: str
    version: int
    load_id: str
    committed: bool
    status: int | None = None
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


class Database(Value, dict=True):
    """Everything that was read from one database, at one moment (`read_at`, server clock).

    `ended_loads` are the `_dlt_loads` rows of the loads that are known to be over. `unread` are relations,
    as (schema, name), whose rows could not be read, e.g. because another session holds a lock. `lacking` is
    by pipeline, for those whose credentials' role is known. `grants` are those of the schemas in which
    tables are replaced by others of their name.
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
    looks: Looks = Looks()
    views: tuple[ViewReference, ...] = ()
    activity: Activity = Activity()
    lacking: Mapping[str, Lacking] = {}
    grants: Grants = Grants()
    bare_path: BarePath = BarePath()
    around: tuple[RowsAround, ...] = ()
    unread: frozenset[tuple[str, str]] = frozenset()

    def table(self, schema: str, name: str) -> Table | None:
        return self.tables.get((schema, name))

    def tables_in(self, schema: str) -> Iterator[Table]:
        return iter(self._by_schema.get(schema, ()))

    @functools.cached_property
    def _by_schema(self) -> Mapping[str, list[Table]]:
        found: dict[str, list[Table]] = {}
        for table in self.tables.values():
            found.setdefault(table.schema, []).append(table)
        return found

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
