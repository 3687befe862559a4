"""Working dirs that other versions of dlt left behind: what may be purged, and what is refused for which reason."""

from pathlib import Path

import pytest

from dltdoctor.cleaning import Wish
from tests.captured import CapturedWorld, world, worlds
from tests.purging import Cache, commands

# The last one: in a dataset for each schema, dlt keeps the newest state where it does not look for it again.
REFUSED = {
    ("1.28.1", "stranded-merge"): {"aborted-packages", "stranded-rows", "state-ahead"},
    ("1.28.1", "resumable-killed"): {"pending-packages", "state-ahead"},
    ("1.31.0", "resumable-merge"): {"pending-packages", "state-ahead"},
    ("1.31.0", "pending-extracted"): {"pending-packages", "state-ahead"},
    ("1.31.0", "pending-normalized"): {"pending-packages", "state-ahead"},
    ("1.31.0", "healthy-two-schemas"): {"hidden-state", "state-ahead"},
}
HEALTHY = [
    ("0.4.12", "healthy-merge"),
    ("1.5.0", "healthy-merge"),
    ("1.16.0", "healthy-merge"),
    ("1.28.1", "healthy-merge"),
    ("1.28.1", "healthy-replace-insert-from-staging"),
    ("1.31.0", "healthy-after-abort"),
    ("1.31.0", "healthy-append-only"),
    ("1.31.0", "healthy-deleted-jobs"),
    ("1.31.0", "healthy-merge"),
    ("1.31.0", "healthy-mixed-case"),
    ("1.31.0", "healthy-named-destination"),
    ("1.31.0", "healthy-no-news"),
    ("1.31.0", "healthy-resumed"),
]


def cache_of(captured: CapturedWorld, place: Path, dsn: str) -> Cache:
    root = place / "world"
    root.mkdir()
    unpacked = captured.unpack(root)
    captured.restore(dsn)
    return Cache(unpacked.project, unpacked.pipelines_dir, dsn)


@pytest.mark.parametrize("place", HEALTHY, ids="/".join)
def test_a_healthy_one_may_be_purged(place: tuple[str, str], tmp_path: Path, database: str) -> None:
    captured = world(*place)
    cache = cache_of(captured, tmp_path, database)
    for name in captured.pipelines:
        purge = cache.judge(name)
        assert [(o.kind, o.reason) for o in purge.objections] == []
        before = cache.digest(name)
        receipt = cache.purged(name)
        assert not (cache.pipelines_dir / name).exists()
        cache.undo(receipt)
        assert cache.digest(name) == before


@pytest.mark.parametrize("place", REFUSED, ids="/".join)
def test_what_is_only_there_is_refused(place: tuple[str, str], tmp_path: Path, database: str) -> None:
    captured = world(*place)
    cache = cache_of(captured, tmp_path, database)
    (name,) = captured.pipelines
    before = cache.digest(name)
    assert cache.refused(name) == REFUSED[place]
    assert cache.purge(name) == []
    assert cache.digest(name) == before
    wanted = {"pending-packages": f"dltdoctor fix {name} --resume", "stranded-rows": f"dltdoctor fix {name} --migrate"}
    assert {wanted[kind] for kind in REFUSED[place] if kind in wanted} <= commands(cache.judge(name))


@pytest.mark.parametrize("captured", [w for w in worlds() if "DD201" in w.expected_codes][::3], ids=lambda w: w.id)
def test_no_world_with_stranded_rows_is_purged(captured: CapturedWorld, tmp_path: Path, database: str) -> None:
    cache = cache_of(captured, tmp_path, database)
    for job in cache.prepare().jobs:
        assert job.step is None, job
    assert cache.purge() == []


def test_packages_of_1_28_1_are_pruned_and_brought_back(tmp_path: Path, database: str) -> None:
    cache = cache_of(world("1.28.1", "healthy-merge"), tmp_path, database)
    before = cache.digest("shop")
    receipt = cache.purged("shop", Wish(keep=1))
    assert len(list((cache.pipelines_dir / "shop" / "load" / "loaded").iterdir())) == 1
    cache.undo(receipt)
    assert cache.digest("shop") == before
