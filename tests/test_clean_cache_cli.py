"""`dltdoctor clean-cache` as a user or a script calls it: names, places, exit codes, JSON, and the way back."""

import json
import os
import shutil
from pathlib import Path

import pytest

from dltdoctor.errors import RefusedError, UsageError
from dltdoctor.world.trees import check_name, check_place
from tests.captured import world
from tests.command_line import complaint, dltdoctor
from tests.purging import Cache
from tests.worlds import digest_tree, write_project

OLD = 1_700_000_000


@pytest.fixture
def cache(tmp_path: Path, database: str) -> Cache:
    """A healthy pipeline of dlt 1.31 in a project that knows its database."""
    root = tmp_path / "world"
    root.mkdir()
    captured = world("1.31.0", "healthy-merge")
    unpacked = captured.unpack(root)
    captured.restore(database)
    write_project(unpacked.project, database, {})
    return Cache(unpacked.project, unpacked.pipelines_dir)


def run(cache: Cache, *arguments: str | Path, **environ: str | None):
    return dltdoctor(*arguments, "--pipelines-dir", cache.pipelines_dir, cwd=cache.project, env=environ)


def _flat(printed: str) -> str:
    """What was printed without its line breaks, whose places depend on how long the paths are."""
    return " ".join(printed.split())


def test_purge_history_undo_and_prune(cache: Cache, clean_machine: Path) -> None:
    before = cache.digest("shop")
    done = run(cache, "clean-cache", "shop", "--yes")
    assert done.returncode == 0, done.stderr
    assert "archived and removed" in done.stdout
    assert not (cache.pipelines_dir / "shop").exists()
    receipt = next(line.split()[2] for line in done.stdout.splitlines() if "dltdoctor undo" in line)
    assert receipt in dltdoctor("history").stdout
    assert run(cache, "undo", receipt, "--yes").returncode == 0
    assert cache.digest("shop") == before
    archives = clean_machine / ".local" / "state" / "dltdoctor" / "archives"
    assert len(list(archives.iterdir())) == 1
    assert (archives.stat().st_mode & 0o777, next(archives.iterdir()).stat().st_mode & 0o777) == (0o700, 0o600)
    assert dltdoctor("history", "--prune", "--yes").returncode == 0
    assert list(archives.iterdir()) == []


def test_dry_run_changes_nothing(cache: Cache, clean_machine: Path) -> None:
    before = digest_tree(clean_machine), cache.digest("shop")
    done = run(cache, "clean-cache", "--all", "--dry-run")
    assert done.returncode == 0
    for said in ("can be purged", "packages: ", "dlt restores: state version 2 (the same as here)", "If you hope"):
        assert said in done.stdout
    assert (digest_tree(clean_machine), cache.digest("shop")) == before


def test_nobody_to_ask_is_a_refusal(cache: Cache) -> None:
    done = run(cache, "clean-cache", "shop")
    assert done.returncode == 4
    assert "not a terminal" in complaint(done)
    assert (cache.pipelines_dir / "shop").exists()


def test_json_is_one_object(cache: Cache) -> None:
    done = run(cache, "clean-cache", "--all", "--yes", "--format", "json")
    report = json.loads(done.stdout)
    (line,) = report["pipelines"]
    assert report["version"] == 1
    assert line["action"] == "purged"
    assert line["packages"] == {"loaded": 2, "pending": 0, "failed": 0, "extracted": 0}
    assert line["restores"]["same"] is True
    assert Path(line["archive"]).stat().st_size == line["archive_bytes"]
    assert run(cache, "clean-cache", "--all", "--yes").returncode == 0


def test_json_of_an_undo_names_the_directory(cache: Cache) -> None:
    run(cache, "clean-cache", "shop", "--yes")
    plan = json.loads(run(cache, "undo", "--dry-run", "--format", "json").stdout)["plan"]
    assert plan["cures"][0]["steps"][0]["directory"]["path"] == str(cache.pipelines_dir / "shop")


def test_what_is_refused_ends_with_4_and_names_what_comes_first(tmp_path: Path, database: str) -> None:
    root = tmp_path / "world"
    root.mkdir()
    captured = world("1.31.0", "resumable-merge")
    unpacked = captured.unpack(root)
    captured.restore(database)
    write_project(unpacked.project, database, {})
    cache = Cache(unpacked.project, unpacked.pipelines_dir)
    done = run(cache, "clean-cache", "--all", "--yes")
    assert done.returncode == 4
    assert "--resume" in done.stdout
    assert "dltdoctor fix" in done.stdout
    assert (cache.pipelines_dir / captured.pipelines[0]).exists()


def test_a_destination_that_cannot_be_reached_ends_with_3(cache: Cache) -> None:
    done = run(cache, "clean-cache", "shop", "--yes", DLTDOCTOR_DSN="postgresql://nobody@127.0.0.1:1/nothing")
    assert done.returncode == 3
    assert (cache.pipelines_dir / "shop").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--all", "shop"),
        ("no-such-pipeline",),
        ("shop", "--older-than", "soon"),
        ("shop", "--older-than", "-3d"),
        ("shop", "--keep-packages", "-1"),
        ("..",),
        (".",),
        ("",),
        ("/",),
        ("../pipelines/shop",),
        ("shop/load",),
        (".dltdoctor-x",),
        ("shop\\load",),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_ends_with_2(cache: Cache, arguments: tuple[str, ...]) -> None:
    before = cache.digest("shop")
    done = run(cache, "clean-cache", *arguments, "--yes")
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert cache.digest("shop") == before


def test_an_absolute_path_is_no_name(cache: Cache) -> None:
    assert run(cache, "clean-cache", str(cache.pipelines_dir / "shop"), "--yes").returncode == 2
    with pytest.raises(UsageError):
        check_name("a\0b")


def test_a_link_out_of_the_pipelines_dir_is_refused(cache: Cache, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere"
    shutil.move(cache.pipelines_dir / "shop", real)
    (cache.pipelines_dir / "shop").symlink_to(real)
    before = digest_tree(real)
    for extra in ((), ("--unsafe",)):
        done = run(cache, "clean-cache", "shop", "--yes", *extra)
        assert done.returncode == 4
        assert "is a link to" in _flat(done.stdout)
    assert digest_tree(real) == before


def test_a_linked_pipelines_dir_is_fine(cache: Cache, tmp_path: Path) -> None:
    """The whole of ~/.dlt may lie on another disk."""
    (tmp_path / "link").symlink_to(cache.pipelines_dir)
    linked = Cache(cache.project, tmp_path / "link")
    done = run(linked, "clean-cache", "shop", "--yes")
    assert done.returncode == 0, done.stdout
    assert list(cache.pipelines_dir.iterdir()) == []


def test_the_home_directory_is_no_pipelines_dir(cache: Cache, clean_machine: Path) -> None:
    shutil.copytree(cache.pipelines_dir / "shop", clean_machine / "shop")
    before = digest_tree(clean_machine / "shop")
    for home in (clean_machine, cache.pipelines_dir, cache.pipelines_dir / "shop"):
        there = Cache(cache.project, clean_machine if home == clean_machine else cache.pipelines_dir)
        done = run(there, "clean-cache", "shop", "--yes", "--unsafe", HOME=str(home))
        assert done.returncode == 4
        assert "Nothing is removed there" in done.stdout
    assert digest_tree(clean_machine / "shop") == before


def test_the_root_of_the_disk_is_no_pipelines_dir() -> None:
    with pytest.raises(RefusedError, match="whole disk"):
        check_place("/shop", home="/home/somebody", forbidden=())


@pytest.mark.parametrize("place", ["cwd", "project", "state"])
def test_what_the_working_dir_must_not_hold(cache: Cache, place: str) -> None:
    inner = cache.pipelines_dir / "shop" / "load"
    arguments = ["clean-cache", "shop", "--yes", "--pipelines-dir", str(cache.pipelines_dir)]
    environ = {"XDG_STATE_HOME": str(inner)} if place == "state" else {}
    project = inner if place == "project" else cache.project
    done = dltdoctor(*arguments, "--project", project, cwd=inner if place == "cwd" else cache.project, env=environ)
    assert done.returncode == 4
    assert "lies in the working dir" in " ".join(done.stdout.split())


def test_strange_files_are_refused_and_with_unsafe_kept(cache: Cache) -> None:
    (cache.pipelines_dir / "shop" / "notes.txt").write_text("mine")
    assert cache.refused("shop") == {"strange-files"}
    before = cache.digest("shop")
    assert run(cache, "clean-cache", "shop", "--yes", "--unsafe").returncode == 0
    assert run(cache, "undo", "--yes").returncode == 0
    assert cache.digest("shop") == before


def test_a_pipelines_dir_that_is_itself_a_working_dir(cache: Cache) -> None:
    inner = Cache(cache.project, cache.pipelines_dir / "shop")
    done = run(inner, "clean-cache", "--all", "--yes")
    assert done.returncode == 4
    assert "is itself the pipelines dir" in _flat(done.stdout)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root")
def test_what_cannot_be_read_is_refused(cache: Cache) -> None:
    (cache.pipelines_dir / "shop" / "state.json").chmod(0)
    assert run(cache, "clean-cache", "shop", "--yes").returncode in (3, 4)


@pytest.mark.parametrize("place", ["DLT_DATA_DIR", "XDG_DATA_HOME", "home", "workspace"])
def test_every_place_where_dlt_keeps_pipelines(cache: Cache, clean_machine: Path, place: str) -> None:
    data = {
        "DLT_DATA_DIR": clean_machine / "data",
        "XDG_DATA_HOME": clean_machine / "xdg" / "dlt",
        "home": clean_machine / ".dlt",
        "workspace": cache.project / ".dlt" / "state" / "dev",
    }[place]
    data.mkdir(parents=True)
    shutil.move(cache.pipelines_dir, data / "pipelines")
    environ = {"HOME": str(clean_machine)}
    if place == "DLT_DATA_DIR":
        environ["DLT_DATA_DIR"] = str(data)
    if place == "XDG_DATA_HOME":
        environ["XDG_DATA_HOME"] = str(data.parent)
    if place == "workspace":
        (cache.project / ".dlt" / ".workspace").touch()
    found = Cache(cache.project, data / "pipelines")
    (outcome,) = found.purge("shop", pipelines_dir=None, environ=environ, home=clean_machine)
    assert outcome.receipt
    assert list((data / "pipelines").iterdir()) == []


def test_a_pipeline_without_a_working_dir_needs_none(cache: Cache) -> None:
    run(cache, "clean-cache", "shop", "--yes")
    done = run(cache, "clean-cache", "shop", "--yes")
    assert done.returncode == 0
    assert "nothing to do" in done.stdout


def test_an_unfinished_purge_is_announced_and_finished(cache: Cache) -> None:
    """As a kill leaves it: the receipt is there, and nothing is moved yet."""
    run(cache, "clean-cache", "shop", "--yes")
    run(cache, "undo", "--yes")
    (path,) = [p for p in _receipts() if json.loads(p.read_text())["status"] == "undone"]
    text = path.read_text().replace('"status": "undone"', '"status": "started"')
    path.write_text(text)
    done = run(cache, "clean-cache", "shop", "--dry-run")
    assert f"dltdoctor fix --continue {path.stem}" in done.stderr
    assert run(cache, "fix", "--continue", path.stem).returncode == 0
    assert not (cache.pipelines_dir / "shop").exists()


def _receipts() -> list[Path]:
    return sorted((Path.home() / ".local" / "state" / "dltdoctor" / "receipts").iterdir())


def test_many_at_once_have_a_receipt_each(cache: Cache) -> None:
    """Copies under other names load nowhere that knows them: refused; the one that is known is purged."""
    for number in range(3):
        copy = cache.pipelines_dir / f"copy_{number}"
        shutil.copytree(cache.pipelines_dir / "shop", copy)
    done = run(cache, "clean-cache", "--all", "--yes", "--format", "json")
    lines = {line["pipeline"]: line["action"] for line in json.loads(done.stdout)["pipelines"]}
    assert lines == {"shop": "purged", "copy_0": "refused", "copy_1": "refused", "copy_2": "refused"}
    assert done.returncode == 4
