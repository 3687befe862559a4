"""Hundreds of pipelines in one database: read once, a line each, the sickest first."""

import base64
import io
import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from dltdoctor.report import text as report
from dltdoctor.world.postgres import session
from tests.real import SHOP, RealWorld, verdicts

FLEET = 300
PATIENCE = 30.0  # seconds, on a machine that does something else, too
COPIES = """
DO $$ DECLARE i int; r record; target text; BEGIN
  FOR i IN 1..{number} LOOP
    FOR r IN SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
             WHERE nspname IN ('shop', 'shop_staging') AND relkind = 'r' LOOP
      target := replace(r.nspname, 'shop', 'shop_' || i);
      EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I', target);
      EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING ALL)', target, r.relname, r.nspname, r.relname);
      EXECUTE format('INSERT INTO %I.%I SELECT * FROM %I.%I', target, r.relname, r.nspname, r.relname);
    END LOOP;
  END LOOP;
END $$"""


@pytest.fixture
def fleet(tmp_path: Path, loader_database: str) -> RealWorld:
    """A real pipeline and its copies, and two real ones that fell sick."""
    world = RealWorld(tmp_path / "world", loader_database)
    world.run(SHOP, "1", "2")
    world.execute(COPIES.format(number=FLEET))
    _rename_states(world)
    sick = SHOP.replace('"shop"', '"stranded"')
    world.run(sick, "1")
    world.execute("REVOKE DELETE ON stranded.orders FROM CURRENT_USER")
    world.run(sick, "2", fails="permission denied")
    world.execute("GRANT DELETE ON stranded.orders TO CURRENT_USER")
    world.run(SHOP.replace('"shop"', '"emptied"'), "1", "2")
    world.execute("TRUNCATE emptied.orders, emptied.orders__items")
    return world


def _rename_states(world: RealWorld) -> None:
    """Give each copy's states its own pipeline and dataset."""
    with psycopg.connect(world.dsn) as connection:
        rows = connection.execute("SELECT _dlt_id, state FROM shop._dlt_pipeline_state").fetchall()
        for name in (f"shop_{number}" for number in range(1, FLEET + 1)):
            states = sql.Identifier(name, "_dlt_pipeline_state")
            for key, stored in rows:
                state = json.loads(zlib.decompress(base64.b64decode(stored)))
                state |= {"pipeline_name": name, "dataset_name": name}
                text = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
                change = sql.SQL("UPDATE {} SET pipeline_name = %s, state = %s WHERE _dlt_id = %s").format(states)
                connection.execute(change, (name, text, key))


@pytest.mark.fires("DD201", "DD302")
def test_a_fleet_in_one_database(fleet: RealWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    stream = session.Session.stream

    def watched(own: session.Session, query: bytes) -> Iterator[session.Row]:
        asked.append(query)
        return stream(own, query)

    monkeypatch.setattr(session.Session, "stream", watched)
    fleet.age()
    started = time.perf_counter()
    diagnosis = fleet.examine(fleet.elsewhere, project=fleet.elsewhere, dsn=fleet.dsn)
    assert time.perf_counter() - started < PATIENCE
    assert asked == [session.load_query("tables")], "the catalog is read once"
    assert {code for code, severity in verdicts(diagnosis) if severity != "info"} == {"DD201", "DD302"}
    assert {f.pipeline for f in diagnosis.findings} == {"stranded", "emptied"}
    file = io.StringIO()
    report.render(diagnosis, console_width=100, file=file)
    lines = file.getvalue().splitlines()
    heads = [line for line in lines if line.startswith("[")]
    assert {line.split()[1] for line in heads[:2]} == {"stranded", "emptied"}
    assert [line.split()[1] for line in heads[2:]] == ["shop", *(f"shop_{n}" for n in range(1, FLEET + 1))]
    assert f"{FLEET + 3} pipelines · 2 sick · {FLEET + 1} healthy" in lines
