"""A package's own job file: cut as dlt's loader cuts it, and refused when it holds anything else."""

import re

import pytest

from dltdoctor.errors import CouldNotLookError, RefusedError
from dltdoctor.world.job_statements import job_statements, same_but_for_temp_names
from dltdoctor.world.sql_tokens import UnknownSqlError, lines, on_one_line, tokens
from tests.captured import worlds

KEY = 'WHERE EXISTS (SELECT 1 FROM "shop_staging"."orders" as s WHERE d."id" = s."id")'
MERGE = (
    f'CREATE TEMPORARY TABLE orders_delete_1 AS SELECT d."_dlt_id" FROM "shop"."orders" as d {KEY}',
    'DELETE FROM "shop"."orders" WHERE "_dlt_id" IN ( SELECT * FROM orders_delete_1 )',
    'INSERT INTO "shop"."orders"("id", "_dlt_id") SELECT "id", "_dlt_id" FROM "shop_staging"."orders"',
)
HOSTILE = {
    "two statements": 'DELETE FROM "shop"."orders" WHERE 1 = 1; DROP SCHEMA public CASCADE',
    "drop schema": 'DROP SCHEMA "shop" CASCADE',
    "drop of staging": 'DROP TABLE "shop_staging"."orders"',
    "drop of two": 'DROP TABLE "shop"."orders", "shop"."items"',
    "drop with cascade": 'DROP TABLE IF EXISTS "shop"."orders" CASCADE',
    "another schema": 'DELETE FROM "crm"."contacts" WHERE 1 = 1',
    "another schema read": 'INSERT INTO "shop"."orders"("id") SELECT "id" FROM "crm"."contacts"',
    "catalog by word": 'INSERT INTO "shop"."orders"("id") SELECT "id" FROM pg_authid',
    "catalog unqualified": 'INSERT INTO "shop"."orders"("id") SELECT "rolname" FROM "pg_authid"',
    "catalog in a list": 'INSERT INTO "shop"."orders"("id") SELECT "id" FROM "shop"."orders", "pg_authid"',
    "a function": 'INSERT INTO "shop"."orders"("id") SELECT pg_read_file("id") FROM "shop_staging"."orders"',
    "a quoted function": 'INSERT INTO "shop"."orders"("id") SELECT "pg_sleep"(9) FROM "shop_staging"."orders"',
    "a qualified function": 'INSERT INTO "shop"."orders"("id") SELECT "shop"."f"(9) FROM "shop_staging"."orders"',
    "a function named d": 'DELETE FROM "shop"."orders" WHERE d("id") = 1',
    "a function of d": 'DELETE FROM "shop"."orders" WHERE d."f"("id") = 1',
    "a cast": 'DELETE FROM "shop"."orders" WHERE "id" = \'x\'::regclass',
    "a comment": 'DELETE FROM "shop"."orders" -- WHERE 1 = 0',
    "a block comment": 'DELETE FROM "shop"."orders" /* */ WHERE 1 = 1',
    "a dollar quote": 'DELETE FROM "shop"."orders" WHERE "id" = $$x$$',
    "a backslash in a literal": 'DELETE FROM "shop"."orders" WHERE "id" = \'a\\\'',
    "an open quote": 'DELETE FROM "shop"."orders" WHERE "id" = "x',
    "returning": 'DELETE FROM "shop"."orders" WHERE 1 = 1 RETURNING "id"',
    "with": 'WITH x AS (DELETE FROM "shop"."orders") SELECT 1',
    "copy": 'COPY "shop"."orders" TO PROGRAM \'sh\'',
    "do": "DO 'BEGIN END'",
    "set": "SET ROLE postgres",
    "select": 'SELECT * FROM "shop"."orders"',
    "commit": "COMMIT",
    "create from nothing": "CREATE TEMP TABLE x AS TABLE pg_authid",
    "create in final": 'CREATE TABLE "shop"."x" (like "shop"."orders" including all)',
    "create with columns": 'CREATE TABLE "shop_staging"."x" ("id" int)',
    "alter of final": 'ALTER TABLE "shop"."orders" SET SCHEMA "public"',
    "alter otherwise": 'ALTER TABLE "shop_staging"."orders" OWNER TO "mallory"',
    "another database": 'DELETE FROM "shop"."orders"."x" WHERE 1 = 1',
    "update of staging": 'UPDATE "shop_staging"."orders" SET "id" = 1',
    "unknown temporary table": 'INSERT INTO x SELECT "id" FROM "shop_staging"."orders"',
    "an unquoted name with a hyphen": 'CREATE TEMPORARY TABLE my-table_delete_1 AS SELECT d."_dlt_id" FROM "shop"."o"',
    "a sort column that Postgres would fold": (
        'CREATE TEMP TABLE t AS SELECT "a" FROM ( SELECT ROW_NUMBER() OVER (partition BY "id" ORDER BY Changed DESC) '
        'AS _dlt_dedup_rn, "a" FROM "shop_staging"."orders" ) AS _dlt_dedup_numbered WHERE _dlt_dedup_rn = 1'
    ),
}


def read(tmp_path, text, **places):
    path = tmp_path / "orders.0123456789.0.sql"
    path.write_text(text, encoding="utf-8")
    return job_statements(str(path), **({"final": "shop", "staging": "shop_staging"} | places))


@pytest.mark.parametrize("end", ["\n", ";\n", "   ;         \n"])
def test_statements_as_every_era_wrote_them(tmp_path, end):
    assert read(tmp_path, end.join(MERGE)) == MERGE
    assert read(tmp_path, end.join(MERGE) + end) == MERGE


@pytest.mark.parametrize("statement", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused(tmp_path, statement):
    with pytest.raises(RefusedError):
        read(tmp_path, "\n".join((*MERGE, statement)))


@pytest.mark.parametrize("text", ["", " \n;\n"])
def test_an_empty_file_is_refused(tmp_path, text):
    with pytest.raises(RefusedError, match="no statement"):
        read(tmp_path, text)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(CouldNotLookError):
        job_statements(str(tmp_path / "gone.sql"), final="shop", staging="shop_staging")
    (tmp_path / "binary.sql").write_bytes(b"DELETE \xff\xfe")
    with pytest.raises(CouldNotLookError, match="UTF-8"):
        job_statements(str(tmp_path / "binary.sql"), final="shop", staging="shop_staging")


def test_only_the_tables_of_the_chain(tmp_path):
    assert read(tmp_path, "\n".join(MERGE), tables=["orders", "orders__items"]) == MERGE
    with pytest.raises(RefusedError, match="not a table of this chain"):
        read(tmp_path, "\n".join(MERGE), tables=["events"])


def test_signs_and_line_ends_within_quotes_cut_nothing(tmp_path):
    odd = 'DELETE FROM "shop"."a;b  c"" ( -- d" WHERE "x;y" = \'p;q\'\'  r\''
    assert read(tmp_path, f"{odd};\n{odd}") == (odd, odd)
    assert on_one_line('  SELECT\n   "a\n b" ;  \n') == 'SELECT "a\n b"'
    assert lines('a "b\nc" d;e\nf') == ('a "b\nc" d', "e", "f")


def test_names_that_look_like_signs_are_names(tmp_path):
    for name in ("(", ",", ".", "from", 'a"b'):
        quoted = '"' + name.replace('"', '""') + '"'
        statement = f'DELETE FROM "shop".{quoted} WHERE {quoted} IN (SELECT {quoted} FROM "shop_staging".{quoted})'
        assert read(tmp_path, statement) == (statement,)


def test_unknown_signs_are_refused_not_dropped():
    for text in ("a $ b", 'a "', "a 'b", "a \\ b", "a \0 b", "12ab", "U&'x'"):
        with pytest.raises(UnknownSqlError):
            tokens(text)
        with pytest.raises(UnknownSqlError):
            on_one_line(text)


def test_the_same_but_for_temporary_names():
    older = tuple(s.replace("TEMPORARY", "TEMP").replace("orders_delete_1", "delete_orders_9f") + ";" for s in MERGE)
    assert same_but_for_temp_names(MERGE, older)
    assert not same_but_for_temp_names(MERGE, MERGE[:2])
    assert not same_but_for_temp_names(MERGE, (*MERGE[:2], MERGE[2].replace('"id"', '"no"')))
    assert not same_but_for_temp_names(("a $ b",), ("a $ b",))
    swapped = [
        "CREATE TEMP TABLE {0} AS SELECT 1",
        "CREATE TEMP TABLE {1} AS SELECT 2",
        'DELETE FROM "a"."b" WHERE "c" IN (SELECT * FROM {0})',
    ]
    one, other = [s.format("x", "y") for s in swapped], [s.format("x", "y") for s in swapped]
    assert same_but_for_temp_names(one, [s.format("p", "q") for s in swapped])
    other[2] = other[2].replace("FROM x)", "FROM y)")
    assert not same_but_for_temp_names(one, other)


@pytest.mark.parametrize("version", sorted({w.version for w in worlds() if w.captured}))
def test_every_job_that_dlt_wrote_is_read(version, tmp_path):
    seen = 0
    for world in worlds():
        if world.version != version:
            continue
        place = tmp_path / world.world
        for path in world.unpack(place).pipelines_dir.rglob("*.sql"):
            written = path.read_text(encoding="utf-8")
            names = sorted(set(re.findall(r'"([^"]+)"\."', written)), key=len)  # one, where staging is final
            if len(names) == 1:
                with pytest.raises(RefusedError, match="at once"):
                    job_statements(str(path), final=names[0], staging=names[0])
                continue
            statements = job_statements(str(path), final=names[0], staging=names[1])
            assert same_but_for_temp_names(statements, written.strip().splitlines())
            seen += 1
    assert seen
