"""The digests that stand behind "changes nothing" see every kind of change."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from tests.worlds import digest_database, digest_tree, run_pipeline, write_project

SCRIPT = """
import dlt
pipeline = dlt.pipeline("numbers", destination="postgres", dataset_name="numbers")
pipeline.run([{"n": 1}, {"n": 2}], table_name="naturals")
"""

STATEMENTS: tuple[LiteralString, ...] = (
    "CREATE TABLE t (i int, v text)",
    "INSERT INTO t VALUES (1, 'a')",
    "UPDATE t SET v = NULL",
    "DELETE FROM t",
    "CREATE SCHEMA s",
    "ALTER TABLE t ADD w text",
    "ALTER TABLE t ALTER v SET DEFAULT 'x'",
    "CREATE INDEX ON t (v)",
    "ALTER TABLE t ADD CHECK (i > 0)",
    "GRANT SELECT ON t TO public",
    "CREATE VIEW w AS SELECT i FROM t",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SEQUENCE q",
    "SELECT nextval('q')",
)


def test_a_written_project_loads_into_its_database(loader_database: str, tmp_path: Path) -> None:
    project, data_dir = tmp_path / "project", tmp_path / "data"
    write_project(project, loader_database, {"load.py": SCRIPT})
    done = run_pipeline("load.py", project=project, data_dir=data_dir)
    assert done.returncode == 0, done.stdout
    with psycopg.connect(loader_database) as connection:
        assert connection.execute("SELECT n FROM numbers.naturals ORDER BY n").fetchall() == [(1,), (2,)]
    assert (data_dir / "pipelines" / "numbers" / "state.json").is_file()
    assert digest_database(loader_database)["rows of numbers.naturals"] != []


def _touch(file: Path) -> None:
    os.utime(file, ns=(1, 1))


def _touch_directory(file: Path) -> None:
    os.utime(file.parent, ns=(1, 1))


def _link(file: Path) -> None:
    file.with_name("link").symlink_to(file)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_text("two"),
        lambda file: file.chmod(0o600),
        lambda file: file.with_name("new").mkdir(),
        lambda file: file.unlink(),
        _touch,
        _touch_directory,
        _link,
    ],
)
def test_a_tree_digest_sees(change: Callable[[Path], object], tmp_path: Path) -> None:
    file = tmp_path / "a" / "b.txt"
    file.parent.mkdir()
    file.write_text("one")
    before = digest_tree(tmp_path)
    assert digest_tree(tmp_path) == before
    change(file)
    assert digest_tree(tmp_path) != before


def test_a_database_digest_sees_every_kind_of_change(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        before = digest_database(database)
        for statement in STATEMENTS:
            assert digest_database(database) == before
            connection.execute(statement)
            after = digest_database(database)
            assert after != before, statement
            before = after
