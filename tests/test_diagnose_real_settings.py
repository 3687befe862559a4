"""Settings that hurt every run: what they do to real loads, that they are found, and that `fix` takes them out."""

import importlib.metadata
from pathlib import Path

import pytest

from dltdoctor import treatment
from dltdoctor.diagnosis import Diagnosis
from dltdoctor.finding import Severity
from dltdoctor.treatment import Wish
from tests.captured import world as captured
from tests.examining import diagnose
from tests.real import SHOP, RealWorld
from tests.repairing import Patient, silent

DD504, DD505, DD506, DD507 = ("DD504", "info"), ("DD505", "error"), ("DD506", "warning"), ("DD507", "warning")
RATES = """
import sys, dlt

pipeline = dlt.pipeline("rates", destination="postgres", dataset_name="shop")
for page in sys.argv[1:]:
    pipeline.run([{"id": 1, "rate": int(page)}, {"id": 2, "rate": 2}], table_name="rates", write_disposition="replace")
"""


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite's own environment is not the project's."""
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


def patient(world: RealWorld) -> Patient:
    return Patient(root=world.root, project=world.project, pipelines_dir=world.pipelines_dir, dsn=world.dsn)


def rewritten(world: RealWorld, code: str) -> None:
    """`fix --config` makes the finding go and brings no other, undo takes it back, and it can be done again."""
    sick = patient(world)
    before, findings = sick.files(), world.found()
    prepared = _prepared(sick, code)
    assert [c.code for c in prepared.plan.cures] == [code], prepared.plan.held_back
    receipt = sick.apply(prepared)
    assert world.found() == [f for f in findings if f[0] != code]
    assert _prepared(sick, code).plan.cures == ()
    sick.undo(receipt)
    assert sick.files() == before
    assert world.found() == findings
    sick.apply(_prepared(sick, code))


def _prepared(sick: Patient, code: str) -> treatment.Prepared:
    return treatment.prepare(sick.request(dsn=None), Wish(config=True, codes=(code,)), progress=silent)


# --------------------------------------------------------------------------------- refresh left on


@pytest.mark.fires("DD505")
@pytest.mark.parametrize("mode", ["drop_sources", "drop_resources", "drop_data"])
def test_a_refresh_in_the_settings(world: RealWorld, mode: str) -> None:
    world.write(config=f'[pipelines.shop]\nrefresh = "{mode}"\n')
    world.run(SHOP, "1", "2")
    world.run(SHOP, "3")
    assert world.rows("shop.orders") == 3, "what the last run brought"
    assert world.found() == [DD505]
    rewritten(world, "DD505")
    world.run(SHOP, "4")
    assert world.rows("shop.orders") == 6
    assert world.found() == []


@pytest.mark.fires("DD505")
def test_a_refresh_in_the_source(world: RealWorld) -> None:
    world.run(SHOP.replace("(int(page)))", '(int(page)), refresh="drop_data")'), "1", "2")
    assert world.rows("shop.orders") == 3
    assert world.found() == [DD505]
    rewritten(world, "DD505")
    assert (world.project / "load.py").read_text() == SHOP
    world.run(SHOP, "3")
    assert world.rows("shop.orders") == 6


@pytest.mark.fires("DD505")
def test_a_bare_variable(world: RealWorld) -> None:
    world.run(SHOP, "1", env={"REFRESH": "drop_resources"})
    (found,) = world.examine(environ={"REFRESH": "drop_resources"}).findings
    assert (found.code, found.remedy.command) == ("DD505", "unset REFRESH")


@pytest.mark.quiet("DD505")
def test_a_refresh_that_is_asked_for(world: RealWorld) -> None:
    script = SHOP.replace("(int(page)))", '(int(page)), refresh="drop_data" if "again" in sys.argv else None)')
    world.run(script, "1", "2")
    assert world.rows("shop.orders") == 6
    assert world.found() == []


# ------------------------------------------------------------------------------ state not restored


@pytest.mark.fires("DD506")
def test_a_state_that_is_not_restored(world: RealWorld) -> None:
    world.write(config="[pipelines]\nrestore_from_destination = false\n")
    appending = SHOP.replace('"merge"', '"append"')
    world.run(appending, "1")
    world.lose("shop")
    world.run(appending, "1", "2")
    assert world.rows("shop.orders") == 9, "the first page is there twice"
    assert DD506 in world.found()
    rewritten(world, "DD506")
    world.run(appending, "3")
    world.lose("shop")
    world.run(appending, "3")
    assert world.rows("shop.orders") == 12, "the cursor came back from the destination"
    assert DD506 not in world.found()


def test_an_older_state_with_a_higher_version_would_win(world: RealWorld) -> None:
    appending = SHOP.replace('"merge"', '"append"')
    world.run(appending, "1", "2", "3")  # versions 1 to 3 are in the destination
    world.write(config="[pipelines]\nrestore_from_destination = false\n")
    world.lose("shop")
    world.run(appending, "4")  # the cursor is past 12, in version 1
    prepared = _prepared(patient(world), "DD506")
    assert prepared.plan.cures == ()
    (held,) = prepared.plan.held_back
    assert "holds a state of version 3, here it is 1" in held.reason
    assert "--unsafe" in str(held.command)
    world.write(config="")
    world.run(appending, "4")
    assert world.rows("shop.orders") == 15, "so it is: 10 to 12 came twice"


@pytest.mark.quiet("DD506")
def test_an_argument_that_dlt_ignores(world: RealWorld) -> None:
    script = SHOP.replace('dataset_name="shop")', 'dataset_name="shop", restore_from_destination=False)')
    world.run(script, "1")
    assert world.rows("shop._dlt_pipeline_state") == 1
    assert world.found() == []


# -------------------------------------------------------------------------------------- replace


@pytest.mark.fires("DD504")
def test_a_replaced_table_is_staged_when_asked_for(world: RealWorld) -> None:
    world.run(RATES, "1")
    assert world.found() == [DD504]
    plain = treatment.prepare(patient(world).request(dsn=None), Wish(), progress=silent)
    assert plain.plan.cures == ()
    assert treatment.prepare(patient(world).request(dsn=None), Wish(config=True), progress=silent).plan.cures == ()
    _pin(world, "dlt==1.31.0")
    rewritten(world, "DD504")
    world.run(RATES, "2")
    assert world.rows("shop.rates") == world.rows("shop_staging.rates") == 2
    assert world.found() == []


@pytest.mark.fires("DD504")
def test_an_older_dlt_would_not_make_the_staging_table(world: RealWorld) -> None:
    world.run(f'{RATES}pipeline.run([{{"id": 1}}], table_name="m", write_disposition="merge", primary_key="id")\n', "1")
    for pin, offered in (("1.28.1", False), ("1.29.1", True), ("1.31.0", True)):
        _pin(world, f"dlt=={pin}")
        prepared = _prepared(patient(world), "DD504")
        assert bool(prepared.plan.cures) == offered
        assert offered or "rates" in prepared.plan.held_back[0].reason


@pytest.mark.quiet("DD504")
@pytest.mark.parametrize("strategy", ["insert-from-staging", "staging-optimized"])
def test_another_replace_strategy(world: RealWorld, strategy: str) -> None:
    world.write(config=f'[destination.postgres]\nreplace_strategy = "{strategy}"\n')
    world.run(RATES, "1", "2")
    assert DD504 not in world.found()


# ------------------------------------------------------------------------------------- versions


def _pin(world: RealWorld, *lines: str) -> None:
    world.write()
    (world.project / "requirements.txt").write_text("\n".join(lines) + "\n")


@pytest.mark.fires("DD507")
def test_dataset_beside_a_newer_sqlglot(world: RealWorld) -> None:
    reading = SHOP + "print(pipeline.dataset().orders.fetchall())\n"
    installed = importlib.metadata.version("sqlglot")
    assert tuple(map(int, installed.split(".")[:2])) >= (30, 22)
    world.run(reading, "1", fails="unexpected keyword argument 'infer_schema'")
    _pin(world, "dlt==1.31.0", f"sqlglot=={installed}")
    (found,) = world.examine().findings
    assert (found.code, found.severity, found.remedy.command) == (*DD507, "pip install 'sqlglot<30.22'")
    assert f"load.py:{reading.count(chr(10))}" in [e.source for e in found.evidence]


@pytest.mark.quiet("DD507")
def test_an_older_sqlglot_and_a_newer_one_that_nobody_needs(world: RealWorld) -> None:
    world.run(SHOP, "1")
    _pin(world, "dlt==1.31.0", "sqlglot==30.30.0")
    assert world.found() == []
    world.write(report=SHOP + "pipeline.dataset()\n")
    _pin(world, "dlt==1.31.0", "sqlglot==28.0.0")
    assert world.found() == []


@pytest.mark.parametrize(
    ("version", "name", "severity"),
    [
        ("1.16.0", "staging-is-final", "error"),
        ("0.5.4", "stranded-merge", "warning"),
        ("0.5.4", "healthy-merge", "info"),
    ],
)
@pytest.mark.fires("DD507")
def test_an_old_dlt(tmp_path: Path, database: str, version: str, name: str, severity: str) -> None:
    diagnosis = _captured(tmp_path, database, version, name)
    assert [f.severity.value for f in diagnosis.findings if f.code == "DD507"] == [severity]


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("0.4.12", "staging-is-final"),
        ("1.0.0", "healthy-merge"),
        ("1.5.0", "healthy-replace-truncate-and-insert"),
        ("1.5.0", "healthy-merge"),
        ("1.21.0", "staging-is-final"),
        ("1.28.1", "healthy-merge"),
    ],
)
def test_an_old_dlt_that_does_no_harm(tmp_path: Path, database: str, version: str, name: str) -> None:
    diagnosis = _captured(tmp_path, database, version, name)
    assert not [f for f in diagnosis.findings if f.code == "DD507" and f.severity is not Severity.INFO]


def _captured(place: Path, dsn: str, version: str, name: str) -> Diagnosis:
    world = captured(version, name)
    unpacked = world.unpack(place / "world")
    world.restore(dsn)
    (unpacked.project / "requirements.txt").write_text(f"dlt=={version}\n")
    return diagnose(unpacked.project, unpacked.pipelines_dir, dsn=dsn)


@pytest.mark.fires("DD507")
@pytest.mark.parametrize("version", ["1.27.0", "1.27.1"])
def test_a_dlt_that_truncates(world: RealWorld, version: str) -> None:
    world.run(SHOP, "1")  # dlt 1.27 itself is not to be had: its bug is told, not shown
    _pin(world, f"dlt=={version}")
    assert ("DD507", "error") in world.found()
    world.write(load=SHOP)
    assert ("DD507", "error") in [
        (f.code, f.severity.value) for f in world.glance(world.elsewhere, offline=True).findings
    ]


@pytest.mark.quiet("DD507")
@pytest.mark.parametrize("version", ["1.26.0", "1.27.2"])
def test_a_dlt_that_does_not_truncate(world: RealWorld, version: str) -> None:
    world.run(SHOP, "1")
    _pin(world, f"dlt=={version}")
    world.found()


@pytest.mark.quiet("DD507")
def test_a_dlt_that_truncates_only_what_is_merged(world: RealWorld) -> None:
    world.run(SHOP.replace('"merge"', '"append"'), "1")
    _pin(world, "dlt==1.27.0")
    world.found()
