"""A kill at any moment leaves the directory whole or the archive whole, never neither; then it can be cured.

The purge runs in a forked child that an audit hook kills at a chosen one of its file operations, so that
every gap between two of them is met; and by a clock, which also meets the insides of an operation.
"""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dltdoctor import repair
from dltdoctor.errors import RefusedError
from dltdoctor.plan import Cure, Plan
from dltdoctor.receipt import Receipt
from dltdoctor.workbench import bench
from dltdoctor.world.archive import extract
from dltdoctor.world.directory_steps import archive_step, tidy
from dltdoctor.world.trees import read_tree
from tests.purging import Cache, silent
from tests.worlds import TreeDigest, digest_tree

MOMENTS = 100
EVENTS = ("open", "os.", "shutil.")
PACKAGES = ("load/loaded/1.1", "load/loaded/1.2", "load/loaded/1.3")


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    project = tmp_path / "world" / "project"
    project.mkdir(parents=True)
    cache = Cache(project, tmp_path / "pipelines")
    for package in (*PACKAGES, "load/loaded/1.4", "schemas"):
        folder = cache.pipelines_dir / "shop" / package
        folder.mkdir(parents=True)
        (folder / "rows.csv").write_bytes(os.urandom(3_000))
    (cache.pipelines_dir / "shop" / "state.json").write_text("{}")
    return cache


def plan_of(cache: Cache, parts: tuple[str, ...]) -> Plan:
    top = str(cache.pipelines_dir / "shop")
    folder = bench(cache.request(), None, silent).receipts.archives
    step = archive_step(top, parts, read_tree(top, parts).fingerprint, folder)
    cure = Cure(code="purge", fingerprint="", pipeline="shop", message="purge", safety="safe", steps=(step,))
    return Plan(version=1, tool="0", made_at=0, target=None, cures=(cure,))


def forked(work: Callable[[], object], *, at: int | None = None, after: float | None = None) -> int:
    """The number of file operations of the work in a child, which dies at one of them or after a while."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        seen = 0

        def count(event: str, _: tuple[object, ...]) -> None:
            nonlocal seen
            if event.startswith(EVENTS):
                seen += 1
                if seen == at:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(count)
            work()
            os.write(writing, str(seen).encode())
        finally:
            os._exit(0)
    os.close(writing)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with os.fdopen(reading) as answer:
        return int(answer.read() or 0)


def is_whole(cache: Cache, parts: tuple[str, ...], before: TreeDigest, place: Path) -> bool:
    """Every part is in its place as it was, or in a whole archive."""
    top = cache.pipelines_dir / "shop"
    back = place / "back"
    for part in parts:
        wanted = {k: v for k, v in before.items() if not part or k == part or k.startswith(f"{part}/")}
        if (top / part).exists():
            now = digest_tree(top / part)
        else:
            (archive,) = [p for p in cache.archives if not p.name.startswith(".")]
            extract(archive, part, back)
            now = digest_tree(back)
            shutil.rmtree(back)
        if list(now.values()) != list(wanted.values()):
            return False
    return True


def cured(cache: Cache, *, forwards: bool) -> str:
    """What is unfinished is finished or taken back; where the directory is then."""
    unfinished = [r for r in cache.receipts if r.is_unfinished]
    assert len(unfinished) <= 1
    for receipt in unfinished:
        try:
            done = cache.resume(receipt) if forwards else cache.undo(receipt)
        except RefusedError:  # nothing was begun, and a moment's mtime has changed: there is nothing to finish
            done = cache.undo(receipt)
        assert done.status in ("applied", "void", "undone")
    assert not [r for r in cache.receipts if r.is_unfinished]
    tidy(cache.pipelines_dir)  # a kill after the receipt was closed
    hidden = [p for p in cache.pipelines_dir.iterdir() if p.name.startswith(".")]
    assert not hidden
    return "there" if (cache.pipelines_dir / "shop").exists() else "purged"


@pytest.mark.parametrize("parts", [("",), PACKAGES], ids=["whole", "packages"])
def test_a_kill_during_a_purge(cache: Cache, tmp_path: Path, parts: tuple[str, ...]) -> None:
    before = cache.digest("shop")
    bench_ = bench(cache.request(), None, silent)

    def purge() -> Receipt:
        return repair.apply(plan_of(cache, parts), bench_, title="purge")

    operations = forked(purge)
    assert operations > 50
    put_back(cache, before)
    pick = random.Random(7)
    ends = set()
    for number in range(MOMENTS // 2):
        at = pick.randint(1, operations)
        forked(purge, at=at)
        assert is_whole(cache, parts, before, tmp_path), at
        ends.add(cured(cache, forwards=bool(number % 2)))
        put_back(cache, before)
    assert ends == ({"there", "purged"} if parts == ("",) else {"there"})


def put_back(cache: Cache, before: TreeDigest) -> None:
    """By undo, whatever the last repair that stands has removed; then everything is as it was."""
    for receipt in cache.receipts:
        if receipt.status == "applied" and receipt.undoes is None:
            cache.undo(receipt)
    assert cache.digest("shop") == before
    for receipt in cache.receipts:
        bench(cache.request(), None, silent).receipts.remove(receipt)
    for path in cache.archives:
        path.unlink()


def test_a_kill_during_undo(cache: Cache, tmp_path: Path) -> None:
    before = cache.digest("shop")
    bench_ = bench(cache.request(), None, silent)
    pick = random.Random(8)
    operations = 0
    for number in range(30):
        done = repair.apply(plan_of(cache, ("",)), bench_, title="purge")
        if number == 0:
            operations = forked(lambda done=done: repair.undo(done, bench_))
        else:
            forked(lambda done=done: repair.undo(done, bench_), at=pick.randint(1, operations))
            assert is_whole(cache, ("",), before, tmp_path)
        unfinished = [r for r in cache.receipts if r.is_unfinished]
        for receipt in unfinished:
            cache.resume(receipt)
        if not (cache.pipelines_dir / "shop").exists():
            cache.undo(done)
        assert cache.digest("shop") == before
        put_back(cache, before)


def test_a_kill_by_the_clock(cache: Cache, tmp_path: Path) -> None:
    big = cache.pipelines_dir / "shop" / "load" / "loaded" / "1.4"
    for number in range(40):
        (big / f"{number}.csv").write_bytes(os.urandom(60_000))
    before = cache.digest("shop")
    bench_ = bench(cache.request(), None, silent)
    began = time.monotonic()
    forked(lambda: repair.apply(plan_of(cache, ("",)), bench_, title="purge"))
    duration = time.monotonic() - began
    put_back(cache, before)
    pick = random.Random(9)
    for number in range(20):
        work = lambda: repair.apply(plan_of(cache, ("",)), bench_, title="purge")  # noqa: E731
        forked(work, after=pick.random() * duration)
        assert is_whole(cache, ("",), before, tmp_path)
        cured(cache, forwards=bool(number % 2))
        put_back(cache, before)


def test_what_dlt_has_made_anew_is_left_alone(cache: Cache) -> None:
    """The purge was killed after it had moved the directory aside; then the pipeline ran."""
    bench_ = bench(cache.request(), None, silent)
    top = cache.pipelines_dir / "shop"
    for at in range(1, 400):
        forked(lambda: repair.apply(plan_of(cache, ("",)), bench_, title="purge"), at=at)
        if not top.exists():
            break
        cured(cache, forwards=False)
    (receipt,) = [r for r in cache.receipts if r.is_unfinished]
    top.mkdir()
    (top / "state.json").write_text('{"new": 1}')
    with pytest.raises(RefusedError, match="is there again"):
        cache.undo(receipt)
    assert cache.resume(receipt).status == "applied"
    assert (top / "state.json").read_text() == '{"new": 1}'
    assert not [p for p in cache.pipelines_dir.iterdir() if p.name.startswith(".")]
