"""The demo from outside: worlds told apart and cured, one kept, tried with the printed commands, and removed."""

import os
import re
import signal
import time
from pathlib import Path

import psycopg
import pytest

from dltdoctor.demo.scenarios import SCENARIOS
from tests.command_line import codes, complaint, dltdoctor, report, shell
from tests.leftovers import leftovers, run_python_until
from tests.worlds import digest_tree

PLAYED = "import sys; from dltdoctor.cli import main; sys.argv = ['dltdoctor', 'demo', 'emptied']; main()"


def test_the_list_names_every_scenario() -> None:
    done = dltdoctor("demo", "--list")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == [s.name for s in SCENARIOS]


def test_an_unknown_scenario_is_refused() -> None:
    done = dltdoctor("demo", "strandet")
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint(done)
    assert "stranded" in done.stderr


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.name)
def test_each_scenario_as_json(scenario, temporary) -> None:
    done = dltdoctor("demo", scenario.name, "--format", "json", env={"TMPDIR": str(temporary)})
    severities = {finding.severity.value for finding in report(done).findings}
    if scenario.expected_code:
        assert scenario.expected_code in codes(done)
        assert done.returncode == (1 if "error" in severities else 0)
    else:
        assert severities <= {"info"}
        assert done.returncode == 0
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS if s.cure], ids=lambda s: s.name)
def test_each_sick_scenario_is_cured_with_the_command_that_its_finding_prints(scenario, temporary) -> None:
    done = dltdoctor("demo", scenario.name, env={"TMPDIR": str(temporary), "COLUMNS": "110"})
    command = " ".join(("dltdoctor", *scenario.cure))
    sick, cured = done.stdout.split(f"\n$ {command} --yes\n")
    assert command in [line.strip() for line in sick.splitlines()]
    if scenario.next_run:
        assert f"\n$ python {' '.join(scenario.next_run)}\n" in cured
        assert "no row →   90.2" in cured
    else:
        assert f"✓ {scenario.expected_code} " in cured.split("Proof: looked at again")[1]
    again = cured.split("\n$ dltdoctor diagnose\n")[1].splitlines()[0]
    assert "no errors" in again
    assert scenario.expected_code not in again
    assert done.returncode == (1 if f"✗ {scenario.expected_code}" in sick else 0)
    assert list(temporary.iterdir()) == []


def test_the_scores_that_were_null_are_back(temporary) -> None:
    done = dltdoctor("demo", env={"TMPDIR": str(temporary)})
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "1a7k2p NULL → 63.6" in rows
    assert "1b3m9x NULL → 88.8" in rows
    assert "1d8w4e 72.5 → 72.5" in rows
    assert done.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_is_cured_leaves_nothing(number: signal.Signals, temporary: Path) -> None:
    code = run_python_until("$ dltdoctor fix", PLAYED, temporary, number)
    assert code in (130, 128 + number)
    assert leftovers(temporary) == []


def test_the_healthy_one_needs_no_cure(temporary) -> None:
    done = dltdoctor("demo", "healthy", env={"TMPDIR": str(temporary)})
    assert "$ dltdoctor" not in done.stdout
    assert done.returncode == 0


def test_a_kept_world_is_tried_with_the_printed_commands_and_removed(temporary) -> None:
    env = {"TMPDIR": str(temporary), "COLUMNS": "80"}
    done = dltdoctor("demo", "stranded", "--keep", env=env)
    lines = done.stdout.splitlines()
    again = lines[lines.index("Look again:") + 1]
    remove = lines[lines.index("Remove it all:") + 1]
    try:
        assert done.returncode == 1
        assert re.search(r"^DD201|✗ DD201", done.stdout, re.MULTILINE)
        dsn, pipelines = (
            next(line.split()[1] for line in lines if line.startswith(f"{name}:")) for name in ("dsn", "pipelines")
        )
        fixes = [line.strip() for line in lines if line.strip().startswith("dltdoctor fix")]
        options = again.removeprefix("dltdoctor diagnose")
        assert fixes
        assert lines[lines.index("Cure it (it shows its plan and asks):") + 1] in fixes
        assert "$ dltdoctor" not in done.stdout
        assert all(fix.endswith(options) for fix in fixes), fixes

        before = digest_tree(Path(pipelines).parent.parent)
        looked = shell(f"{again} --format json", env=env)
        assert looked.returncode == 1
        assert "DD201" in codes(looked)
        where = shell(f"dltdoctor where app_opportunities_trust{options}", env=env)
        assert "staging table of trust_scores" in where.stdout
        by_dsn = dltdoctor("diagnose", "-f", "json", env={"DLTDOCTOR_DSN": dsn})
        assert "DD201" in codes(by_dsn)
        assert digest_tree(Path(pipelines).parent.parent) == before
    finally:
        shell(remove)
    with pytest.raises(psycopg.OperationalError):
        _until_gone(dsn)
    for _ in range(100):
        if not any(temporary.iterdir()):
            break
        time.sleep(0.05)
    assert os.listdir(temporary) == []


def _until_gone(dsn: str) -> None:
    for _ in range(100):
        psycopg.connect(dsn).close()
        time.sleep(0.05)


def test_a_world_that_is_gone_prints_no_command_that_leads_there(temporary) -> None:
    done = dltdoctor("demo", "stranded", env={"TMPDIR": str(temporary)})
    assert "The story: " in done.stdout
    assert "dltdoctor demo stranded --keep" in done.stdout
    assert "--project" not in done.stdout
