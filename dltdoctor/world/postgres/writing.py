"""The one transaction in which the database steps of a plan run, with their record.

Locks first, then the probes, then the statements, then the probes of what must hold afterwards, then
the receipt's row: change and record commit together or not at all.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from dltdoctor.errors import CouldNotLookError, RefusedError
from dltdoctor.receipt import Capture, Receipt
from dltdoctor.snapshot import Value
from dltdoctor.steps.step import Probe, Replay, SqlStep, TouchedTable
from dltdoctor.words import identifier, relation
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.postgres import capture as captures
from dltdoctor.world.postgres.failures import connection_failure, lost_connection
from dltdoctor.world.postgres.privileges import lacking_lock, refuse_unless_allowed
from dltdoctor.world.postgres.refusals import offending_rows, refusal
from dltdoctor.world.postgres.replaying import check_files, lay_out, remove
from dltdoctor.world.postgres.session import APPLICATION

if TYPE_CHECKING:
    import psycopg

HOME = "_dltdoctor"
RECEIPTS = "_dltdoctor_receipts"

Progress = Callable[[str], None]


class Done(Value):
    """What a transaction did: the captures of its tables and the schema that keeps them."""

    home: str | None
    captures: tuple[Capture, ...]


class Writing:
    """An open read-write transaction; it is rolled back unless `commit` is called."""

    def __init__(self, connection: "psycopg.Connection[Any]", place: str) -> None:
        self.connection = connection
        self.place = place

    def home(self, fallback: str) -> str:
        """The schema that keeps receipts: `_dltdoctor`, or `fallback` where the role may not create it.

        Raises `RefusedError` with the GRANT when it may write to neither.
        """
        row = self.connection.execute(
            "SELECT to_regnamespace(%s) IS NOT NULL, has_database_privilege(current_database(), 'CREATE'),"
            " (SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE')"
            "  FROM pg_namespace WHERE nspname = %s),"
            " (SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE')"
            "  FROM pg_namespace WHERE nspname = %s),"
            " current_database(), current_user",
            (HOME, HOME, fallback),
        ).fetchone()
        exists, may_create, may_use, falls_back, database, role = row or (False, False, None, None, "", "")
        if (exists and may_use) or (not exists and may_create):
            return HOME
        if falls_back:
            return fallback
        grant = f"USAGE, CREATE ON SCHEMA {HOME}" if exists else f"CREATE ON DATABASE {identifier(database)}"
        raise RefusedError(
            f"the role {role} may keep its receipt neither in schema {HOME} nor in {fallback}",
            f"Nothing was changed. An administrator can: GRANT {grant} TO {identifier(role)};",
        )

    def run(self, steps: Sequence[SqlStep], *, stem: str, home: str | None, progress: Progress) -> tuple[Capture, ...]:
        """Run the steps; with `home` what they change is captured under names that begin with `stem`.

        Every lock and every probe comes before the first statement: the steps were planned together.
        """
        check_files(steps)
        self.lock([place for step in steps for place in step.locks])
        self.check([probe for step in steps for probe in step.before], "before")
        with self.explained():
            refuse_unless_allowed(self.connection, steps, home)
            kept = captures.begin(self.connection, _touched(steps), home, stem) if home else []
        done: list[str] = []
        for step in steps:
            self._carry_out(step, done, progress)
            self.check(step.after, "after")
        with self.explained():
            return captures.end(self.connection, kept)

    def _carry_out(self, step: SqlStep, done: list[str], progress: Progress) -> None:
        """Run a step's statements; `done` gathers them."""
        if isinstance(step, Replay):
            with self.explained(step):
                lay_out(self.connection, step, progress)
        for at, statement in enumerate(step.statements, start=1):
            progress(f"{step.title}: statement {at} of {len(step.statements)}")
            with self.explained(step, done):
                self.connection.execute(statement.encode())
            done.append(statement)
        if isinstance(step, Replay):
            remove(self.connection, step)

    @contextlib.contextmanager
    def explained(self, step: SqlStep | None = None, done: Sequence[str] = ()) -> Iterator[None]:
        """What Postgres refuses becomes a `RefusedError` that names table and constraint."""
        import psycopg  # noqa: PLC0415

        try:
            yield
        except psycopg.Error as error:
            if self.connection.closed or self.connection.broken:
                raise lost_connection(error, self.place) from None
            raise refusal(error, step, offending_rows(self.connection, error, done, step)) from None

    def lock(self, relations: Sequence[tuple[str, str]]) -> None:
        """Nobody else may write these tables until the end; refused when a load is at it."""
        import psycopg  # noqa: PLC0415
        from psycopg import sql  # noqa: PLC0415

        for schema, table in sorted(set(relations)):
            statement = sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(sql.Identifier(schema, table))
            with self.explained():
                try:
                    self.connection.execute(statement)
                except psycopg.errors.LockNotAvailable:
                    raise RefusedError(
                        f"{relation(schema, table)} is being written to by another session",
                        "A load or another repair is running; nothing was changed. Try again when it has ended.",
                    ) from None
                except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                    raise RefusedError(
                        f"{relation(schema, table)} is not there any more",
                        "Nothing was changed. Run dltdoctor diagnose again.",
                    ) from None
                except psycopg.errors.InsufficientPrivilege:
                    self.connection.rollback()
                    raise lacking_lock(self.connection, schema, table) from None

    def check(self, probes: Sequence[Probe], moment: str) -> None:
        """Every probe must give what the plan says. Raises `RefusedError` that names the one that does not."""
        import psycopg  # noqa: PLC0415

        for probe in {(p.query, p.expected): p for p in probes}.values():
            with self.explained():
                try:
                    found = answer(self.connection, probe.query)
                except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
                    found = "gone"
            if found != probe.expected:
                when = "since the plan was made" if moment == "before" else "in another way than planned"
                said = probe.refusal or f"{probe.what} has changed {when}"
                raise RefusedError(said, "Nothing was changed. Run the command again to plan anew.")

    def record(self, receipt: Receipt, home: str) -> None:
        """Write the receipt's row."""
        from psycopg import sql  # noqa: PLC0415

        table = sql.Identifier(home, RECEIPTS)
        with self.explained():
            self.connection.execute(
                sql.SQL(
                    "CREATE TABLE IF NOT EXISTS {} (id text PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now(),"
                    " title text NOT NULL, undoes text, body jsonb NOT NULL)"
                ).format(table)
            )
            self.connection.execute(
                sql.SQL("INSERT INTO {} (id, title, undoes, body) VALUES (%s, %s, %s, %s::jsonb)").format(table),
                (receipt.id, receipt.title, receipt.undoes, msgspec.json.encode(receipt.captures).decode()),
            )

    def make_home(self, home: str) -> None:
        """Create the schema that keeps receipts, unless it is one that exists already."""
        from psycopg import sql  # noqa: PLC0415

        if home != HOME:
            return
        with self.explained():
            self.connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(home)))

    def commit(self) -> None:
        self.connection.commit()


def _touched(steps: Sequence[SqlStep]) -> Sequence[TouchedTable]:
    """Every table once; what the first step to touch it says of it counts."""
    found: dict[tuple[str, str], TouchedTable] = {}
    for touched in (t for step in steps for t in step.touches):
        found.setdefault((touched.schema, touched.table), touched)
    return tuple(found.values())


def answer(connection: "psycopg.Connection[Any]", query: str) -> str:
    """The one row of a query as JSON text."""
    row = connection.execute(query.encode()).fetchone()
    return msgspec.json.encode(tuple(None if v is None else str(v) for v in row or ())).decode()


@contextlib.contextmanager
def open_writing(
    credentials: Credentials, *, lock_timeout_ms: int = 5_000, connect_timeout: int = 10
) -> Iterator[Writing]:
    """A read-write transaction, rolled back and closed at the end. Raises `CouldNotLookError`."""
    import psycopg  # noqa: PLC0415

    parameters: dict[str, Any] = {"connect_timeout": str(connect_timeout), **credentials.parameters}
    parameters |= {"application_name": APPLICATION, "client_encoding": "utf8"}
    try:
        connection = psycopg.connect("", autocommit=False, prepare_threshold=None, **parameters)
    except (psycopg.Error, ValueError, OSError) as error:
        raise connection_failure(error, credentials) from None
    place = f"{connection.info.host}:{connection.info.port}/{connection.info.dbname}"
    try:
        settings = {"search_path": "pg_catalog", "lock_timeout": str(lock_timeout_ms), "row_security": "off"}
        for name, value in settings.items():
            connection.execute(b"SELECT pg_catalog.set_config(%s, %s, true)", (name, value))
        yield Writing(connection, place)
    except psycopg.OperationalError as error:
        raise lost_connection(error, place) from None
    finally:
        with contextlib.suppress(psycopg.Error):
            connection.rollback()
        connection.close()


def is_recorded(credentials: Credentials, home: str, receipt: str) -> bool:
    """True when the transaction of this receipt has committed. Raises `CouldNotLookError`."""
    import psycopg  # noqa: PLC0415
    from psycopg import sql  # noqa: PLC0415

    with open_writing(credentials) as writing:
        try:
            statement = sql.SQL("SELECT 1 FROM {} WHERE id = %s").format(sql.Identifier(home, RECEIPTS))
            return writing.connection.execute(statement, (receipt,)).fetchone() is not None
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return False
        except psycopg.Error as error:
            raise CouldNotLookError(f"could not read the receipts in {home}: {error.sqlstate}", "") from None


def drop_captures(credentials: Credentials, receipt: Receipt) -> None:
    """Remove the tables that a receipt's undo would need, and its row."""
    from psycopg import sql  # noqa: PLC0415

    with open_writing(credentials) as writing:
        for capture in receipt.captures:
            for name in (capture.gone, capture.come):
                if name:
                    writing.connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(*name)))
        if receipt.home:
            table = sql.Identifier(receipt.home, RECEIPTS)
            writing.connection.execute(sql.SQL("DELETE FROM {} WHERE id = %s").format(table), (receipt.id,))
        writing.commit()
