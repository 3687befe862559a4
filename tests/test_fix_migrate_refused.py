"""What a repair meets: constraints, privileges, full disks, dropped backups, edited plans. Nothing is changed then."""

import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dltdoctor import plan_file, repair, treatment, workbench
from dltdoctor.errors import CouldNotLookError, DoctorError, RefusedError, UsageError
from tests.captured import world
from tests.repairing import Patient, patient, silent

ALL = "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER ON ALL TABLES IN SCHEMA"
READ = (
    "GRANT USAGE ON SCHEMA shop, shop_staging TO {role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA shop, shop_staging TO {role}",
)
CREATE = "DO $$ BEGIN EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO {role}', current_database()); END $$"


@pytest.fixture
def sick(tmp_path: Path, database: str) -> Patient:
    return patient(world("1.31.0", "resumable-merge"), tmp_path, database)


def refused(sick: Patient, asked: Patient | None = None) -> DoctorError:
    """Plan and apply as somebody; refused, and nothing has changed."""
    before = sick.everything()
    with pytest.raises(DoctorError) as caught:
        (asked or sick).migrate()
    assert sick.everything() == before
    assert not sick.receipts
    assert isinstance(caught.value, RefusedError)
    return caught.value


VIOLATIONS = {
    "check": (
        "ALTER TABLE shop.orders ADD CONSTRAINT small CHECK (id < 5)",
        r"^2 staged rows violate the check constraint small",
    ),
    "one": (
        "ALTER TABLE shop.orders ADD CONSTRAINT small CHECK (id < 6)",
        r"^1 staged row violates the check constraint small",
    ),
    "not null": (
        (
            "UPDATE shop_staging.orders SET note = NULL WHERE id < 6; UPDATE shop.orders SET note = 'x';"
            " ALTER TABLE shop.orders ALTER COLUMN note SET NOT NULL"
        ),
        r"^2 staged rows violate the NOT NULL column note",
    ),
    "not null, not staged": (
        (
            "ALTER TABLE shop.orders ADD COLUMN must integer; UPDATE shop.orders SET must = 1;"
            " ALTER TABLE shop.orders ALTER COLUMN must SET NOT NULL"
        ),
        r"^staged rows violate the NOT NULL column must",
    ),
    "unique": (
        (
            "UPDATE shop.orders SET note = 'the same' WHERE id = 1; UPDATE shop_staging.orders SET note = 'the same' WHERE id = 4;"
            " CREATE UNIQUE INDEX by_note ON shop.orders (note)"
        ),
        r"^1 staged row violates the unique constraint by_note",
    ),
    "nested": (
        "ALTER TABLE shop.orders__items ADD CONSTRAINT none CHECK (sku IS NULL) NOT VALID",
        r"^3 staged rows violate the check constraint none of shop.orders__items",
    ),
    "foreign key": (
        (
            "CREATE TABLE shop.known (id bigint PRIMARY KEY); INSERT INTO shop.known VALUES (1), (2), (3);"
            " ALTER TABLE shop.orders ADD CONSTRAINT known FOREIGN KEY (id) REFERENCES shop.known"
        ),
        r"^staged rows violate the foreign key constraint known",
    ),
}


@pytest.mark.parametrize(("change", "words"), VIOLATIONS.values(), ids=VIOLATIONS)
def test_constraints(sick: Patient, change: str, words: str) -> None:
    sick.execute(change)
    error = refused(sick)
    assert re.search(words, error.message), error.message
    assert "of shop.orders" in error.message
    assert "the same" not in error.message + error.hint


def test_a_value_that_does_not_fit_is_not_shown(sick: Patient) -> None:
    sick.execute(
        "UPDATE shop_staging.orders SET note = 'my-secret-value'",
        "ALTER TABLE shop.orders ALTER COLUMN note TYPE integer USING 1",
    )
    error = refused(sick)
    assert "my-secret-value" not in error.message + error.hint


LACKING = {
    "DELETE": (
        "GRANT SELECT, INSERT, UPDATE, TRIGGER ON shop.orders, shop.orders__items, shop._dlt_loads TO {role}",
        "GRANT DELETE ON shop.orders TO",
    ),
    "INSERT": (
        "GRANT SELECT, UPDATE, DELETE, TRIGGER ON shop.orders, shop.orders__items, shop._dlt_loads TO {role}",
        "GRANT INSERT ON shop._dlt_loads TO",
    ),
    "TRIGGER": (
        "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.orders, shop.orders__items, shop._dlt_loads TO {role}",
        "GRANT TRIGGER ON shop.orders TO",
    ),
}


@pytest.mark.parametrize(("grant", "words"), LACKING.values(), ids=LACKING)
def test_a_privilege_that_lacks(sick: Patient, grant: str, words: str) -> None:
    with sick.as_role(*READ, CREATE, "GRANT UPDATE ON ALL TABLES IN SCHEMA shop_staging TO {role}", grant) as other:
        error = refused(sick, other)
    assert f"{words} dltdoctor_test" in error.hint
    assert "--no-undo" in error.hint if "TRIGGER" in words else "--no-undo" not in error.hint


def test_without_trigger_it_goes_without_undo(sick: Patient) -> None:
    grant = LACKING["TRIGGER"][0]
    with sick.as_role(*READ, CREATE, "GRANT UPDATE ON ALL TABLES IN SCHEMA shop_staging TO {role}", grant) as other:
        prepared = other.prepare()
        repair.preview(prepared.plan, other.workshop(prepared), keep_undo=False)
        receipt = other.apply(prepared, keep_undo=False)
    assert not receipt.has_undo
    assert sick.count("shop.orders") == 6


def test_without_temp(sick: Patient) -> None:
    database = conninfo_to_dict(sick.dsn)["dbname"]
    sick.execute(f'REVOKE TEMPORARY ON DATABASE "{database}" FROM PUBLIC')
    with sick.as_role(
        *READ, f'GRANT CREATE ON DATABASE "{database}" TO {{role}}', f"{ALL} shop, shop_staging TO {{role}}"
    ) as other:
        error = refused(sick, other)
    assert f"GRANT TEMPORARY ON DATABASE {database} TO" in error.hint


def test_without_a_lock_on_staging(sick: Patient) -> None:
    with sick.as_role(*READ, CREATE, f"{ALL} shop TO {{role}}") as other:
        error = refused(sick, other)
    assert "GRANT UPDATE ON shop_staging.orders TO" in error.hint


def test_without_create_on_the_database_receipts_go_to_staging(sick: Patient) -> None:
    grants = (f"{ALL} shop, shop_staging TO {{role}}", "GRANT CREATE ON SCHEMA shop_staging TO {role}")
    before = sick.rows()
    with sick.as_role(*READ, *grants) as other:
        receipt = other.migrate()
        assert receipt.home == "shop_staging"
        assert not sick.fetch("SELECT 1 FROM pg_namespace WHERE nspname = '_dltdoctor'")
        assert not other.codes("error", "warning")
        other.undo(receipt)
        rows = {k: v for k, v in sick.rows().items() if not re.search(r"\d{8}t\d{6}", k)}
        assert rows == before


def test_without_create_anywhere(sick: Patient) -> None:
    with sick.as_role(*READ, f"{ALL} shop, shop_staging TO {{role}}") as other:
        error = refused(sick, other)
    database = conninfo_to_dict(sick.dsn)["dbname"]
    assert f"GRANT CREATE ON DATABASE {database} TO" in error.hint


def test_a_full_disk(sick: Patient) -> None:
    """Receipts cannot grow: nothing is changed."""
    prepared = sick.prepare()
    before = sick.everything()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(RefusedError, match="the receipt cannot be written"):
            sick.apply(prepared)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sick.everything() == before
    assert not sick.receipts


def test_a_disk_that_fills_up_after_the_commit(sick: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are there, the receipt stays unfinished and says so; it is finished when there is room again."""
    prepared = sick.prepare()
    shop = sick.workshop(prepared)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(line: str) -> None:
        if line.startswith("Move the finished package"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))

    try:
        with pytest.raises(CouldNotLookError, match="all is done but the receipt cannot be written"):
            repair.apply(prepared.plan, msgspec.structs.replace(shop, progress=fill), title="a repair")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    (receipt,) = sick.receipts
    assert receipt.is_unfinished
    assert sick.resume(receipt).status == "applied"
    assert sick.count("shop.orders") == 6


def test_plans_that_are_not_to_be_carried_out(sick: Patient, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan_file.write_plan(sick.prepare().plan, path)
    whole = path.read_text()
    assert plan_file.read_plan(path).cures
    for content, words in (
        (whole[: len(whole) // 2], "not a whole plan"),
        (whole.replace("shop.orders", "shop.others"), "has been edited"),
        ("{}", "not a whole plan"),
        ("", "not a whole plan"),
        (whole.replace('"version": 1', '"version": 2'), "not a whole plan"),
    ):
        path.write_text(content)
        with pytest.raises(RefusedError, match=words):
            plan_file.read_plan(path)
    path.unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        plan_file.read_plan(path)


def test_a_plan_for_another_database(sick: Patient, loader_database: str) -> None:
    plan = sick.prepare().plan
    with pytest.raises(RefusedError, match="the plan is for"):
        treatment.reopen(plan, sick.request(dsn=loader_database), progress=silent)


def test_a_plan_that_comes_late_changes_nothing(sick: Patient) -> None:
    plan = sick.prepare().plan
    sick.migrate()
    before = sick.everything()
    prepared = treatment.reopen(plan, sick.request(), progress=silent)
    with pytest.raises(RefusedError):
        repair.apply(plan, sick.workshop(prepared), title="late")
    assert sick.everything() == before


def test_receipts_that_are_broken(sick: Patient) -> None:
    receipt = sick.migrate()
    store = workbench.receipts(sick.request())
    path = store.root / f"{receipt.id}.json"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CouldNotLookError, match="not a whole receipt"):
        store.read(receipt.id)
    with pytest.raises(UsageError, match="is no receipt"):
        store.read("nothing")


def test_a_working_dir_that_cannot_be_written(sick: Patient) -> None:
    """The rows are moved, the file is not: the receipt is unfinished until it can be."""
    prepared = sick.prepare()
    loaded = next(sick.pipelines_dir.glob("*/load/loaded"))
    aside = loaded.with_name("aside")

    def block(line: str) -> None:
        if line.startswith("Move the finished package"):
            loaded.rename(aside)
            loaded.write_text("in the way")

    shop = msgspec.structs.replace(sick.workshop(prepared), progress=block)
    with pytest.raises(RefusedError, match="cannot be changed"):
        repair.apply(prepared.plan, shop, title="a repair")
    loaded.unlink()
    shutil.move(aside, loaded)
    (receipt,) = sick.receipts
    assert receipt.is_unfinished
    assert sick.resume(receipt).status == "applied"
    sick.age()
    assert not sick.codes("error", "warning")


def test_the_command_line_says_it_in_two_lines(sick: Patient) -> None:
    sick.execute("ALTER TABLE shop.orders ADD CONSTRAINT small CHECK (id < 5)")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "dltdoctor",
            "fix",
            "--migrate",
            "--yes",
            "--dsn",
            sick.dsn,
            "--pipelines-dir",
            str(sick.pipelines_dir),
            "--project",
            str(sick.project),
        ],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "2 staged rows violate the check constraint small of shop.orders" in done.stderr
    assert "Traceback" not in done.stderr
    with psycopg.connect(sick.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM shop.orders").fetchone() == (3,)
