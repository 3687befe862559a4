"""`python -m benchmarks.clean_cache`: purging beside `tar czf` and `rm -rf` of the same directories.

Both sides start warm, in turns, on fresh copies of the same tree. What is measured is the work itself:
for dltdoctor the archive, its reading back, every fsync, the receipts and the removal, in a process that
has started; the look at the pipelines before it is `diagnose`'s, and has its own figures. The rivals are
one `tar czf` of everything and one `rm -rf`, which sync nothing and compare nothing.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dltdoctor import repair
from dltdoctor.plan import Cure, Plan
from dltdoctor.workshop import Workshop
from dltdoctor.world.directory_steps import archive_step
from dltdoctor.world.receipts import Receipts
from dltdoctor.world.trees import read_tree

MOST = 1.3
LINES = 2_000


def main() -> int:
    """0 when both ratios are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clean_cache", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one round: does it still run?")
    parser.add_argument("--dir", type=Path, default=None, help="where to work; the default is the temporary directory")
    options = parser.parse_args()
    size, files, pipelines = (2_000_000, 50, 5) if options.quick else (2_000_000_000, 5_000, 500)
    rounds = 1 if options.quick else options.rounds
    with tempfile.TemporaryDirectory(prefix="dltdoctor-benchmark-", dir=options.dir) as name:
        root = Path(name)
        met = [
            compare(
                f"{megabytes(size)} in {files:,} files, half of them .gz", root, rounds, lambda p: one(p, size, files)
            ),
            compare(f"{pipelines} pipelines of 40 small files", root, rounds, lambda p: many(p, pipelines)),
        ]
    return 0 if options.quick or all(met) else 1


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"


def compare(what: str, root: Path, rounds: int, build: Callable[[Path], None]) -> bool:
    """One line of the table; whether the ratio is kept."""
    template = root / "template"
    template.mkdir()
    build(template)
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(rounds):
        theirs.append(timed(template, root, rival))
        ours.append(timed(template, root, purge))
    shutil.rmtree(template)
    ratio = statistics.median(ours) / statistics.median(theirs)
    mark = "✓" if ratio <= MOST else "✗ missed"
    line = f"| {what} | {statistics.median(ours):.2f} s | {statistics.median(theirs):.2f} s | {ratio:.2f} | ≤ {MOST} {mark} |\n"
    sys.stdout.write(line)
    sys.stdout.flush()
    return ratio <= MOST


def timed(template: Path, root: Path, work: Callable[[Path, Path], None]) -> float:
    """Seconds of the work on a fresh copy that is on disk and in the cache."""
    copy, state = root / "pipelines", root / "state"
    shutil.copytree(template, copy, symlinks=True)
    state.mkdir()
    os.sync()
    began = time.perf_counter()
    work(copy, state)
    seconds = time.perf_counter() - began
    shutil.rmtree(copy, ignore_errors=True)
    shutil.rmtree(state)
    os.sync()
    return seconds


def rival(pipelines: Path, state: Path) -> None:
    subprocess.run(["tar", "czf", state / "all.tar.gz", "-C", pipelines, "."], check=True)
    subprocess.run(["rm", "-rf", *sorted(pipelines.iterdir())], check=True)


def purge(pipelines: Path, state: Path) -> None:
    workshop = Workshop(
        receipts=Receipts(state), way_in=None, finish=lambda step, _: step.title, progress=lambda _: None
    )
    for top in sorted(pipelines.iterdir()):
        step = archive_step(str(top), ("",), read_tree(str(top)).fingerprint, workshop.receipts.archives)
        cure = Cure(code="purge", fingerprint="", pipeline=top.name, message="purge", safety="safe", steps=(step,))
        plan = Plan(version=1, tool="benchmark", made_at=0, target=None, cures=(cure,))
        repair.apply(plan, workshop, title=top.name)


def one(pipelines: Path, size: int, files: int) -> None:
    """One working dir, as dlt leaves it: rows as text, and rows that are compressed already."""
    pick = random.Random(1)
    for number in range(files):
        folder = pipelines / "big" / "load" / "loaded" / f"17000{number // 10:05d}.5" / "completed_jobs"
        folder.mkdir(parents=True, exist_ok=True)
        if number % 2:
            (folder / f"orders.{number}.0.insert_values.gz").write_bytes(pick.randbytes(size // files))
        else:
            (folder / f"orders.{number}.0.insert_values").write_bytes(rows(pick, size // files))


def rows(pick: random.Random, size: int) -> bytes:
    """Text such as dlt's insert_values files."""
    lines = [
        f"({pick.randint(1, 10**9)},'customer {pick.random()}',E'2026-11-{n % 28 + 1:02d}','1763885662.{n}')"
        for n in range(LINES)
    ]
    text = ",\n".join(lines).encode()
    return (text * (size // len(text) + 1))[:size]


def many(pipelines: Path, number: int) -> None:
    """Small working dirs: two loads each."""
    pick = random.Random(2)
    for name in range(number):
        top = pipelines / f"pipeline_{name}"
        for load in ("1700000001.5", "1700000002.5"):
            folder = top / "load" / "loaded" / load / "completed_jobs"
            folder.mkdir(parents=True)
            for job in range(18):
                (folder / f"orders.{job}.0.insert_values.gz").write_bytes(pick.randbytes(1_500))
        (top / "schemas").mkdir()
        (top / "schemas" / "shop.schema.json").write_bytes(rows(pick, 12_000))
        (top / "state.json").write_bytes(b"{}" * 500)


if __name__ == "__main__":
    sys.exit(main())
