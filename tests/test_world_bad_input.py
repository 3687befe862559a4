"""Bad input: one clear reason and a hint for each, and the rest is still read."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dltdoctor.snapshot import Pipeline, Unread
from dltdoctor.world.files import read_bytes, read_document, read_marker
from dltdoctor.world.pipelines import read_pipelines
from dltdoctor.world.pipelines_dirs import PipelinesDir
from dltdoctor.world.unreadable import UnreadableError
from tests.worlds import digest_tree

GOOD = {
    "_state_version": 1,
    "_state_engine_version": 4,
    "_version_hash": "h",
    "pipeline_name": "good",
    "dataset_name": "shop",
}
NOBODY = 65534


def _pipeline(pipelines_dir: Path, name: str, state: bytes | None = None) -> Path:
    path = pipelines_dir / name
    path.mkdir(parents=True)
    (path / "state.json").write_bytes(json.dumps(GOOD).encode() if state is None else state)
    return path


def _read(path: Path, *, required: bool = True) -> tuple[dict[str, Pipeline], tuple[Unread, ...]]:
    place = PipelinesDir(path=path, origin="--pipelines-dir", required=required)
    pipelines, unread = read_pipelines([place])
    return {pipeline.name: pipeline for pipeline in pipelines}, unread


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    """Root may read everything, so give that up for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_tmp() -> Iterator[Path]:
    """A directory that every user may enter; pytest's own may be its owner's only."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def _assert_one_line(unread: Unread) -> None:
    assert unread.code == "DD001"
    assert unread.areas == ("pipelines",)
    for text in (unread.reason, unread.hint):
        assert text
        assert text.splitlines() == [text]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps(GOOD).encode()[:-20], "truncated"),
        (json.dumps(GOOD).encode()[:50], "truncated"),
        (b'{"a": 1,\n "b": x}', "not JSON: expecting value at line 2, column 7"),
        (b"", "empty (0 bytes)"),
        (b" \n", "empty"),
        (b"\x80\x04\x95pickle", "not UTF-8 text (byte 0x80 at position 0)"),
        (b"\x00" * 100, "binary"),
        (b"{\x00}", "binary"),
        (b"[]", "JSON array"),
        (b'"text"', "JSON string"),
        (b"null", "JSON null"),
        (b"7", "JSON number"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "not JSON"),
        (b'{"_state_engine_version": 5}', "unknown state engine version 5"),
    ],
)
def test_a_bad_state_leaves_the_others_readable(tmp_path: Path, content: bytes, reason: str) -> None:
    _pipeline(tmp_path, "good")
    bad = _pipeline(tmp_path, "bad", content)
    pipelines, (unread,) = _read(tmp_path)
    assert pipelines["good"].state is not None
    assert pipelines["bad"].state is None
    assert unread.pipeline == "bad"
    assert unread.what == str(bad / "state.json")
    assert reason in unread.reason
    _assert_one_line(unread)


@pytest.mark.parametrize(
    "content",
    [
        b'\xef\xbb\xbf{"pipeline_name": "x"}',
        b'{"pipeline_name": "x", "sources": NaN}',
        b'{"pipeline_name": "x", "dataset_name": "\\ud800"}',
    ],
)
def test_odd_json_is_read_all_the_same(tmp_path: Path, content: bytes) -> None:
    _pipeline(tmp_path, "odd", content)
    pipelines, unread = _read(tmp_path)
    assert unread == ()
    state = pipelines["odd"].state
    assert state is not None
    assert state.pipeline_name == "x"
    (state.dataset_name or "").encode()


def test_a_huge_state_is_refused_unread(tmp_path: Path) -> None:
    state = _pipeline(tmp_path, "huge") / "state.json"
    os.truncate(state, 200 * 1024 * 1024)
    pipelines, (unread,) = _read(tmp_path)
    assert pipelines["huge"].state is None
    assert unread.reason == "200 MB is more than dltdoctor reads (64 MB)"


def test_things_in_the_place_of_files(tmp_path: Path) -> None:
    os.mkfifo(_cleared(_pipeline(tmp_path, "pipe")))
    _cleared(_pipeline(tmp_path, "directory")).mkdir()
    loop = _cleared(_pipeline(tmp_path, "loop"))
    loop.symlink_to(loop)
    _cleared(_pipeline(tmp_path, "dangling")).symlink_to(tmp_path / "gone")
    pipelines, unread = _read(tmp_path)
    assert set(pipelines) == {"pipe", "directory", "loop", "dangling"}
    reasons = {u.pipeline: u.reason for u in unread}
    assert reasons == {
        "pipe": "a pipe, socket or device stands where a file should be",
        "directory": "a directory stands where a file should be",
        "loop": "a symbolic link that leads back to itself",
        "dangling": "no such file or directory",
    }


def _cleared(path: Path) -> Path:
    (path / "state.json").unlink()
    return path / "state.json"


def test_links_that_lead_round_are_not_followed_for_ever(tmp_path: Path) -> None:
    good = _pipeline(tmp_path, "good")
    (good / "load").symlink_to(good)
    (good / "schemas").symlink_to(tmp_path)
    (tmp_path / "up").symlink_to(tmp_path)
    (tmp_path / "round").symlink_to(tmp_path / "round")
    pipelines, unread = _read(tmp_path)
    assert set(pipelines) == {"good"}
    assert {u.pipeline for u in unread} == {"round"}


def test_a_linked_working_dir_is_read(tmp_path: Path) -> None:
    _pipeline(tmp_path / "disk", "good")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines/good").symlink_to(tmp_path / "disk/good")
    pipelines, unread = _read(tmp_path / "pipelines")
    assert pipelines["good"].state is not None
    assert unread == ()


def test_a_pipelines_dir_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "pipelines"
    file.write_text("x")
    for required in (True, False):
        pipelines, (unread,) = _read(file, required=required)
        assert pipelines == {}
        assert (unread.what, unread.reason) == (str(file), "not a directory")
        assert "--pipelines-dir" in unread.hint


def test_a_pipelines_dir_that_is_not_there(tmp_path: Path) -> None:
    _, (unread,) = _read(tmp_path / "gone")
    assert unread.reason == "no such file or directory"
    # dlt creates its own place on the first run, so there is nothing wrong without it
    assert _read(tmp_path / "gone", required=False) == ({}, ())


def test_without_permission(open_tmp: Path) -> None:
    _pipeline(open_tmp, "good")
    secret = _pipeline(open_tmp, "secret")
    locked = _pipeline(open_tmp, "locked")
    (locked / "load/loaded").mkdir(parents=True)
    (secret / "state.json").chmod(0)
    (locked / "load").chmod(0)
    closed = _pipeline(open_tmp, "closed")
    closed.chmod(0)
    with _as_nobody():
        pipelines, unread = _read(open_tmp)
    for path in (locked / "load", closed):
        path.chmod(0o700)
    assert set(pipelines) == {"good", "secret", "locked", "closed"}
    assert {u.pipeline for u in unread} == {"secret", "locked", "closed"}
    assert {u.reason for u in unread} == {"permission denied"}
    assert all(u.hint for u in unread)


def test_a_pipelines_dir_without_permission(open_tmp: Path) -> None:
    _pipeline(open_tmp / "pipelines", "good")
    (open_tmp / "pipelines").chmod(0)
    with _as_nobody():
        results = [_read(open_tmp / "pipelines", required=required) for required in (True, False)]
        inside = _read(open_tmp / "pipelines/deeper", required=False)
    (open_tmp / "pipelines").chmod(0o700)
    for pipelines, (unread,) in (*results, inside):
        assert pipelines == {}
        assert unread.reason == "permission denied"


@pytest.mark.parametrize("engine", [12, "x", 2])
def test_a_schema_of_an_unknown_engine(tmp_path: Path, engine: object) -> None:
    schemas = _pipeline(tmp_path, "good") / "schemas"
    schemas.mkdir()
    (schemas / "new.schema.json").write_text(json.dumps({"name": "new", "engine_version": engine}))
    (schemas / "ok.schema.json").write_text(json.dumps({"name": "ok", "engine_version": 11, "tables": {}}))
    (schemas / "cut.schema.json").write_text('{"name": "cut", "tab')
    pipelines, unread = _read(tmp_path)
    assert [s.name for s in pipelines["good"].schemas] == ["ok"]
    assert [os.path.basename(u.what) for u in unread] == ["cut.schema.json", "new.schema.json"]
    assert "truncated" in unread[0].reason
    assert f"engine version {engine!r}" in unread[1].reason


NAMES = [
    'it\'s "quoted"',
    "100%s %d %(x)s",
    "new\nline\r\ttab",
    "[bold red]markup[blink] \\[x]",
    "\x1b[31mred\x1b]0;title\x07",
    "x" * 200,
    "注文データ" * 8,
    "{braces} $dollar `tick` ;--",
    "-rf",
    "\u202eright to left",
    "\udcff not UTF-8",
]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    path = _pipeline(tmp_path, name, json.dumps({"pipeline_name": "inside"}).encode())
    schema = {"name": "ok", "tables": {name[:60].encode("utf-8", "replace").decode(): {"columns": {}}}}
    (path / "load/normalized/1.0/new_jobs").mkdir(parents=True)
    (path / "load/normalized/1.0/new_jobs" / f"{name[:60]}.id.0.sql").touch()
    (path / "load/normalized/1.0/schema.json").write_text(json.dumps(schema))
    before = digest_tree(tmp_path)
    pipelines, unread = _read(tmp_path)
    assert unread == ()
    pipeline = pipelines[name]
    assert pipeline.working_dir == str(path)
    assert pipeline.state is not None
    (package,) = pipeline.packages
    assert [job.table for job in package.jobs] == [name[:60]]
    assert os.path.exists(package.jobs[0].path)
    assert digest_tree(tmp_path) == before


def test_broken_worlds_are_left_as_they_are(tmp_path: Path) -> None:
    _pipeline(tmp_path, "bad", b"{")
    os.mkfifo(_cleared(_pipeline(tmp_path, "pipe")))
    (tmp_path / "round").symlink_to(tmp_path / "round")
    before = digest_tree(tmp_path)
    _read(tmp_path)
    assert digest_tree(tmp_path) == before


def test_reading_is_bounded_even_when_the_size_lies() -> None:
    # files of /proc say that they are empty
    assert read_bytes("/proc/self/status", limit=1024 * 1024)
    with pytest.raises(UnreadableError, match="more than dltdoctor reads"):
        read_bytes("/proc/self/status", limit=10)


def test_devices_are_refused() -> None:
    with pytest.raises(UnreadableError, match="pipe, socket or device"):
        read_document("/dev/zero")


@pytest.mark.parametrize(
    ("content", "marker"),
    [(b"1.0.2", "1.0.2"), (b"aborted\n", "aborted"), (b"", None), (b"\xff\n", "\ufffd")],
)
def test_markers(tmp_path: Path, content: bytes, marker: str | None) -> None:
    file = tmp_path / ".version"
    assert read_marker(str(file)) is None
    file.write_bytes(content)
    assert read_marker(str(file)) == marker
