"""A purge between two runs of dlt 1.28.1, which aborts where newer ones keep a package pending."""

from pathlib import Path

import pytest

from tests.older import interpreter
from tests.purging import Cache
from tests.real import RealWorld
from tests.test_clean_cache_real import ALLOW, REFUSE, SHOP, TABLES
from tests.worlds import run_pipeline

VERSION = "1.28.1"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return interpreter(VERSION, tmp_path_factory.mktemp("older") / "venv")


def test_no_row_is_lost_or_doubled_with_an_older_dlt(python: str, loader_database: str, tmp_path: Path) -> None:
    world = RealWorld(tmp_path / "world", loader_database)
    world.write(load=SHOP)
    cache = Cache(world.project, world.pipelines_dir)

    def run(*pages: str) -> int:
        return run_pipeline(
            "load.py", *pages, project=world.project, data_dir=world.root / "data", python=python
        ).returncode

    assert run("1") == 0
    world.age()
    assert not cache.judge("shop").objections
    cache.purged("shop")
    assert run("2") == 0
    assert [world.rows(table) for table in TABLES] == [6, 6, 6]

    world.execute(REFUSE.replace("< 4", "< 7"))
    assert run("3") != 0
    world.execute(ALLOW)
    world.age()
    assert "stranded" in " ".join(cache.refused("shop"))
