"""What `fix --recover` cannot bring back, and what it refuses: each names the reason, and nothing is written."""

import gzip
import shutil
from pathlib import Path

import pytest

from dltdoctor import plan_file, treatment
from dltdoctor.errors import RefusedError
from tests.captured import world as captured_world
from tests.recovering import (
    prepare,
)
from tests.repairing import Patient, patient, silent


@pytest.fixture
def nulled(tmp_path: Path, database: str) -> Patient:
    return patient(captured_world("1.31.0", "null-scores"), tmp_path, database)


@pytest.fixture
def emptied(tmp_path: Path, database: str) -> Patient:
    """Two loads of orders and their items, and a TRUNCATE by hand."""
    sick = patient(captured_world("1.31.0", "healthy-merge"), tmp_path, database)
    sick.execute("TRUNCATE shop.orders, shop.orders__items")
    return sick


def loaded(sick: Patient) -> list[Path]:
    return sorted(p for p in sick.pipelines_dir.glob("*/load/loaded/*") if p.is_dir())


def test_what_is_before_the_oldest_package_is_named(emptied: Patient) -> None:
    oldest, *_ = loaded(emptied)
    shutil.rmtree(oldest)
    prepared = prepare(emptied)
    (cure,) = prepared.plan.cures
    assert cure.safety == "safe"
    (held,) = [h for h in prepared.plan.held_back if "Not all of" in h.message]
    assert "1 load before" in held.reason
    assert "orders: updated up to 3" in held.reason
    emptied.apply(prepared)
    assert [row[0] for row in emptied.fetch("SELECT id FROM shop.orders ORDER BY id")] == [3, 4, 5]


def test_a_gap_between_the_packages_is_unsafe(emptied: Patient) -> None:
    *_, newest = loaded(emptied)
    shutil.rmtree(newest)
    prepared = prepare(emptied)
    assert prepared.plan.is_empty
    (held,) = [h for h in prepared.plan.held_back if h.reason.startswith("unsafe")]
    assert "between the packages" in held.reason
    assert "orders: updated after 3 up to 6" in held.reason
    assert held.command
    assert "--recover --unsafe" in held.command
    assert [c.safety for c in prepare(emptied, unsafe=True).plan.cures] == ["unsafe"]


def test_without_any_package_the_whole_range_is_named(emptied: Patient) -> None:
    for package in loaded(emptied):
        shutil.rmtree(package)
    prepared = prepare(emptied, unsafe=True)
    assert prepared.plan.is_empty
    assert "no load package of shop on this machine (orders: updated up to 6)" in prepared.plan.held_back[0].reason


def test_packages_whose_files_dlt_has_deleted_count_as_none(tmp_path: Path, database: str) -> None:
    sick = patient(captured_world("1.31.0", "healthy-deleted-jobs"), tmp_path, database)
    sick.execute("TRUNCATE shop.orders, shop.orders__items")
    prepared = prepare(sick, unsafe=True)
    assert prepared.plan.is_empty
    (held,) = prepared.plan.held_back
    assert "the 2 load packages of sales here hold no files (delete_completed_jobs)" in held.reason
    assert "orders: updated up to 6" in held.reason


BROKEN = {
    "truncated": lambda content: content[: len(content) // 2],
    "binary": lambda _: bytes(range(256)) * 4,
    "another statement": lambda _: gzip.compress(b'INSERT INTO {}("id")\nVALUES\n(1);\nDROP TABLE shop.events;\n'),
    "unbalanced": lambda _: gzip.compress(b'INSERT INTO {}("id","note")\nVALUES\n(1,E\'x);\n'),
    "too few values": lambda _: gzip.compress(b'INSERT INTO {}("id","note")\nVALUES\n(1);\n'),
    "an unknown column": lambda _: gzip.compress(b'INSERT INTO {}("id","nothing")\nVALUES\n(1,2);\n'),
}


@pytest.mark.parametrize("breaks", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_named_and_nothing_is_written(breaks, emptied: Patient) -> None:
    file = next(emptied.pipelines_dir.glob("*/load/loaded/*/completed_jobs/orders.*.insert_values.gz"))
    file.write_bytes(breaks(file.read_bytes()))
    before = emptied.everything()
    prepared = prepare(emptied, unsafe=True)
    assert prepared.plan.is_empty
    (held,) = prepared.plan.held_back
    assert str(file) in held.reason
    assert len(held.reason.splitlines()) == 1
    assert emptied.everything() == before


def test_a_file_that_changed_since_the_plan_is_refused(nulled: Patient) -> None:
    prepared = prepare(nulled)
    path = Path(prepared.plan.steps[0].files[0].path)
    content = path.read_bytes()
    path.write_bytes(content + b"\n")
    before = nulled.everything()
    with pytest.raises(RefusedError, match="has changed since the plan was made"):
        nulled.apply(prepared)
    assert nulled.everything() == before
    path.unlink()
    with pytest.raises(RefusedError, match="is not there any more"):
        nulled.apply(prepared)
    assert nulled.receipts == ()


def test_rows_that_changed_since_the_plan_are_refused(emptied: Patient) -> None:
    prepared = prepare(emptied)
    emptied.execute("INSERT INTO shop.orders (id, _dlt_load_id, _dlt_id) VALUES (1, '1', 'x')")
    with pytest.raises(RefusedError, match="has changed"):
        emptied.apply(prepared)


def test_a_plan_file_is_carried_out_later(emptied: Patient, tmp_path: Path) -> None:
    plan_file.write_plan(prepare(emptied).plan, tmp_path / "plan.json")
    again = treatment.reopen(plan_file.read_plan(tmp_path / "plan.json"), emptied.request(), progress=silent)
    emptied.apply(again)
    assert emptied.count("shop.orders") == 5


def test_a_role_that_may_make_no_temporary_table_is_told_the_grant(emptied: Patient) -> None:
    name = emptied.fetch("SELECT current_database()")[0][0]
    emptied.execute(f'REVOKE TEMPORARY ON DATABASE "{name}" FROM PUBLIC')
    grants = [
        "GRANT USAGE ON SCHEMA shop, shop_staging TO {role}",
        "GRANT ALL ON ALL TABLES IN SCHEMA shop, shop_staging TO {role}",
    ]
    with emptied.as_role(*grants) as humble:
        prepared = prepare(humble)
        assert prepared.plan.is_empty
        assert [h for h in prepared.plan.held_back if "GRANT TEMPORARY ON DATABASE" in h.reason], (
            prepared.plan.held_back
        )
