"""The statements of a load package's own follow-up job, which merges or replaces what was staged.

dlt writes one statement a line. Until 1.6 its loader sent the whole file as one text, which Postgres
cut; since then the loader cuts it itself, at line ends and at every semicolon, one within quotes too.
Here it is cut as Postgres cuts: where the two differ, dlt's own job could not run at all.
"""

from collections.abc import Mapping, Sequence

from dltdoctor.errors import RefusedError
from dltdoctor.world.documents import MEGABYTE
from dltdoctor.world.files import read_bytes
from dltdoctor.world.sql_tokens import Token, UnknownSqlError, lines, quoted, tokens
from dltdoctor.world.statement_shapes import Places, check_shapes, is_bare_column
from dltdoctor.world.unreadable import UnreadableError

MAX_JOB = 16 * MEGABYTE

_TEMPORARY = ("temp", "temporary")
_HINT = "dltdoctor does not run it. dlt's generator can write the statements anew from the package's schema."


def job_statements(path: str, *, final: str, staging: str, tables: Sequence[str] | None = None) -> tuple[str, ...]:
    """The statements of the `.sql` file, in order, one line each, without a semicolon at the end.

    Raises `UnreadableError` when it cannot be read, `RefusedError` when it names another schema than
    these two, another table than `tables`, or holds anything that dlt does not write.
    """
    if final == staging:
        raise RefusedError(f"{path}: {final} is staging and final dataset at once: the job would empty it", _HINT)
    data = read_bytes(path, limit=MAX_JOB)
    try:
        content = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableError(path, f"not UTF-8 text (at position {error.start})", _HINT) from None
    places = Places(final=final, staging=staging, tables=None if tables is None else frozenset(tables))
    try:
        statements = lines(content)
        check_shapes(statements, places)
    except ValueError as error:
        raise RefusedError(f"{path}: {error}", _HINT) from None
    if not statements:
        raise RefusedError(f"{path}: the file holds no statement", _HINT)
    return statements


def same_but_for_temp_names(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two lists of statements mean the same to the letter, but for the names of temporary tables."""
    try:
        return _renamed(one) == _renamed(other)
    except UnknownSqlError:
        return False


def _renamed(statements: Sequence[str]) -> list[list[str]]:
    """The texts of the tokens, with temporary tables numbered in the order in which they are made."""
    numbers: dict[str, str] = {}
    renamed = []
    for statement in statements:
        found = [token for token in tokens(statement) if token.text != ";"]
        words = [token.value for token in found[:4]]
        if words[:1] == ["create"] and words[1] in _TEMPORARY and words[2] == "table":
            numbers[words[3]] = f"{len(numbers)}"
        renamed.append([_text(found, at, numbers) for at in range(len(found))])
    return renamed


def _text(found: Sequence[Token], at: int, numbers: Mapping[str, str]) -> str:
    token = found[at]
    if token.kind != "word":
        return token.text
    if is_bare_column(found, at):
        return quoted(token.value)
    return "temporary" if token.value in _TEMPORARY else numbers.get(token.value, token.value)
