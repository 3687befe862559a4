"""What Postgres refused, in words of one line: why, and what the user can do about it.

A server's text may be in any language and hold newlines; only its first line is kept, without
control characters and without passwords. What it means is told by SQLSTATE where there is one.
"""

import re
from typing import TYPE_CHECKING, Literal

from dltdoctor.errors import CouldNotLookError
from dltdoctor.snapshot import Area, Unread
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.mask import mask

if TYPE_CHECKING:
    import psycopg

PERMISSION, LOCK, CANCELLED = "42501", "55P03", "57014"

_AGAIN = "Run dltdoctor again."
_REASONS = {
    PERMISSION: (
        "permission denied, or row level security hides rows from the role",
        "Grant the role USAGE on the schema and SELECT on its tables, or connect as the role that loads.",
    ),
    LOCK: ("another session holds a lock on it", "Run dltdoctor again when that load or migration has ended."),
    CANCELLED: (
        "the server cancelled the query: it took too long",
        "Run dltdoctor again when the server is less busy.",
    ),
    "40001": ("the standby cancelled the query", "Run dltdoctor against the primary server."),
    "53200": ("the server ran out of memory or lock slots", "Run dltdoctor again when the server is less busy."),
    "22021": ("it holds text that is not UTF-8", "Only a SQL_ASCII database can; rename or re-encode what is in it."),
    "42P01": ("it disappeared while it was being read", _AGAIN),
    "3F000": ("its schema disappeared while it was being read", _AGAIN),
    "42703": ("its columns changed while it was being read", _AGAIN),
}
_CONNECTION_HINTS = (
    (
        r"password|authentication|no pg_hba\.conf|role .* does not exist",
        "Check user and password; --dsn overrides what dlt would use.",
    ),
    (r"database .* does not exist", "Check the database name; psql --list shows those of the server."),
    (
        r"translate host name|resolve|name or service|nodename nor servname",
        "Check the host name, and that this machine can resolve it.",
    ),
    (r"refused|no such file or directory", "Check host and port, and that the server is running."),
    (r"timeout|timed out|unreachable|no route", "Check that a firewall or VPN lets this machine reach the server."),
    (r"too many (clients|connections)|connection slots|connection limit", "Close other sessions, or try again later."),
    (r"ssl|tls|certificate", "Check sslmode and sslrootcert against what the server asks for."),
    (r"starting up|shutting down|recovery mode", "Try again when the server is up."),
    (
        r"invalid connection option|invalid dsn|invalid (port|sslmode)|missing",
        "Check the spelling of the connection string.",
    ),
)
_ANY_CONNECTION_HINT = "Check the connection string; --dsn overrides what dlt would use."
_PREFIX = re.compile(r"^(connection failed: )?(connection to server .{0,300}? failed: )?([A-Z]{4,9}:\s+)?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class FailedReadError(CouldNotLookError):
    """One statement failed while the session lives on: only what it was about is unread.

    `sqlstate` is the server's code, `reason` one line.
    """

    def __init__(self, sqlstate: str, reason: str, hint: str) -> None:
        super().__init__(f"the database could not be read: {reason}", hint)
        self.sqlstate = sqlstate
        self.reason = reason

    @classmethod
    def not_allowed(cls) -> "FailedReadError":
        """What the server would answer, without asking it: the catalog has told."""
        return cls(PERMISSION, *_REASONS[PERMISSION])

    @property
    def code(self) -> Literal["DD002", "DD003"]:
        return "DD003" if self.sqlstate == PERMISSION else "DD002"

    def unread(self, what: str, *areas: Area, dataset: str | None = None) -> Unread:
        """The same as a value of the snapshot."""
        return Unread(code=self.code, what=what, reason=self.reason, hint=self.hint, areas=areas, dataset=dataset)


def first_line(text: str) -> str:
    """The first line that says something, without control characters."""
    line = next((line for line in text.splitlines() if line.strip()), "")
    return _CONTROL.sub(" ", line).strip()


def connection_failure(error: Exception, credentials: Credentials) -> CouldNotLookError:
    """Why no session could be opened, with the place but never the password."""
    secret = credentials.parameters.get("password", "")
    secrets = () if secret in {credentials.parameters.get(k) for k in ("user", "host", "dbname")} else (secret,)
    reason = mask(_PREFIX.sub("", first_line(str(error))), secrets) or type(error).__name__
    hints = (hint for pattern, hint in _CONNECTION_HINTS if re.search(pattern, reason, re.IGNORECASE))
    place = first_line(mask(credentials.display, secrets))
    return CouldNotLookError(
        f"could not connect to {place} (from {first_line(credentials.origin)}): {reason}",
        next(hints, _ANY_CONNECTION_HINT),
    )


def statement_failure(error: "psycopg.Error") -> FailedReadError:
    """Why a statement failed, from its SQLSTATE, else from the server's own first line."""
    sqlstate = error.sqlstate or ""
    text = first_line(error.diag.message_primary or str(error)) or type(error).__name__
    reason, hint = _REASONS.get(sqlstate, (mask(text), "Run dltdoctor again; if it stays, report it."))
    return FailedReadError(sqlstate, reason, hint)


def lost_connection(error: Exception, place: str) -> CouldNotLookError:
    """The server went away in the middle."""
    reason = mask(_PREFIX.sub("", first_line(str(error)))) or type(error).__name__
    return CouldNotLookError(f"lost the connection to {place} while reading: {reason}", _AGAIN)
