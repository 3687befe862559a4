"""Job files that real dlt wrote and loaded: staging them gives the very rows that dlt put into its table."""

from collections.abc import Mapping

import pytest

from dltdoctor.world.job_files import JobFile, iterate
from tests.job_files import columns_in_database, completed, restaged
from tests.real import RealWorld

# Every data type of dlt, and the values that are hard to write down.
TYPES = r"""
import sys, dlt
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from dlt.common.wei import Wei

EAST = timezone(timedelta(hours=5, minutes=30))
TEXTS = [
    "", "'", "''", "'''", "\\", "\\\\", "\\n", "a\nb", "a\r\nb\r", "\t", "a\tb", "\\.", "a\n\\.\nb", "NULL", "\\N",
    "E'", ",E'", "a,E'b", "x,E", "),\n(", "),(1,E'", "); DROP TABLE x; --", '"', "a,b", " ", " a ", "$$", "{}", "%s",
    "ünï çødé", "日本語", "🦆", "\u2028\x85\x0b\x0c\x1c", "\x01\x7f", "'); SELECT 1", "\\x41", "\\'", "é" * 5000, "/* */",
    "True", "1", "2024-01-01", "\\u0041", "\\101", "(", ")", "(E'a',E'b')", ",", "'),\n('", "\\,", "x'\\",
]
NUMBERS = [0, 1, -1, 2**63 - 1, -(2**63), 7]
DOUBLES = [0.0, -0.0, 0.1, 1e300, -1e-300, 1.7976931348623157e308, 5e-324, 123456789.123456789, 1e16, 1 / 3]
DECIMALS = [Decimal("0"), Decimal("1E+3"), Decimal("-1.000000001"), Decimal("0.000000001"), Decimal("12345678901234567890.5")]
WEIS = [Wei(0), Wei(10**18), Wei(2**255), Wei("1.5")]
STAMPS = [
    datetime(2024, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc), datetime(1, 1, 1, tzinfo=timezone.utc),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc), datetime(2024, 6, 1, 12, tzinfo=EAST),
]
NAIVE = [datetime(2024, 1, 2, 3, 4, 5, 678901), datetime(1999, 12, 31)]
BYTES = [b"", b"\x00\xff", b"'\\\n", bytes(range(256))]
JSONS = [
    {}, [], {"a": "it's \"q\" \\ \n \t é 🦆", "b": [1, 2.5, None, True], "c": {"d": "x,E'y"}}, ["'", "\\", "),\n("], {"n": 10**18},
]


def pick(values, at):
    return None if at % 7 == 6 else values[at % len(values)]


@dlt.resource(
    name="kinds",
    write_disposition="append",
    columns={
        "text": {"data_type": "text"}, "short": {"data_type": "text", "precision": 20}, "number": {"data_type": "bigint"},
        "small": {"data_type": "bigint", "precision": 16}, "double": {"data_type": "double"},
        "decimal": {"data_type": "decimal"}, "wide": {"data_type": "decimal", "precision": 30, "scale": 2},
        "wei": {"data_type": "wei"}, "flag": {"data_type": "bool"}, "stamp": {"data_type": "timestamp"},
        "naive": {"data_type": "timestamp", "timezone": False}, "coarse": {"data_type": "timestamp", "precision": 0},
        "day": {"data_type": "date"}, "hour": {"data_type": "time"},
        "bytes": {"data_type": "binary"}, "json": {"data_type": "json"}, "never": {"data_type": "text"},
    },
)
def kinds(start):
    for at in range(start, start + 120):
        row = {
            "id": at, "text": pick(TEXTS, at), "short": pick(["a'b", "\\", ""], at), "number": pick(NUMBERS, at), "small": pick([1, -32768], at),
            "double": pick(DOUBLES, at), "decimal": pick(DECIMALS, at), "wide": pick([Decimal("1.5"), Decimal("-99.99")], at),
            "wei": pick(WEIS, at), "flag": pick([True, False], at), "stamp": pick(STAMPS, at), "naive": pick(NAIVE, at),
            "coarse": pick(STAMPS, at), "day": pick([date(2024, 2, 29), date(1, 1, 1)], at),
            "hour": pick([time(0), time(23, 59, 59, 999999)], at), "bytes": pick(BYTES, at), "json": pick(JSONS, at),
            "items": [{"sku": "it's", "n": at}, {"sku": None}],
        }
        yield row


MORE
pipeline = dlt.pipeline("kinds", destination="postgres", dataset_name="kinds")
for start in (0, 120, 240):
    pipeline.run(kinds(start), loader_file_format="FORMAT")
"""


@pytest.fixture
def world(tmp_path, database):
    return RealWorld(tmp_path, database)


def _script(form: str, more: str = "") -> str:
    return TYPES.replace("FORMAT", form).replace("MORE", more)


def _equal(world: RealWorld, table: str, *, form: str, rows: int, known: tuple[str, ...] = ()) -> list[JobFile]:
    files = completed(world.pipelines_dir, table, known)
    assert {file.format for file in files} == {form}
    assert restaged(world.dsn, ("kinds", table), files) == (rows, 0, 0)
    assert sum(set(row) == set(file.columns) for file in files for row in iterate(file)) == rows
    return files


@pytest.mark.parametrize("packed", ["no", "yes"])
def test_every_type_of_insert_values(world, packed):
    world.run(_script("insert_values"), env={"DATA_WRITER__DISABLE_COMPRESSION": "true" if packed == "no" else "false"})
    files = _equal(world, "kinds", form="insert_values", rows=360)
    assert all(file.path.endswith(".gz") == (packed == "yes") for file in files)
    _equal(world, "kinds__items", form="insert_values", rows=720)


# dlt's csv holds no bytes that are not UTF-8, but it holds numbers that are none
CSV = r"""
BYTES = [b"\\x00ff", b"abc"]
DOUBLES += [float("inf"), float("-inf"), float("nan")]
"""
DIALECTS = {
    "as it comes": {},
    "other delimiter": {"DELIMITER": "|"},
    "all quoted": {"QUOTING": "quote_all", "DELIMITER": "\t"},
    "least quoted": {"QUOTING": "quote_minimal"},
    "not packed": {"DISABLE_COMPRESSION": "true"},
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_csv(world, dialect):
    world.run(_script("csv", CSV), env=_dialect(DIALECTS[dialect]))
    files = _equal(world, "kinds", form="csv", rows=360)
    assert {file.delimiter for file in files} == {DIALECTS[dialect].get("DELIMITER", ",")}
    _equal(world, "kinds", form="csv", rows=360, known=tuple(columns_in_database(world.dsn, ("kinds", "kinds"))))


# without a header dlt itself counts the columns of the first row by its delimiters, quoted or not
NO_HEADER = """
import dlt

rows = [{"id": at, "text": text} for at, text in enumerate(["a", "b,c;d", "e\\nf", None, "it's", '"'])]
pipeline = dlt.pipeline("kinds", destination="postgres", dataset_name="kinds")
pipeline.run(rows, table_name="kinds", loader_file_format="csv")
"""


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_csv_without_a_header(world, delimiter):
    world.run(NO_HEADER, env=_dialect({"INCLUDE_HEADER": "false", "DELIMITER": delimiter}))
    known = tuple(columns_in_database(world.dsn, ("kinds", "kinds")))
    [file] = _equal(world, "kinds", form="csv", rows=6, known=known)
    assert not file.has_header
    assert file.delimiter == delimiter


def _dialect(options: Mapping[str, str]) -> dict[str, str]:
    sections = ("NORMALIZE__DATA_WRITER", "DESTINATION__POSTGRES__CSV_FORMAT")
    return {f"{section}__{name}": value for section in sections for name, value in options.items()}


PARQUET = """
WEIS = [Wei(0), Wei(10**18)]
DOUBLES += [float("inf"), float("-inf"), float("nan")]
"""


def test_parquet(world):
    pytest.importorskip("pyarrow")
    pytest.importorskip("adbc_driver_postgresql")
    world.run(_script("parquet", PARQUET))
    _equal(world, "kinds", form="parquet", rows=360)
    _equal(world, "kinds__items", form="parquet", rows=720)
