"""Queries whose answers a plan relies on, with the answers of the moment it was made."""

from collections.abc import Sequence
from typing import Any

import msgspec

from dltdoctor.snapshot import Database, StagedLoad
from dltdoctor.steps.step import Probe
from dltdoctor.words import literal, qualified, quoted, relation
from dltdoctor.world.postgres.session import Session

SMALL = 64 * 1024 * 1024
# Where rows stand and who wrote them: any change of any row shows, and no setting of the session counts.
ROWS = "count(*), sum(hashtidextended(ctid, xmin::text::bigint))"


def staging_probe(session: Session, schema: str, table: str, *, lasts: bool = True) -> Probe:
    """The staged rows, in one cheap scan."""
    probe = _probe(session, f"{relation(schema, table)} (the staged rows)", _rows_query(schema, table))
    return msgspec.structs.replace(probe, lasts=lasts)


def plain_probe(session: Session, schema: str, table: str) -> Probe:
    """All rows and the columns of a table."""
    return _probe(session, relation(schema, table), _rows_query(schema, table))


def final_probe(session: Session, database: Database, schema: str, table: str) -> Probe:
    """The final table: every row of a small one, else its columns, file and size."""
    place = relation(schema, table)
    held = database.table(schema, table)
    name = literal(qualified(schema, table))
    if held is None:
        query = f"SELECT to_regclass({name})::text"
        return _probe(session, place, query)
    size = session.fetch(f"SELECT pg_relation_size({name})".encode())[0][0]
    if size <= SMALL:
        return plain_probe(session, schema, table)
    query = f"SELECT pg_relation_filenode({name}), pg_relation_size({name}), ({_columns_query(schema, table)})"
    return _probe(session, place, query)


def _rows_query(schema: str, table: str) -> str:
    return f"SELECT {ROWS}, ({_columns_query(schema, table)}) FROM {qualified(schema, table)}"


def _columns_query(schema: str, table: str) -> str:
    return (
        "SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ',' ORDER BY attnum) FROM pg_attribute"
        f" WHERE attrelid = {literal(qualified(schema, table))}::regclass AND attnum > 0 AND NOT attisdropped"
    )


def columns_probe(session: Session, schema: str, table: str) -> Probe:
    """The columns of a table."""
    return _probe(session, f"{relation(schema, table)} (its columns)", f"SELECT ({_columns_query(schema, table)})")


def existence_probe(session: Session, schema: str, table: str) -> Probe:
    """Whether there is a relation of that name."""
    query = f"SELECT to_regclass({literal(qualified(schema, table))})::text"
    return _probe(session, relation(schema, table), query)


def loads_probe(session: Session, final: str, load_id: str | None) -> Probe:
    """Whether the load is recorded, and how many loads there are."""
    place = relation(final, "_dlt_loads")
    wanted = literal(load_id or "")
    query = f"SELECT count(*), count(*) FILTER (WHERE load_id = {wanted}) FROM {qualified(final, '_dlt_loads')}"
    return _probe(session, f"{place} (a load was recorded)", query)


def newer_rows(session: Session, database: Database, staged: StagedLoad, key: Sequence[str]) -> int:
    """Rows of the final table that a newer recorded load wrote for the keys that are staged."""
    newest = max((s.newest_load_id for s in database.loads if s.dataset == staged.final), default="")
    final = database.table(staged.final, staged.table)
    if not key or not staged.load_id or newest <= staged.load_id or final is None or not final.has("_dlt_load_id"):
        return 0
    same = " AND ".join(f"f.{quoted(k)} = s.{quoted(k)}" for k in key)
    load_id = literal(staged.load_id)
    query = (
        f"SELECT count(*) FROM {qualified(staged.final, staged.table)} AS f WHERE f._dlt_load_id > {load_id}"
        f" AND EXISTS (SELECT 1 FROM {qualified(staged.staging, staged.table)} AS s"
        f" WHERE s._dlt_load_id = {load_id} AND {same})"
    )
    return int(session.fetch(query.encode())[0][0])


def are_deletions_done(session: Session, staged: StagedLoad, key: Sequence[str]) -> bool:
    """True when all staged rows of the load are hard deletes whose keys the final table does not hold.

    Of such rows nothing was sampled. dlt's upsert would insert them, when it runs a second time.
    """
    if staged.sampled or not staged.rows or not key or staged.load_id is None:
        return False
    same = " AND ".join(f"f.{quoted(k)} = s.{quoted(k)}" for k in key)
    query = (
        f"SELECT EXISTS (SELECT 1 FROM {qualified(staged.staging, staged.table)} AS s"
        f" JOIN {qualified(staged.final, staged.table)} AS f ON {same} WHERE s._dlt_load_id = {literal(staged.load_id)})"
    )
    return not session.fetch(query.encode())[0][0]


def _probe(session: Session, what: str, query: str) -> Probe:
    row: tuple[Any, ...] = session.fetch(query.encode())[0]
    answer = msgspec.json.encode(tuple(None if v is None else str(v) for v in row)).decode()
    return Probe(what=what, query=query, expected=answer)
