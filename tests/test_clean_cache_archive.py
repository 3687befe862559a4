"""Archives: the same tree comes back byte for byte, with modes and mtimes; what is not whole is refused."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dltdoctor.errors import RefusedError
from dltdoctor.world import archive, room
from dltdoctor.world.archive import extract, holds, write_archive
from dltdoctor.world.trees import read_tree
from tests.worlds import digest_tree

NAMES = st.text("abz.-_ äé中\n'\"\\*", min_size=1, max_size=40).filter(lambda n: n not in {".", ".."})
TIMES = st.integers(-(10**18), 4 * 10**18)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A tree with all that may be in a working dir, and worse."""
    top = tmp_path / "shop"
    (top / "load" / "loaded" / "1.5").mkdir(parents=True)
    (top / "load" / "new").mkdir()
    (top / "state.json").write_text("{}")
    (top / "load" / "loaded" / "1.5" / "dense.gz").write_bytes(os.urandom(200_000))
    (top / "load" / "loaded" / "1.5" / "rows.csv").write_bytes(b"1,2,3\n" * 50_000)
    (top / "empty").touch(mode=0o640)
    (top / "link").symlink_to("load/loaded")
    (top / "dangling").symlink_to("/nowhere")
    (top / os.fsdecode(b"not-utf8-\xff")).write_bytes(b"\0")
    (top / ("ä" * 100)).write_text("long")
    (top / "closed").mkdir(mode=0o500)
    (top / "state.json").chmod(0o400)
    os.utime(top / "state.json", ns=(1, 1_700_000_000_123_456_789))
    os.utime(top / "empty", ns=(1, -5_500_000_123))
    os.utime(top / "link", ns=(1, 42), follow_symlinks=False)
    os.utime(top, ns=(1, 1_600_000_000_000_000_001))
    return top


def test_it_comes_back_as_it_was(top: Path, tmp_path: Path) -> None:
    tree = read_tree(str(top))
    write_archive(tmp_path / "a.tar.gz", str(top), tree)
    extract(tmp_path / "a.tar.gz", "", tmp_path / "back")
    assert digest_tree(tmp_path / "back") == digest_tree(top)
    assert read_tree(str(tmp_path / "back")).fingerprint == tree.fingerprint
    assert holds(tmp_path / "a.tar.gz", str(top), tree)


def test_the_same_tree_gives_the_same_bytes(top: Path, tmp_path: Path) -> None:
    tree = read_tree(str(top))
    one, other = (write_archive(tmp_path / f"{n}.tar.gz", str(top), tree) for n in "ab")
    assert one == other
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "b.tar.gz").read_bytes()


def test_one_part_comes_back_alone(top: Path, tmp_path: Path) -> None:
    parts = ("load/loaded/1.5", "closed")
    write_archive(tmp_path / "a.tar.gz", str(top), read_tree(str(top), parts))
    extract(tmp_path / "a.tar.gz", "load/loaded/1.5", tmp_path / "back")
    assert digest_tree(tmp_path / "back") == digest_tree(top / "load" / "loaded" / "1.5")


@pytest.mark.skipif(not shutil.which("tar"), reason="needs tar")
def test_plain_tar_brings_it_back_too(top: Path, tmp_path: Path) -> None:
    os.utime(top / "empty")  # tar grumbles about times before 1970
    write_archive(tmp_path / "a.tar.gz", str(top), read_tree(str(top)))
    (tmp_path / "back").mkdir()
    subprocess.run(["tar", "xzf", "../a.tar.gz"], cwd=tmp_path / "back", check=True, stderr=subprocess.DEVNULL)
    assert digest_tree(tmp_path / "back" / "shop") == digest_tree(top)


@settings(max_examples=25, deadline=None)
@given(files=st.dictionaries(NAMES, st.tuples(st.binary(max_size=3000), TIMES, st.sampled_from([0o400, 0o644, 0o777]))))
def test_any_file_comes_back(tmp_path_factory: pytest.TempPathFactory, files) -> None:
    root = tmp_path_factory.mktemp("any")
    (root / "top").mkdir()
    for name, (content, when, mode) in files.items():
        (root / "top" / name).write_bytes(content)
        (root / "top" / name).chmod(mode)
        os.utime(root / "top" / name, ns=(when, when))
    write_archive(root / "a.tar.gz", str(root / "top"), read_tree(str(root / "top")))
    extract(root / "a.tar.gz", "", root / "back")
    assert digest_tree(root / "back") == digest_tree(root / "top")


def test_a_file_that_grows_meanwhile_is_refused(top: Path, tmp_path: Path) -> None:
    tree = read_tree(str(top))
    with (top / "load" / "loaded" / "1.5" / "rows.csv").open("a") as file:
        file.write("4,5,6\n")
    with pytest.raises(RefusedError, match="was written to while it was archived"):
        write_archive(tmp_path / "a.tar.gz", str(top), tree)
    assert [p.name for p in tmp_path.iterdir()] == ["shop"]


@pytest.mark.parametrize("at", [0.2, 0.5, 0.99])
def test_a_damaged_archive_is_refused(top: Path, tmp_path: Path, at: float) -> None:
    path = tmp_path / "a.tar.gz"
    write_archive(path, str(top), read_tree(str(top)))
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(RefusedError):
        extract(path, "", tmp_path / "back")


def test_a_truncated_archive_is_refused(top: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    write_archive(path, str(top), read_tree(str(top)))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(RefusedError):
        extract(path, "", tmp_path / "back")


def test_what_does_not_read_back_is_refused(top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that keeps other bytes than it was given: the file is spoilt between writing and reading back."""
    written = archive._write

    def spoilt(path: Path, *rest):
        done = written(path, *rest)
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        return done

    monkeypatch.setattr(archive, "_write", spoilt)
    with pytest.raises(RefusedError):
        write_archive(tmp_path / "a.tar.gz", str(top), read_tree(str(top)))
    assert [p.name for p in tmp_path.iterdir()] == ["shop"]


def test_a_disk_that_is_too_small_is_refused(top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "RESERVE", shutil.disk_usage(tmp_path).total)
    with pytest.raises(RefusedError, match="may take"):
        write_archive(tmp_path / "a.tar.gz", str(top), read_tree(str(top)))
    assert [p.name for p in tmp_path.iterdir()] == ["shop"]


def test_what_is_no_file_is_refused(top: Path) -> None:
    os.mkfifo(top / "pipe")
    with pytest.raises(RefusedError, match="is a pipe"):
        read_tree(str(top))
    (top / "pipe").unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(top / "socket"))
        with pytest.raises(RefusedError, match="is a pipe, a socket"):
            read_tree(str(top))


def test_the_benchmark_still_runs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.clean_cache", "--quick", "--dir", str(tmp_path)]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.count("| ") == 10
    assert list(tmp_path.iterdir()) == []


def test_what_killed_runs_left_half_written_is_removed(top: Path, tmp_path: Path) -> None:
    folder = tmp_path / "archives"
    folder.mkdir()
    dead = subprocess.Popen(["true"])
    dead.wait()
    (folder / f".old.tar.gz.{dead.pid}").touch()
    (folder / f".other.tar.gz.{os.getppid()}").touch()
    write_archive(folder / "a.tar.gz", str(top), read_tree(str(top)))
    assert sorted(p.name for p in folder.iterdir()) == [f".other.tar.gz.{os.getppid()}", "a.tar.gz"]
