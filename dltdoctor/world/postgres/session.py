"""One read-only REPEATABLE READ transaction: what is read is one moment, and nothing is written."""

import contextlib
import functools
import importlib.resources
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dltdoctor.snapshot import Target
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.postgres.failures import connection_failure, lost_connection, statement_failure

if TYPE_CHECKING:
    import psycopg
    from psycopg.sql import SQL, Composed

APPLICATION = "dltdoctor"
Row = tuple[Any, ...]

_SAVEPOINT = b"SAVEPOINT dltdoctor"
_BACK = b"ROLLBACK TO SAVEPOINT dltdoctor"


class Session:
    """An open session; every read ends by going back to a savepoint.

    Going back releases the locks that the read took, so that thousands of tables do not fill the
    server's lock table, and it keeps the session usable after a failed read. The snapshot stays.
    `read_at` is the server's clock at the start of the transaction, in Unix seconds.
    """

    def __init__(self, connection: "psycopg.Connection[Row]", credentials: Credentials) -> None:
        self._connection = connection
        info = connection.info
        self.server_version: int = info.server_version
        statement = load_query("session")
        database, user, role, read_at = connection.execute(statement).fetchone() or ("", "", "", 0.0)
        self.role: str = role
        self.read_at: float = read_at
        self.target: Target = credentials.target(
            host=info.host or info.hostaddr, port=info.port, database=database, user=user
        )
        connection.execute(_SAVEPOINT)

    def fetch(
        self,
        statement: "bytes | SQL | Composed",
        parameters: Sequence[object] | Mapping[str, object] | None = None,
        *,
        settings: Mapping[str, str] | None = None,
    ) -> list[Row]:
        """Every row of a query; `settings` hold for it alone.

        Raises `FailedReadError` when the statement fails, `CouldNotLookError` when the server is gone.
        """
        with self._reading():
            for name, value in (settings or {}).items():
                self._connection.execute(b"SELECT set_config(%s, %s, true)", (name, value))
            return self._connection.execute(statement, parameters).fetchall()

    def stream(self, statement: bytes) -> Iterator[Row]:
        """The rows of a query while the server is still making them; errors as in `fetch`."""
        with self._reading(), self._connection.cursor() as cursor:
            yield from cursor.stream(statement)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        import psycopg  # noqa: PLC0415 - not before a connection is wanted: it costs a tenth of a second

        try:
            yield
            self._connection.execute(_BACK)
        except psycopg.Error as error:
            self._recover(error)
            raise statement_failure(error) from None

    def _recover(self, error: "psycopg.Error") -> None:
        import psycopg  # noqa: PLC0415

        try:
            if not self._connection.closed:
                self._connection.execute(_BACK)
                return
        except psycopg.Error:
            pass
        raise lost_connection(error, self.target.key) from None


@contextlib.contextmanager
def open_session(
    credentials: Credentials,
    *,
    statement_timeout_ms: int = 30_000,
    lock_timeout_ms: int = 2_000,
    connect_timeout: int = 10,
) -> Iterator[Session]:
    """A session that is rolled back and closed at the end. Raises `CouldNotLookError`.

    The settings are made inside the transaction, not as start-up options, which poolers refuse
    (failure-modes FM-20), and they end with it. Row level security makes a read fail instead of
    leaving rows out.
    """
    import psycopg  # noqa: PLC0415

    settings = {
        "default_transaction_read_only": "on",
        "search_path": "pg_catalog",
        "statement_timeout": str(statement_timeout_ms),
        "lock_timeout": str(lock_timeout_ms),
        "row_security": "off",
        "synchronize_seqscans": "off",
        "max_parallel_workers_per_gather": "0",
        "jit": "off",
    }
    with contextlib.ExitStack() as stack:
        try:
            connection = _connect(credentials, connect_timeout)
            stack.callback(_close, connection)
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            for name, value in settings.items():
                connection.execute(b"SELECT pg_catalog.set_config(%s, %s, true)", (name, value))
            session = Session(connection, credentials)
        except (psycopg.Error, ValueError, OSError) as error:
            raise connection_failure(error, credentials) from None
        yield session


@functools.cache
def load_query(name: str) -> bytes:
    """The text of `queries/<name>.sql`."""
    return (importlib.resources.files(__package__) / "queries" / f"{name}.sql").read_bytes()


def _connect(credentials: Credentials, connect_timeout: int) -> "psycopg.Connection[Row]":
    import psycopg  # noqa: PLC0415

    parameters: dict[str, Any] = {"connect_timeout": str(connect_timeout), **credentials.parameters}
    parameters |= {"application_name": APPLICATION, "client_encoding": "utf8"}
    # PgBouncer hands every transaction another server process, which knows no prepared statement.
    return psycopg.connect("", autocommit=False, prepare_threshold=None, **parameters)


def _close(connection: "psycopg.Connection[Row]") -> None:
    import psycopg  # noqa: PLC0415

    with contextlib.suppress(psycopg.Error):
        connection.rollback()
    connection.close()
