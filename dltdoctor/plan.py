"""The plan of a repair: ordered steps, what they rely on, and what was held back."""

from typing import Literal

from dltdoctor.finding import Safety
from dltdoctor.snapshot import Value
from dltdoctor.steps.step import ArchiveDirectory, Rename, Replay, RestoreDirectory, RunSql, SqlStep, Step, WriteFile

PLAN_VERSION: Literal[1] = 1


class Cure(Value):
    """The steps that cure one finding. `cost` says what an unsafe cure may cost."""

    code: str
    fingerprint: str
    pipeline: str | None
    message: str
    safety: Safety
    steps: tuple[Step, ...]
    cost: str = ""
    guarantees_missing: tuple[str, ...] = ()


class HeldBack(Value):
    """A finding for which nothing is planned, and why; `command` is what would admit or do it."""

    code: str
    pipeline: str | None
    message: str
    reason: str
    command: str | None = None


class Plan(Value):
    """What `fix` would do, in order. `target` is "host:port/database" when a database is touched."""

    version: Literal[1]
    tool: str
    made_at: float
    target: str | None
    cures: tuple[Cure, ...]
    held_back: tuple[HeldBack, ...] = ()
    digest: str = ""

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(step for cure in self.cures for step in cure.steps)

    @property
    def sql(self) -> tuple[SqlStep, ...]:
        return tuple(step for step in self.steps if isinstance(step, RunSql | Replay))

    @property
    def files(self) -> tuple[WriteFile | Rename, ...]:
        return tuple(step for step in self.steps if isinstance(step, WriteFile | Rename))

    @property
    def directories(self) -> tuple[ArchiveDirectory | RestoreDirectory, ...]:
        return tuple(step for step in self.steps if isinstance(step, ArchiveDirectory | RestoreDirectory))

    @property
    def is_empty(self) -> bool:
        return not self.cures
