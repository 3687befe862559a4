"""What dlt believes to be there is put back as dlt makes it: previewed, proved, undone, and dlt goes on."""

from pathlib import Path

import pytest

from dltdoctor import repair
from dltdoctor.errors import RefusedError
from tests.older import interpreter
from tests.real import RealWorld
from tests.repairing import Patient
from tests.structure import cured_and_undone, patient_of, plan, structure
from tests.test_diagnose_real_drift import BOTH
from tests.worlds import run_pipeline


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


# ------------------------------------------------------------------------------------------- columns


@pytest.mark.fires("DD402")
@pytest.mark.parametrize("dataset", ["shop", "shop_staging"])
def test_a_column_comes_back(world: RealWorld, dataset: str) -> None:
    world.run(BOTH, "1")
    healthy = structure(world)
    world.execute(
        f"ALTER TABLE {dataset}.orders DROP COLUMN amount", f"ALTER TABLE {dataset}.orders__items DROP COLUMN sku"
    )
    cured_and_undone(world, "DD402")
    assert structure(world)["columns"] == healthy["columns"]
    world.run(BOTH, "2")
    assert world.found() == []
    assert patient_of(world).fetch("SELECT id, amount FROM shop.orders WHERE id > 3 ORDER BY 1") == [
        (4, 40),
        (5, 50),
        (6, 60),
    ]


@pytest.mark.fires("DD402")
def test_a_pending_load_is_finished_with_the_column(world: RealWorld) -> None:
    world.run(BOTH, "1")
    world.execute("ALTER TABLE shop.orders DROP COLUMN amount")
    world.run(BOTH, "2", fails='column "amount" of relation "orders" does not exist')
    world.age()
    patient = patient_of(world)
    only_resume = plan(patient, resume=True)
    assert only_resume.plan.is_empty
    assert "a column that dlt would load is gone" in only_resume.plan.held_back[0].reason
    prepared = plan(patient)
    assert [c.code for c in prepared.plan.cures] == ["DD402", "DD202"]
    patient.apply(prepared)
    assert world.found() == []
    assert world.rows("shop.orders") == world.rows("shop.orders__items") == 6
    world.run(BOTH, "3")
    assert world.rows("shop.orders") == 9


@pytest.mark.fires("DD402")
def test_a_column_with_values_is_not_dropped_again(world: RealWorld) -> None:
    world.run(BOTH, "1")
    world.execute("ALTER TABLE shop.orders DROP COLUMN amount")
    patient = patient_of(world)
    receipt = patient.apply(plan(patient, "DD402"))
    world.run(BOTH, "2")
    with pytest.raises(RefusedError, match="hold values by now"):
        patient.undo(receipt)


@pytest.mark.fires("DD402")
def test_a_key_cannot_come_back_to_rows(world: RealWorld) -> None:
    world.run(BOTH, "1")
    world.execute("ALTER TABLE shop.orders DROP COLUMN id")
    prepared = plan(patient_of(world), "DD402")
    assert prepared.plan.is_empty
    assert "may not be NULL" in prepared.plan.held_back[0].reason
    world.execute("TRUNCATE shop.orders, shop.orders__items")
    assert not plan(patient_of(world), "DD402").plan.is_empty


@pytest.mark.fires("DD402")
def test_drift_between_plan_and_apply(world: RealWorld) -> None:
    world.run(BOTH, "1")
    world.execute("ALTER TABLE shop.orders DROP COLUMN amount")
    patient = patient_of(world)
    prepared = plan(patient, "DD402")
    world.execute("ALTER TABLE shop.orders ADD COLUMN amount bigint")
    with pytest.raises(RefusedError, match=r"shop.orders \(its columns\) has changed"):
        patient.apply(prepared)


@pytest.mark.fires("DD402")
def test_only_the_owner_may_change_a_table(tmp_path: Path, database: str) -> None:
    world = RealWorld(tmp_path / "world", database)
    world.run(BOTH, "1")
    world.execute("ALTER TABLE shop.orders DROP COLUMN amount")
    grants = (
        "GRANT USAGE ON SCHEMA shop, shop_staging TO {role}",
        "GRANT SELECT ON ALL TABLES IN SCHEMA shop, shop_staging TO {role}",
    )
    with patient_of(world).as_role(*grants) as stranger:
        (held,) = plan(stranger, "DD402").plan.held_back
    assert "only its owner" in held.reason
    world.execute(held.command or "")
    assert world.found() == []


# ------------------------------------------------------------------------------------ staging tables


@pytest.mark.fires("DD403")
def test_staging_tables_come_back(world: RealWorld) -> None:
    world.run(BOTH, "1")
    healthy = structure(world)
    world.execute("DROP TABLE shop_staging.people, shop_staging.orders__items")
    cured_and_undone(world, "DD403")
    cured = structure(world)
    assert {k: v for k, v in cured.items() if not k.startswith("rows")} == {
        k: v for k, v in healthy.items() if not k.startswith("rows")
    }
    world.run(BOTH, "2")
    assert world.found() == []
    assert (world.rows("shop.people"), world.rows("shop.orders__items")) == (2, 6)


@pytest.mark.fires("DD403")
@pytest.mark.parametrize("table", ["people", "orders", "orders__items"])
def test_a_pending_load_is_finished_with_the_staging_table(world: RealWorld, table: str) -> None:
    world.run(BOTH, "1")
    world.execute(f"DROP TABLE shop_staging.{table}")
    world.run(BOTH, "2", fails=f'relation "shop_staging.{table}" does not exist')
    world.age()
    patient = patient_of(world)
    assert "staging table" in plan(patient, resume=True).plan.held_back[0].reason
    patient.apply(plan(patient))
    assert world.found() == []
    world.run(BOTH, "3")
    assert [world.rows(f"shop.{t}") for t in ("people", "orders", "orders__items")] == [3, 9, 9]


@pytest.mark.fires("DD402")
def test_staged_rows_that_lost_values_are_not_merged(world: RealWorld) -> None:
    world.run(BOTH, "1")
    world.execute("REVOKE DELETE ON shop.orders FROM CURRENT_USER")
    world.run(BOTH, "2", fails="permission denied for table orders")
    world.execute("GRANT DELETE ON shop.orders TO CURRENT_USER", "ALTER TABLE shop_staging.orders DROP COLUMN amount")
    world.age()
    prepared = plan(patient_of(world))
    assert prepared.plan.is_empty
    assert any("wait for their merge" in h.reason for h in prepared.plan.held_back)


@pytest.mark.fires("DD403")
def test_what_the_administrator_creates_is_the_loaders(world: RealWorld, postgres: str) -> None:
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    world.run(BOTH, "1")
    world.execute("DROP TABLE shop_staging.people")
    admin = make_conninfo(postgres, dbname=conninfo_to_dict(world.dsn)["dbname"])
    patient = Patient(root=world.root, project=world.project, pipelines_dir=world.pipelines_dir, dsn=admin)
    patient.apply(plan(patient, "DD403"))
    world.run(BOTH, "2")
    assert world.rows("shop.people") == 2


@pytest.mark.fires("DD403")
def test_an_older_dlt_goes_on_with_every_table(world: RealWorld, tmp_path: Path) -> None:
    """Dropping staging would not heal here: it is made anew only for the tables of the next load."""
    python = interpreter("1.16.0", tmp_path / "venv")
    world.write(load=BOTH)

    def run(*pages: str) -> None:
        done = run_pipeline("load.py", *pages, project=world.project, data_dir=world.root / "data", python=python)
        assert done.returncode == 0, done.stdout

    run("1")
    assert world.found() == []
    world.execute("DROP TABLE shop_staging.people, shop_staging.orders__items")
    cured_and_undone(world, "DD403")
    run("2")
    assert world.found() == []
    world.write(config='[destination.postgres]\nreplace_strategy = "insert-from-staging"\n')
    (world.project / "load.py").write_text(BOTH.replace('"append"', '"replace"'))
    run("3")
    assert world.found() == []


def test_structure_and_rows_are_not_mended_in_one_plan(world: RealWorld) -> None:
    world.run(BOTH, "1")
    world.execute("REVOKE DELETE ON shop.orders FROM CURRENT_USER")
    world.run(BOTH, "2", fails="permission denied for table orders")
    world.execute("GRANT DELETE ON shop.orders TO CURRENT_USER", "ALTER TABLE shop.orders DROP COLUMN amount")
    world.lose("shop")
    patient = patient_of(world)
    first = plan(patient, unsafe=True)
    assert [c.code for c in first.plan.cures] == ["DD402"]
    assert any("run the command again" in h.reason for h in first.plan.held_back)
    patient.apply(first)
    second = plan(patient, unsafe=True)
    assert "DD201" in {c.code for c in second.plan.cures}
    repair.apply(second.plan, patient.workshop(second), title="rows")
    assert patient.fetch("SELECT amount FROM shop.orders WHERE id > 3 ORDER BY 1") == [(40,), (50,), (60,)]
