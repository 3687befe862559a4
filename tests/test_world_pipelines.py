"""Pipelines of real dlt runs, of captured worlds and of bug reports, read and left untouched."""

import json
import os
import pickle
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from dltdoctor.snapshot import Pipeline, Unread
from dltdoctor.world.pipelines import read_pipelines
from dltdoctor.world.pipelines_dirs import PipelinesDir
from dltdoctor.world.trace import last_destination
from tests.worlds import digest_tree

WORLDS = Path(__file__).parent.parent / "fixtures" / "worlds"

RUN_DLT = """
import os, sys
import dlt

root = sys.argv[1]

@dlt.resource(primary_key="id", write_disposition="merge")
def orders(at=dlt.sources.incremental("at", initial_value=0), last=1):
    yield [{"id": n, "at": n, "items": [{"sku": "a"}]} for n in range(last - 2, last + 1)]

def pipeline(name, destination):
    return dlt.pipeline(
        name, destination=destination, dataset_name="My Shop", pipelines_dir=root + "/pipelines"
    )

files = dlt.destinations.filesystem(root + "/data")
done = pipeline("done", files)
done.run(orders(last=3))
done.run(orders(last=6))

normalized = pipeline("normalized", files)
normalized.run(orders(last=3))
normalized.extract(orders(last=6))
normalized.normalize()

extracted = pipeline("extracted", files)
extracted.extract(orders(last=3))

for name in ("retried", "aborted"):
    failing = pipeline(name, dlt.destinations.dummy(fail_prob=1.0, loader_file_format="jsonl"))
    try:
        failing.run(orders(last=3))
    except Exception as error:
        print(type(error).__name__)
    if name == "aborted":
        failing.abort_packages()
"""


@pytest.fixture(scope="session")
def real_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipelines directory of real runs of the installed dlt, which need no database."""
    root = tmp_path_factory.mktemp("real")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(root),
        "DLT_DATA_DIR": str(root / "data_dir"),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
    }
    command = [sys.executable, "-c", RUN_DLT, str(root)]
    ran = subprocess.run(command, env=environ, cwd=root, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return root / "pipelines"


def _read(path: Path, *names: str) -> tuple[dict[str, Pipeline], tuple[Unread, ...]]:
    place = PipelinesDir(path=path, origin="here", required=True, profile="dev")
    pipelines, unread = read_pipelines([place], names)
    return {pipeline.name: pipeline for pipeline in pipelines}, unread


def test_real_runs_in_every_stage(real_runs: Path) -> None:
    before = digest_tree(real_runs)
    pipelines, unread = _read(real_runs)
    assert digest_tree(real_runs) == before
    assert unread == ()
    assert {name: [p.stage for p in pipeline.packages] for name, pipeline in pipelines.items()} == {
        "done": ["loaded", "loaded"],
        "normalized": ["loaded", "normalized"],
        "extracted": ["extracted"],
        "retried": ["normalized"],
        "aborted": ["aborted"],
    }
    assert {p.profile for p in pipelines.values()} == {"dev"}


def test_what_a_real_run_leaves(real_runs: Path) -> None:
    pipelines, _ = _read(real_runs, "done")
    assert set(pipelines) == {"done"}
    done = pipelines["done"]
    state = done.state
    assert state is not None
    assert (state.pipeline_name, state.dataset_name, state.destination) == ("done", "My Shop", "filesystem")
    assert (state.first_run, state.dev_mode, state.partial) == (False, False, False)
    assert [(c.resource, c.path, c.last_value) for c in state.cursors] == [("orders", "at", "6")]
    assert state.run_dir == str(real_runs.parent)
    schema = done.schemas[0]
    assert schema.tables["orders"].primary_key == ("id",)
    assert schema.tables["orders__items"].disposition == "merge"
    assert schema.tables["orders__items"].seen_data is True
    versions = [package.state_version for package in done.packages]
    assert versions == [state.version - 1, state.version]
    assert {job.table for job in done.packages[0].jobs} >= {"orders", "orders__items"}
    assert all(package.schema is None and package.schema_applied for package in done.packages)
    assert done.storage_version
    assert done.last_destination is None


def test_jobs_that_failed_in_a_real_run(real_runs: Path) -> None:
    pipelines, _ = _read(real_runs)
    for name, status in (("retried", "new"), ("aborted", "failed")):
        (package,) = pipelines[name].packages
        failures = package.failures
        assert failures, name
        assert {job.status for job in failures} == {status}
        assert all(job.error and "\n" not in job.error for job in failures), failures
        assert package.schema is not None
        assert package.can_rewind
    (pending,) = pipelines["normalized"].pending
    assert not pending.schema_applied
    assert pending.schema is not None


def test_names_choose_and_progress_tells(real_runs: Path) -> None:
    told: list[str] = []
    place = PipelinesDir(path=real_runs, origin="here")
    pipelines, unread = read_pipelines([place], ["extracted", "done", "nobody"], progress=told.append)
    assert [p.name for p in pipelines] == told == ["done", "extracted"]
    assert unread == ()


def test_of_two_with_one_name_the_first_is_read(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "shop").mkdir(parents=True)
        (tmp_path / folder / "shop" / "state.json").write_text(json.dumps({"dataset_name": folder}))
    (tmp_path / "b/other/load").mkdir(parents=True)
    places = [PipelinesDir(path=tmp_path / folder, origin=folder, profile=folder) for folder in "ab"]
    pipelines, _ = read_pipelines(places)
    assert [(p.name, p.profile) for p in pipelines] == [("shop", "a"), ("other", "b")]
    assert pipelines[1].state is None


STATE = {
    "pipeline_name": "app",
    "default_schema_name": "app",
    "schema_names": ["app"],
    "dataset_name": "public",
    "destination_type": "dlt.destinations.postgres",
}
SCHEMA = {
    "tables": {
        "app_opportunities_trust": {
            "primary_key": "submission_id",
            "write_disposition": "merge",
            "columns": {"submission_id": {"data_type": "text"}, "trust_score": {"data_type": "double"}},
        }
    }
}


@pytest.mark.parametrize("place", ["schemas/app.schema.json", "app.schema.json", "schema.json"])
def test_a_bug_report(tmp_path: Path, place: str) -> None:
    working_dir = tmp_path / "pipelines" / "app"
    file = working_dir / place
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(SCHEMA))
    (working_dir / "state.json").write_text(json.dumps(STATE))
    for path in (working_dir.parent, working_dir):
        pipelines, unread = _read(path)
        assert unread == ()
        pipeline = pipelines["app"]
        assert pipeline.state is not None
        assert pipeline.state.partial
        (schema,) = pipeline.schemas
        assert schema.tables["app_opportunities_trust"].primary_key == ("submission_id",)
        assert pipeline.packages == ()


def test_a_working_dir_unpacked_under_another_name_keeps_its_own(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text(json.dumps(STATE))
    assert set(_read(tmp_path)[0]) == {"app"}
    assert set(_read(tmp_path, "other")[0]) == set()


def test_only_working_dirs_are_pipelines(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "file.txt").touch()
    (tmp_path / "wiped").mkdir()
    assert _read(tmp_path) == ({}, ())


def test_the_last_destination_is_read_from_pickles_of_every_protocol(tmp_path: Path) -> None:
    url = "postgresql://loader:***@db.internal:5432/warehouse"
    quoted = "failed to connect to postgresql://other:secret@nowhere/x"
    file = tmp_path / "trace.pickle"
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        file.write_bytes(pickle.dumps([quoted, (1, url, "postgres"), quoted], protocol))
        assert last_destination(str(file)) == url
    file.write_bytes(pickle.dumps("postgresql://loader:secret@db/w"))
    assert last_destination(str(file)) == "postgresql://loader:***@db/w"
    long_url = f"postgres://u@h/{'x' * 500}"
    file.write_bytes(pickle.dumps(long_url))
    assert last_destination(str(file)) == long_url
    file.write_bytes(b"\x8c\xffpostgresql://")
    assert "secret" not in (last_destination(str(file)) or "")
    file.write_bytes(b"")
    assert last_destination(str(file)) is None
    assert last_destination(str(tmp_path / "gone")) is None


class _Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (os.mkdir, ("unpickled",))


def test_a_trace_is_never_unpickled(tmp_path: Path) -> None:
    working_dir = tmp_path / "shop"
    (working_dir / "load").mkdir(parents=True)
    (working_dir / "trace.pickle").write_bytes(pickle.dumps([_Bomb(), "postgresql://u@h/d"]))
    pipelines, _ = _read(tmp_path)
    assert pipelines["shop"].last_destination == "postgresql://u@h/d"
    assert not Path("unpickled").exists()


@pytest.mark.skipif(not WORLDS.is_dir(), reason="the captured worlds are in the source distribution only")
def test_every_captured_world_is_read(tmp_path: Path) -> None:
    archives = sorted(WORLDS.glob("*/*/files.tar.xz"))
    assert archives
    aborted_since = (1, 0)
    for archive in archives:
        version, world = archive.parts[-3:-1]
        target = tmp_path / version / world
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
        before = digest_tree(target)
        pipelines, unread = _read(target / "pipelines")
        assert digest_tree(target) == before
        assert unread == (), archive
        if world != "stranded-merge":
            continue
        for pipeline in pipelines.values():
            old = tuple(int(part) for part in version.split(".")[:2]) < aborted_since
            last = pipeline.packages[-1]
            assert last.stage == ("loaded" if old else "aborted"), archive
            assert [(j.format, j.error) for j in last.failures] == [("sql", "permission denied for table orders")]
