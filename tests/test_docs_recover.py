"""docs/recover.md names all the privileges that a recovery needs."""

from pathlib import Path

import pytest

from tests.captured import world as captured_world
from tests.recovering import prepare
from tests.repairing import Patient, patient

READS = (
    "GRANT USAGE ON SCHEMA shop, shop_staging TO {role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA shop, shop_staging TO {role}",
)
WRITES = "GRANT INSERT, UPDATE, TRIGGER ON ALL TABLES IN SCHEMA shop TO {role}"
KEEPS = "GRANT CREATE ON SCHEMA shop_staging TO {role}"


@pytest.fixture
def emptied(tmp_path: Path, database: str) -> Patient:
    sick = patient(captured_world("1.31.0", "healthy-merge"), tmp_path, database)
    sick.execute("TRUNCATE shop.orders, shop.orders__items")
    return sick


@pytest.mark.fires("DD302")
def test_the_privileges_of_the_page_are_enough(emptied: Patient) -> None:
    with emptied.as_role(*READS, WRITES, KEEPS) as humble:
        prepared = prepare(humble)
        assert [c.code for c in prepared.plan.cures] == ["DD302"], prepared.plan.held_back
        receipt = humble.apply(prepared)
        proof = humble.prove(prepared, receipt)
        assert {f.code for f in proof.gone} >= {"DD302"}
        assert not proof.remaining
        assert emptied.count("shop.orders") > 0
