"""The public list: codes and names of the checks, which stand in ignores, baselines and links, and are never reused."""

import re
from pathlib import Path

from dltdoctor.checks import CHECKS
from dltdoctor.report.docs import checks_page
from tests.command_line import dltdoctor

ROOT = Path(__file__).parent.parent
PUBLIC = {
    "DD001": "unreadable-state",
    "DD002": "unreachable-destination",
    "DD003": "hidden-schema",
    "DD004": "unsupported-destination",
    "DD005": "version-skew",
    "DD101": "staging-is-final",
    "DD102": "invalid-staging-layout",
    "DD103": "shared-staging",
    "DD104": "staging-is-anothers-dataset",
    "DD105": "dataset-drift",
    "DD106": "dev-mode-dataset",
    "DD107": "schema-suffix-dataset",
    "DD108": "normalized-dataset-name",
    "DD109": "wrong-destination",
    "DD110": "shadowed-config",
    "DD111": "twin-tables",
    "DD201": "stranded-rows",
    "DD202": "resumable-load",
    "DD203": "false-commit",
    "DD204": "lost-load",
    "DD205": "uncommitted-final-rows",
    "DD206": "pending-packages",
    "DD207": "orphaned-cursor",
    "DD208": "wedged-job",
    "DD209": "orphan-staging",
    "DD210": "in-flight-load",
    "DD301": "clobbered-columns",
    "DD302": "emptied-table",
    "DD303": "variant-column",
    "DD304": "never-created-column",
    "DD305": "keyless-merge",
    "DD306": "duplicate-keys",
    "DD307": "partial-batch-retirement",
    "DD308": "same-table-two-sources",
    "DD309": "orphan-children",
    "DD310": "rows-discarded-by-contract",
    "DD401": "missing-table",
    "DD402": "missing-column",
    "DD403": "missing-staging-table",
    "DD404": "staging-final-type-drift",
    "DD405": "missing-root-key",
    "DD406": "shared-schema-name",
    "DD407": "unquotable-temp-table",
    "DD408": "tampered-ledger",
    "DD501": "merge-needs-postgres-15",
    "DD502": "missing-privilege",
    "DD503": "grants-lost-on-replace",
    "DD504": "non-atomic-replace",
    "DD505": "refresh-left-on",
    "DD506": "state-not-restored",
    "DD507": "known-bad-version",
    "DD601": "reader-contract-broken",
    "DD602": "reader-cannot-see",
    "DD603": "reader-sees-twin",
    "DD604": "schema-not-exposed",
    "DD605": "reader-reads-staging",
}


def test_every_check_of_the_public_list_is_there_under_its_name() -> None:
    assert {check.code: check.name for check in CHECKS} == PUBLIC
    assert [check.code for check in CHECKS] == sorted(PUBLIC)


def test_documents_and_output_list_the_same_checks() -> None:
    page = (ROOT / "docs" / "checks.md").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^### (DD\d{3}) (\S+)$", page, re.MULTILINE)) == PUBLIC
    assert dict(re.findall(r"^\| (DD\d{3}) \| \[([\w-]+)\]", readme, re.MULTILINE)) == PUBLIC
    listed = dltdoctor("explain").stdout
    assert dict(re.findall(r"^(DD\d{3}) +(\S+)", listed, re.MULTILINE)) == PUBLIC


def test_explain_prints_the_page_of_the_catalogue() -> None:
    done = dltdoctor("explain", "--all", "--format", "markdown")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == checks_page()
    assert (ROOT / "docs" / "checks.md").read_text(encoding="utf-8") == done.stdout


def test_explain_prints_one_section_and_every_text() -> None:
    section = dltdoctor("explain", "DD201", "--format", "markdown").stdout
    assert section.startswith("### DD201 stranded-rows\n")
    assert section in checks_page()
    everything = dltdoctor("explain", "--all").stdout
    assert all(f"{check.code} {check.name}" in everything for check in CHECKS)


def test_a_code_and_all_are_too_much() -> None:
    done = dltdoctor("explain", "DD201", "--all")
    assert (done.returncode, done.stdout) == (2, "")
