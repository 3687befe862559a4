"""Costs of whole processes, as the kernel counts them, and races of several programs."""

import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

LAUNCHER = Path(__file__).with_name("launch.py")
PATIENCE = 600.0


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one run took: wall and processor seconds, and the peak memory in MB (10⁶ bytes).

    `told` are the seconds that the program itself printed, as it leaves out its start and imports.
    """

    code: int
    seconds: float
    processor: float
    peak: float
    told: float = 0.0


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A command with its whole environment. It is to end with exit code 0.

    One that `tells` prints its own seconds first.
    """

    command: tuple[str, ...]
    environ: Mapping[str, str]
    cwd: Path
    tells: bool = False


def race(*programs: Program, rounds: int) -> list[Cost]:
    """The medians of each, run in turns so that the machine's moods meet all alike.

    One run of each goes before, uncounted: it warms the caches and writes the .pyc files. A single
    round goes without: nobody judges by it.
    """
    taken: list[list[Cost]] = [[] for _ in programs]
    warming = int(rounds > 1)
    for _ in range(warming + rounds):
        for program, costs in zip(programs, taken, strict=True):
            costs.append(run(program))
    return [median(costs[warming:]) for costs in taken]


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each of the numbers."""
    return Cost(
        code=0,
        seconds=statistics.median(c.seconds for c in costs),
        processor=statistics.median(c.processor for c in costs),
        peak=statistics.median(c.peak for c in costs),
        told=statistics.median(c.told for c in costs),
    )


def run(program: Program) -> Cost:
    """What one run costs. Raises RuntimeError with the end of its output when it fails."""
    with tempfile.TemporaryDirectory() as directory:
        cost, output = Path(directory) / "cost", Path(directory) / "output"
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(cost), str(output)]
        subprocess.run(
            [*launcher, *program.command], env=program.environ, cwd=program.cwd, check=True, timeout=PATIENCE
        )
        measured = msgspec.json.decode(cost.read_bytes(), type=Cost)
        said = output.read_text(encoding="utf-8", errors="replace")
    if measured.code != 0:
        raise RuntimeError(f"{program.command[0]} ended with {measured.code}:\n{said[-1500:]}")
    return msgspec.structs.replace(measured, told=float(said.split()[0])) if program.tells else measured
