"""The benchmark of job files still runs, and stages within its memory."""

import shutil

import pytest

from benchmarks.job_files import MOST, compare


@pytest.mark.skipif(not shutil.which("psql"), reason="needs psql")
def test_it_runs(postgres, capsys):
    compare(postgres, rows=2_000, rounds=1)
    staged = capsys.readouterr().out.splitlines()[-1].split("|")
    assert "staged" in staged[1]
    assert float(staged[-2].removesuffix(" MB ")) < MOST
