"""Every captured world with stranded rows is migrated, undone and migrated again (laws 3 to 7)."""

from pathlib import Path

import pytest

from dltdoctor.errors import RefusedError
from tests.captured import CapturedWorld, world, worlds
from tests.repairing import Patient, patient

CURABLE = {"DD201", "DD202", "DD203"}
SICK = [w for w in worlds() if (w.expected_codes | w.one_of_codes) & CURABLE]


@pytest.fixture(params=SICK, ids=lambda w: w.id)
def captured(request: pytest.FixtureRequest) -> CapturedWorld:
    return request.param


@pytest.fixture
def sick(captured: CapturedWorld, tmp_path: Path, database: str) -> Patient:
    return patient(captured, tmp_path, database)


@pytest.fixture
def pending(tmp_path: Path, database: str) -> Patient:
    """A load whose package waits in the working dir: it has files to be settled, too."""
    return patient(world("1.31.0", "resumable-merge"), tmp_path, database)


def test_every_kind_of_world_is_there() -> None:
    assert {w.version for w in SICK} >= {"0.4.12", "0.5.4", "1.5.0", "1.16.0", "1.28.1", "1.29.1", "1.31.0", "story"}


def test_the_way_there_and_back(captured: CapturedWorld, sick: Patient) -> None:
    before, untouched = sick.codes("error", "warning"), (sick.rows(), sick.files())
    everything, loads = sick.everything(), count_loads(captured, sick)
    prepared = sick.prepare()
    measured = sick.preview(prepared)
    assert sick.everything() == everything

    receipt = sick.apply(prepared)
    assert [(c.table, c.rows_come, c.rows_gone) for c in receipt.captures] == [
        (c.table, c.rows_come, c.rows_gone) for c in measured
    ]
    proof = sick.prove(prepared, receipt)
    assert not proof.remaining
    assert not proof.new
    assert not sick.codes("error", "warning") & CURABLE
    assert sick.codes("error", "warning") <= before
    arrived(captured, sick)
    recorded = any("Record load" in step.title for step in receipt.plan.steps)
    assert count_loads(captured, sick) == loads + recorded
    if captured.expected_codes & {"DD203"}:
        assert not recorded, "dlt has recorded the load itself"
    if captured.expected_codes & {"DD202"}:
        assert recorded
    assert sick.prepare().plan.is_empty
    repaired = sick.rows(), sick.files()

    undone = sick.undo(receipt)
    assert (sick.rows(), sick.files()) == untouched
    sick.age()
    assert sick.codes("error", "warning") == before
    assert {r.status for r in sick.receipts if r.id == receipt.id} == {"undone"}

    redone = sick.undo(undone)
    assert (sick.rows(), sick.files()) == repaired
    assert sick.undo(redone).status == "applied"
    assert (sick.rows(), sick.files()) == untouched


def count_loads(captured: CapturedWorld, sick: Patient) -> int:
    """How many loads are recorded, each of them once; the story has no record."""
    if captured.version == "story":
        return 0
    loads = sick.fetch(f'SELECT load_id FROM "{captured.dataset}"._dlt_loads')
    assert len(set(loads)) == len(loads)
    return len(loads)


def arrived(captured: CapturedWorld, sick: Patient) -> None:
    """The final tables hold what they held and what was staged; `final-null` had its keys already."""
    for name, rows in captured.rows.items():
        if rows.staging is None:
            continue
        schema = captured.dataset
        known = {"final-null": 0, "staging-has-more": 2}.get(captured.world, rows.staging)
        assert sick.count(f'"{schema}"."{name}"') == (rows.final or 0) + known


@pytest.mark.parametrize("name", ["0.4.12/stranded-merge", "1.31.0/resumable-merge", "story/final-null"])
def test_without_undo(name: str, tmp_path: Path, database: str) -> None:
    captured = world(*name.split("/"))
    sick = patient(captured, tmp_path, database)
    receipt = sick.apply(sick.prepare(), keep_undo=False)
    assert receipt.captures == ()
    assert not sick.codes("error", "warning") & CURABLE
    arrived(captured, sick)
    with pytest.raises(RefusedError, match="kept nothing to undo with"):
        sick.undo(receipt)


FINAL = "UPDATE shop.orders SET note = $$x$$ WHERE id = 1"
DRIFTS: dict[str, tuple[str, str]] = {
    "a final row changed": (FINAL, "shop.orders has changed"),
    "a final row gone": ("DELETE FROM shop.orders__items", "shop.orders__items has changed"),
    "a staged row changed": ("UPDATE shop_staging.orders SET note = $$x$$ WHERE id = 5", "the staged rows"),
    "a nested staged row gone": ("DELETE FROM shop_staging.orders__items", "the staged rows"),
    "the staging table emptied": ("TRUNCATE shop_staging.orders", "the staged rows"),
    "a load recorded": (
        "INSERT INTO shop._dlt_loads (load_id, schema_name, status, inserted_at) VALUES ('9e9', 'sales', 0, now())",
        "a load was recorded",
    ),
    "the table dropped": ("DROP TABLE shop_staging.orders CASCADE", "is not there any more"),
    "a column dropped": ("ALTER TABLE shop.orders DROP COLUMN note", "shop.orders has changed"),
}


@pytest.mark.parametrize(("change", "words"), DRIFTS.values(), ids=DRIFTS)
def test_drift_between_plan_and_apply_is_refused(pending: Patient, change: str, words: str) -> None:
    prepared = pending.prepare()
    pending.execute(change)
    before = pending.everything()
    with pytest.raises(RefusedError, match=words) as refused:
        pending.apply(prepared)
    assert "Nothing was changed" in refused.value.hint
    assert pending.everything() == before
    assert pending.receipts == ()


LATER: dict[str, tuple[str, str]] = {
    "a row of the repair changed": (
        "UPDATE shop.orders SET note = $$x$$ WHERE id = 5",
        "the rows that the repair wrote",
    ),
    "a row of the repair gone": ("DELETE FROM shop.orders__items", "the rows that the repair wrote"),
    "the staging table emptied": ("TRUNCATE shop_staging.orders", "the staged rows"),
    "a load recorded": (
        "INSERT INTO shop._dlt_loads (load_id, schema_name, status, inserted_at) VALUES ('9e9', 'sales', 0, now())",
        "the record of loads",
    ),
    "what undo needs dropped": ("DROP SCHEMA _dltdoctor CASCADE", "was dropped: it is what this repair kept for undo"),
    "the table dropped": ("DROP TABLE shop.orders CASCADE", "was dropped: it is the repaired table"),
}


@pytest.mark.parametrize(("change", "words"), LATER.values(), ids=LATER)
def test_drift_between_receipt_and_undo_is_refused(pending: Patient, change: str, words: str) -> None:
    receipt = pending.migrate()
    pending.execute(change)
    before = pending.everything()
    with pytest.raises(RefusedError, match=words):
        pending.undo(receipt)
    assert pending.everything() == before
    assert [r.status for r in pending.receipts] == ["applied"]


def test_a_package_that_moved_since_is_refused(pending: Patient) -> None:
    prepared = pending.prepare()
    (job,) = pending.pipelines_dir.glob("*/load/normalized/*/new_jobs/*.sql")
    job.rename(job.with_name(job.name.replace(".sql", "x.sql")))
    before = pending.everything()
    with pytest.raises(RefusedError, match="is not there any more"):
        pending.apply(prepared)
    assert pending.everything() == before


def test_a_package_that_dlt_cleaned_up_cannot_come_back(pending: Patient) -> None:
    receipt = pending.migrate()
    newest = max(pending.pipelines_dir.glob("*/load/loaded/*/package_completed.json"))
    newest.unlink()
    before = pending.everything()
    with pytest.raises(RefusedError, match="has changed"):
        pending.undo(receipt)
    assert pending.everything() == before
