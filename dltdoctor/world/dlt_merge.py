"""dlt's own SQL for the rows of a load: what brings staged rows to the final tables, and what goes with it.

dlt generates it in a child process with an empty home, an empty directory and a clean environment, so
that the user's configuration can neither interfere nor be touched, and dlt is not imported here.
"""

import contextlib
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from dltdoctor.errors import RefusedError
from dltdoctor.snapshot import Value
from dltdoctor.world.documents import Document
from dltdoctor.world.sql_tokens import on_one_line, quoted
from dltdoctor.world.statement_shapes import Places, check_additions, check_creates, check_shapes

TEMPORARY = "pg_temp"
LOADS_COLUMNS = ("load_id", "schema_name", "status", "inserted_at", "schema_version_hash")
TIMEOUT_S = 120

_CHILD = "dltdoctor.world.dlt_merge_child"
_EXPRESSIONS = ("x-merge-source-filter", "x-merge-destination-scope")
_INHERITED = ("LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PATH", "SYSTEMROOT")
_HINT = "Nothing was changed. Run it again with the version of dlt that made the load."


class MergeRequest(Value):
    """One chain to be merged: the root table with all that is nested under it.

    `final` and `staging` are names as Postgres holds them; `staging` may be "pg_temp" when the rows to
    move were copied into temporary tables. `load_id` gives scd2 its boundary. `replace_strategy` counts
    for tables with write disposition replace. With `tables`, nested tables not in it are left out.
    """

    document: Document
    root: str
    final: str
    staging: str
    load_id: str
    replace_strategy: Literal["insert-from-staging", "staging-optimized"] = "insert-from-staging"
    tables: tuple[str, ...] | None = None


class NotGeneratedError(RefusedError):
    """dlt gives no SQL for what was asked; the message holds its reason."""


class _Answer(msgspec.Struct):
    statements: list[str] = []
    error: str | None = None


def generate(request: MergeRequest, *, python: str = sys.executable) -> tuple[str, ...]:
    """The statements for one chain, in order, one line each, without a semicolon at the end."""
    return generate_all([request], python=python)[0]


def generate_all(requests: Sequence[MergeRequest], *, python: str = sys.executable) -> tuple[tuple[str, ...], ...]:
    """The statements of every request, from one child process. Raises `NotGeneratedError` for the first without."""
    results = []
    for result in generate_each(requests, python=python):
        if isinstance(result, NotGeneratedError):
            raise result
        results.append(result)
    return tuple(results)


def generate_each(
    requests: Sequence[MergeRequest], *, python: str = sys.executable
) -> tuple[tuple[str, ...] | NotGeneratedError, ...]:
    """The statements of every request, or why there are none."""
    refused = [_refusal(request) for request in requests]
    asked = [(r, _StandIns.outside_of(r.document)) for r, no in zip(requests, refused, strict=True) if no is None]
    answers = iter(_ask([_merge_payload(*each) for each in asked], python) if asked else [])
    results = (_result(*each, answer) for each, answer in zip(asked, answers, strict=True))
    return tuple(no or next(results) for no in refused)


def create_statements(
    document: Document,
    tables: Sequence[str],
    final: str,
    *,
    create_indexes: bool = True,
    python: str = sys.executable,
) -> tuple[str, ...]:
    """The CREATE TABLE that dlt writes for each table, in order; `create_indexes` as dlt's setting of that name."""
    names = _StandIns.outside_of(document)
    payload = {
        "kind": "create",
        "document": document,
        "tables": list(tables),
        "final": names.final,
        "staging": names.staging,
        "create_indexes": create_indexes,
    }
    answer = _ask([payload], python)[0]
    what = f"dlt cannot create {', '.join(tables)} in {final}"
    if answer.error is not None:
        raise NotGeneratedError(f"{what}: {answer.error}", _HINT)
    try:
        statements = tuple(names.replaced(on_one_line(s), final, final) for s in answer.statements)
        check_creates(statements, final)
    except ValueError as error:
        raise NotGeneratedError(f"{what}: {error}", _HINT) from None
    return statements


def add_column_statements(
    document: Document,
    place: tuple[str, str],
    columns: Sequence[str],
    *,
    loosened: bool = False,
    create_indexes: bool = True,
    python: str = sys.executable,
) -> tuple[str, ...]:
    """The ALTER TABLE with which dlt adds columns to the table `place`; `loosened` lets them be NULL."""
    dataset, table = place
    names = _StandIns.outside_of(document)
    payload = {
        "kind": "add",
        "document": document,
        "table": table,
        "columns": list(columns),
        "loosened": loosened,
        "final": names.final,
        "staging": names.staging,
        "create_indexes": create_indexes,
    }
    answer = _ask([payload], python)[0]
    what = f"dlt cannot add {', '.join(columns)} to {dataset}.{table}"
    if answer.error is not None:
        raise NotGeneratedError(f"{what}: {answer.error}", _HINT)
    try:
        statements = tuple(names.replaced(on_one_line(s), dataset, dataset) for s in answer.statements)
        check_additions(statements, dataset, len(columns))
    except ValueError as error:
        raise NotGeneratedError(f"{what}: {error}", _HINT) from None
    return statements


def complete_load_statement(
    final: str,
    load_id: str,
    schema_name: str | None,
    schema_version_hash: str | None,
    *,
    columns: Sequence[str] = LOADS_COLUMNS,
    table: str = "_dlt_loads",
) -> str:
    """The row that dlt's `complete_load` writes, in the columns that the table has; now is when it runs."""
    from psycopg import sql  # noqa: PLC0415 - not before it is wanted

    values = {
        "load_id": sql.Literal(load_id),
        "schema_name": sql.Literal(schema_name),
        "status": sql.Literal(0),
        "inserted_at": sql.SQL("now()"),
        "schema_version_hash": sql.Literal(schema_version_hash),
    }
    known = [column for column in columns if column.lower() in values]
    statement = sql.SQL("INSERT INTO {}({}) VALUES({})").format(
        sql.Identifier(final, table),
        sql.SQL(", ").join(map(sql.Identifier, known)),
        sql.SQL(", ").join(values[column.lower()] for column in known),
    )
    return statement.as_string(None)


# ------------------------------------------------------------------------------ the child process


class _StandIns(Value):
    """Names of datasets that occur nowhere in the document, so that the true ones can take their places.

    dlt would fold and format the true ones: they may hold upper case, quotes and percent signs.
    """

    final: str
    staging: str

    @classmethod
    def outside_of(cls, document: Document) -> "_StandIns":
        content = msgspec.json.encode(document)
        number = next(n for n in range(sys.maxsize) if f"dltdoctor{n}".encode() not in content)
        return cls(final=f"dltdoctor{number}_final", staging=f"dltdoctor{number}_staging")

    def replaced(self, statement: str, final: str, staging: str) -> str:
        return statement.replace(quoted(self.final), quoted(final)).replace(quoted(self.staging), quoted(staging))


def _refusal(request: MergeRequest) -> NotGeneratedError | None:
    if request.staging == request.final:
        return NotGeneratedError(f"{request.final} cannot be staging and final dataset at once", "Name two schemas.")
    if request.staging == TEMPORARY and request.replace_strategy == "staging-optimized":
        return NotGeneratedError(
            "a temporary table cannot become the final one, as the replace strategy staging-optimized has it",
            "Use insert-from-staging: the final table gets the same rows.",
        )
    return None


def _merge_payload(request: MergeRequest, names: _StandIns) -> dict[str, object]:
    identity = msgspec.json.encode((request.final, request.staging, request.root, request.load_id))
    return {
        "kind": "merge",
        "document": request.document,
        "root": request.root,
        "tables": request.tables,
        "load_id": request.load_id,
        "replace_strategy": request.replace_strategy,
        "suffix": hashlib.sha256(identity).hexdigest()[:16],
        "final": names.final,
        "staging": names.staging,
        "create_indexes": True,
    }


def _result(request: MergeRequest, names: _StandIns, answer: _Answer) -> tuple[str, ...] | NotGeneratedError:
    what = f"dlt generates no SQL for {request.final}.{request.root}"
    if answer.error is not None:
        return NotGeneratedError(f"{what}: {answer.error}", _HINT)
    places = Places(final=request.final, staging=request.staging)
    try:
        statements = tuple(names.replaced(on_one_line(s), request.final, request.staging) for s in answer.statements)
        check_shapes(statements, places, any_expression=_has_expressions(request.document, request.root))
    except ValueError as error:
        return NotGeneratedError(f"{what} that could be run: {error}", _HINT)
    return statements


def _has_expressions(document: Document, root: str) -> bool:
    """Whether the source's author wrote SQL into the table's hints, which dlt puts into its own as it is."""
    tables = document.get("tables")
    table = tables.get(root) if isinstance(tables, dict) else None
    return isinstance(table, dict) and any(table.get(hint) for hint in _EXPRESSIONS)


class _Child:
    """dlt in a process of its own, which imports it while nobody asks yet."""

    def __init__(self, python: str) -> None:
        self.python = python
        self._home = tempfile.TemporaryDirectory(prefix="dltdoctor-")
        try:
            self._process = subprocess.Popen(
                [python, "-m", _CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._home.name,
                env=_environ(self._home.name, python),
            )
        except BaseException:
            self._home.cleanup()
            raise

    def ask(self, payloads: Sequence[dict[str, object]]) -> tuple[bytes, bytes]:
        """What it prints, and what it complains about. Raises `subprocess.TimeoutExpired`."""
        return self._process.communicate(msgspec.json.encode(payloads), timeout=TIMEOUT_S)

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._home.cleanup()


_waiting: list[_Child] = []


@contextlib.contextmanager
def warmed_up(*, wanted: bool = True, python: str = sys.executable) -> Iterator[None]:
    """Let dlt be imported in the background during the block, in which its SQL will be asked for."""
    if wanted:
        with contextlib.suppress(OSError):
            _waiting.append(_Child(python))
    try:
        yield
    finally:
        while _waiting:
            _waiting.pop().end()


def _ask(payloads: Sequence[dict[str, object]], python: str) -> list[_Answer]:
    try:
        child = _waiting.pop() if _waiting and _waiting[-1].python == python else _Child(python)
        try:
            answer, complaint = child.ask(payloads)
        finally:
            child.end()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotGeneratedError(f"dlt could not be asked for its SQL: {error}", _HINT) from error
    try:
        return msgspec.json.decode(answer, type=list[_Answer])
    except msgspec.DecodeError:
        last = (complaint.decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        raise NotGeneratedError(f"dlt could not be asked for its SQL: {last}", _HINT) from None


def _environ(home: str, python: str) -> dict[str, str]:
    own = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return own | {
        "HOME": home,
        "USERPROFILE": home,
        "TMPDIR": home,
        "XDG_CONFIG_HOME": home,
        "XDG_DATA_HOME": home,
        "DLT_DATA_DIR": home,
        "PYTHONPATH": os.pathsep.join(_places(python)),
        "PYTHONUTF8": "1",
        "PROVIDERS__ENABLE_AIRFLOW_SECRETS": "false",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
    }


def _places(python: str) -> Iterator[str]:
    """Where the child finds this package and, under the same interpreter, the dlt beside it."""
    yield os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    spec = importlib.util.find_spec("dlt") if python == sys.executable else None
    if spec and spec.origin:
        yield os.path.dirname(os.path.dirname(spec.origin))
