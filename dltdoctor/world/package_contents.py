"""Counts what a pending package has staged and loaded: rows in its files, in staging and in the final tables."""

import hashlib
import os
from collections.abc import Iterable, Mapping

from psycopg.sql import SQL, Composable, Identifier, Literal

from dltdoctor.deduced.unfinished import Chain, Contents, Held
from dltdoctor.snapshot import Database, Package, Route, SchemaTable
from dltdoctor.world.files import MAX_STATE, is_missing, read_bytes, read_document
from dltdoctor.world.job_rows import count_rows
from dltdoctor.world.postgres.proof import LOAD_ID, PARENT_KEY, ROOT_KEY, ROW_KEY
from dltdoctor.world.postgres.session import Session

MARKERS = ".pending_transitions"
SECONDS = 600


def read_contents(
    session: Session, package: Package, chains: Iterable[Chain], route: Route, database: Database
) -> Contents:
    """Everything that tells whether dlt can go on with the package as it is.

    Staged rows are counted where the next run will look for them. Raises `CouldNotLookError`.
    """
    counter = _Counter(session, database, package.load_id)
    unfinished = [chain for chain in chains if not chain.is_done]
    files: dict[str, int | None] = {}
    staged: dict[str, Held] = {}
    final: dict[str, Held] = {}
    for chain in unfinished:
        if chain.staged and route.staging and package.schema_applied:
            staged |= counter.held(route.staging, chain)
        if chain.in_doubt or (chain.is_keyless_merge and chain.followups):
            final |= counter.held(route.final, chain)
        if chain.has_begun:
            files |= _rows_of(chain)
    small = [j.path for c in unfinished for j in c.followups if j.status != "completed"]
    markers = _markers(package)
    state = os.path.join(package.path, "load_package_state.json")
    asked = {} if is_missing(state) else read_document(state)
    return Contents(
        files=files,
        staged=staged,
        final=final,
        digests={path: _digest(path) for path in (*small, *markers.values())},
        markers=markers,
        is_refresh=any(asked.get(key) for key in ("dropped_tables", "truncated_tables")),
        has_updates=not is_missing(os.path.join(package.path, "schema_updates.json"))
        or not is_missing(os.path.join(package.path, "applied_schema_updates.json")),
    )


class _Counter:
    """Counts rows of one load, table by table, in one session."""

    def __init__(self, session: Session, database: Database, load_id: str) -> None:
        self._session = session
        self._database = database
        self._load_id = load_id

    def held(self, schema: str, chain: Chain) -> Mapping[str, Held]:
        """The rows of each table of the chain that is in the schema."""
        tables = {t.name: t for t in chain.tables}
        return {t.name: self._count(schema, t, tables) for t in chain.tables if self._database.table(schema, t.name)}

    def _count(self, schema: str, table: SchemaTable, tables: Mapping[str, SchemaTable]) -> Held:
        joins = self._way_to_load_id(schema, table, tables)
        own: Composable = SQL("NULL::bigint")
        if joins is not None:
            last = joins[-1][0] if joins else "t"
            own = SQL("count(*) FILTER (WHERE {}.{} = {})").format(
                Identifier(last), Identifier(LOAD_ID), Literal(self._load_id)
            )
        statement = SQL("SELECT count(*), {} FROM {} AS t {}").format(
            own, Identifier(schema, table.name), SQL(" ").join(join for _, join in joins or ())
        )
        ((rows, mine),) = self._session.fetch(statement, settings={"statement_timeout": f"{SECONDS}s"})
        return Held(rows=rows, own=mine)

    def _way_to_load_id(
        self, schema: str, table: SchemaTable, tables: Mapping[str, SchemaTable]
    ) -> list[tuple[str, Composable]] | None:
        """The joins from a nested row to the root row that has the load id; None where there is no way."""
        joins: list[tuple[str, Composable]] = []
        here, alias = table, "t"
        while not self._has(schema, here.name, LOAD_ID):
            key = ROOT_KEY if self._has(schema, here.name, ROOT_KEY) else PARENT_KEY
            above = tables.get(here.root if key == ROOT_KEY else here.parent or "")
            if above is None or not self._has(schema, here.name, key) or not self._has(schema, above.name, ROW_KEY):
                return None
            joins.append((f"t{len(joins)}", _join(schema, above.name, f"t{len(joins)}", alias, key)))
            here, alias = above, joins[-1][0]
        return joins

    def _has(self, schema: str, table: str, column: str) -> bool:
        there = self._database.table(schema, table)
        return there is not None and there.has(column)


def _join(schema: str, above: str, alias: str, below: str, key: str) -> Composable:
    """Nothing makes row keys unique in staging: a doubled one makes the count wrong, and the rows are staged again."""
    return SQL("LEFT JOIN {} AS {} ON {}.{} = {}.{}").format(
        Identifier(schema, above), *map(Identifier, (alias, alias, ROW_KEY, below, key))
    )


def _rows_of(chain: Chain) -> dict[str, int | None]:
    columns = {t.name: [c.name for c in t.columns] for t in chain.tables}
    return {j.path: count_rows(j.path, j.format, columns[j.table]) for j in chain.data}


def _markers(package: Package) -> dict[str, str]:
    folder = os.path.join(package.path, MARKERS)
    found = {job.path: os.path.join(folder, os.path.basename(job.path)) for job in package.jobs}
    return {path: marker for path, marker in found.items() if not is_missing(marker)}


def _digest(path: str) -> str:
    return hashlib.sha256(read_bytes(path, limit=MAX_STATE)).hexdigest()
