"""Every figure: what is run, against which rival, and the bound it is to keep."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks.catalog import PSQL
from benchmarks.figures import Figure
from benchmarks.gate import gate
from benchmarks.grown import COLUMNS_A_TABLE, grow
from benchmarks.many import add_packages, add_pipelines
from benchmarks.measure import Cost, Program, race
from benchmarks.shop import NAME, Shop, open_shop, script

ROOT = Path(__file__).resolve().parents[1]
READING = "connecting and reading only"


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How large the worlds are, and how often each program runs."""

    days: int
    rounds: int
    slow_rounds: int
    rows: int
    tables: tuple[int, int, int]
    pipelines: int
    packages: int
    files: int


FULL = Sizes(
    days=2, rounds=15, slow_rounds=5, rows=100, tables=(2500, 5000, 10_000), pipelines=500, packages=1000, files=2000
)
QUICK = Sizes(days=1, rounds=1, slow_rounds=1, rows=5, tables=(8, 16, 32), pipelines=3, packages=5, files=80)


def measure(admin_dsn: str, sizes: Sizes, progress: Callable[[str], None]) -> Iterator[Figure]:
    """The figures, one by one as they are measured."""
    progress("one pipeline, run by real dlt")
    with open_shop(admin_dsn, rows=sizes.rows, days=sizes.days) as shop:
        yield from _start_up(shop, sizes)
        yield _one_pipeline(shop, sizes)
        progress(f"{sizes.packages:,} load packages")
        add_packages(shop, sizes.packages)
        yield _many_packages(shop, sizes)
    with open_shop(admin_dsn, rows=sizes.rows, days=sizes.days) as shop:
        progress(f"{sizes.pipelines:,} pipelines")
        yield from _many_pipelines(shop, sizes)
    with contextlib.ExitStack() as stack:
        shops: list[Shop] = []
        for tables in sizes.tables:
            progress(f"{tables:,} tables")
            shops.append(stack.enter_context(open_shop(admin_dsn, rows=5, days=sizes.days)))
            grow(shops[-1], tables)
        yield from _many_tables(shops, sizes)
    progress(f"{sizes.files:,} Python files")
    yield gate(sizes.files, rounds=sizes.slow_rounds)


def _start_up(shop: Shop, sizes: Sizes) -> Iterator[Figure]:
    doctor, dlt = script("dltdoctor"), script("dlt")
    for arguments, rival, most in (
        (("--version",), ("--version",), 0.3),
        (("--help",), ("--help",), 0.3),
        (("explain", "DD201"), ("--help",), None),
    ):
        ours, theirs = race(shop.program(doctor, *arguments), shop.program(dlt, *rival), rounds=sizes.rounds)
        yield Figure(
            what=f"`dltdoctor {' '.join(arguments)}`",
            ours=ours,
            rival=theirs,
            rival_name=f"`dlt {' '.join(rival)}`",
            most_ratio=most,
        )


def _one_pipeline(shop: Shop, sizes: Sizes) -> Figure:
    info = shop.program(script("dlt"), "pipeline", NAME, "info")
    ours, theirs = race(_diagnose(shop, NAME), info, rounds=sizes.rounds)
    return Figure(
        what="`dltdoctor diagnose NAME`, one pipeline",
        ours=ours,
        rival=theirs,
        rival_name="`dlt pipeline NAME info`",
        most_ratio=1.0,
    )


def _many_packages(shop: Shop, sizes: Sizes) -> Figure:
    (ours,) = race(_diagnose(shop, NAME), rounds=sizes.slow_rounds)
    return Figure(what=f"the same with {sizes.packages:,} load packages", ours=ours, most_seconds=2.0)


def _many_pipelines(shop: Shop, sizes: Sizes) -> Iterator[Figure]:
    (alone,) = race(_diagnose(shop), rounds=sizes.slow_rounds)
    add_pipelines(shop, sizes.pipelines)
    (ours,) = race(_diagnose(shop), rounds=sizes.slow_rounds)
    each = 1000 * (ours.seconds - alone.seconds) / (sizes.pipelines - 1)
    yield Figure(what=f"`dltdoctor diagnose`, {sizes.pipelines:,} pipelines ({each:.1f} ms each)", ours=ours)


def _many_tables(shops: Sequence[Shop], sizes: Sizes) -> Iterator[Figure]:
    """The bounds are for the largest; of a small catalog, the start of Python is most."""
    largest, tables = shops[-1], sizes.tables[-1]
    name = f"catalog of {tables:,} tables, {tables * COLUMNS_A_TABLE:,} columns"
    psql = largest.program("psql", "-X", "-q", "-A", "-t", "-o", "/dev/null", "-c", PSQL)
    ours, theirs = race(_reader(largest, "dltdoctor"), psql, rounds=sizes.rounds)
    yield Figure(what=name, ours=ours, rival=theirs, rival_name="psql", most_ratio=1.5, most_memory=200)
    ours, theirs = race(_reader(largest, "dltdoctor"), _reader(largest, "SQLAlchemy"), rounds=min(sizes.slow_rounds, 3))
    inspector = "SQLAlchemy's Inspector"
    yield Figure(what=name, ours=ours, rival=theirs, rival_name=inspector, most_ratio=0.15)
    ours, theirs = _reading(ours), _reading(theirs)
    yield Figure(what=f"{name}, {READING}", ours=ours, rival=theirs, rival_name=inspector)
    costs = race(*(_reader(shop, "dltdoctor") for shop in shops), rounds=sizes.slow_rounds)
    yield from _sizes("catalog", costs, sizes.tables)
    costs = race(*(_diagnose(shop, NAME) for shop in shops), rounds=sizes.slow_rounds)
    yield from _sizes("`dltdoctor diagnose NAME`", costs, sizes.tables)


def _sizes(what: str, costs: Sequence[Cost], tables: Sequence[int]) -> Iterator[Figure]:
    """One figure a size, and for the largest its bound; then whether the cost is linear."""
    for cost, number in zip(costs, tables, strict=True):
        most = 200 if number == tables[-1] else None
        yield Figure(what=f"{what}, {number:,} tables", ours=cost, most_memory=most)
    yield _linear(what, costs, tables)


def _linear(what: str, costs: Sequence[Cost], tables: Sequence[int]) -> Figure:
    """The cost of one more table between the larger two sizes, over that between the smaller two."""
    steps = [(costs[i + 1].seconds - costs[i].seconds) / (tables[i + 1] - tables[i]) for i in range(len(costs) - 1)]
    return Figure(
        what=f"{what}: one more table above {tables[1]:,}, and below",
        ours=costs[-1],
        given_ratio=steps[1] / steps[0],
        most_ratio=1.3,
    )


def _diagnose(shop: Shop, *names: str) -> Program:
    return shop.program(script("dltdoctor"), "diagnose", *names)


def _reader(shop: Shop, name: str) -> Program:
    program = shop.program(sys.executable, "-m", "benchmarks.catalog", shop.stage.login.dsn, "--read", name)
    return msgspec.structs.replace(program, environ={**program.environ, "PYTHONPATH": str(ROOT)}, tells=True)


def _reading(cost: Cost) -> Cost:
    """The part that reads, without what Python takes to start and to import."""
    return msgspec.structs.replace(cost, seconds=cost.told)
