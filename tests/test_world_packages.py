"""Load packages in every state and era, laid out by hand as measured on real runs."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from dltdoctor.snapshot import Job, Package
from dltdoctor.world.jobs import job_name
from dltdoctor.world.packages import read_packages

SCHEMA = {
    "version": 2,
    "version_hash": "h=",
    "engine_version": 11,
    "name": "shop",
    "tables": {"orders": {"write_disposition": "merge", "columns": {"id": {"primary_key": True}}}},
}
DENIED = "permission denied for table orders"
TRACEBACK = (
    'retry: terminal\nTraceback (most recent call last):\n  File "x.py", line 1, in f\n    f()\n'
    f"dlt.destinations.exceptions.DatabaseTerminalException: {DENIED}\nDETAIL:  Key (id)=(7) exists.\n\n"
)


def _package(working_dir: Path, place: str, load_id: str = "1700000000.1", **files: str) -> Path:
    """A package in `place`; a double underscore in a file's key separates its folder."""
    path = working_dir / place / load_id
    for folder in ("new_jobs", "started_jobs", "completed_jobs", "failed_jobs"):
        (path / folder).mkdir(parents=True)
    state = {"_state_engine_version": 1, "pipeline_state": {"version": 5, "state": "eNo="}}
    defaults = {"schema.json": json.dumps(SCHEMA), "load_package_state.json": json.dumps(state)}
    for name, content in (defaults | files).items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return path


def _only(working_dir: Path) -> Package:
    packages, problems = read_packages(str(working_dir))
    assert problems == ()
    (package,) = packages
    return package


def _failed(package: Package) -> Job:
    (job,) = package.failures
    return job


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("orders.e60ec2a0ff.0.insert_values.gz", ("orders", "e60ec2a0ff", 0, "insert_values")),
        ("orders.e60ec2a0ff.12.sql", ("orders", "e60ec2a0ff", 12, "sql")),
        ("a.b.c.e60ec2a0ff.3.typed-jsonl.gz", ("a.b.c", "e60ec2a0ff", 3, "typed-jsonl")),
        ("orders.gz.0.parquet", ("orders", "gz", 0, "parquet")),
        ("注文.e60ec2a0ff.0.csv", ("注文", "e60ec2a0ff", 0, "csv")),
        ("orders.sql", None),
        ("orders.x.one.sql", None),
        ("orders.x.².sql", None),
        (".x.0.sql", None),
        ("", None),
    ],
)
def test_names_of_job_files(name: str, parts: tuple[str, str, int, str] | None) -> None:
    assert job_name(name) == parts


@pytest.mark.parametrize(
    ("place", "files", "stage", "applied"),
    [
        ("normalize/extracted", {}, "extracted", False),
        ("load/new", {}, "new", False),
        ("load/normalized", {"schema_updates.json": "{}"}, "normalized", False),
        ("load/normalized", {"applied_schema_updates.json": "{}"}, "normalized", True),
        ("load/loaded", {"package_completed.json": "loaded"}, "loaded", True),
        ("load/loaded", {"package_completed.json": "aborted"}, "aborted", True),
        ("load/loaded", {"package_completed.json": "aborted", "schema_updates.json": "{}"}, "aborted", False),
        ("load/loaded", {}, "loaded", True),
    ],
)
def test_stages(tmp_path: Path, place: str, files: dict[str, str], stage: str, *, applied: bool) -> None:
    path = _package(tmp_path, place, **files)
    package = _only(tmp_path)
    assert (package.stage, package.schema_applied, package.load_id) == (stage, applied, "1700000000.1")
    assert (package.path, package.schema_name, package.state_version) == (str(path), "shop", 5)
    assert (package.schema is None) == (stage == "loaded")
    assert not package.can_rewind


def test_era_that_called_a_failed_merge_loaded(tmp_path: Path) -> None:
    """0.4.12 and 0.5.4: the exception stands beside the job, the package counts as loaded."""
    _package(
        tmp_path,
        "load/loaded",
        **{
            "package_completed.json": "loaded",
            "completed_jobs/orders.aa.0.insert_values": "x" * 211,
            "failed_jobs/orders.bb.0.sql": "DELETE",
            "failed_jobs/orders.bb.0.sql.exception": DENIED,
        },
    )
    package = _only(tmp_path)
    job = _failed(package)
    assert (package.stage, job.status, job.error, job.is_followup) == ("loaded", "failed", DENIED, True)
    assert package.schema is not None
    assert [(j.file_id, j.size) for j in package.jobs] == [("aa", 211), ("bb", 6)]


def test_era_that_keeps_a_failed_merge_pending(tmp_path: Path) -> None:
    """1.30 and newer: the job goes back to new_jobs with the next retry, the text to .exceptions."""
    _package(
        tmp_path,
        "load/normalized",
        **{
            "applied_schema_updates.json": "{}",
            "new_jobs/orders.bb.2.sql": "DELETE",
            ".exceptions/orders.bb.0.exception": "retry: transient\nolder",
            ".exceptions/orders.bb.1.exception": TRACEBACK,
            ".restore/state.json": "{}",
        },
    )
    package = _only(tmp_path)
    job = _failed(package)
    assert package.is_pending
    assert package.can_rewind
    assert (job.status, job.retry, job.error) == ("new", 2, DENIED)


def test_a_job_that_came_through_in_the_end_is_no_failure(tmp_path: Path) -> None:
    _package(
        tmp_path,
        "load/loaded",
        **{
            "package_completed.json": "loaded",
            "completed_jobs/orders.bb.1.sql": "DELETE",
            ".exceptions/orders.bb.0.exception": TRACEBACK,
        },
    )
    package = _only(tmp_path)
    assert package.failures == ()
    assert package.schema is None


@pytest.mark.parametrize(
    ("marker", "status", "error"),
    [
        ('{"state": "completed", "failed_message": null}', "completed", None),
        ('{"state": "failed", "failed_message": "bad"}', "failed", "bad"),
        ('{"state": "retry", "failed_message": "again"}', "started", "again"),
    ],
)
def test_jobs_that_ended_but_were_not_moved(tmp_path: Path, marker: str, status: str, error: str | None) -> None:
    name = "orders.bb.0.sql"
    files = {f"started_jobs/{name}": "DELETE", f".pending_transitions/{name}": marker}
    _package(tmp_path, "load/normalized", **files)
    (job,) = _only(tmp_path).jobs
    assert (job.status, job.error) == (status, error)
    assert "started_jobs" in job.path


def test_the_newest_file_dates_the_package(tmp_path: Path) -> None:
    path = _package(tmp_path, "load/normalized", **{"new_jobs/orders.bb.0.sql": ""})
    for file in (path, *path.rglob("*")):
        os.utime(file, (1_000, 1_000))
    os.utime(path / "new_jobs/orders.bb.0.sql", (5_000, 5_000))
    assert _only(tmp_path).modified == 5_000


def test_what_is_no_package_is_left_alone(tmp_path: Path) -> None:
    _package(tmp_path, "load/loaded")
    (tmp_path / "load/loaded/notes").mkdir()
    (tmp_path / "load/loaded/.hidden/new_jobs").mkdir(parents=True)
    (tmp_path / "load/loaded/.DS_Store").touch()
    (tmp_path / "load/loaded/1700000000.1/completed_jobs/.DS_Store").touch()
    assert _only(tmp_path).jobs == ()


@pytest.mark.parametrize("lacking", ["schema.json", "load_package_state.json", "new_jobs"])
def test_packages_that_lack_something(tmp_path: Path, lacking: str) -> None:
    path = _package(tmp_path, "load/normalized")
    target = path / lacking
    target.rmdir() if target.is_dir() else target.unlink()
    assert _only(tmp_path).load_id == "1700000000.1"


@pytest.mark.parametrize("broken", ["schema.json", "load_package_state.json"])
def test_a_broken_file_is_reported_and_the_package_still_read(tmp_path: Path, broken: str) -> None:
    _package(tmp_path, "load/normalized", **{broken: '{"name": "sh'})
    packages, problems = read_packages(str(tmp_path))
    assert [p.load_id for p in packages] == ["1700000000.1"]
    (problem,) = problems
    assert problem.origin.endswith(broken)
    assert "truncated" in problem.reason


def test_a_schema_name_with_odd_characters_is_read_from_the_head(tmp_path: Path) -> None:
    name = 'a "quoted" 注文\n'
    odd: dict[str, Any] = SCHEMA | {"name": name}
    _package(tmp_path, "load/loaded", **{"schema.json": json.dumps(odd)})
    assert _only(tmp_path).schema_name == name


def test_a_thousand_packages_read_in_well_under_a_second(tmp_path: Path) -> None:
    for number in range(1_000):
        jobs = {f"completed_jobs/{table}.aa.0.insert_values.gz": "x" * 10 for table in "abc"}
        done = {"package_completed.json": "loaded", "applied_schema_updates.json": "{}"}
        _package(tmp_path, "load/loaded", f"17000{number:05}.5", **jobs, **done)
    taken = []
    for _ in range(3):
        start = time.process_time()
        packages, problems = read_packages(str(tmp_path))
        taken.append(time.process_time() - start)
    assert len(packages) == 1_000
    assert problems == ()
    assert sum(job.size for package in packages for job in package.jobs) == 30_000
    assert [p.load_id for p in packages] == sorted(p.load_id for p in packages)
    assert min(taken) < 0.8
