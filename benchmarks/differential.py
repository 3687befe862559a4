"""`python -m benchmarks.differential`: repaired worlds against clean ones, in as many examples as are asked for."""

import argparse
import contextlib
import sys
import tempfile
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import UnsatisfiedAssumption

from dltdoctor.demo.server import start_server
from tests.differential import Recipe, check, recipes


def main() -> int:
    """0 when every example came out equal, else 1."""
    options = _options()
    failures: list[str] = []
    tried: list[Recipe] = []
    began = time.monotonic()

    def attempt(recipe: Recipe) -> None:
        with tempfile.TemporaryDirectory() as place:
            try:
                check(recipe, dsn, Path(place))
            except UnsatisfiedAssumption:
                raise
            except Exception:  # noqa: BLE001 - it is counted, and the next one tried
                failures.append(f"{recipe}\n{traceback.format_exc(limit=-6)}")
                sys.stderr.write(failures[-1] + "\n")
        tried.append(recipe)
        if len(tried) % 10 == 0:
            sys.stderr.write(f"{len(tried)} tried, {len(failures)} failed, {time.monotonic() - began:.0f} s\n")

    with contextlib.ExitStack() as stack:
        dsn = options.dsn or stack.enter_context(start_server()).admin_dsn
        half = options.examples // 2
        for keeps_package, number in ((True, options.examples - half), (False, half)):
            _each(number, options.seed, keeps_package, attempt)
    kinds = sorted({root.kind for recipe in tried for root in recipe.roots})
    sys.stdout.write(
        f"{len(tried)} examples of {', '.join(kinds)}: {len(tried) - len(failures)} equal, {len(failures)} not"
        f" ({time.monotonic() - began:.0f} s)\n"
    )
    return int(bool(failures))


def _each(number: int, start: int, keeps_package: bool, attempt: object) -> None:  # noqa: FBT001
    if number:
        generated = settings(
            max_examples=number,
            phases=[Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        seed(start)(generated(given(recipes(keeps_package=keeps_package))(attempt)))()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.differential", description=__doc__)
    parser.add_argument("--dsn", help="a superuser's DSN of a server to use instead; all that is made is removed")
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
