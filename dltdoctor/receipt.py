"""What a repair did, and what taking it back needs."""

from typing import Literal

import msgspec

from dltdoctor.plan import Plan
from dltdoctor.snapshot import Value
from dltdoctor.steps.step import RunSql

Status = Literal["started", "applied", "undone", "void"]


class Capture(Value):
    """What a repair's transaction did to one table, kept in the database for undo.

    `gone` holds the rows as they were before they were deleted or updated, `come` the keys of the rows
    that it inserted or updated; both are qualified names of tables. `digest` is that of the rows that
    came, of all rows in `_dlt_loads`, as they were when the transaction committed. A `created` table is moved aside by undo, and a
    table `moved_from` elsewhere is moved back there.
    """

    schema: str
    table: str
    key: tuple[str, ...]
    gone: tuple[str, str] | None
    come: tuple[str, str] | None
    rows_gone: int = 0
    rows_come: int = 0
    digest: str = ""
    created: bool = False
    moved_from: tuple[str, str] | None = None

    @property
    def is_of_loads(self) -> bool:
        """Of dlt's record of loads: any load recorded since is in undo's way."""
        return self.table == "_dlt_loads"


class KeptFile(Value):
    """A file before and after: undo puts `before` back (None: removes it) when `after` is still there."""

    path: str
    before: bytes | None
    before_mode: int | None
    before_mtime_ns: int | None
    after: str | None


class KeptRename(Value):
    """A rename, to be taken back by renaming `target` to `source`."""

    source: str
    target: str


class KeptArchive(Value):
    """An archive that undo brings a directory back from: its SHA-256, its size, and bytes of content at most."""

    archive: str
    digest: str
    size: int
    content: int


class Receipt(Value):
    """One repair. `home` is the schema of the database that holds its record and its captures.

    `status` is "started" until everything is done, "void" when nothing was. `undoes` names the receipt
    that this one takes back. `connection` are libpq parameters without the password.
    """

    id: str
    version: Literal[1]
    tool: str
    made_at: float
    status: Status
    title: str
    plan: Plan
    target: str | None = None
    connection: dict[str, str] = msgspec.field(default_factory=dict)
    home: str | None = None
    captures: tuple[Capture, ...] = ()
    files: tuple[KeptFile, ...] = ()
    renames: tuple[KeptRename, ...] = ()
    archives: tuple[KeptArchive, ...] = ()
    undoes: str | None = None
    undone_by: str | None = None
    has_undo: bool = True
    outcome: str = ""

    @property
    def structure(self) -> tuple[RunSql, ...]:
        """The steps that changed the structure of tables."""
        return tuple(s for s in self.plan.steps if isinstance(s, RunSql) and s.inverse)

    @property
    def has_changed_database(self) -> bool:
        """True when, once committed, the database is not what it was."""
        return bool(self.captures or self.structure)

    @property
    def is_unfinished(self) -> bool:
        return self.status == "started"
