"""What the order of stored states tells: ranges, in every direction and of every type, and what is no loss."""

from decimal import Decimal

import msgspec
import pytest

from dltdoctor import sketch
from dltdoctor.checks.lost_load import MOST, lost_load
from dltdoctor.deduced.stored_states import overtaken
from dltdoctor.examine import run
from dltdoctor.ledger import draw_up
from dltdoctor.sketch.states import stored_state
from dltdoctor.snapshot import Pipeline, Route, StateRow
from dltdoctor.world.postgres.around import read_around
from dltdoctor.world.postgres.catalog import read_catalog
from dltdoctor.world.state import read_state
from tests.postgres_opened import opened, run_sql


def rows(*loads: tuple[int, str | None, int | None], kind: str = "number") -> list[StateRow]:
    """States in the order of time, each as (version, cursor, status); newest first."""
    made = [stored_state(f"17000000{n:02d}.0", *load) for n, load in enumerate(loads)]
    return [_typed(row, kind) for row in reversed(made)]


def _typed(row: StateRow, kind: str) -> StateRow:
    assert row.state
    cursors = tuple(msgspec.structs.replace(c, kind=kind) for c in row.state.cursors)
    return msgspec.structs.replace(row, state=msgspec.structs.replace(row.state, cursors=cursors))


def ranges(found: list[StateRow]) -> list[tuple[str | None, str | None]]:
    return [(g.after and g.after.last_value, g.upto.last_value) for each in overtaken(found) for g in each.gaps]


@pytest.mark.parametrize(
    ("loads", "lost"),
    [
        ([(1, "3", 0), (2, "6", None), (3, "9", 0)], [("3", "6")]),
        ([(1, "9", None), (2, "12", 0)], [(None, "9")]),
        ([(1, "9", 0), (2, "10", None), (3, "11", None), (4, "12", 0)], [("10", "11"), ("9", "10")]),
        ([(1, "9", 0), (2, "10", None), (2, "11", None), (3, "12", 0)], [("9", "11")]),
        ([(1, "9", 0), (2, "12", None), (2, "12", 0), (3, "15", 0)], []),
        ([(1, "9", 0), (2, "12", None), (3, "10", 0)], []),
        ([(1, "9", 0), (2, "12", None), (3, "9", 0)], []),
        ([(1, "9", 0), (2, "12", None), (3, None, 0)], []),
        ([(1, "9", 0), (2, "9", None), (3, "12", 0)], []),
        ([(1, "9", 0), (2, "12", None)], []),
        ([(1, "9", 0), (2, "12", 2), (3, "15", 0)], []),
        ([(1, "9", 0), (2, "7", None), (3, "5", 0)], [("9", "7")]),
        ([(1, "9", 0), (2, "7", None), (3, "8", 0)], []),
    ],
)
def test_what_is_lost(loads: list[tuple[int, str | None, int | None]], lost: list[tuple[str | None, str]]) -> None:
    assert ranges(rows(*loads)) == lost


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", ("a", "b", "c")),
        ("datetime", ("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z", "2024-02-01T00:00:00Z")),
        ("date", ("2024-01-01", "2024-01-02", "2024-02-01")),
        ("decimal", (str(Decimal("9.5")), str(Decimal("10.5")), str(Decimal("100.5")))),
    ],
)
def test_cursors_of_every_type(kind: str, values: tuple[str, str, str]) -> None:
    one, two, three = values
    assert ranges(rows((1, one, 0), (2, two, None), (3, three, 0), kind=kind)) == [(one, two)]
    assert ranges(rows((1, one, 0), (2, three, None), (3, two, 0), kind=kind)) == []


def test_a_state_that_could_not_be_decoded_says_nothing() -> None:
    found = rows((1, "3", 0), (2, "6", None), (3, "9", 0))
    for n in range(3):
        blind = [msgspec.structs.replace(r, state=None) if i == n else r for i, r in enumerate(found)]
        assert overtaken(blind) == ()


def test_many_lost_loads_are_told_together() -> None:
    loads = [(v, str(v), 0 if v % 2 else None) for v in range(1, 60)]
    snapshot = sketch.world(on=sketch.database(states=tuple(rows(*loads)), loads=()))
    outcome = run(lost_load, snapshot, draw_up(snapshot))
    messages = [f.message for f in outcome.findings]
    assert len(messages) == MOST + 1
    assert messages[-1].startswith(f"{29 - MOST} older loads never ended either")


@pytest.mark.parametrize("deep", [False, True])
def test_a_large_table_is_sampled_unless_asked_for_more(database: str, *, deep: bool) -> None:
    run_sql(
        database,
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.orders (id bigint, _dlt_load_id varchar, _dlt_id varchar)",
        "INSERT INTO shop.orders SELECT i, '1700000000.0', i::text FROM generate_series(1, 150000) i",
        "INSERT INTO shop.orders SELECT i, '1700000001.0', 'x' || i FROM generate_series(1, 5) i",
        "ANALYZE shop.orders",
    )
    pipeline: Pipeline = sketch.pipeline()
    way: Route = sketch.route()
    with opened(database) as session:
        tables = read_catalog(session).tables
        known = sketch.database(states=tuple(rows((1, "3", 0), (2, "6", None), (3, "9", 0))))
        known = msgspec.structs.replace(known, tables={**known.tables, ("shop", "orders"): tables["shop", "orders"]})
        (found,) = read_around(session, [pipeline], [way], known, deep=deep)
    assert (found.dataset, found.table, found.load_id) == ("shop", "orders", "1700000001.0")
    assert found.exact is deep
    if deep:
        assert (found.rows, found.older) == (5, 150000)
    else:
        assert found.older > 50_000


def test_a_cursor_keeps_the_type_that_dlt_gave_it() -> None:
    typed = {
        "n": 6,
        "t": "six",
        "d": "\uf0282024-01-02",
        "at": "\uf0272024-01-02T00:00:00Z",
        "m": "\uf0266.5",
        "l": [6],
    }
    stored = {"resources": {"r": {"incremental": {path: {"last_value": value} for path, value in typed.items()}}}}
    state = read_state({"pipeline_name": "p", "sources": {"s": stored}}, "state.json")
    kinds = {c.path: c.kind for c in state.cursors}
    assert kinds == {"n": "number", "t": "text", "d": "date", "at": "datetime", "m": "decimal", "l": "other"}
