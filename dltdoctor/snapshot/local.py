"""What a working dir says: packages, state, and the pipeline they make."""

from typing import Literal

from dltdoctor.snapshot.schema import Schema
from dltdoctor.snapshot.value import Value


class Job(Value):
    """A file of a load package. `error` is the last line of dlt's own exception file, masked.

    `rows` are those in the file, counted only where it matters: see `is_doubled`.
    """

    table: str
    file_id: str
    retry: int
    format: str
    status: Literal["new", "started", "completed", "failed"]
    path: str
    size: int = 0
    error: str | None = None
    rows: int | None = None

    @property
    def is_doubled(self) -> bool:
        """True when Postgres refused it because its rows are there already."""
        return self.error is not None and "_dlt_id_key" in self.error

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
    """An incremental cursor in the pipeline state: how far dlt believes it has read a resource.

    `kind` is the type that dlt stores the value with; "other" for what has no plain text form.
    """

    source: str
    resource: str
    path: str
    last_value: str | None = None
    kind: Literal["number", "text", "decimal", "datetime", "date", "other"] = "other"


class State(Value):
    """The pipeline state, from `state.json` or a `_dlt_pipeline_state` row.

    `dataset_name` is as dlt stores it: not normalised. `was_extracted` is false in a `state.json` that no load
    has stored or will store, as with `restore_from_destination = false`. `partial` is true when fields that dlt
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
    was_extracted: bool | None = None
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
