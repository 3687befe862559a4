"""`python -m benchmarks.kills`: repairs and undos are struck down at many moments; what is left is looked at (law 8)."""

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from dltdoctor.demo.server import start_server
from tests.captured import world
from tests.killing import Outcome, admit, kill_backend, stop_by_sigkill, terminate_backend
from tests.repairing import patient

STRIKES = {"SIGKILL": stop_by_sigkill, "connection ended": terminate_backend, "server crashed": kill_backend}


def main() -> int:
    """0 when no moment left a half state; a half state ends it with the assertion that found it."""
    options = _options()
    chosen = random.Random(options.seed)
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(start_server())
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ward = admit(patient(world("1.31.0", "resumable-merge"), place, server.create_database("kills")))
        for name, strike in STRIKES.items():
            many = options.moments if name == "SIGKILL" else options.moments // 10
            for verb in ("apply", "undo"):
                found: Counter[Outcome] = Counter(ward.strike(verb, strike, 1.1 * chosen.random()) for _ in range(many))
                told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(found.items()))
                sys.stdout.write(f"{name}, {many} moments of {verb}: {told}\n")
                sys.stdout.flush()
    sys.stdout.write(f"no half state, no row lost ({time.monotonic() - began:.0f} s)\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--moments", type=int, default=200, help="of apply, and as many of undo")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
