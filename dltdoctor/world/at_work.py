"""Staged rows of a load that runs on another machine look like stranded ones: whether somebody is at work.

A running load has a table locked or a session open nearly all the time, and it ends: what looks
unfinished is looked at again, in a new snapshot, before it is called so.
"""

from collections.abc import Iterable, Mapping, Sequence

from dltdoctor.snapshot import Activity, Pipeline, StagedLoad, Table
from dltdoctor.verdict import is_young, load_time
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.requests import StagedTable

A_DAY = 86_400.0

Tables = Mapping[tuple[str, str], Table]


def in_doubt(
    staged: Iterable[StagedLoad], pipelines: Iterable[Pipeline], now: float, ended: frozenset[str] = frozenset()
) -> tuple[StagedLoad, ...]:
    """Unrecorded loads of the last day of which this machine has no package: running elsewhere, or stranded."""
    here = {package.load_id for pipeline in pipelines for package in pipeline.packages} | ended
    return tuple(
        load for load in staged if _is_recent(load, now) and not load.committed_in and load.load_id not in here
    )


def _is_recent(load: StagedLoad, now: float) -> bool:
    """Begun within a day; rows that do not tell (arrow tables without `_dlt_load_id`) while they have not arrived."""
    began = load_time(load.load_id)
    return now - began < A_DAY if began is not None else load.arrived + load.superseded < load.sampled


def is_at_work(loads: Iterable[StagedLoad], seen: Activity, tables: Tables, now: float) -> bool:
    """Every load has its staging dataset locked for writing, or is young and the staging table's owner is connected."""
    locked = {schema for schema, _ in seen.locked}
    return all(
        load.staging in locked
        or (is_young(load.load_id, now) and tables[load.staging, load.table].owner in seen.sessions_by_role)
        for load in loads
    )


def are_unchanged(
    credentials: Credentials, loads: Sequence[StagedLoad], requests: Iterable[StagedTable], tables: Tables
) -> bool:
    """Whether a new snapshot shows every load as it was: staged, not recorded, not arrived."""
    from dltdoctor.world.postgres.session import open_session  # noqa: PLC0415 - offline needs none of it
    from dltdoctor.world.postgres.staged import read_staged  # noqa: PLC0415

    places = {(load.staging, load.table, load.final) for load in loads}
    again = [r for r in requests if (r.staging, r.table, r.final) in places]
    with open_session(credentials) as session:
        now, _ = read_staged(session, again, tables, deep=False)
    facts = {_facts(load) for load in now}
    return all(_facts(load) in facts for load in loads)


def _facts(load: StagedLoad) -> tuple[object, ...]:
    return (load.staging, load.table, load.final, load.load_id, load.committed_in, load.sampled == load.arrived)
