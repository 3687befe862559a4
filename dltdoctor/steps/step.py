"""The steps of a repair, as values that can be shown, stored, applied and inverted.

Preview renders the very objects that apply runs. Undo is apply of the inverses in reverse order: a
file step knows its own; a database step gets its from what was captured while it ran. Rows never
stand in a step: they stay in the database.
"""

import msgspec

from dltdoctor.snapshot import Value


class Probe(Value):
    """A query with one row that must give `expected`, compared as JSON text.

    `what` completes the sentence "... has changed" when it does not, and `refusal` stands instead of that
    sentence. What `lasts` must hold after the step and before its undo, too.
    """

    what: str
    query: str
    expected: str
    lasts: bool = False
    refusal: str = ""


class TouchedTable(Value):
    """A table that a database step writes. `key` identifies a row: ("_dlt_id",) or a primary key.

    With `created` the step creates the table itself; with `moved_from` it moves the table from there,
    as undo does with a table that a repair has created.
    """

    schema: str
    table: str
    key: tuple[str, ...]
    created: bool = False
    moved_from: tuple[str, str] | None = None


class Inverse(Value):
    """What takes back a change of a table's structure, which no trigger sees; `before` must hold before it."""

    title: str
    statements: tuple[str, ...]
    before: tuple[Probe, ...] = ()


class RunSql(Value, tag="run-sql"):
    """Statements in the plan's one transaction. What they delete, update and insert is captured.

    `statements` run in order on one connection; a placeholder-free text each. `locks` are taken before
    the probes. A step with an `inverse` changes the structure of tables that no other step of its plan touches.
    """

    title: str
    statements: tuple[str, ...]
    touches: tuple[TouchedTable, ...]
    before: tuple[Probe, ...] = ()
    after: tuple[Probe, ...] = ()
    locks: tuple[tuple[str, str], ...] = ()
    note: str = ""
    inverse: Inverse | None = None


class StagedFile(Value, tag="staged-file"):
    """A job file of a load package, whose rows are copied into the temporary table `into`.

    `digest` is its SHA-256; `columns` are those of its table in the order of the package's schema.
    """

    path: str
    digest: str
    into: str
    columns: tuple[str, ...]


class Replay(Value, tag="replay"):
    """Load packages replayed in temporary tables, then statements that use them, in the one transaction.

    `scratch` are statements and files in load order, which write temporary tables only; `statements`
    change the tables that it `touches`, and `removals` drop the temporary ones. The other fields are
    as in `RunSql`, and so is its undo.
    """

    title: str
    scratch: tuple[str | StagedFile, ...]
    statements: tuple[str, ...]
    touches: tuple[TouchedTable, ...]
    removals: tuple[str, ...] = ()
    before: tuple[Probe, ...] = ()
    after: tuple[Probe, ...] = ()
    locks: tuple[tuple[str, str], ...] = ()
    note: str = ""

    @property
    def files(self) -> tuple[StagedFile, ...]:
        return tuple(part for part in self.scratch if isinstance(part, StagedFile))


SqlStep = RunSql | Replay


class WriteFile(Value, tag="write-file"):
    """A file's new content, or its removal (None). `before` is the digest of what is there now.

    Paths are absolute. `mode` is kept when it is None.
    """

    title: str
    path: str
    before: str | None
    content: bytes | None
    mode: int | None = None
    note: str = ""


class Rename(Value, tag="rename"):
    """A file or directory moved inside one file system; the target must not exist."""

    title: str
    source: str
    target: str
    note: str = ""


class FinishLoad(Value, tag="finish-load"):
    """A pending package finished by dlt itself, in a child process.

    `interpreter` is the project's Python, `destination_name` the one dlt knows its destination by;
    `environ` are variables that say what the source passes as arguments, never a secret.
    """

    title: str
    pipeline: str
    load_id: str
    pipelines_dir: str
    project: str
    interpreter: str
    destination_name: str | None = None
    environ: dict[str, str] = msgspec.field(default_factory=dict)
    note: str = ""


class ArchiveDirectory(Value, tag="archive-directory"):
    """Parts of a directory kept in one compressed file, then removed; the part "" is the directory itself.

    `parts` are relative to `directory`; `before` is the fingerprint of what is there now. `times` are the
    mtimes (ns) of the directories that the parts stand in, which are to stay as they are.
    """

    title: str
    directory: str
    parts: tuple[str, ...]
    archive: str
    before: str
    times: tuple[tuple[str, int], ...] = ()
    note: str = ""


class RestoreDirectory(Value, tag="restore-directory"):
    """Parts of a directory brought back from an archive; their places must be free.

    `digest` is the archive's SHA-256, `after` the fingerprint of all parts when they are back, `size` the
    bytes that they take at most; `times` are as in `ArchiveDirectory`.
    """

    title: str
    directory: str
    parts: tuple[str, ...]
    archive: str
    digest: str
    after: str
    size: int
    times: tuple[tuple[str, int], ...] = ()
    note: str = ""


Step = RunSql | Replay | WriteFile | Rename | FinishLoad | ArchiveDirectory | RestoreDirectory
