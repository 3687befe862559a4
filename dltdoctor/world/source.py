"""The project's source: its dlt calls, and every place that names a staging dataset.

Files are parsed, never imported and never run. Only a file whose bytes mention dlt is read for calls,
and only one that mentions a staging dataset for references.
"""

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path

from dltdoctor.snapshot import Call, Source, TextReference, Unread
from dltdoctor.world.project import find_dlt_version, find_version, installed_dlt_version
from dltdoctor.world.source_calls import CallReader
from dltdoctor.world.source_resources import FileResources, ResourceReader, joined
from dltdoctor.world.source_scopes import Scopes
from dltdoctor.world.source_secrets import RawCredentials
from dltdoctor.world.source_strings import StringReader
from dltdoctor.world.source_text import Names, read_text
from dltdoctor.world.source_values import Values
from dltdoctor.world.source_walk import MAX_BYTES, Progress, SourceFile, Walk, unread

_MENTIONS_DLT = re.compile(rb"\bdlt\b")
_HAS_ROWS = re.compile(rb"\b(?:resource|transformer|source|apply_hints|run|extract)\b")
INSTALLED = "the dlt that dltdoctor itself runs with"


def read_source(
    root: Path, *, progress: Progress | None = None, staging_names: Collection[str] = ()
) -> tuple[Source, tuple[Unread, ...]]:
    """Everything the source says about where dlt loads, and the files that could not be read.

    File names are relative to `root`, with slashes. `staging_names` are schemas that count as staging
    besides those called `…_staging`. `progress` gets a line of text now and then.
    """
    reading = _Reading(root, Names(staging_names))
    walk = Walk(root, progress=progress)
    for file in walk.files():
        reading.read(file)
    version, origin = _dlt_version(root)
    sqlglot = find_version(root, "sqlglot") if any(c.function == "dataset" for c in reading.calls) else None
    source = Source(
        root=str(root),
        calls=tuple(reading.calls),
        references=tuple(reading.references),
        files_read=reading.files_read,
        dlt_version=version,
        dlt_version_origin=origin,
        resources=joined(reading.resources, reading.calls),
        sqlglot_version=sqlglot[0] if sqlglot else None,
        sqlglot_version_origin=sqlglot[1] if sqlglot else None,
    )
    return source, (*walk.unread, *reading.unread)


def credential_literals(source: Source) -> Mapping[tuple[str, int], RawCredentials]:
    """The unmasked `credentials=` literals by file and line of the value, read again from the files.

    For the room that connects, nobody else: `Argument.value` of the same file and line is masked. A
    literal is a DSN, or a dict of constants with dlt's keys ("host", "database", "username", …).
    """
    wanted = {
        call.file
        for call in source.calls
        if (given := call.argument("credentials")) and given.literal and given.value is not None
    }
    found: dict[tuple[str, int], RawCredentials] = {}
    for name in sorted(wanted):
        try:
            lines, values = _parsed((Path(source.root) / name).read_bytes()[:MAX_BYTES])
        except (OSError, *_UNREADABLE):
            continue
        reader = CallReader(name, lines, values)
        reader.calls()
        found.update({(name, line): raw for line, raw in reader.credentials.items() if raw is not None})
    return found


_UNREADABLE = (SyntaxError, ValueError, LookupError, RecursionError, MemoryError)


class _Reading:
    """What the files read so far say."""

    def __init__(self, root: Path, names: Names) -> None:
        self.root = root
        self.names = names
        self.calls: list[Call] = []
        self.references: list[TextReference] = []
        self.resources: list[FileResources] = []
        self.unread: list[Unread] = []
        self.files_read = 0

    def read(self, file: SourceFile) -> None:
        is_python = file.suffix == ".py"
        try:
            with Path(file.path).open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            if is_python:
                self.unread.append(unread(file.name, error.strerror or str(error)))
            return
        has_calls = is_python and b"dlt" in data and _MENTIONS_DLT.search(data) is not None
        if len(data) > MAX_BYTES:  # A dump, or generated: only worth a word when it mentions dlt.
            if has_calls:
                self.unread.append(unread(file.name, f"larger than {MAX_BYTES // 1_000_000} MB"))
            return
        self.files_read += 1
        has_references = self.names.may_be_in(data)
        if is_python and (has_calls or has_references):
            self._python(file, data, has_calls=has_calls, has_references=has_references)
        elif has_references:
            text = data.decode("utf-8-sig", "replace")
            self.references += read_text(file.name, file.suffix, text, self.names)

    def _python(self, file: SourceFile, data: bytes, *, has_calls: bool, has_references: bool) -> None:
        try:
            lines, values = _parsed(data)
            if has_calls:
                reader = CallReader(file.name, lines, values)
                self.calls += reader.calls()
                if _HAS_ROWS.search(data):
                    self.resources.append(ResourceReader(reader).read())
            if has_references:
                self.references += StringReader(file.name, lines, values, self.names).references()
        except _UNREADABLE as error:
            if has_calls:
                self.unread.append(_not_python(file.name, error))


def _parsed(data: bytes) -> tuple[list[str], Values]:
    """The lines of a Python file, and its expressions."""
    encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    text = data.decode(encoding)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # An invalid escape in the user's code is not our news.
        tree = ast.parse(text)
    return re.split(r"\r\n|\r|\n", text), Values(Scopes(tree))


def _not_python(name: str, error: Exception) -> Unread:
    line = getattr(error, "lineno", None)
    where = f"{name}:{line}" if line else name
    if isinstance(error, SyntaxError):
        reason = error.msg
    elif isinstance(error, UnicodeDecodeError):
        reason = f"not {error.encoding}: byte {error.start + 1}"
    else:
        reason = str(error) or type(error).__name__
    return unread(where, reason, hint="dlt calls in this file are not seen; the rest of the source was read")


def _dlt_version(root: Path) -> tuple[str | None, str | None]:
    found = find_dlt_version(root)
    if found:
        return found
    installed = installed_dlt_version()
    return (installed, INSTALLED) if installed else (None, None)
