"""dlt's own tables: written by real dlt, by dlt of long ago, and by others under the same names."""

import base64
import json
import zlib

import psycopg

from dltdoctor.snapshot import LoadSummary
from dltdoctor.world.postgres.catalog import read_catalog
from dltdoctor.world.postgres.dlt_sql import MOST_OVERTAKEN, MOST_STATES
from dltdoctor.world.postgres.dlt_tables import read_dlt_tables
from tests.postgres_opened import load, opened, run_sql

STATE_TABLE = (
    "CREATE TABLE {0}._dlt_pipeline_state (version bigint, engine_version bigint, pipeline_name varchar,"
    " state varchar, created_at timestamptz, _dlt_load_id varchar, _dlt_id varchar)"
)
LOADS_TABLE = (
    "CREATE TABLE {0}._dlt_loads (load_id varchar, schema_name varchar, status bigint, inserted_at timestamptz)"
)


def read(dsn):
    with opened(dsn) as session:
        return read_dlt_tables(session, read_catalog(session).tables)


def stored_state(**content):
    return base64.b64encode(zlib.compress(json.dumps(content).encode())).decode()


def test_what_real_dlt_leaves(database, tmp_path):
    assert load(database, tmp_path, "shop", range(1, 4), range(4, 7)) == ""
    found = read(database)
    assert found.unread == ()
    (summary,) = found.loads
    assert (summary.dataset, summary.schema_name, summary.rows) == ("shop", "shop", 2)
    assert summary.oldest < summary.newest < float(summary.newest_load_id) + 100
    (state,) = found.states
    assert (state.dataset, state.pipeline_name, state.committed) == ("shop", "shop", True)
    assert state.state
    assert state.state.dataset_name == "shop"
    assert set(found.stored_schemas) == {"shop", "shop_staging"}
    (stored,) = found.stored_schemas["shop"]
    assert stored.origin == "shop._dlt_version"
    assert {"orders", "orders__items", "orders__items__parts"} < set(stored.tables)
    (staged,) = found.stored_schemas["shop_staging"]
    assert (staged.name, staged.version_hash, staged.tables) == ("shop", stored.version_hash, {})


def test_only_states_that_are_needed_are_decoded(database):
    run_sql(database, "CREATE SCHEMA d", STATE_TABLE.format("d"), LOADS_TABLE.format("d"))
    with psycopg.connect(database, autocommit=True) as connection:
        for version in range(1, 71):
            state = stored_state(_state_version=version, pipeline_name="p")
            connection.execute(
                "INSERT INTO d._dlt_pipeline_state VALUES (%s, 4, 'p', %s, now(), %s, 'x')",
                (version, state, f"17000000{version:02d}.5"),
            )
        connection.execute(
            "INSERT INTO d._dlt_loads VALUES ('1700000005.5', 's', 0, now()), ('1700000003.5', 's', 0, now())"
        )
        connection.execute("INSERT INTO d._dlt_loads VALUES ('1700000069.5', 's', 1, now())")
    states = {s.version: s for s in read(database).states}
    overtaken = range(69 - MOST_OVERTAKEN, 69)
    assert list(states) == [70, 69, *reversed(overtaken), 5]
    assert [v for v, s in states.items() if s.committed] == [5]
    assert {v: s.status for v, s in states.items() if s.status is not None} == {69: 1, 5: 0}
    assert [v for v, s in states.items() if s.state] == [70, 69, *reversed(overtaken), 5]
    assert states[5].state.version == 5


def test_of_states_in_peace_only_the_newest_is_decoded(database):
    run_sql(database, "CREATE SCHEMA d", STATE_TABLE.format("d"), LOADS_TABLE.format("d"))
    with psycopg.connect(database, autocommit=True) as connection:
        for version in range(1, 71):
            state, load_id = stored_state(_state_version=version, pipeline_name="p"), f"17000000{version:02d}.5"
            connection.execute(
                "INSERT INTO d._dlt_pipeline_state VALUES (%s, 4, 'p', %s, now(), %s, 'x')", (version, state, load_id)
            )
            connection.execute("INSERT INTO d._dlt_loads VALUES (%s, 's', 0, now())", (load_id,))
    states = read(database).states
    assert [s.version for s in states] == list(range(70, 70 - MOST_STATES, -1))
    assert [s.version for s in states if s.state] == [70]


def test_a_state_that_was_taken_back_is_not_overtaken(database):
    run_sql(database, "CREATE SCHEMA d", STATE_TABLE.format("d"), LOADS_TABLE.format("d"))
    with psycopg.connect(database, autocommit=True) as connection:
        for n, (version, status) in enumerate([(1, 0), (2, None), (2, None), (3, 0), (4, None), (4, 0), (5, 0)]):
            state, load_id = stored_state(_state_version=version, pipeline_name="p"), f"170000000{n}.5"
            connection.execute(
                "INSERT INTO d._dlt_pipeline_state VALUES (%s, 4, 'p', %s, now(), %s, 'x')", (version, state, load_id)
            )
            if status is not None:
                connection.execute("INSERT INTO d._dlt_loads VALUES (%s, 's', %s, now())", (load_id, status))
    states = read(database).states
    assert [(s.version, s.load_id[9]) for s in states if s.state] == [(5, "6"), (3, "3"), (2, "2"), (1, "0")]


def test_the_newest_version_of_each_schema(database):
    run_sql(
        database,
        "CREATE SCHEMA d",
        LOADS_TABLE.format("d"),
        "CREATE TABLE d._dlt_version (version bigint, engine_version bigint, inserted_at timestamptz,"
        " schema_name varchar, version_hash varchar, schema varchar)",
        """INSERT INTO d._dlt_version VALUES
           (9, 11, '2024-01-01', 'a', 'old', '{"name": "a", "engine_version": 11, "version_hash": "old"}'),
           (2, 11, '2024-02-01', 'a', 'new', '{"name": "a", "engine_version": 11, "version_hash": "new"}'),
           (1, 99, '2024-02-01', 'b', 'far', '{"name": "b", "engine_version": 99}'),
           (1, 11, '2024-02-01', 'c', 'bad', 'no schema at all')""",
    )
    found = read(database)
    assert [(s.name, s.version_hash) for s in found.stored_schemas["d"]] == [("a", "new"), ("b", "far"), ("c", "bad")]
    assert [(u.code, u.dataset, u.what) for u in found.unread] == [
        ("DD001", "d", "schema b in d._dlt_version"),
        ("DD001", "d", "schema c in d._dlt_version"),
    ]


def test_tables_of_an_older_dlt_lack_columns(database):
    run_sql(
        database,
        "CREATE SCHEMA old",
        "CREATE TABLE old._dlt_loads (load_id varchar)",
        "INSERT INTO old._dlt_loads VALUES ('1600000000.1'), ('1600000001.1')",
        "CREATE TABLE old._dlt_version (schema_name text)",
        "INSERT INTO old._dlt_version VALUES ('s'), (NULL)",
        "CREATE TABLE old._dlt_pipeline_state (pipeline_name text, state text, _dlt_load_id text)",
        "INSERT INTO old._dlt_pipeline_state VALUES ('p', '', '1600000000.1'), (NULL, NULL, NULL)",
    )
    found = read(database)
    nothing = {"schema_name": None, "oldest": 0.0, "newest": 0.0}
    assert found.loads == (LoadSummary(dataset="old", rows=2, newest_load_id="1600000001.1", **nothing),)
    assert [s.name for s in found.stored_schemas["old"]] == ["s"]
    assert {(s.pipeline_name, s.load_id, s.committed) for s in found.states} == {
        ("p", "1600000000.1", False),
        ("", "", False),
    }
    assert found.unread == ()


def test_tables_that_only_have_the_names(database):
    run_sql(
        database,
        "CREATE TABLE _dlt_loads (load_id int, inserted_at text)",
        "INSERT INTO _dlt_loads VALUES (1, 'yesterday')",
        "CREATE TABLE _dlt_version ()",
        "CREATE VIEW _dlt_pipeline_state AS SELECT 'p' AS pipeline_name, 's' AS state, 1 / 0 AS _dlt_load_id",
        "CREATE SCHEMA s",
        "CREATE TABLE s._dlt_loads (load_id varchar, schema_name json, status text, inserted_at text)",
        "INSERT INTO s._dlt_loads VALUES ('1.1', '{}', 'fine', 'yesterday')",
    )
    found = read(database)
    assert [(x.dataset, x.schema_name, x.newest) for x in found.loads] == [("s", "{}", 0.0)]
    assert (found.states, dict(found.stored_schemas), found.unread) == ((), {}, ())


def test_a_locked_table_is_unread_and_the_others_are_not(database):
    schemas = [f"d{i}" for i in range(60)]
    run_sql(database, *(f"CREATE SCHEMA {s}; {LOADS_TABLE.format(s)}" for s in schemas))
    run_sql(database, *(f"INSERT INTO {s}._dlt_loads VALUES ('1.1', 's', 0, now())" for s in schemas))
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE d7._dlt_loads IN ACCESS EXCLUSIVE MODE")
        found = read(database)
    assert {x.dataset for x in found.loads} == set(schemas) - {"d7"}
    assert [(u.code, u.dataset, u.reason) for u in found.unread] == [
        ("DD002", "d7", "another session holds a lock on it")
    ]
