"""What dlt restores on its next run after the working dir is gone, compared with what is there now."""

from collections.abc import Iterator, Mapping

from dltdoctor.snapshot import Database, Pipeline, Route, Schema, Snapshot, Source, State, StateRow, Value


class Doubled(Value):
    """Rows that are in a final table although their load was never recorded: read again, they are there twice.

    `load_id` and `rows` are None where the rows do not tell their load; `has_nested` where tables nest in it.
    """

    dataset: str
    table: str
    load_id: str | None = None
    rows: int | None = None
    has_nested: bool = False


class CursorChange(Value):
    """A cursor that differs: rows after `committed` are read again (None: from the beginning)."""

    resource: str
    path: str
    local: str | None
    committed: str | None


class SchemaRestored(Value):
    """A schema with the versions of both sides; `lacks` are loaded tables that the stored one does not know."""

    name: str
    local_version: int
    stored_version: int | None
    same: bool
    lacks: tuple[str, ...] = ()


class Restoration(Value):
    """The state that dlt would restore: that of `load_id` in `dataset`, None when there is none.

    `is_known` is false when the committed state could not be decoded. `next_dataset` is where dlt would look
    without the working dir; with `is_sticky` only because the name stands nowhere else. `hidden_loads`
    are recorded loads whose rows are there and whose state would not be restored.
    """

    dataset: str
    next_dataset: str
    load_id: str | None = None
    version: int = 0
    local_version: int = 0
    same: bool = False
    is_known: bool = True
    is_sticky: bool = False
    is_off: bool = False
    off_origin: str = ""
    cursors: tuple[CursorChange, ...] = ()
    schemas: tuple[SchemaRestored, ...] = ()
    hidden_loads: tuple[str, ...] = ()

    @property
    def is_local_ahead(self) -> bool:
        """The local state says more than the committed one."""
        if self.load_id is None:
            return self.local_version > 0
        return not self.same and self.local_version >= self.version


def foresee(
    pipeline: Pipeline, snapshot: Snapshot, database: Database, recorded: Mapping[str, int]
) -> Restoration | None:
    """What would be restored; None when there is no local state or no way to compare."""
    state, way = pipeline.state, _way_of_state(pipeline, snapshot)
    if state is None or way is None:
        return None
    rows = [r for r in database.states if r.pipeline_name == pipeline.name and r.dataset == way.final]
    newest = max((r for r in rows if r.committed), key=lambda r: (r.load_id, r.version), default=None)
    next_dataset, is_sticky = _next_dataset(pipeline, snapshot, way)
    switch = snapshot.config.of(pipeline.name)["restore_from_destination"].winner if snapshot.config else None
    stored = newest.state if newest else None
    return Restoration(
        dataset=way.final,
        next_dataset=next_dataset,
        load_id=newest.load_id if newest else None,
        version=newest.version if newest else 0,
        local_version=state.version,
        same=_is_same(state, newest),
        is_known=newest is None or stored is not None,
        is_sticky=is_sticky,
        is_off=switch is not None and switch.value is False,
        off_origin=switch.location if switch else "",
        cursors=tuple(_changes(state, stored)) if newest is None or stored else (),
        schemas=tuple(_schemas(pipeline, snapshot, database)),
        hidden_loads=tuple(_hidden(pipeline, rows, newest, recorded)),
    )


def _way_of_state(pipeline: Pipeline, snapshot: Snapshot) -> Route | None:
    """The state is kept in the dataset of the default schema."""
    ways = snapshot.routes_of(pipeline.name)
    default = pipeline.state.default_schema_name if pipeline.state else None
    return next((w for w in ways if w.schema == default), ways[0] if ways else None)


def _next_dataset(pipeline: Pipeline, snapshot: Snapshot, way: Route) -> tuple[str, bool]:
    """Where dlt would look without its local state, and whether only that state gives the name."""
    default = f"{pipeline.name}_dataset"
    stored = pipeline.state.dataset_name if pipeline.state else None
    config = snapshot.config.of(pipeline.name) if snapshot.config else None
    said = config is not None and config.value("dataset_name") is not None
    dev_mode = bool(pipeline.state and pipeline.state.dev_mode) or (
        config is not None and config.value("dev_mode") is True
    )
    if (
        not said
        and not dev_mode
        and stored not in (None, default)
        and _names_no_dataset(snapshot.source, pipeline.name)
    ):
        return default, True
    return way.next_final, False


def _names_no_dataset(source: Source | None, name: str) -> bool:
    """The source shows the pipeline, and no dataset name anywhere near it."""
    calls = source.pipeline_calls(name) if source else ()
    runs = [
        c
        for c in (source.calls if source else ())
        if c.function == "run" and c.literal("pipeline_name") in (name, None)
    ]
    return bool(calls) and not any(c.argument("dataset_name") for c in (*calls, *runs))


def _is_same(state: State, row: StateRow | None) -> bool:
    if row is None or row.version != state.version:
        return False
    stored = row.state
    return (
        stored is None or not (stored.version_hash and state.version_hash) or stored.version_hash == state.version_hash
    )


def _changes(local: State, stored: State | None) -> Iterator[CursorChange]:
    committed = {(c.source, c.resource, c.path): c.last_value for c in (stored.cursors if stored else ())}
    for cursor in local.cursors:
        value = committed.get((cursor.source, cursor.resource, cursor.path))
        if value != cursor.last_value:
            yield CursorChange(resource=cursor.resource, path=cursor.path, local=cursor.last_value, committed=value)


def _schemas(pipeline: Pipeline, snapshot: Snapshot, database: Database) -> Iterator[SchemaRestored]:
    for way in snapshot.routes_of(pipeline.name):
        local = pipeline.schema(way.schema)
        if local is None:
            continue
        stored = next((s for s in database.stored_schemas.get(way.final, ()) if s.name == way.schema), None)
        same = stored is not None and stored.version_hash == local.version_hash
        yield SchemaRestored(
            name=way.schema,
            local_version=local.version,
            stored_version=stored.version if stored else None,
            same=same,
            lacks=() if same or stored is None or not stored.tables else tuple(_lacking(local, stored, way, database)),
        )


def _lacking(local: Schema, stored: Schema, way: Route, database: Database) -> Iterator[str]:
    """Tables that were loaded; one that was only extracted is made again by the next extraction."""
    for table in local.data_tables:
        if table.seen_data and table.name not in stored.tables and database.table(way.final, table.name):
            yield table.name


def _hidden(
    pipeline: Pipeline, rows: list[StateRow], newest: StateRow | None, recorded: Mapping[str, int]
) -> Iterator[str]:
    """Loads that are in the destination with a newer state than the one that dlt would take."""
    if newest is None:
        return
    after = {r.load_id for r in rows if not r.committed and r.load_id > newest.load_id}
    after |= {
        p.load_id
        for p in pipeline.packages
        if p.load_id > newest.load_id and p.state_version is not None and p.state_version > newest.version
    }
    yield from sorted(load_id for load_id in after if load_id in recorded)
