"""Where the gate plugs in: pre-commit, the GitHub action, the GitLab job, and what the documents show of them."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import sql

from dltdoctor import gate
from dltdoctor.settings import parse
from tests.command_line import dltdoctor, environment
from tests.gated import LOAD, judged, write_story
from tests.worlds import run_pipeline, write_project

ROOT = Path(__file__).parent.parent
READER = "dltdoctor_test_reader"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_story(tmp_path / "work" / "project")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory with a `dltdoctor` that is the one of this checkout."""
    folder = tmp_path / "runner" / "dltdoctor" / "bin"
    folder.mkdir(parents=True)
    program = folder / "dltdoctor"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m dltdoctor "$@"\n')
    program.chmod(0o755)
    return folder


def shell(script: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=cwd,
        env=environment(env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_pre_commit_runs_the_hook_on_a_real_repository(project: Path, programs: Path, clean_machine: Path):
    """pre-commit itself; `language` is changed, because the real one installs dltdoctor from an index."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    config = {"repos": [{"repo": "local", "hooks": [{**hook, "language": "unsupported"}]}]}
    (project / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    env = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(clean_machine / "pre-commit"),
        "GIT_CONFIG_GLOBAL": "/dev/null",
        **{f"GIT_{who}_{what}": "t@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
    }
    install = f'git init -q . && git add . && "{sys.executable}" -m pre_commit install'
    done = shell(install, project, **env)
    assert done.returncode == 0, done.stderr
    done = shell("git commit -q -m story", project, **env)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "DD102 invalid-staging-layout" in done.stdout + done.stderr
    (project / "load.py").write_text(LOAD.replace("staging_dataset_name_layout=None", ""))
    done = shell("git add . && git commit -q -m cured", project, **env)
    assert done.returncode == 0, done.stdout + done.stderr
    (project / "notes.md").write_text("nothing that could matter")
    done = shell("git add . && git commit -m notes", project, **env)
    assert "(no files to check)Skipped" in done.stdout + done.stderr


def test_the_manifest_of_the_hooks_is_valid():
    for kind, name in (("manifest", ".pre-commit-hooks.yaml"),):
        command = [sys.executable, "-m", "pre_commit", f"validate-{kind}", str(ROOT / name)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("schema", "name"),
    [("vendor.github-actions", "action.yml"), ("vendor.gitlab-ci", ".gitlab/dltdoctor.gitlab-ci.yml")],
)
def test_the_files_for_ci_fit_their_schemas(schema: str, name: str):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(ROOT / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _action(step: str) -> tuple[dict, str]:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    (found,) = [s for s in action["runs"]["steps"] if s["name"] == step]
    defaults = {name: str(each["default"]) for name, each in action["inputs"].items()}
    env = {k: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda m: defaults[m[1]], v) for k, v in found["env"].items()}
    assert "${{" not in found["run"], "inputs reach the script through the environment, never as code"
    return env, found["run"]


def _run_action(project: Path, programs: Path, **inputs: str) -> tuple[subprocess.CompletedProcess[str], Path]:
    runner = programs.parent.parent
    env, script = _action("Check")
    places = {"RUNNER_TEMP": runner, "GITHUB_OUTPUT": runner / "output", "GITHUB_STEP_SUMMARY": runner / "summary.md"}
    given = {name: str(place) for name, place in places.items()}
    return shell(script, project, **env, **given, GITHUB_ACTIONS="true", **inputs), runner


def test_the_action_annotates_summarises_and_fails(project: Path, programs: Path):
    done, runner = _run_action(project, programs)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("::error file=load.py,line=6,")
    assert (runner / "summary.md").read_text().startswith("### ❌ dltdoctor check failed")
    assert (runner / "output").read_text() == "sarif=dltdoctor.sarif\nexit-code=1\n"
    assert json.loads((project / "dltdoctor.sarif").read_text())["version"] == "2.1.0"


def test_the_action_passes_when_there_is_nothing(project: Path, programs: Path):
    (project / "load.py").write_text(LOAD.replace("staging_dataset_name_layout=None", ""))
    done, runner = _run_action(project, programs)
    assert done.returncode == 0, done.stderr
    assert (runner / "output").read_text().endswith("exit-code=0\n")


def test_the_action_takes_arguments_as_words_and_not_as_code(project: Path, programs: Path):
    done, _ = _run_action(project, programs)
    env, script = _action("Check")
    runner = programs.parent.parent
    given = {"RUNNER_TEMP": runner, "GITHUB_OUTPUT": runner / "output", "GITHUB_STEP_SUMMARY": runner / "summary.md"}
    hostile = {**env, "CHECK_ARGUMENTS": "--fail-on never $(touch hacked) ;touch hacked"}
    done = shell(script, project, **hostile, **{k: str(v) for k, v in given.items()})
    assert done.returncode == 2
    assert not (project / "hacked").exists()
    plain = {**env, "CHECK_ARGUMENTS": "--fail-on never"}
    assert shell(script, project, **plain, **{k: str(v) for k, v in given.items()}).returncode == 0


def test_the_job_of_gitlab_writes_both_reports(project: Path, programs: Path):
    job = yaml.safe_load((ROOT / ".gitlab" / "dltdoctor.gitlab-ci.yml").read_text())["dltdoctor"]
    install, check = job["script"]
    assert install.startswith("pip install")
    variables = {k: str(v) for k, v in job["variables"].items()}
    done = shell(check, project, **variables, GITLAB_CI="true", PATH=f"{programs}:{os.environ['PATH']}")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("[✗] trust_scores")
    for report in job["artifacts"]["reports"].values():
        assert (project / report).stat().st_size > 100


def _block(page: str, language: str, number: int = 0) -> str:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)[number]


def test_the_documents_show_settings_that_are_understood():
    for page in ("ci.md", "readers.md"):
        assert parse(tomllib.loads(_block(page, "toml")), page, gate.CODES)
    for number in range(2):
        assert yaml.safe_load(_block("ci.md", "yaml", number))


def test_the_documents_show_commands_that_work(project: Path, programs: Path):
    """Also the line of the Dockerfile that checks, without what installs."""
    path = f"{programs}:{os.environ['PATH']}"
    for number in (0, 1):
        for line in _block("ci.md", "sh", number).splitlines():
            done = shell(line.partition("#")[0], project, PATH=path)
            assert done.returncode != 2, done.stderr
    line = _block("ci.md", "dockerfile").splitlines()[1].partition("&& ")[2]
    done = shell(line.replace("/app", "."), project, PATH=path)
    assert done.returncode in (0, 1), done.stderr
    operator = re.search(r'bash_command="([^"]+)"', (ROOT / "docs" / "ci.md").read_text())
    assert operator
    assert shell(operator[1].replace("/opt/airflow/dags", "."), project, PATH=path).returncode in (1, 3)


SHOP = """\
import dlt

@dlt.resource(name="orders", primary_key="id", write_disposition="merge")
def orders():
    yield [{"id": n, "items": [{"n": n}]} for n in range(3)]

dlt.pipeline("shop", destination="postgres", dataset_name="shop_data").run(orders())
"""


def test_the_documented_role_sees_everything_and_less_is_not_silence(tmp_path: Path, database: str):
    project = tmp_path / "work" / "project"
    write_project(project, database, {"load.py": SHOP})
    done = run_pipeline("load.py", project=project, data_dir=tmp_path / "data")
    assert done.returncode == 0, done.stdout
    page = (ROOT / "docs" / "least-privilege.md").read_text()
    grants = re.search(r"<!-- grants -->\n```sql\n(.*?)```", page, re.DOTALL)
    assert grants
    statements = grants[1].replace("dltdoctor_reader", READER)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(READER)))
        connection.execute(statements)
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD 'r'").format(sql.Identifier(READER)))
        info = connection.info
        dsn = f"postgresql://{READER}:r@{info.host}:{info.port}/{info.dbname}"
        try:
            verdict = judged(project, offline=False, dsn=dsn)
            assert (verdict.exit_code, verdict.judged) == (0, ())
            rows = verdict.diagnosis.ledger
            assert {r.table for r in rows} == {"orders", "orders__items"}
            assert all(r.verdict in ("healthy", "leftover") and r.final.rows == 3 for r in rows)
            done = run_pipeline("load.py", project=project, data_dir=tmp_path / "data")  # tables made anew, too
            assert judged(project, offline=False, dsn=dsn).exit_code == 0
            connection.execute("CREATE TABLE shop_data.later (id int)")
            assert connection.execute(
                "SELECT has_table_privilege(%s, 'shop_data.later', 'SELECT')", (READER,)
            ).fetchone() == (True,)
            for less in (
                "SELECT ON shop_data.orders",
                "USAGE ON SCHEMA shop_data_staging",
                "USAGE ON SCHEMA shop_data",
            ):
                connection.execute(f"REVOKE {less} FROM {READER}")
                verdict = judged(project, offline=False, dsn=dsn)
                assert verdict.exit_code == 3, less
                assert "DD003" in {j.finding.code for j in verdict.judged}, less
        finally:
            connection.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(sql.Identifier(READER)))


def test_the_shell_of_the_tests_is_there():
    assert shutil.which("git")
    assert shutil.which("bash")
    assert dltdoctor("check", "--help").returncode == 0
