"""What a purge of a working dir would lose, what dlt would restore on its next run, and why it is refused.

Pure: a snapshot, its ledger and the facts of the working dirs in, a judgement for each pipeline out.
"""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from dltdoctor.deduced.restore import Doubled, Restoration, foresee
from dltdoctor.deduced.restore_objections import Objection, of_restoration
from dltdoctor.ledger import Ledger
from dltdoctor.purge.objections import (
    NEVER,
    OF_PRUNING,
    Facts,
    at_work,
    of_doubled,
    of_packages,
    of_place,
    of_staged_rows,
    shown,
    state_ahead,
    unseen,
)
from dltdoctor.purge.packages import Shelf, sorted_out
from dltdoctor.snapshot import Package, Pipeline, SchemaTable, Snapshot, Value
from dltdoctor.words import count


class Purge(Value):
    """The judgement on one pipeline. `prunes` are load packages that `--keep-packages` would remove.

    `is_cure` means that this wipe is what makes the next run read lost rows again (DD207).
    """

    pipeline: str
    working_dir: str
    facts: Facts
    shelf: Shelf
    loses: tuple[str, ...] = ()
    restoration: Restoration | None = None
    objections: tuple[Objection, ...] = ()
    is_cure: bool = False
    prunes: tuple[Package, ...] | None = None

    def refusals(self, *, unsafe: bool) -> tuple[Objection, ...]:
        """Those that hold: all of them, or with `unsafe` those that nothing admits."""
        kept = (o for o in self.objections if self.prunes is None or o.kind in OF_PRUNING)
        # Which packages are committed is not a question of courage: without an answer nothing is pruned.
        return tuple(
            o for o in kept if not unsafe or o.kind in NEVER or (self.prunes is not None and o.kind != "running")
        )


def judge(pipeline: Pipeline, snapshot: Snapshot, ledger: Ledger, recorded: Mapping[str, int], facts: Facts) -> Purge:
    """The judgement. `recorded` are the statuses of those local loads that `_dlt_loads` lists, by load id."""
    database = snapshot.catalog.database(pipeline.name) if snapshot.catalog else None
    shelf = sorted_out(pipeline, ledger, recorded, database)
    restoration = foresee(pipeline, snapshot, database, recorded) if database else None
    objections = [
        *of_place(facts),
        *at_work(pipeline, snapshot, ledger, facts),
        *unseen(pipeline, snapshot, database),
        *of_packages(pipeline.name, shelf),
        *of_staged_rows(pipeline.name, ledger),
        *(of_restoration(pipeline, restoration) if restoration else ()),
    ]
    ahead = restoration is not None and restoration.is_local_ahead
    kinds = {o.kind for o in objections}
    if restoration and ahead and (kinds or not restoration.is_known):
        objections.append(state_ahead(pipeline.name, restoration))
    return Purge(
        pipeline=pipeline.name,
        working_dir=pipeline.working_dir or "",
        facts=facts,
        shelf=shelf,
        loses=tuple(_losses(facts, shelf, restoration)),
        restoration=restoration,
        objections=tuple(objections),
        is_cure=ahead and not objections,
    )


def appended_tables(purge: Purge, ledger: Ledger) -> tuple[tuple[str, str], ...]:
    """The final tables, as (dataset, table), to which a row that is read again would be appended."""
    return tuple(
        (e.row.final.dataset, e.row.table)
        for e in ledger.entries
        if e.row.pipeline == purge.pipeline and e.row.parent is None and e.row.final.exists and _appends(e.table)
    )


def _appends(table: SchemaTable) -> bool:
    keyless = table.disposition == "merge" and not (table.primary_key or table.merge_keys)
    return table.disposition == "append" or keyless


def with_doubled(purge: Purge, doubled: Collection[Doubled]) -> Purge:
    """The judgement when rows that would be read again are there already: then a purge is no cure."""
    objections = tuple(of_doubled(each) for each in doubled)
    if not objections:
        return purge
    return msgspec.structs.replace(purge, objections=(*purge.objections, *objections), is_cure=False)


def prunable(shelf: Shelf, keep: int, before: float | None) -> tuple[Package, ...]:
    """Completed packages that the destination has committed, but for the newest `keep` and those since `before`."""
    completed = sorted(shelf.committed, key=lambda p: p.load_id)
    old = completed[: max(len(completed) - keep, 0)]
    return tuple(p for p in old if before is None or p.modified < before)


def _losses(facts: Facts, shelf: Shelf, found: Restoration | None) -> Iterator[str]:
    waiting = (*shelf.pending, *shelf.extracted)
    if waiting:
        yield f"{shown(waiting, 'that is', 'that are')} not loaded yet"
    if shelf.failed:
        yield f"{shown(shelf.failed, 'that', 'that')} failed or {'was' if len(shelf.failed) == 1 else 'were'} aborted, with the errors"
    if shelf.completed:
        yield f"the files of {count(len(shelf.completed), 'completed load')}, from which overwritten values could be recovered"
    if facts.has_trace:
        yield "the trace of the last run"
    if found and found.is_local_ahead and found.load_id:
        yield f"state version {found.local_version}: the committed one is {found.version}"
    for path, _ in facts.extractions:
        yield f"what an interrupted extraction has left in {path}; dlt would never come back to it"
