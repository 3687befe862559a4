"""`python -m benchmarks.differential`: repaired worlds against clean ones, in as many examples as are asked for."""

import argparse
import contextlib
import functools
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import UnsatisfiedAssumption
from hypothesis.strategies import SearchStrategy

from dltdoctor.demo.server import start_server
from tests.differential import check, recipes
from tests.recover_differential import check as check_emptied
from tests.recover_differential import check_clobbered, losses, turns

Check = Callable[[Any, str, Path], None]


def main() -> int:
    """0 when every example came out equal, else 1."""
    options = _options()
    failures: list[str] = []
    tried: list[object] = []
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        dsn = options.dsn or stack.enter_context(start_server()).admin_dsn

        def attempt(example: object, check: Check) -> None:
            with tempfile.TemporaryDirectory() as place:
                try:
                    check(example, dsn, Path(place))
                except UnsatisfiedAssumption:
                    raise
                except Exception:  # noqa: BLE001 - it is counted, and the next one tried
                    failures.append(f"{example}\n{traceback.format_exc(limit=-6)}")
                    sys.stderr.write(failures[-1] + "\n")
            tried.append(example)
            if len(tried) % 10 == 0:
                sys.stderr.write(f"{len(tried)} tried, {len(failures)} failed, {time.monotonic() - began:.0f} s\n")

        half = options.examples // 2
        first, second = _recoveries() if options.recover else _migrations()
        for (examples, check), number in ((first, options.examples - half), (second, half)):
            _each(number, options.seed, examples, functools.partial(attempt, check=check))
    sys.stdout.write(
        f"{len(tried)} examples{_kinds(tried)}: {len(tried) - len(failures)} equal, {len(failures)} not"
        f" ({time.monotonic() - began:.0f} s)\n"
    )
    return int(bool(failures))


def _migrations() -> list[tuple[SearchStrategy[Any], Check]]:
    return [(recipes(keeps_package=True), check), (recipes(keeps_package=False), check)]


def _recoveries() -> list[tuple[SearchStrategy[Any], Check]]:
    return [(losses(), check_emptied), (turns(), check_clobbered)]


def _kinds(tried: Sequence[object]) -> str:
    """By which strategies the examples were loaded."""
    loaded = [getattr(example, "recipe", example) for example in tried]
    kinds = sorted({root.kind for recipe in loaded for root in getattr(recipe, "roots", ())})
    return f" of {', '.join(kinds)}" if kinds else ""


def _each(number: int, start: int, examples: SearchStrategy[Any], attempt: Callable[[Any], None]) -> None:
    if number:
        generated = settings(
            max_examples=number,
            phases=[Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )

        def one(example: Any) -> None:
            attempt(example)

        seed(start)(generated(given(examples)(one)))()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.differential", description=__doc__)
    parser.add_argument("--dsn", help="a superuser's DSN of a server to use instead; all that is made is removed")
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--recover", action="store_true", help="fix --recover in the place of fix --migrate")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
