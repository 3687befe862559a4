"""Job files that dlt did not write like this: refused with the file's name, and no row and no SQL reaches the server."""

import gzip
import json
import os
import sys
import tracemalloc

import psycopg
import pytest

from dltdoctor.world.job_files import UnreadableFileError, iterate, open_job_file, stage
from dltdoctor.world.job_files.stream import BLOCK

HEAD = b'INSERT INTO {}("id","name")\nVALUES\n'
TYPES = {"id": "bigint", "name": "character varying", "data": "bytea", "doc": "jsonb"}
INTO = ("pg_temp", "people")
SECRET = "s3cret"


@pytest.fixture
def connection(postgres):
    """A temporary table needs no database of its own, and is gone with the connection."""
    with psycopg.connect(postgres, client_encoding="utf8") as connection:
        columns = ", ".join(f"{name} {kind}" for name, kind in TYPES.items())
        connection.execute(f"CREATE TEMPORARY TABLE people ({columns})")
        connection.commit()
        yield connection
        connection.rollback()


@pytest.fixture
def write(tmp_path):
    def _write(content: bytes, name: str = "people.abc.0.insert_values") -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return _write


def _staged(connection, path: str, **known) -> list[tuple]:
    rows = stage(connection, open_job_file(path, **known), INTO, TYPES)
    found = connection.execute("SELECT id, name FROM people ORDER BY ctid").fetchall()
    assert len(found) == rows
    return found


def _refused(connection, path: str, **known) -> UnreadableFileError:
    """The refusal; it names the file, quotes nothing of it, and nothing was written."""
    with pytest.raises(UnreadableFileError) as caught:
        _staged(connection, path, **known)
    connection.rollback()
    assert connection.execute("SELECT count(*) FROM people").fetchall() == [(0,)]
    assert connection.execute("SELECT to_regclass('gone')").fetchall() == [(None,)]
    said = str(caught.value)
    assert path in said
    assert SECRET not in said
    assert caught.value.hint
    return caught.value


HOSTILE = {
    "a function": b"(1,pg_read_file('s3cret'));",
    "a function in a text's place": b"(1,upper(E's3cret'));",
    "a subquery": b"(1,(SELECT version()));",
    "a keyword": b"(1,CURRENT_USER);",
    "a default": b"(DEFAULT,E's3cret');",
    "a cast": b"(1,E's3cret'::text);",
    "a concatenation": b"(1,E's3cret'||E'b');",
    "two texts in a row": b"(1,E's3cret' E'b');",
    "arithmetic": b"(1+1,E's3cret');",
    "a comment": b"(1,E's3cret'/* */);",
    "a comment at the end": b"(1,E's3cret'); -- more",
    "a comment line": b"-- s3cret\n(1,E'a');",
    "a second statement": b"(1,E's3cret'); CREATE TABLE gone ();",
    "a second statement on its line": b"(1,E's3cret');\nCREATE TABLE gone ();",
    "another insert": b"(1,E's3cret');\nINSERT INTO people(\"id\",\"name\")\nVALUES\n(1,E'b');",
    "an insert of other columns": b"(1,E's3cret');\nINSERT INTO {}(\"name\",\"id\")\nVALUES\n(E'b',1);",
    "returning": b"(1,E's3cret') RETURNING id;",
    "on conflict": b"(1,E's3cret') ON CONFLICT DO NOTHING;",
    "an open quote": b"(1,E's3cret);",
    "a quote too many": b"(1,E's3cret'');",
    "a quote inside": b"(1,E's3'cret');",
    "an escaped quote": b"(1,E's3cret\\');",
    "an unknown escape": b"(1,E's3cret\\t');",
    "an octal escape": b"(1,E's3cret\\101');",
    "a unicode escape": b"(1,E's3cret\\u0041');",
    "a dollar quote": b"(1,$$s3cret$$);",
    "a bit string": b"(B'101',E's3cret');",
    "a unicode string": b"(1,U&'s3cret');",
    "a national string": b"(1,N's3cret');",
    "a plain text": b"(1,'s3cret');",
    "bytes of half a digit": b"(1,'\\xabc');",
    "bytes that are none": b"(1,'\\xzz');",
    "an identifier": b'(1,"name");',
    "not a number": b"(NaN,E's3cret');",
    "infinity": b"(inf,E's3cret');",
    "a hexadecimal number": b"(0x10,E's3cret');",
    "a parameter": b"($1,E's3cret');",
    "a placeholder": b"({},E's3cret');",
    "spaces": b"( 1, E's3cret' );",
    "lower case": b"(1,null);",
    "a value too few": b"(1);",
    "a value too many": b"(1,E's3cret',2);",
    "no value": b"();",
    "an empty value": b"(1,);",
    "no parenthesis": b"1,E's3cret';",
    "two rows on a line": b"(1,E's3cret'),(2,E'b');",
    "no comma after a row": b"(1,E's3cret')\n(2,E'b');",
    "a newline in a text": b"(1,E's3\ncret');",
    "a carriage return in a text": b"(1,E's3\rcret');",
    "a zero byte": b"(1,E's3\x00cret');",
    "not UTF-8": b"(1,E's3cret\xff');",
    "not UTF-8 in many rows": b"(1,E'a'),\n" * 50_000 + b"(1,E's3cret\xff'),\n" * 50_000 + b"(1,E'b');",
    "a surrogate": b"(1,E's3cret\xed\xa0\x80');",
    "carriage returns": b"(1,E's3cret'),\r\n(2,E'b');\r\n",
    "an empty line": b"(1,E's3cret'),\n\n(2,E'b');",
    "cut within a text": b"(1,E's3cret'),\n(2,E'b",
    "cut after a comma": b"(1,E's3cret'),\n",
    "cut after a row": b"(1,E's3cret')",
    "cut after many rows": b"(1,E's3cret'),\n" * 100_000,
    "text in a number's column": b"(1,E'a'),\n(E's3cret',E'b');",
    "a number out of range": b"(99999999999999999999,E's3cret');",
    "a date in a number's column": b"('2024-01-01',E's3cret');",
    "a number with two points": b"(1.2.3,E's3cret');",
    "a bad row after many": b"(1,E'a\\nb'),\n" * 100_000 + b"(E's3cret',E'b');",
}


@pytest.mark.parametrize("rows", HOSTILE.values(), ids=HOSTILE)
def test_rows(connection, write, rows):
    _refused(connection, write(HEAD + rows))


HEADS = {
    "nothing": b"",
    "a statement": b"DROP TABLE people;\n",
    "a table's name": b'INSERT INTO people("id")\nVALUES\n(1);',
    "a hidden statement": b'INSERT INTO {}("id") SELECT 1; DROP TABLE people; --\nVALUES\n(1);',
    "select union": b'INSERT INTO {}("id")\nSELECT 1;',
    "no columns": b"INSERT INTO {}()\nVALUES\n(1);",
    "unquoted columns": b"INSERT INTO {}(id)\nVALUES\n(1);",
    "a column twice": b'INSERT INTO {}("id","id")\nVALUES\n(1,2);',
    "an unknown column": b'INSERT INTO {}("nobody")\nVALUES\n(1);',
    "an open identifier": b'INSERT INTO {}("id)\nVALUES\n(1);',
    "only a head": b'INSERT INTO {}("id")\n',
    "a comment before": b'/* */INSERT INTO {}("id")\nVALUES\n(1);',
    "carriage returns": b'INSERT INTO {}("id")\r\nVALUES\r\n(1);\r\n',
    "a mark of the byte order": b'\xef\xbb\xbfINSERT INTO {}("id")\nVALUES\n(1);',
    "binary": bytes(range(256)) * 64,
    "zeros": bytes(4096),
}


@pytest.mark.parametrize("content", HEADS.values(), ids=HEADS)
def test_heads(connection, write, content):
    _refused(connection, write(content))
    _refused(connection, write(gzip.compress(content)))


WORDS = {
    "a row": (HEAD + b"(1,E'a'),\n(2,pg_sleep(9));", "row 2: value 2 of column name is not a literal"),
    "of many": (HEAD + b"(1,E'a\\nb'),\n" * 70_000 + b"(E'x',E'b');", "row 70,001: column id: the value is no bigint"),
    "a count": (HEAD + b"(1,E'a',3);", "row 1: it has 3 values for 2 columns"),
    "a cut": (HEAD + b"(1,E'a'),\n", "row 2: the file ends before its statement does"),
    "returns": (HEAD + b"(1,E'a'),\r\n(2,E'b');", "row 1: there is a carriage return"),
    "bytes": (HEAD + b"(1,E'\xff');", "row 1: it is not UTF-8"),
    "range": (HEAD + b"(99999999999999999999,E'a');", "row 1: column id: the number is out of range"),
    "json": (
        b'INSERT INTO {}("id","doc")\nVALUES\n(1,NULL),\n(2,E\'{"a"\');',
        "row 2: column doc: the value is no jsonb",
    ),
    "a column": (b'INSERT INTO {}("nobody")\nVALUES\n(1);', "columns that its table has not: nobody"),
}


@pytest.mark.parametrize(("content", "words"), WORDS.values(), ids=WORDS)
def test_it_says_where_and_what(connection, write, content, words):
    assert words in _refused(connection, write(content)).reason


def test_a_damaged_archive(connection, write):
    whole = gzip.compress(HEAD + b"".join(b"(%d,E'%x'),\n" % (n, n * n) for n in range(60_000)) + b"(1,E'b');")
    for cut in (3, 12, 100, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        assert "cut off" in _refused(connection, write(whole[:cut])).reason
    for at in (20, len(whole) // 2, len(whole) - 6):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        _refused(connection, write(bytes(damaged)))
    assert len(_staged(connection, write(whole))) == 60_001


def test_a_file_that_is_gone_or_no_file(connection, tmp_path):
    for name in ("people.abc.0.insert_values", "people.abc.0.csv", "people.abc.0.jsonl", "people.abc.0.parquet"):
        _refused(connection, str(tmp_path / name))
        (tmp_path / name).mkdir()
        _refused(connection, str(tmp_path / name))
    os.mkfifo(tmp_path / "people.pipe.0.insert_values")
    assert "pipe" in _refused(connection, str(tmp_path / "people.pipe.0.insert_values")).reason
    assert "name" in _refused(connection, str(tmp_path / "people.insert_values")).reason
    assert "sql" in _refused(connection, str(tmp_path / "people.abc.0.sql")).reason


def test_a_file_that_changes_between_two_looks(connection, write):
    file = open_job_file(write(HEAD + b"(1,E'a');"))
    write(b'INSERT INTO {}("name","id")\nVALUES\n(E\'a\',1);')
    with pytest.raises(UnreadableFileError, match="has changed"):
        stage(connection, file, INTO, TYPES)


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_values_larger_than_a_block(connection, write, size):
    huge = b"it''s\\n" * (size // 7)
    rows = b"(1,E'%s'),\n(2,E'b'),\n(3,E'%s');" % (huge, huge)
    found = _staged(connection, write(HEAD + rows))
    text = "it's\n" * (size // 7)
    assert found == [(1, text), (2, "b"), (3, text)]


def test_a_line_without_an_end_is_not_read_into_memory(connection, write):
    bomb = gzip.compress(HEAD + b"(1,E'" + b"a" * 70_000_000, compresslevel=1)
    assert "more than 64 MB" in _refused(connection, write(bomb)).reason


def test_several_statements_of_the_same_columns(connection, write):
    content = HEAD + b"(1,E'a'),\n(2,E'b');\n" + HEAD + b"(3,E'c');\n" + HEAD + b"(4,NULL);"
    assert _staged(connection, write(content)) == [(1, "a"), (2, "b"), (3, "c"), (4, None)]


def test_no_rows(connection, write):
    assert _staged(connection, write(HEAD)) == []


def test_what_only_looks_like_sql_is_a_text(connection, write):
    texts = [
        "'); DROP TABLE people; --",
        ",E'",
        "x,E'y",
        "x,E",
        "),\n(",
        "),\n(1,E'",
        "\\.",
        "a\n\\.\nb",
        "E'",
        "''",
    ]
    texts += [
        "NULL",
        "\\N",
        "\\\\n",
        ",-0,",
        "(-0.0)",
        ",E',",
        ",E')",
        "'",
        "(E'",
        "(E'x",
        "\x01",
        "$$",
        "{}",
        "%s",
        "",
    ]
    rows = b",\n".join(b"(-0.0,E'%s')" % _escaped(text) for text in texts)
    assert _staged(connection, write(HEAD.replace(b'"id"', b'"doc"') + rows + b";")) == [(None, t) for t in texts]
    file = open_job_file(write(HEAD + rows + b";"))
    assert [row["name"] for row in iterate(file)] == texts


def _escaped(text: str) -> bytes:
    escaped = text.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n").replace("\r", "\\r")
    return escaped.encode()


CSVS = {
    "nothing": b"",
    "a value too few": b'"id","name"\n1,"s3cret"\n2\n',
    "a value too many": b'"id","name"\n1,"s3cret",3\n',
    "an open quote": b'"id","name"\n1,"s3cret\n',
    "text for a number": b'"id","name"\n1,"a"\n"s3cret","b"\n',
    "not UTF-8": b'"id","name"\n1,"s3cret\xff"\n',
    "a zero byte": b'"id","name"\n1,"s3\x00cret"\n',
    "an unknown column": b'"id","nobody"\n1,"s3cret"\n',
    "a column twice": b'"id","id"\n1,2\n',
    "binary": bytes(range(256)) * 64,
    "cut archive": gzip.compress(b'"id","name"\n1,"s3cret"\n' * 99)[:-9],
}


@pytest.mark.parametrize("content", CSVS.values(), ids=CSVS)
@pytest.mark.parametrize("known", [(), ("id", "name")], ids=["unknown", "known"])
def test_csv(connection, write, content, known):
    _refused(connection, write(content, "people.abc.0.csv"), known=known)


def test_csv_says_the_line(connection, write):
    path = write(b'"id","name"\n1,"a\nb"\nx,"c"\n', "people.abc.0.csv")
    assert _refused(connection, path).reason == "line 4: column id: the value is no bigint"


LINES = {
    "no JSON": b'{"id": 1, "name": "s3cret"\n',
    "no object": b'{"id": 1}\n[1, "s3cret"]\n',
    "a number": b"5\n",
    "not UTF-8": b'{"id": 1, "name": "s3cret\xff"}\n',
    "a surrogate": b'{"id": 1, "name": "s3cret\\ud800"}\n',
    "a zero byte": b'{"id": 1, "name": "s3cret\\u0000"}\n',
    "text for a number": b'{"id": "s3cret"}\n',
    "no base64": b'{"id": 1, "data": "s3cret!"}\n',
    "an unknown column": b'{"id": 1}\n{"nobody": "s3cret"}\n',
    "nested too deeply": b'{"doc": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
    "not a number": b'{"doc": [NaN]}\n',
    "cut": b'{"id": 1}\n{"id": 2, "na',
}


@pytest.mark.parametrize("content", LINES.values(), ids=LINES)
@pytest.mark.parametrize("form", ["jsonl", "typed-jsonl"])
def test_json_lines(connection, write, content, form):
    _refused(connection, write(content, f"people.abc.0.{form}"))
    _refused(connection, write(gzip.compress(content), f"people.abc.0.{form}.gz"))


def test_json_lines_with_rows_of_different_keys(connection, write):
    rows = [{"id": 1, "name": "a\tb\\"}, {"name": "é", "doc": {"x": [1, None, 2.5]}}, {}, {"id": 2, "data": "AP8="}]
    path = write("".join(json.dumps(row) + "\n" for row in rows).encode(), "people.abc.0.jsonl")
    assert open_job_file(path).columns == ("id", "name", "doc", "data")
    assert _staged(connection, path) == [(1, "a\tb\\"), (None, "é"), (None, None), (2, None)]
    found = connection.execute("SELECT data, doc FROM people").fetchall()
    assert found == [(None, None), (None, {"x": [1, None, 2.5]}), (None, None), (b"\x00\xff", None)]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(100) + b"PAR1", bytes(range(256)) * 64])
def test_parquet(connection, write, content):
    _refused(connection, write(content, "people.abc.0.parquet"))


def test_parquet_without_pyarrow(connection, write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refusal = _refused(connection, write(b"PAR1", "people.abc.0.parquet"))
    assert "needs pyarrow" in refusal.reason
    assert "pip install pyarrow" in refusal.hint


def test_memory_does_not_grow_with_the_file(connection, tmp_path):
    path = tmp_path / "people.abc.0.insert_values.gz"
    rows, many = b"(1,E'it''s a\\ntext'),\n(2,NULL),\n" * 10_000, 30
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(HEAD)
        for _ in range(many):
            file.write(rows)
        file.write(b"(3,E'b');")
    file = open_job_file(str(path))
    tracemalloc.start()
    try:
        assert stage(connection, file, INTO, TYPES) == 20_000 * many + 1
        assert tracemalloc.get_traced_memory()[1] < 4_000_000 < many * len(rows)
    finally:
        tracemalloc.stop()
