"""`dltdoctor diagnose` of this checkout beside the one of an earlier commit, on one database of many tables.

`python -m benchmarks.before COMMIT [--tables 10000] [--rounds 3] [--dsn DSN]` prints a Markdown table. Both run
from source, in turns, whole processes; all of `git worktree` that it makes is removed.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.grown import grow
from benchmarks.measure import Program, race
from benchmarks.shop import NAME, Shop, open_shop
from dltdoctor.demo.server import start_server

ROOT = Path(__file__).resolve().parents[1]
MOST = 1.3


def main() -> int:
    """0 when this checkout takes at most 1.3 times as long."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.before", description=__doc__)
    options.add_argument("commit", help="one that git knows, e.g. the last before the whole catalogue")
    options.add_argument("--tables", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--dsn", help="a superuser's; without it a throw-away server is started")
    given = options.parse_args()
    with contextlib.ExitStack() as stack:
        admin = given.dsn or stack.enter_context(start_server()).admin_dsn
        earlier = stack.enter_context(_worktree(given.commit))
        shop = stack.enter_context(open_shop(admin, rows=5, days=2))
        grow(shop, given.tables)
        then, now = race(_diagnose(shop, earlier), _diagnose(shop, ROOT), rounds=given.rounds)
    print(f"| `diagnose`, {given.tables:,} tables | wall s | processor s | peak memory |\n|---|---:|---:|---:|")
    for what, cost in ((given.commit[:10], then), ("this checkout", now)):
        print(f"| {what} | {cost.seconds:.2f} | {cost.processor:.2f} | {cost.peak:.0f} MB |")
    ratio = now.seconds / then.seconds
    print(f"| ratio, at most {MOST} | {ratio:.2f} | {now.processor / then.processor:.2f} | |")
    return int(ratio > MOST)


def _diagnose(shop: Shop, checkout: Path) -> Program:
    plain = shop.program(sys.executable, "-m", "dltdoctor", "diagnose", NAME, "--format", "json")
    return msgspec.structs.replace(plain, environ={**plain.environ, "PYTHONPATH": str(checkout)})


@contextlib.contextmanager
def _worktree(commit: str) -> Iterator[Path]:
    """The files of a commit, for the block."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "earlier"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


if __name__ == "__main__":
    sys.exit(main())
