"""The benchmarks still run: tiny sizes, every figure once, nothing left on the server."""

import os
import shutil
import sys
from pathlib import Path

import psycopg
import pytest

from benchmarks.figures import Figure, table
from benchmarks.measure import Cost, Program, run
from benchmarks.suite import QUICK, measure

HAS_PROGRAMS = shutil.which("psql") and all(
    Path(sys.executable).with_name(name).exists() for name in ("dlt", "dltdoctor")
)


@pytest.mark.skipif(not HAS_PROGRAMS, reason="needs psql, and dltdoctor installed")
def test_every_figure_is_measured_and_nothing_is_left(postgres):
    pytest.importorskip("sqlalchemy")
    figures = list(measure(postgres, QUICK, lambda _: None))
    assert len({figure.cells for figure in figures}) == len(figures) >= 15
    assert all(figure.ours.peak > 1 for figure in figures)
    with psycopg.connect(postgres) as connection:
        left = connection.execute("SELECT datname FROM pg_database").fetchall()
        roles = connection.execute("SELECT rolname FROM pg_roles").fetchall()
    mine = f"dltdoctor_benchmark_{os.getpid()}_"
    assert not [name for (name,) in (*left, *roles) if name.startswith(mine)]


def test_the_measuring_process_does_not_weigh_in(tmp_path):
    ballast = bytearray(300_000_000)
    cost = run(Program(command=("sleep", "0.2"), environ=dict(os.environ), cwd=tmp_path))
    assert len(ballast) > 0
    assert cost.peak < 50
    assert 0.2 <= cost.seconds < 10


def test_a_failed_program_is_no_measurement(tmp_path):
    program = Program(command=(sys.executable, "-c", "exit('no luck')"), environ=dict(os.environ), cwd=tmp_path)
    with pytest.raises(RuntimeError, match="ended with 1:\nno luck"):
        run(program)


def test_a_bound_that_is_not_kept_is_marked():
    slow = Cost(code=0, seconds=3.0, processor=2.0, peak=90.0)
    fast = Cost(code=0, seconds=1.5, processor=1.0, peak=10.0)
    missed = Figure(what="reading", ours=slow, rival=fast, rival_name="psql", most_ratio=1.5)
    kept = Figure(what="looking", ours=slow, most_seconds=3.0, most_memory=90)
    assert (missed.is_met, kept.is_met) == (False, True)
    assert table([missed, kept]).splitlines()[2:] == [
        "| reading | 3.00 s | 1.50 s (psql) | 2.00 | ≤ 1.5 ✗ missed | 90 MB | 10 MB |",
        "| looking | 3.00 s |  |  | ≤ 3 s, ≤ 90 MB ✓ | 90 MB |  |",
    ]
