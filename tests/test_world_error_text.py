"""Error texts of dlt and Postgres, made fit to be shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dltdoctor.world.error_text import MAX_ERROR_LINE, error_line, one_line

TRACEBACK = """retry: terminal
Traceback (most recent call last):
  File "/app/dlt/destinations/sql_client.py", line 532, in _wrap_gen
    return (yield from f(self, *args, **kwargs))
            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
psycopg2.errors.CheckViolation: new row for relation "orders" violates check constraint "c"
DETAIL:  Failing row contains (5, secret-value).


The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/dlt/destinations/impl/postgres/sql_client.py", line 105, in execute_query
    curr.execute(query, db_args)
dlt.destinations.exceptions.DatabaseTerminalException: new row violates check constraint "c"
DETAIL:  Failing row contains (5, secret-value).

"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("permission denied for table orders\n", "permission denied for table orders"),
        (TRACEBACK, 'new row violates check constraint "c"'),
        (
            'duplicate key value violates unique constraint "k"\nDETAIL:  Key (id)=(secret) already exists.',
            'duplicate key value violates unique constraint "k"',
        ),
        ("x: Key (id, name)=(1, secret) already exists.", "x: Key (id, name)=(…)"),
        ("Failing row contains (1, secret).", "Failing row contains (…)"),
        ('invalid input syntax for type bigint: "secret"', 'invalid input syntax for type bigint: "…"'),
        ('value "secret" is out of range for type integer', 'value "…" is out of range for type integer'),
        ('date/time field value out of range: "secret"', 'date/time field value out of range: "…"'),
        (
            "relation \"shop_staging.orders\" does not exist\nLINE 1: INSERT INTO x VALUES ('secret')\n  ^",
            'relation "shop_staging.orders" does not exist',
        ),
        ("retry: transient\nValueError: bad\n", "ValueError: bad"),
        ("", None),
        ("retry: terminal\n", None),
        ("\n\n  \n", None),
    ],
)
def test_the_line_that_says_what_went_wrong(text: str, line: str | None) -> None:
    assert error_line(text) == line
    assert "secret" not in (error_line(text) or "")


@pytest.mark.parametrize(
    "text",
    [
        "cannot connect to postgresql://loader:geheim@db:5432/w",
        "cannot connect to postgresql://loader:ge@heim/geheim@db:5432/w",
        "dsn=postgres+psycopg2://u:geheim@h/db?x=1",
        "connection string: host=db password='geheim mit geheim' user=x",
        '{"password": "geheim", "user": "x"}',
        "postgresql://db/w?user=u&password=geheim&sslmode=require",
    ],
)
def test_secrets_are_masked(text: str) -> None:
    line = error_line(f"OperationalError: {text}")
    assert line is not None
    assert "geheim" not in line
    assert "***" in line


def test_terminal_escapes_and_line_breaks_go() -> None:
    assert one_line("\x1b[31mred\x1b[0m\x1b]0;title\x07 a\nb\x00c\u202ed") == "red a b c d"


@given(st.text(max_size=2000))
def test_any_text_yields_one_short_line(text: str) -> None:
    line = error_line(text)
    if line is not None:
        assert 0 < len(line) <= MAX_ERROR_LINE
        assert line.splitlines() == [line]
        line.encode()
