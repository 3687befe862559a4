"""The use case `check --suggest-readers`: a first contract, from what the catalog and the source show."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from dltdoctor.errors import CouldNotLookError
from dltdoctor.snapshot import Contract, Database, Route, Snapshot
from dltdoctor.words import relation
from dltdoctor.world.postgres.readers import Grant, read_grants
from dltdoctor.world.postgres.session import open_session
from dltdoctor.world.survey import Progress, Request, take

HEAD = """\
# A first contract, from the grants, views and scripts that dltdoctor sees. Strike out what nobody reads,
# and add what is promised, e.g.:
#   columns = { trust_score = { non_null = 0.95 } }
#   fresh_within = "36h"
"""
NOBODY = "# Nobody seems to read a table of these pipelines: no grant, no view, no script. See docs/readers.md.\n"


def suggest(request: Request, progress: Progress = lambda _: None) -> str:
    """TOML for dltdoctor.toml. Raises `CouldNotLookError` when a database cannot be read."""
    survey = take(request, progress)
    grants: dict[str, tuple[Grant, ...]] = {}
    for key, way_in in survey.ways_in.items():
        with open_session(way_in) as session:
            grants[key] = read_grants(session)
    closed = next((u for u in survey.snapshot.unread if u.code == "DD002"), None)
    if closed:
        raise CouldNotLookError(f"could not look into {closed.what}: {closed.reason}", closed.hint)
    found = tuple(contracts_of(survey.snapshot, grants))
    return "\n".join([HEAD, *map(as_toml, found)]) if found else NOBODY


def contracts_of(snapshot: Snapshot, grants: Mapping[str, Iterable[Grant]]) -> Iterator[Contract]:
    """One contract a role, a view and a file that reads a final table, or the staging table of one."""
    for database in snapshot.catalog.databases if snapshot.catalog else ():
        finals = _finals(snapshot, database)
        by_role: dict[str, dict[str, None]] = defaultdict(dict)
        for grant in grants.get(database.target.key, ()):
            if grant.schema in finals and not grant.table.startswith("_dlt_") and grant.role != database.role:
                by_role[grant.role][relation(grant.schema, grant.table)] = None
        for role, tables in by_role.items():
            yield Contract(name=f"role {role}", role=role, tables=tuple(tables))
        by_view: dict[str, dict[str, None]] = defaultdict(dict)
        for view in database.views:
            if view.reads_schema in finals:
                by_view[relation(view.schema, view.view)][relation(view.reads_schema, view.reads_table)] = None
        for name, tables in by_view.items():
            yield Contract(name=f"view {name}", tables=tuple(tables))
    yield from _scripts(snapshot)


def _finals(snapshot: Snapshot, database: Database) -> frozenset[str]:
    places = snapshot.catalog.of_pipeline if snapshot.catalog else {}
    return frozenset(w.final for w in snapshot.routes if places.get(w.pipeline) == database.target.key)


def _scripts(snapshot: Snapshot) -> Iterator[Contract]:
    """Scripts that read staging today: what they should read is the final table."""
    finals: dict[str, Route] = {w.staging or f"{w.final}_staging": w for w in snapshot.routes}
    by_file: dict[str, dict[str, None]] = defaultdict(dict)
    for reference in snapshot.source.references if snapshot.source else ():
        way = finals.get(reference.schema)
        if way and reference.table:
            by_file[reference.file][relation(way.final, reference.table)] = None
    for file, tables in by_file.items():
        yield Contract(name=file, tables=tuple(tables))


def as_toml(contract: Contract) -> str:
    """The contract as a table of dltdoctor.toml."""
    lines = ["[[reader]]", f"name = {_text(contract.name)}"]
    if contract.role is not None:
        lines.append(f"role = {_text(contract.role)}")
    lines.append(f"tables = [{', '.join(map(_text, contract.tables))}]")
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
