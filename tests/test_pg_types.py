"""What is said about types is what Postgres does with them."""

import psycopg
import pytest

from dltdoctor.deduced.pg_types import trouble

TIME = "timestamp with time zone"
PLAIN = "timestamp without time zone"
# source, a telling value, target
CARRIED = [
    ("bigint", "7", "bigint"),
    ("integer", "7", "bigint"),
    ("bigint", "9000000000", "integer"),
    ("bigint", "9000000000", "numeric"),
    ("bigint", "9000000000", "numeric(5,0)"),
    ("bigint", "9007199254740993", "double precision"),
    ("integer", "16777217", "real"),
    ("integer", "7", "double precision"),
    ("double precision", "1.5", "bigint"),
    ("double precision", "1.23456789012", "real"),
    ("double precision", "1.23456789", "numeric(10,2)"),
    ("numeric", "1.5", "bigint"),
    ("numeric(38,9)", "1.123456789", "numeric(38,9)"),
    ("numeric(38,9)", "1.123456789", "numeric(38,2)"),
    ("numeric(10,2)", "12345678.12", "numeric(38,9)"),
    ("numeric(10,2)", "12345678.12", "numeric(6,2)"),
    ("numeric", "1.123", "numeric(38,2)"),
    ("numeric", "123456789.123456789123", "double precision"),
    ("character varying", "'word'", "text"),
    ("character varying(9)", "'word'", "character varying(10)"),
    ("character varying", "'a long word'", "character varying(4)"),
    ("character varying(20)", "'a long word'", "character varying(4)"),
    ("text", "'a long word'", "character varying(4)"),
    ("character varying", "'7'", "bigint"),
    ("character varying", "'2026-01-01'", TIME),
    ("character varying", "'{}'", "jsonb"),
    ("bigint", "7", "text"),
    ("bigint", "123456", "character varying(3)"),
    ("boolean", "true", "bigint"),
    ("boolean", "true", "text"),
    ("jsonb", "'{}'", "json"),
    ("json", "'{}'", "jsonb"),
    ("jsonb", "'[1]'", "text"),
    ("date", "'2026-01-01'", TIME),
    (TIME, "'2026-01-01 10:11:12'", "date"),
    (TIME, "'2026-01-01 10:11:12'", PLAIN),
    (PLAIN, "'2026-01-01 10:11:12'", TIME),
    (TIME, "'2026-01-01 10:11:12.123456'", "timestamp(3) with time zone"),
    ("timestamp(3) with time zone", "'2026-01-01 10:11:12.123'", TIME),
    ("timestamp(3) with time zone", "'2026-01-01 10:11:12.123'", "timestamp(6) with time zone"),
    ("time without time zone", "'10:11:12.5'", "time(0) without time zone"),
    ("bytea", "'x'", "text"),
    ("date", "'2026-01-01'", "bigint"),
]
SHIFTING = {(TIME, PLAIN), (PLAIN, TIME)}


@pytest.mark.parametrize(("source", "value", "target"), CARRIED)
def test_a_value_is_carried_over_as_said(postgres: str, source: str, value: str, target: str) -> None:
    with psycopg.connect(postgres) as connection:
        connection.execute(f"CREATE TEMP TABLE s AS SELECT {value}::{source} AS v".encode())
        connection.execute(f"CREATE TEMP TABLE t (v {target})".encode())
        lost = f"SELECT v::text::{source}::text <> (SELECT v::text FROM s) FROM t"
        try:
            connection.execute(b"INSERT INTO t SELECT v FROM s")
            is_whole = (source, target) not in SHIFTING and connection.execute(lost.encode()).fetchall() == [(False,)]
        except (psycopg.DataError, psycopg.ProgrammingError):
            is_whole = False
        assert (trouble(source, target, is_key=False) is None) == is_whole


@pytest.mark.parametrize(
    ("source", "target"),
    [(s, t) for s in ("bigint", "numeric", "text", "character varying(9)", "date", TIME, PLAIN, "boolean", "bytea") for t in
     ("integer", "double precision", "text", "character varying", "date", TIME, "boolean", "bytea", "uuid")],
)  # fmt: skip
def test_keys_are_compared_as_said(postgres: str, source: str, target: str) -> None:
    with psycopg.connect(postgres) as connection:
        connection.execute(f"CREATE TEMP TABLE s (v {source})".encode())
        connection.execute(f"CREATE TEMP TABLE t (v {target})".encode())
        try:
            connection.execute(b"SELECT FROM t JOIN s ON t.v = s.v")
        except psycopg.ProgrammingError:
            compares = False
        else:
            compares = True
        said = trouble(source, target, is_key=True) or ""
        assert ("cannot be compared" not in said) == compares
