"""What a pending load package still has to do, chain by chain, and what was counted about it.

A chain is a root table with everything nested in it: dlt stages it, merges it and truncates it as one.
"""

from collections.abc import Mapping

from dltdoctor.snapshot import Job, Package, Schema, SchemaTable, Value

DEFAULT_REPLACE = "truncate-and-insert"


class Held(Value):
    """Rows of one table: all, and those of one load (None where the rows do not tell their load)."""

    rows: int
    own: int | None


class Contents(Value):
    """What was counted about one package.

    `files` are rows by job file, None where they cannot be counted. `staged` and `final` are by table; a
    table that is not there is not in them. `digests` are those of the small files that a repair may
    remove, `markers` the paths of pending transitions by job file. `is_refresh` means that the load
    drops or truncates tables on purpose; `has_updates` that the schema update is on disk.
    """

    files: Mapping[str, int | None] = {}
    staged: Mapping[str, Held] = {}
    final: Mapping[str, Held] = {}
    digests: Mapping[str, str] = {}
    markers: Mapping[str, str] = {}
    is_refresh: bool = False
    has_updates: bool = True


class Chain(Value):
    """A root table and the tables nested in it, with their jobs in one package.

    `staged` chains reach the final tables by a follow-up job; the others are loaded into them directly.
    """

    tables: tuple[SchemaTable, ...]
    staged: bool
    data: tuple[Job, ...]
    followups: tuple[Job, ...]

    @property
    def root(self) -> SchemaTable:
        return self.tables[0]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(t.name for t in self.tables)

    @property
    def is_done(self) -> bool:
        """Nothing of it is left to do."""
        jobs = (*self.data, *self.followups)
        return all(j.status == "completed" for j in jobs) and (not self.staged or bool(self.followups))

    @property
    def has_begun(self) -> bool:
        return bool(self.followups) or any(j.status != "new" or _was_tried(j) for j in self.data)

    @property
    def in_doubt(self) -> tuple[Job, ...]:
        """Data jobs that were begun and not settled: the destination may have committed them."""
        return tuple(j for j in self.data if j.status == "started" or (j.status != "completed" and _was_tried(j)))

    @property
    def is_keyless_merge(self) -> bool:
        """Running its merge twice would add the rows twice."""
        keyed = self.root.primary_key or self.root.merge_keys
        return self.staged and self.root.disposition == "merge" and not keyed

    def settled(self, table: str) -> tuple[Job, ...]:
        """The table's data jobs that are completed."""
        return tuple(j for j in self.data if j.table == table and j.status == "completed")


def chains(package: Package, replace_strategy: str | None) -> tuple[Chain, ...]:
    """The chains of the package that have jobs. `replace_strategy` is the destination's."""
    schema = package.schema
    if schema is None:
        return ()
    roots = dict.fromkeys(table.root for job in package.jobs if (table := schema.table(job.table)))
    return tuple(_chain(package, schema, root, replace_strategy) for root in roots)


def strangers(package: Package) -> tuple[str, ...]:
    """Tables with jobs that the package's schema does not know."""
    known = package.schema.tables if package.schema else {}
    return tuple(sorted({job.table for job in package.jobs if job.table not in known}))


def is_staged(table: SchemaTable, replace_strategy: str | None) -> bool:
    """Whether dlt loads the table's rows into the staging dataset first."""
    if table.disposition == "merge":
        return True
    strategy = table.replace_strategy or replace_strategy or DEFAULT_REPLACE
    return table.disposition == "replace" and strategy != DEFAULT_REPLACE


def _chain(package: Package, schema: Schema, root: str, replace_strategy: str | None) -> Chain:
    known = schema.chain(root)
    tables = tuple(sorted(known, key=lambda t: t.name != root))
    jobs = package.jobs_of(*(t.name for t in tables))
    return Chain(
        tables=tables,
        staged=is_staged(tables[0], replace_strategy),
        data=tuple(j for j in jobs if not j.is_followup),
        followups=tuple(j for j in jobs if j.is_followup),
    )


def _was_tried(job: Job) -> bool:
    return job.retry > 0 or job.error is not None
