"""How a pending package has to be arranged before dlt can finish it, as file steps.

Three arrangements: nothing, when staging holds exactly the rows of the package's completed jobs; jobs that
the destination has committed are moved to the completed ones (failure-modes FM-12); everything that
goes through staging is queued again (§6.2 RC), so that dlt truncates staging and fills it from its files.
"""

from collections.abc import Iterable
from itertools import combinations

from dltdoctor.deduced.merge_statement import cannot_be_finished
from dltdoctor.deduced.unfinished import Chain, Contents, strangers
from dltdoctor.snapshot import Database, Job, Package, Pipeline, Value
from dltdoctor.steps.step import Rename, WriteFile
from dltdoctor.words import command as shell_command
from dltdoctor.words import count, listed

MOST_IN_DOUBT = 10

FileStep = Rename | WriteFile


class HindranceError(Exception):
    """Why dlt must not be let at the package; `command` is what helps."""

    def __init__(self, reason: str, command: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.command = command


class Arrangement(Value):
    """File steps, what they come to in a clause each, and the tables whose staging dlt will truncate."""

    steps: tuple[FileStep, ...] = ()
    notes: tuple[str, ...] = ()
    truncates: frozenset[str] = frozenset()
    restages: bool = False


def refuse_without_merge(pipeline: Pipeline, database: Database) -> None:
    """Raises HindranceError where dlt would fail again at a MERGE."""
    if any(cannot_be_finished(p, pipeline, database) for p in pipeline.pending):
        raise HindranceError(
            "it holds a MERGE, which Postgres before 15 does not have (DD501)",
            shell_command("dltdoctor", "explain", "DD501"),
        )


def arrange(package: Package, chains: Iterable[Chain], contents: Contents, *, disturbed: frozenset[str]) -> Arrangement:
    """The arrangement of one package; raises HindranceError when there is none.

    `disturbed` are tables that packages before this one will stage: what they hold now will be gone.
    """
    if strangers(package):
        raise HindranceError(f"the package's schema does not know {listed(strangers(package))}")
    left = [c for c in chains if not c.is_done]
    merged = [c for c in left if _is_merged_already(c, contents)]
    staged = [c for c in left if c.staged and c not in merged]
    if not package.schema_applied:
        if any(c.has_begun for c in left):
            raise HindranceError("jobs were begun before the destination's tables were prepared")
        return Arrangement(truncates=frozenset(n for c in staged for n in c.names))
    spoilt = [c for c in staged if set(c.names) & disturbed or not _is_intact(c, contents)]
    again = [*staged, *(c for c in left if _would_be_truncated(c))] if spoilt else []
    settled = [j for c in merged for j in c.followups if j.status != "completed"]
    settled += [j for c in left if not c.staged and c not in again for j in _committed(c, contents)]
    steps = [step for job in settled for step in _settle(package, job, contents)]
    notes = [f"{count(len(settled), 'job')} that the database has committed counted as done"] if settled else []
    if not spoilt:
        return Arrangement(steps=tuple(steps), notes=(*_held(staged, contents), *notes))
    _refuse_to_stage_again(again, contents)
    steps += [step for c in again for step in _queue_again(package, c, contents)]
    notes.append(f"{listed(sorted(c.root.name for c in spoilt))} staged again from the package's files")
    tables = frozenset(n for c in again if c.staged for n in c.names)
    return Arrangement(steps=(*steps, _rearm(package)), notes=tuple(notes), truncates=tables, restages=True)


def _is_intact(chain: Chain, contents: Contents) -> bool:
    """Staging holds what the completed jobs put there, and nothing else."""
    if chain.in_doubt:
        return False
    if chain.has_begun and chain.root.name not in contents.staged:
        return False
    for table in chain.tables:
        held = contents.staged.get(table.name)
        expected = _rows(chain.settled(table.name), contents)
        if held is None:
            if expected:
                return False
            continue
        if expected is None or held.rows != expected:
            return False
        # rows that do not tell their load may be another's, as many as they are
        if held.rows and held.own != held.rows:
            return False
    return True


def _is_merged_already(chain: Chain, contents: Contents) -> bool:
    """A merge without keys adds rows; when they are all there, running it again would add them twice."""
    if not chain.is_keyless_merge or not chain.followups or chain.in_doubt:
        return False
    held = contents.final.get(chain.root.name)
    expected = _rows(chain.settled(chain.root.name), contents)
    return bool(held and expected and held.own == expected)


def _committed(chain: Chain, contents: Contents) -> list[Job]:
    """Jobs in doubt whose rows are in the final table, by exact count; HindranceError when it cannot be told."""
    found: list[Job] = []
    for table in chain.names:
        doubtful = [j for j in chain.in_doubt if j.table == table]
        if not doubtful:
            continue
        held = contents.final.get(table)
        before = _rows(chain.settled(table), contents)
        sizes = [contents.files.get(j.path) for j in doubtful]
        if held is None:
            continue  # no table: nothing was committed
        if held.own is None or before is None or any(size is None for size in sizes) or len(sizes) > MOST_IN_DOUBT:
            raise HindranceError(f"it cannot be told whether a load of {table} that was cut off has arrived")
        arrived = held.own - before
        if arrived == 0 and not any(_is_doubled(j) for j in doubtful):
            continue
        ways = [
            some
            for number in range(1, len(doubtful) + 1)
            for some in combinations(doubtful, number)
            if sum(contents.files[j.path] or 0 for j in some) == arrived and all(contents.files[j.path] for j in some)
        ]
        if len(ways) != 1:
            raise HindranceError(
                f"{table} holds {count(held.own, 'row')} of the load, which does not tell what has arrived of "
                f"{count(len(doubtful), 'job')} that was cut off"
            )
        found += ways[0]
    return found


def _is_doubled(job: Job) -> bool:
    """Postgres refused it because its rows are there already."""
    return job.error is not None and "_dlt_id_key" in job.error


def _rows(jobs: Iterable[Job], contents: Contents) -> int | None:
    """The rows in the files of the jobs; None when one cannot be counted."""
    total = 0
    for job in jobs:
        rows = contents.files.get(job.path)
        if rows is None:
            return None
        total += rows
    return total


def _held(staged: Iterable[Chain], contents: Contents) -> tuple[str, ...]:
    held = {t.name: contents.staged[t.name].rows for c in staged for t in c.tables if t.name in contents.staged}
    rows = [f"{count(number, 'row')} of {name}" for name, number in held.items() if number]
    return (f"{listed(rows)} wait in staging",) if rows else ()


def _would_be_truncated(chain: Chain) -> bool:
    """With jobs in the queue, a replace starts with TRUNCATE again; what was completed would be lost."""
    is_replaced = not chain.staged and chain.root.disposition == "replace"
    return is_replaced and any(_folder(j) == "new_jobs" for j in chain.data)


def _refuse_to_stage_again(again: Iterable[Chain], contents: Contents) -> None:
    if contents.is_refresh:
        raise HindranceError("the load drops or truncates tables (refresh), which would be done a second time")
    if not contents.has_updates:
        raise HindranceError("the package has lost its schema update, without which dlt does not prepare staging")
    for chain in again:
        for table in chain.tables:
            held = contents.staged.get(table.name)
            filed = _rows((j for j in chain.data if j.table == table.name), contents)
            if chain.staged and held and held.own and (filed is None or held.own > filed):
                raise HindranceError(
                    f"staging holds {count(held.own, 'row')} of {table.name} of this load, the files of the package "
                    f"{count(filed, 'row')}"
                )


def _queue_again(package: Package, chain: Chain, contents: Contents) -> Iterable[FileStep]:
    for job in chain.data:
        yield from _forget(job, contents)
        if _folder(job) != "new_jobs":
            target = f"{package.path}/new_jobs/{_file(job)}"
            yield Rename(title=f"Queue {_file(job)} again", source=job.path, target=target)
    for job in chain.followups:
        yield from _forget(job, contents)
        if _folder(job) != "completed_jobs":
            title = f"Remove {_file(job)}, which dlt writes again"
            yield WriteFile(title=title, path=job.path, before=contents.digests[job.path], content=None)


def _settle(package: Package, job: Job, contents: Contents) -> Iterable[FileStep]:
    yield from _forget(job, contents)
    yield Rename(
        title=f"Count {_file(job)} as done: its rows are in {job.table}",
        source=job.path,
        target=f"{package.path}/completed_jobs/{_file(job)}",
    )


def _forget(job: Job, contents: Contents) -> Iterable[FileStep]:
    """Dlt would replay what it noted about the job the last time."""
    marker = contents.markers.get(job.path)
    if marker:
        title = f"Forget what dlt noted about {_file(job)}"
        yield WriteFile(title=title, path=marker, before=contents.digests[marker], content=None)


def _rearm(package: Package) -> FileStep:
    return Rename(
        title="Let dlt prepare staging again",
        source=f"{package.path}/applied_schema_updates.json",
        target=f"{package.path}/schema_updates.json",
    )


def _file(job: Job) -> str:
    return job.path.rpartition("/")[2]


def _folder(job: Job) -> str:
    return job.path.rpartition("/")[0].rpartition("/")[2]
