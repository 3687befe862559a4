"""`fix --recover`: what was emptied or NULLed comes back from dlt's own packages as if nothing had happened."""

import gzip
import shutil
from pathlib import Path

import msgspec
import psycopg
import pytest

from dltdoctor import treatment
from dltdoctor.demo.world import build_world
from dltdoctor.errors import RefusedError
from dltdoctor.receipt import Receipt
from dltdoctor.treatment import Prepared, Wish
from tests.captured import world as captured_world
from tests.captured import worlds
from tests.command_line import dltdoctor, shell
from tests.older import interpreter
from tests.real import RealWorld
from tests.recovering import FIRST, SECOND, THIRD, contents, load, merge, orders, patient_of
from tests.repairing import Patient, patient, silent


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


def prepare(sick: Patient, *, unsafe: bool = False, **changes) -> Prepared:
    return treatment.prepare(sick.request(**changes), Wish(recover=True, unsafe=unsafe), progress=silent)


def cured(sick: Patient, code: str, *, unsafe: bool = False) -> Receipt:
    """Planned, rehearsed, applied and proved; there and back again; and nothing is left to do (laws 3 to 6)."""
    everything, before = sick.everything(), sick.rows()
    prepared = prepare(sick, unsafe=unsafe)
    assert [c.code for c in prepared.plan.cures] == [code], (prepared.plan.held_back, prepared.findings)
    measured = sick.preview(prepared)
    assert sick.everything() == everything
    receipt = sick.apply(prepared)
    assert [(c.table, c.rows_come, c.rows_gone) for c in receipt.captures] == [
        (c.table, c.rows_come, c.rows_gone) for c in measured
    ]
    proof = sick.prove(prepared, receipt)
    assert not proof.remaining
    assert not proof.new
    assert code not in sick.codes()
    assert prepare(sick, unsafe=True).plan.is_empty
    repaired = sick.rows()
    undone = sick.undo(receipt)
    assert sick.rows() == before
    assert code in sick.codes()
    sick.undo(undone)
    assert sick.rows() == repaired
    return receipt


WAYS = {
    "delete-insert": (merge("delete-insert"), "id", "insert_values"),
    "upsert": (merge("upsert"), "id", "insert_values"),
    "scd2": (merge("scd2"), None, "insert_values"),
    "insert-only": (merge("insert-only"), "id", "insert_values"),
    "append": ("append", None, "insert_values"),
    "csv": (merge("delete-insert"), "id", "csv"),
    "appended-csv": ("append", None, "csv"),
    "parquet": (merge("upsert"), "id", "parquet"),
}


@pytest.mark.parametrize(("disposition", "key", "file_format"), WAYS.values(), ids=WAYS)
@pytest.mark.fires("DD302")
def test_an_emptied_table_comes_back_row_for_row(world: RealWorld, disposition, key, file_format: str) -> None:
    nested = disposition != merge("scd2")
    batches = [[r if nested else {**r, "items": None} for r in batch] for batch in (FIRST, SECOND, THIRD)]
    how = {"disposition": disposition, "key": key, "format": file_format}
    load(world, *batches, **how)
    whole = contents(world)
    assert set(whole) == ({"orders", "orders__items", "orders__items__tags"} if nested else {"orders"})
    world.execute(f"TRUNCATE {', '.join(f'shop.{name}' for name in whole)}")
    cured(patient_of(world), "DD302")
    assert contents(world) == whole
    load(world, [{"id": 9, "amount": 90, "note": "n", "items": None}], **how)
    assert world.rows("shop.orders") == len(whole["orders"]) + 1


@pytest.mark.fires("DD302")
def test_deletions_are_replayed_too(world: RealWorld) -> None:
    hints = {"gone": {"data_type": "bool", "hard_delete": True}}
    second = [{**SECOND[0], "gone": True}, {**SECOND[1], "gone": False}]
    load(world, FIRST, second, disposition="merge", key="id", columns=hints)
    whole = contents(world)
    assert len(whole["orders"]) == 3
    world.execute("TRUNCATE shop.orders, shop.orders__items, shop.orders__items__tags")
    cured(patient_of(world), "DD302")
    assert contents(world) == whole


@pytest.mark.parametrize("version", ["1.5.0", "1.16.0"])
def test_the_disaster_of_a_staging_that_is_final(version: str, tmp_path: Path, database: str) -> None:
    sick = patient(captured_world(version, "staging-is-final"), tmp_path, database)
    cured(sick, "DD302")
    assert [row[0] for row in sick.fetch("SELECT id FROM shop.orders ORDER BY id")] == [1, 2, 3, 4, 5, 6]
    orphans = "SELECT count(*) FROM shop.orders__items WHERE _dlt_root_id NOT IN (SELECT _dlt_id FROM shop.orders)"
    assert sick.fetch(orphans) == [(0,)]
    assert sick.count("shop.orders__items") == 6


SCORES = [{"id": i, "score": i + 0.5, "badge": f"it's {i}" if i != 2 else None} for i in range(1, 7)]
CONCEPTS = [{"id": i, "concept": f"c{i}"} for i in (2, 3, 4, 9)]


def clobbered(world: RealWorld, strategy: str = "delete-insert") -> None:
    how = {"disposition": merge(strategy), "key": "id"}
    load(world, SCORES[:4], [{"id": 3, "score": None, "badge": "newer"}, *SCORES[4:]], pipeline="scores", **how)
    load(world, CONCEPTS, pipeline="concepts", **how)


@pytest.mark.fires("DD301")
def test_values_that_another_pipeline_has_nulled_come_back(world: RealWorld, postgres: str) -> None:
    clobbered(world)
    sick = patient_of(world)
    assert sick.fetch("SELECT count(score), count(badge) FROM shop.orders") == [(3, 3)]
    prepared = prepare(sick)
    (cure,) = prepared.plan.cures
    assert cure.safety == "safe"
    assert "3 values of badge and 2 values of score" not in cure.steps[0].title
    assert "2 values of badge and 2 values of score" in cure.steps[0].title
    receipt = sick.apply(prepared)
    rows = sick.fetch("SELECT id, score, badge, concept FROM shop.orders ORDER BY id")
    assert rows == [
        (1, 1.5, "it's 1", None),
        (2, 2.5, None, "c2"),
        (3, None, "newer", "c3"),
        (4, 4.5, "it's 4", "c4"),
        (5, 5.5, "it's 5", None),
        (6, 6.5, "it's 6", None),
        (9, None, None, "c9"),
    ]
    second = prepare(sick, unsafe=True)
    assert second.plan.is_empty
    sick.undo(receipt)
    assert sick.fetch("SELECT count(score), count(badge) FROM shop.orders") == [(3, 3)]


LOST = [
    {"id": 2, "at": 4, "amount": 21, "items": [{"sku": "c"}, {"sku": "d", "tags": ["z"]}]},
    {"id": 4, "at": 5, "amount": 40, "items": [{"sku": "e"}]},
    {"id": 5, "at": 6, "amount": 50, "items": [{"sku": "f"}]},
]
EARLY = [{**row, "at": row["id"]} for row in FIRST]
LATE = [{"id": 4, "at": 7, "amount": 41, "items": [{"sku": "g"}]}, {"id": 6, "at": 8, "amount": 60, "items": []}]
CLOCKS = ("_dlt_load_id", "_dlt_id", "_dlt_root_id", "_dlt_parent_id")


def aborted(world: RealWorld, python: str, disposition, *, deny: str, table: str = "orders") -> None:
    """A load that dlt gives up, with its cursor moved on; the next one goes on behind it."""
    how = {"disposition": disposition, "key": "id", "python": python}
    load(world, EARLY, **how)
    world.execute(f"REVOKE {deny} ON shop.{table} FROM CURRENT_USER")
    load(world, LOST, fails=f"permission denied for table {table}", **how)
    world.execute(f"GRANT {deny} ON shop.{table} TO CURRENT_USER")
    load(world, LATE, **how)


ABORTED = {
    "delete-insert": (merge("delete-insert"), "DELETE", "orders"),
    "upsert": (merge("upsert"), "UPDATE", "orders"),
    "append": ("append", "INSERT", "orders"),
}


@pytest.mark.parametrize(("disposition", "deny", "table"), ABORTED.values(), ids=ABORTED)
@pytest.mark.fires("DD204")
def test_a_load_that_was_given_up_and_overtaken(
    world: RealWorld, tmp_path: Path, database: str, disposition, deny: str, table: str
) -> None:
    python = interpreter("1.28.1", tmp_path / "dlt-1.28.1")
    aborted(world, python, disposition, deny=deny, table=table)
    twin = RealWorld(tmp_path / "twin", database)
    load(twin, EARLY, LOST, LATE, disposition=disposition, key="id", python=python)
    assert contents(world, without=CLOCKS) != contents(twin, without=CLOCKS)
    cured(patient_of(world), "DD204")
    assert contents(world, without=CLOCKS) == contents(twin, without=CLOCKS)
    assert orders(world) == orders(twin)
    last = {"id": 7, "at": 9, "amount": 70, "items": []}
    for each in (world, twin):
        load(each, [last], disposition=disposition, key="id", python=python)
    assert contents(world, without=CLOCKS) == contents(twin, without=CLOCKS)
    assert patient_of(world).codes("error", "warning") == patient_of(twin).codes("error", "warning")


@pytest.mark.fires("DD204")
def test_what_a_later_load_has_deleted_stays_deleted(world: RealWorld, tmp_path: Path, database: str) -> None:
    python = interpreter("1.28.1", tmp_path / "dlt-1.28.1")
    hints = {"gone": {"data_type": "bool", "hard_delete": True}}
    how = {"disposition": "merge", "key": "id", "columns": hints, "python": python}
    late = [{**LATE[0], "gone": True}, {"id": 2, "at": 8, "amount": 0, "items": [], "gone": True}, LATE[1]]
    load(world, EARLY, **how)
    world.execute("REVOKE DELETE ON shop.orders FROM CURRENT_USER")
    load(world, LOST, fails="permission denied for table orders", **how)
    world.execute("GRANT DELETE ON shop.orders TO CURRENT_USER")
    load(world, late, **how)
    twin = RealWorld(tmp_path / "twin", database)
    load(twin, EARLY, LOST, late, **how)
    cured(patient_of(world), "DD204")
    assert [row[0] for row in orders(world) if row[0] in (2, 4)] == []
    assert orders(world) == orders(twin)


LOST_LOADS = ["1.0.0", "1.5.0", "1.28.1", "1.29.1"]


@pytest.mark.parametrize("version", LOST_LOADS)
@pytest.mark.fires("DD204")
def test_a_lost_load_of_every_version(version: str, tmp_path: Path, database: str) -> None:
    captured = captured_world(version, "lost-load")
    sick = patient(captured, tmp_path, database)
    loads = sick.count("shop._dlt_loads")
    cured(sick, "DD204")
    assert [row[0] for row in sick.fetch("SELECT id FROM shop.orders ORDER BY id")] == list(range(1, 10))
    assert sick.count("shop.orders__items") == 9
    assert sick.count("shop.events") == captured.rows["events"].final, "they had arrived"
    assert sick.count("shop._dlt_loads") == loads + 1


@pytest.mark.fires("DD301")
def test_values_come_back_as_if_both_had_merged_by_upsert(world: RealWorld, tmp_path: Path, database: str) -> None:
    clobbered(world)
    twin = RealWorld(tmp_path / "twin", database)
    clobbered(twin, "upsert")
    assert contents(world, without=CLOCKS) != contents(twin, without=CLOCKS)
    sick = patient_of(world)
    sick.apply(prepare(sick))
    assert contents(world, without=CLOCKS) == contents(twin, without=CLOCKS)


@pytest.mark.fires("DD301")
def test_what_was_never_loaded_is_not_said_to_be_lost(world: RealWorld) -> None:
    """Only rows that were written after the other pipeline's first load can have lost a value."""
    how = {"disposition": "merge", "key": "id"}
    load(world, SCORES, pipeline="scores", **how)
    load(world, [{"id": 9, "concept": "c9"}], pipeline="concepts", **how)
    (found,) = [f for f in prepare(patient_of(world)).findings if f.code == "DD301"]
    assert "1 row last written by concepts" in found.message
    assert not [e for e in found.evidence if e.fact.startswith("6 rows")]
    assert prepare(patient_of(world)).plan.is_empty


@pytest.mark.fires("DD301")
def test_nested_rows_hang_on_the_row_of_now(world: RealWorld) -> None:
    how = {"disposition": "merge", "key": "id"}
    load(world, FIRST, SECOND, **how)
    whole = orders(world)
    load(world, [{"id": 1, "concept": "c1"}, {"id": 2, "concept": "c2"}], pipeline="concepts", **how)
    assert orders(world) != whole
    sick = patient_of(world)
    prepared = prepare(sick)
    assert "4 rows of orders__items" in prepared.plan.steps[0].title
    receipt = sick.apply(prepared)
    assert orders(world) == whole
    roots = "SELECT count(*) FROM shop.{} AS c JOIN shop.orders AS o ON o._dlt_id = c._dlt_root_id"
    assert sick.fetch(roots.format("orders__items")) == [(5,)]
    assert sick.fetch(roots.format("orders__items__tags")) == [(3,)]
    sick.undo(receipt)
    assert orders(world) != whole


@pytest.mark.fires("DD302")
@pytest.mark.quiet("DD301")
def test_a_table_of_two_pipelines_comes_back_with_what_both_brought(world: RealWorld) -> None:
    clobbered(world, "upsert")
    whole = contents(world)
    world.execute("TRUNCATE shop.orders")
    sick = patient_of(world)
    (half,) = prepare(sick, unsafe=True, names=("scores",)).plan.cures
    assert half.safety == "unsafe"
    assert "no working dir of concepts was looked at" in half.cost
    cured(sick, "DD302")
    assert contents(world) == whole


# --------------------------------------------------------------- captured worlds: no dlt has to run


@pytest.fixture
def nulled(tmp_path: Path, database: str) -> Patient:
    return patient(captured_world("1.31.0", "null-scores"), tmp_path, database)


@pytest.fixture
def emptied(tmp_path: Path, database: str) -> Patient:
    """Two loads of orders and their items, and a TRUNCATE by hand."""
    sick = patient(captured_world("1.31.0", "healthy-merge"), tmp_path, database)
    sick.execute("TRUNCATE shop.orders, shop.orders__items")
    return sick


@pytest.mark.parametrize("version", ["1.5.0", "1.31.0"])
@pytest.mark.fires("DD301")
def test_the_story(version: str, tmp_path: Path, database: str) -> None:
    captured = captured_world(version, "null-scores")
    sick = patient(captured, tmp_path, database)
    (table,) = captured.rows
    scores = f'SELECT submission_id, trust_score FROM "{captured.dataset}"."{table}" ORDER BY 1'
    assert None in dict(sick.fetch(scores)).values()
    (remedy,) = [f.remedy for f in prepare(sick).findings if f.code == "DD301"]
    *_, loser, flag = remedy.command.split()
    assert flag == "--recover"
    assert [c.code for c in prepare(sick, names=(loser,)).plan.cures] == ["DD301"], "as the remedy's command has it"
    cured(sick, "DD301")
    assert {63.6, 88.8} <= set(dict(sick.fetch(scores)).values())


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
    treatment.write_plan(prepare(emptied).plan, tmp_path / "plan.json")
    again = treatment.reopen(treatment.read_plan(tmp_path / "plan.json"), emptied.request(), progress=silent)
    emptied.apply(again)
    assert emptied.count("shop.orders") == 5


def test_a_plan_holds_no_value(nulled: Patient) -> None:
    prepared = prepare(nulled)
    assert prepared.samples
    shown = msgspec.json.encode(prepared.plan).decode()
    for value in ("63.6", "88.8"):
        assert value not in shown


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


def test_the_command_line_shows_counts_and_masks_values(nulled: Patient) -> None:
    places = ["--project", nulled.project, "--pipelines-dir", nulled.pipelines_dir, "--dsn", nulled.dsn]
    dry = dltdoctor("fix", "--recover", "--dry-run", *places, env={"COLUMNS": "200"})
    assert dry.returncode == 0, dry.stderr
    assert "trust_score NULL → ***" in dry.stdout
    assert "63.6" not in dry.stdout
    shown = dltdoctor("fix", "--recover", "--dry-run", "--show-values", "--format", "json", *places)
    assert "63.6" in shown.stdout
    done = dltdoctor("fix", "--recover", "--yes", "--show-values", *places, env={"COLUMNS": "200"})
    assert done.returncode == 0, done.stdout
    assert "trust_score NULL → 63.6" in done.stdout
    assert "DD301 clobbered-columns is gone" in done.stdout
    undone = dltdoctor("undo", "--yes", *places)
    assert undone.returncode == 0, undone.stderr


HEALTHY = sorted(w.version for w in worlds() if w.world == "healthy-merge")


@pytest.mark.parametrize("version", HEALTHY)
@pytest.mark.fires("DD302")
def test_packages_of_every_version_fill_emptied_tables(version: str, tmp_path: Path, database: str) -> None:
    captured = captured_world(version, "healthy-merge")
    sick = patient(captured, tmp_path, database)
    whole = sick.rows()
    sick.execute(*(f'TRUNCATE "{captured.dataset}"."{name}"' for name in captured.rows))
    empty = sick.rows()
    assert empty != whole
    prepared = prepare(sick)
    receipt = sick.apply(prepared)
    refilled = {t.table for c in prepared.plan.cures for s in c.steps for t in s.touches}
    assert refilled >= {"orders", "orders__items"}
    after = sick.rows()
    assert {name for name in whole if after[name] != whole[name]} == {
        name for name in whole if empty[name] != whole[name] and name.rsplit(".")[-1].strip('"') not in refilled
    }
    assert "DD302" not in sick.codes()
    assert prepare(sick).plan.is_empty
    sick.undo(receipt)
    assert sick.rows() == empty


@pytest.mark.fires("DD302")
def test_a_replace_that_was_given_up_leaves_what_the_one_before_had_brought(world: RealWorld, tmp_path: Path) -> None:
    python = interpreter("1.28.1", tmp_path / "dlt-1.28.1")
    load(world, FIRST, disposition="replace", python=python)
    whole = contents(world)
    world.execute("REVOKE INSERT ON shop.orders FROM CURRENT_USER")
    load(world, SECOND, disposition="replace", python=python, fails="permission denied for table orders")
    world.execute("GRANT INSERT ON shop.orders TO CURRENT_USER")
    assert world.rows("shop.orders") == 0
    sick = patient_of(world)
    sick.apply(prepare(sick))
    now = contents(world)
    assert now["orders"] == whole["orders"]
    assert set(now["orders__items"]) >= set(whole["orders__items"])
    load(world, SECOND, disposition="replace", python=python)
    assert world.rows("shop.orders") == 2
    assert world.rows("shop.orders__items") == 3


def test_the_demo_is_cured_with_the_command_that_it_prints(temporary: Path) -> None:
    with build_world("null-scores") as demo, psycopg.connect(demo.dsn, autocommit=True) as connection:
        scores = b"SELECT submission_id, trust_score FROM public.app_opportunities_trust"
        before = dict(connection.execute(scores).fetchall())
        assert (before["1a7k2p"], before["1b3m9x"]) == (None, 88.8)
        places = f" --project {demo.project} --pipelines-dir {demo.pipelines_dir}"
        looked = dltdoctor("diagnose", *places.split(), env={"COLUMNS": "200"})
        (printed,) = {line.strip() for line in looked.stdout.splitlines() if "--recover" in line and "fix" in line}
        done = shell(f"{printed} --yes --show-values", env={"COLUMNS": "200"})
        assert done.returncode == 0, done.stdout + done.stderr
        assert "submission_id 1a7k2p: trust_badge NULL → silver, trust_score NULL → 63.6" in done.stdout
        assert "DD301 clobbered-columns is gone" in done.stdout
        after = dict(connection.execute(scores).fetchall())
        assert (after["1a7k2p"], after["1b3m9x"]) == (63.6, 88.8)
        assert None not in after.values()
