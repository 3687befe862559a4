"""The command line from outside: options, formats, exit codes, and what it does on odd terminals."""

import json
import os
import pty
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from dltdoctor import __version__
from dltdoctor.checks import CHECKS
from tests.captured import UnpackedWorld, world
from tests.command_line import COMMAND, codes, complaint, dltdoctor, environment, is_quiet, report, shell
from tests.worlds import digest_database, digest_tree


@pytest.fixture
def stranded(tmp_path, database) -> tuple[UnpackedWorld, str]:
    """A world with one error, and its database."""
    captured = world("1.31.0", "stranded-merge")
    captured.restore(database)
    return captured.unpack(tmp_path / "world"), database


@pytest.fixture
def offline(tmp_path) -> UnpackedWorld:
    """A world whose sickness is told without a database."""
    return world("1.31.0", "staging-is-final").unpack(tmp_path / "world")


def places(unpacked: UnpackedWorld) -> tuple[str, ...]:
    return ("--project", str(unpacked.project), "--pipelines-dir", str(unpacked.pipelines_dir))


# ------------------------------------------------------------------------------ help and explain


def test_version() -> None:
    done = dltdoctor("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"dltdoctor {__version__}\n", "")


@pytest.mark.parametrize("command", [(), ("diagnose",), ("where",), ("explain",), ("demo",)])
def test_help_of_every_command(command) -> None:
    done = dltdoctor(*command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: dltdoctor ")
    assert not any(line.endswith("...") for line in done.stdout.splitlines() if "Usage" not in line and command)


def test_help_names_the_variable_of_the_dsn_but_not_its_value() -> None:
    done = dltdoctor("diagnose", "--help", env={"DLTDOCTOR_DSN": "postgresql://u:Hunter-2-pw@h/d", "COLUMNS": "100"})
    assert "DLTDOCTOR_DSN" in done.stdout
    assert "Hunter-2-pw" not in done.stdout


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_of_the_shell(name) -> None:
    # Without it Typer asks the parent processes which shell it is in; under setsid there is none.
    script = dltdoctor("--show-completion", name, env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"})
    assert script.returncode == 0
    assert "_DLTDOCTOR_COMPLETE" in script.stdout


def test_completion_offers_commands_and_options() -> None:
    done = dltdoctor(env={"_DLTDOCTOR_COMPLETE": "complete_bash", "COMP_WORDS": "dltdoctor ex", "COMP_CWORD": "1"})
    assert done.stdout.split() == ["explain"]


def test_explain_lists_every_check_and_explains_each() -> None:
    listed = dltdoctor("explain")
    assert listed.returncode == 0
    assert [c.code for c in CHECKS] == [line[:5] for line in listed.stdout.splitlines() if line.startswith("DD")]
    everything = dltdoctor("explain", "DD")
    for check in CHECKS:
        assert f"{check.code} {check.name}" in everything.stdout
    assert everything.stdout.count("Why it matters") == len(CHECKS)


@pytest.mark.parametrize("word", ["DD201", "dd201", "stranded-rows", "Stranded-Rows"])
def test_explain_by_code_and_by_name(word) -> None:
    done = dltdoctor("explain", word)
    assert done.stdout.startswith("DD201 stranded-rows")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("word", "meant"),
    [("stranded-row", "stranded-rows"), ("DD9201", "DD201"), ("staging_is_final", "staging-is-final")],
)
def test_explain_of_an_unknown_code_asks_what_was_meant(word, meant) -> None:
    done = dltdoctor("explain", word)
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint(done) == f"dltdoctor: there is no check '{word}'"
    assert f"Did you mean {meant}? dltdoctor explain lists them all." in done.stderr


def test_without_a_command_the_help_and_2() -> None:
    done = dltdoctor()
    assert done.returncode == 2
    assert "Commands:" in done.stdout + done.stderr


# ------------------------------------------------------------------------------------- diagnose


def test_text_and_json_of_a_sick_world(stranded) -> None:
    unpacked, dsn = stranded
    before = digest_tree(unpacked.root), digest_database(dsn)
    text = dltdoctor("diagnose", *places(unpacked), "--dsn", dsn)
    as_json = dltdoctor("diagnose", *places(unpacked), "--dsn", dsn, "--format", "json")

    assert text.returncode == 1
    assert is_quiet(text)
    assert "DD201 stranded-rows" in text.stdout
    assert as_json.returncode == 1
    assert is_quiet(as_json)
    assert "DD201" in codes(as_json)
    assert list(json.loads(as_json.stdout)) == ["version", "summary", "findings", "ledger", "skipped"]
    assert (digest_tree(unpacked.root), digest_database(dsn)) == before


def test_a_healthy_world_exits_with_0(tmp_path, database) -> None:
    captured = world("1.31.0", "healthy-merge")
    captured.restore(database)
    unpacked = captured.unpack(tmp_path / "world")
    done = dltdoctor("diagnose", *places(unpacked), "--dsn", database, "--fail-on", "warning")
    assert done.returncode == 0
    assert "no errors, no warnings" in done.stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--select", "DD101"), {"DD101"}),
        (("--select", "staging-is-final"), {"DD101"}),
        (("--select", "dd1"), {"DD101"}),
        (("--select", "DD2,DD101"), {"DD101"}),
        (("--select", "DD2", "--select", "DD101"), {"DD101"}),
        (("--select", "DD1", "--ignore", "DD101"), set()),
        (("--ignore", "staging-is-final,DD4"), set()),
        (("--select", "DD2, DD3"), set()),
    ],
)
def test_select_and_ignore(options, expected, offline) -> None:
    done = dltdoctor("diagnose", *places(offline), "--offline", "-f", "json", *options)
    assert codes(done) - {"DD206"} == expected
    assert done.returncode == (1 if expected else 0)


@pytest.mark.parametrize("option", ["--select", "--ignore"])
def test_an_unknown_code_is_refused_before_anything_is_read(option) -> None:
    done = dltdoctor("diagnose", option, "DD201,stranded-row")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean stranded-rows?" in done.stderr


@pytest.mark.parametrize(
    ("fail_on", "select", "code"),
    [
        ("error", "DD101", 1),
        ("warning", "DD101", 1),
        ("info", "DD101", 1),
        ("never", "DD101", 0),
        ("error", "DD206", 0),
        ("warning", "DD206", 1),
    ],
)
def test_fail_on(fail_on, select, code, tmp_path) -> None:
    name = "pending-normalized" if select == "DD206" else "staging-is-final"
    unpacked = world("1.31.0", name).unpack(tmp_path / "world")
    options = ("--offline", "--select", select, "--fail-on", fail_on, "-f", "json")
    done = dltdoctor("diagnose", *places(unpacked), *options)
    assert codes(done) == {select}
    assert done.returncode == code


@pytest.mark.parametrize("arguments", [("--fail-on", "x"), ("--format", "xml"), ("--nonsense",)])
def test_usage_errors(arguments) -> None:
    done = dltdoctor("diagnose", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Usage: dltdoctor diagnose" in done.stderr


def test_offline_says_what_it_left_out(offline) -> None:
    done = dltdoctor("diagnose", *places(offline), "--offline")
    assert done.returncode == 1
    assert "skipped: --offline" in done.stdout


def test_offline_contradicts_a_dsn_but_not_the_variable(offline) -> None:
    dsn = "postgresql://nobody@127.0.0.1:1/none"
    typed = dltdoctor("diagnose", *places(offline), "--offline", "--dsn", dsn)
    assert typed.returncode == 2
    assert "contradict" in complaint(typed)
    inherited = dltdoctor("diagnose", *places(offline), "--offline", env={"DLTDOCTOR_DSN": dsn})
    assert inherited.returncode == 1
    assert "DD101" in inherited.stdout


def test_the_places_are_relative_to_the_current_directory(offline) -> None:
    for cwd, options in (
        (offline.root, ("--project", "project", "--pipelines-dir", "pipelines")),
        (offline.project, ("--pipelines-dir", "../pipelines")),
        (offline.project, ("--project", "../project", "--pipelines-dir", "../pipelines")),
    ):
        done = dltdoctor("diagnose", *options, "--offline", "-f", "json", cwd=cwd)
        assert "DD101" in codes(done), options


def test_dlt_own_place_is_found_without_options(offline) -> None:
    shutil.copytree(offline.pipelines_dir, Path(os.environ["DLT_DATA_DIR"]) / "pipelines")
    done = dltdoctor("diagnose", "--offline", "-f", "json", cwd=offline.project)
    assert "DD101" in codes(done)


def test_an_unknown_pipeline_is_refused_with_the_known_names(offline) -> None:
    done = dltdoctor("diagnose", "sale", *places(offline), "--offline")
    assert (done.returncode, done.stdout) == (2, "")
    assert complaint(done) == "dltdoctor: there is no pipeline 'sale'"
    assert "Did you mean sales?" in done.stderr
    assert "known: sales." in done.stderr
    assert "the destination" not in done.stderr


def test_an_unknown_pipeline_beside_a_closed_door_is_not_called_unknown(offline) -> None:
    dsn = "postgresql://loader:Hunter-2-pw@127.0.0.1:1/none"
    done = dltdoctor("diagnose", "sale", *places(offline), "--dsn", dsn)
    assert (done.returncode, done.stdout) == (3, "")
    assert "in what could be read" in complaint(done)
    assert "refused" in done.stderr
    assert "Hunter-2-pw" not in done.stderr


def test_nothing_found_is_3(tmp_path) -> None:
    done = dltdoctor("diagnose", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert complaint(done).startswith("dltdoctor: no dlt pipeline was found in ")
    assert "--pipelines-dir" in done.stderr


# --------------------------------------------------------------------------- terminals and pipes


def on_a_terminal(*arguments: str, env: dict[str, str]) -> str:
    """What a terminal is given."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([*COMMAND, *arguments], stdout=theirs, stderr=theirs, stdin=theirs, env=environment(env))
    os.close(theirs)
    written = b""
    try:
        while part := os.read(ours, 65536):
            written += part
    except OSError:  # Linux' way to say that the other end is closed
        pass
    finally:
        os.close(ours)
    process.wait(30)
    return written.decode()


def test_a_terminal_gets_colours_unless_no_color(offline) -> None:
    arguments = ("diagnose", *places(offline), "--offline")
    coloured = on_a_terminal(*arguments, env={"TERM": "xterm-256color"})
    plain = on_a_terminal(*arguments, env={"TERM": "xterm-256color", "NO_COLOR": "1"})
    assert "\x1b[" in coloured
    assert "\x1b[" not in plain
    assert "DD101" in plain


def test_a_narrow_terminal_only_lets_commands_and_paths_stand_out(offline) -> None:
    done = dltdoctor("diagnose", *places(offline), "--offline", env={"COLUMNS": "40"})
    wide = [line for line in done.stdout.splitlines() if len(line) > 40]
    assert "DD101" in done.stdout
    assert all("dltdoctor " in line for line in wide), wide


def test_the_c_locale_is_given_ascii(offline) -> None:
    for changes in ({"LANG": "C"}, {"LC_ALL": "C"}, {"LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        done = dltdoctor("diagnose", *places(offline), "--offline", env={"LC_ALL": None, "LANG": None, **changes})
        assert done.returncode == 1
        assert done.stdout.isascii(), changes


@pytest.mark.parametrize("command", ["explain", "explain DD", "diagnose --offline"])
def test_a_closed_pipe_is_nobodys_trouble(command, offline) -> None:
    done = shell(f"dltdoctor {command} | head -1", cwd=offline.project)
    assert done.stderr in ("", "dltdoctor: no dlt pipeline was found\n") or "no dlt pipeline" in done.stderr
    closed = shell(f"dltdoctor {command} | true", cwd=offline.project)
    assert "Error" not in closed.stderr
    assert "Exception" not in closed.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_line(offline) -> None:
    done = shell("dltdoctor explain > /dev/full")
    assert done.returncode == 3
    assert done.stderr == "dltdoctor: the report could not be written: No space left on device\n"


def test_ctrl_c_ends_with_130(stranded) -> None:
    unpacked, dsn = stranded
    with psycopg.connect(dsn) as blocker:
        blocker.execute("LOCK TABLE shop._dlt_loads IN ACCESS EXCLUSIVE MODE")
        process = subprocess.Popen(
            [*COMMAND, "diagnose", *places(unpacked), "--dsn", dsn],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        time.sleep(1.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err


# ------------------------------------------------------------------ commands that can be pasted


def test_commands_carry_the_options_that_were_given(stranded) -> None:
    unpacked, dsn = stranded
    spaced = unpacked.root / "my project's"
    unpacked.project.rename(spaced)
    options = ("--project", "my project's", "--pipelines-dir", "pipelines")
    done = dltdoctor("diagnose", *options, "--dsn", dsn, "-f", "json", cwd=unpacked.root)
    printed = {f.remedy.command for f in report(done).findings if f.remedy and f.remedy.command}
    commands = {command for command in printed if command.startswith("dltdoctor ")}  # the others are SQL
    assert commands
    for command in commands:
        assert command.startswith("dltdoctor fix sales ")
        assert """--project 'my project'"'"'s' --pipelines-dir pipelines --dsn "$DLTDOCTOR_DSN\"""" in command
    line = next(iter(commands)).partition(" --project")[2]
    again = shell(f"dltdoctor diagnose --project{line} -f json", cwd=unpacked.root, env={"DLTDOCTOR_DSN": dsn})
    assert report(again).findings == report(done).findings


def test_the_variable_is_as_good_as_the_option(stranded) -> None:
    unpacked, dsn = stranded
    done = dltdoctor("diagnose", *places(unpacked), "-f", "json", env={"DLTDOCTOR_DSN": dsn})
    assert "DD201" in codes(done)


def test_an_empty_dsn_is_an_unset_variable() -> None:
    done = shell('dltdoctor diagnose --dsn "$DLTDOCTOR_DSN"')
    assert done.returncode == 2
    assert complaint(done) == "dltdoctor: --dsn is empty"
    assert "export DLTDOCTOR_DSN=" in done.stderr


def test_places_in_the_project_are_relative_in_both_formats(offline) -> None:
    text = dltdoctor("diagnose", *places(offline), "--offline", env={"COLUMNS": "200"})
    as_json = dltdoctor("diagnose", *places(offline), "--offline", "-f", "json")
    sources = {e.source for f in report(as_json).findings for e in f.evidence}
    assert any(source.startswith(".dlt/config.toml:") for source in sources), sources
    assert f"{offline.project}/" not in text.stdout.replace(f"--project {offline.project}", "")


def test_text_shortens_paths_to_the_current_directory_and_home(offline) -> None:
    below = dltdoctor("diagnose", "--pipelines-dir", "pipelines", "--project", "project", cwd=offline.root)
    assert "working dir: pipelines/sales" in below.stdout
    home = dltdoctor("diagnose", *places(offline), env={"HOME": str(offline.root)})
    assert "working dir: ~/pipelines/sales" in home.stdout


def test_fingerprints_are_the_same_on_every_machine(tmp_path) -> None:
    seen = set()
    for machine in ("one", "another"):
        unpacked = world("1.31.0", "staging-is-final").unpack(tmp_path / machine)
        (unpacked.project / ".dlt" / "secrets.toml").write_text("not = = toml", encoding="utf-8")
        done = dltdoctor("diagnose", *places(unpacked), "--offline", "-f", "json")
        seen.add(frozenset((f.code, f.fingerprint) for f in report(done).findings))
    assert len(seen) == 1
    assert {"DD001", "DD101"} <= {code for code, _ in next(iter(seen))}
