"""Job files of any content: refused with the file's name, or staged as Postgres itself would have read them."""

import gzip
import io
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import psycopg
import pytest
from dlt.common.data_writers.writers import InsertValuesWriter
from dlt.destinations import postgres as destination
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dltdoctor.world.job_files import UnreadableFileError, iterate, open_job_file, stage, stream

KINDS = {
    "t": ("text", "character varying"),
    "n": ("bigint", "bigint"),
    "d": ("double", "double precision"),
    "m": ("decimal", "numeric"),
    "f": ("bool", "boolean"),
    "s": ("timestamp", "timestamp with time zone"),
    "y": ("date", "date"),
    "h": ("time", "time without time zone"),
    "b": ("binary", "bytea"),
    "j": ("json", "jsonb"),
}
TYPES = {name: kind for name, (_, kind) in KINDS.items()}
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-11))])
# what would be an end, a start or an escape, were it not within a text
TRAPS = st.sampled_from(
    ["'", "''", "\\", "\\\\", "\n", "\r", "),\n(", ",E'", "E'", ");", "NULL", "\\n", "\t", ",-0,", "\\.", "é🦆"]
)
TEXTS = st.lists(TRAPS | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5), max_size=6).map(
    "".join
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
VALUES = {
    "t": TEXTS,
    "n": st.integers(-(2**63), 2**63 - 1),
    "d": st.floats(allow_nan=False, allow_infinity=False),
    "m": st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**20), max_value=10**20)
    | st.just(Decimal("1E+5")),
    "f": st.booleans(),
    "s": st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=ZONES),  # noqa: DTZ001
    "y": st.dates(date(1, 1, 1)),
    "h": st.times(),
    "b": st.binary(max_size=9),
    "j": st.lists(JSON, max_size=3) | st.dictionaries(TEXTS, JSON, max_size=3),
}
ROWS = st.lists(
    st.fixed_dictionaries({}, optional={n: st.none() | v for n, v in VALUES.items()}), min_size=1, max_size=8
)
MANY = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
# each trap stands between others, where many rows are read at once
TRAPPED = [{"t": text, "d": 1.5, "j": [text]} for text in ("a", ",E'", "x,E", ",E'y", "'", ",E", "", "),(E'", "b")]
INTO = ("pg_temp", "kinds")
# in larger blocks everything would be read together with the head, which is done line by line
BLOCKS = st.sampled_from([1, 30, 100, 300, stream.BLOCK])


@pytest.fixture
def connection(postgres):
    with psycopg.connect(postgres, client_encoding="utf8") as connection:
        columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
        for table in ("kinds", "executed"):
            connection.execute(f"CREATE TEMPORARY TABLE {table} ({columns})")
        connection.commit()
        yield connection
        connection.rollback()


@MANY
@given(rows=ROWS, size=BLOCKS)
@example(rows=[{"d": -0.0, "t": ",-0,"}, {"d": -0.0}], size=30)
@example(rows=[{"t": "\\.", "h": time(0)}, {"t": "\n\\.\n"}], size=30)
@example(rows=TRAPPED, size=30)
@example(rows=TRAPPED, size=100)
def test_what_dlt_writes_is_what_dlt_would_have_inserted(connection, tmp_path, rows, size):
    content = _written(rows)
    assert _staged(connection, tmp_path, content, size=size) == _executed(connection, content)
    file = open_job_file(str(tmp_path / "kinds.abc.0.insert_values"))
    texts = [row.get("t") for row in rows]
    assert [row.get("t") for row in iterate(file)] == [
        None if text is None else text.replace("\0", "") for text in texts
    ]


CUTS = st.tuples(st.floats(0, 1), st.floats(0, 1))
PIECES = st.binary(max_size=4) | st.sampled_from(
    [
        b"'",
        b"E'",
        b"\\",
        b"\n",
        b"\r\n",
        b"),\n(",
        b");",
        b"\0",
        b"\xff",
        b"1",
        b"-",
        b"NULL",
        b",",
        b"(",
        b")",
        b" ",
        b"--",
        b"$1",
        b"{}",
    ]
)


@MANY
@given(rows=ROWS, cut=CUTS, piece=PIECES, packed=st.booleans(), size=BLOCKS)
def test_a_changed_file_is_refused_or_means_what_it_means_to_postgres(
    connection, tmp_path, rows, cut, piece, packed, size
):
    content = _written(rows)
    start, length = int(cut[0] * len(content)), int(cut[1] * 6)
    changed = content[:start] + piece + content[start + length :]
    try:
        staged = _staged(connection, tmp_path, changed, packed=packed, size=size)
    except UnreadableFileError as error:
        assert "kinds.abc.0.insert_values" in str(error)
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM kinds").fetchall() == [(0,)]
    else:
        assert staged == _executed(connection, changed)


@MANY
@given(rows=ROWS, at=st.floats(0, 1), bits=st.integers(1, 255))
def test_a_damaged_archive_is_refused_or_whole(connection, tmp_path, rows, at, bits):
    content = _written(rows)
    packed = bytearray(gzip.compress(content))
    packed[min(int(at * len(packed)), len(packed) - 1)] ^= bits
    (tmp_path / "kinds.abc.0.insert_values").write_bytes(packed)
    try:
        staged = _rows_of_file(connection, tmp_path)
    except UnreadableFileError:
        connection.rollback()
    else:
        assert staged == _executed(connection, content)


@MANY
@given(
    content=st.binary(max_size=200), name=st.sampled_from(["insert_values", "csv", "jsonl", "typed-jsonl", "parquet"])
)
def test_rubbish_is_refused(connection, tmp_path, content, name):
    path = tmp_path / f"kinds.abc.0.{name}"
    path.write_bytes(content)
    try:
        assert stage(connection, open_job_file(str(path)), INTO, TYPES) == 0
    except UnreadableFileError as error:
        assert str(path) in str(error)
    connection.rollback()


def _written(rows: list[dict]) -> bytes:
    """The rows as the writer of the dlt that is installed puts them down."""
    text = io.StringIO()
    writer = InsertValuesWriter(text, destination().capabilities())
    writer.write_all({name: {"name": name, "data_type": kind} for name, (kind, _) in KINDS.items()}, rows)
    return text.getvalue().encode()


def _staged(connection, place, content: bytes, *, packed: bool = False, size: int = stream.BLOCK) -> list[str]:
    path = place / "kinds.abc.0.insert_values"
    path.write_bytes(gzip.compress(content) if packed else content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "BLOCK", size)
        return _rows_of_file(connection, place)


def _rows_of_file(connection, place) -> list[str]:
    file = open_job_file(str(place / "kinds.abc.0.insert_values"))
    count = stage(connection, file, INTO, TYPES)
    rows = [row for (row,) in connection.execute("SELECT whole::text FROM kinds AS whole ORDER BY ctid")]
    connection.rollback()
    assert len(rows) == count
    return rows


def _executed(connection, content: bytes) -> list[str]:
    """What Postgres makes of it as SQL: of a file that was read as data."""
    if content.strip().endswith(b"VALUES"):
        return []
    with connection.cursor() as cursor:
        for statement in content.decode().replace("INSERT INTO {}(", "\0INSERT INTO executed(").split("\0")[1:]:
            cursor.execute(statement.encode())
    rows = [row for (row,) in connection.execute("SELECT whole::text FROM executed AS whole ORDER BY ctid")]
    connection.rollback()
    return rows
