"""The JSON report: exactly the contract, and the schema that is shipped is that of the types."""

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dltdoctor.diagnosis import Diagnosis
from dltdoctor.finding import Severity
from dltdoctor.report.json import Report, contract_schema, render, report, schema_text
from tests import report_examples as examples

ROOT = Path(__file__).parent.parent
KEYS = {
    "": ["version", "summary", "findings", "ledger", "skipped"],
    "summary": ["errors", "warnings", "infos", "skipped"],
    "finding": (
        "code name severity message pipeline dataset table evidence remedy fingerprint url".split()  # noqa: SIM905
    ),
    "evidence": ["fact", "source"],
    "remedy": ["title", "safety", "command"],
    "row": ["pipeline", "schema", "table", "parent", "final", "staging", "verdict"],
    "final": ["dataset", "exists", "rows", "exact"],
    "staging": ["dataset", "exists", "rows", "exact", "load_ids"],
    "skipped": ["check", "pipeline", "reason"],
}
WORLDS = {
    "healthy": examples.healthy(),
    "stranded": examples.stranded(),
    "null-scores": examples.null_scores(),
    "staging-is-final": examples.staging_is_final(),
    "could-not-look": examples.could_not_look("a", "b"),
    "sixty": examples.sixty(),
    "empty": Diagnosis(),
}


def loaded(diagnosis: Diagnosis) -> Any:
    return json.loads(render(diagnosis))


def test_the_keys_and_their_order_are_the_contract() -> None:
    told = loaded(examples.stranded())
    assert list(told) == KEYS[""]
    assert list(told["summary"]) == KEYS["summary"]
    found = told["findings"][0]
    assert list(found) == KEYS["finding"]
    assert list(found["evidence"][0]) == KEYS["evidence"]
    assert list(found["remedy"]) == KEYS["remedy"]
    assert list(told["ledger"][0]) == KEYS["row"]
    assert list(told["ledger"][0]["final"]) == KEYS["final"]
    assert list(told["ledger"][0]["staging"]) == KEYS["staging"]
    assert list(told["skipped"][0]) == KEYS["skipped"]


def test_absent_things_are_null() -> None:
    told = loaded(Diagnosis(findings=(examples.finding("DD001", "n", Severity.INFO, "m", pipeline=None),)))
    found = told["findings"][0]
    assert [found[key] for key in ("pipeline", "dataset", "table", "remedy", "url")] == [None] * 5
    assert told["summary"] == {"errors": 0, "warnings": 0, "infos": 1, "skipped": 0}
    assert loaded(examples.null_scores())["findings"][0]["remedy"]["command"] is None


@pytest.mark.parametrize("diagnosis", WORLDS.values(), ids=WORLDS)
def test_every_output_is_one_object_of_the_types(diagnosis: Diagnosis) -> None:
    raw = render(diagnosis)
    assert raw.endswith(b"}\n")
    assert raw.count(b"\n}\n") == 1
    assert msgspec.json.decode(raw, type=Report) == report(diagnosis)
    assert json.loads(raw) == json.loads(msgspec.json.encode(report(diagnosis)))


def test_the_summary_counts_what_is_listed() -> None:
    assert loaded(examples.stranded())["summary"] == {"errors": 1, "warnings": 0, "infos": 0, "skipped": 3}


@pytest.mark.parametrize("char", ["\x1b", "\x7f", "\x9b", "\u202e", "\u200b", "\u2028", "\U000e0041", "\n"])
def test_what_steers_a_terminal_is_escaped_and_not_lost(char: str) -> None:
    raw = render(examples.named(f"a{char}b")).decode()
    assert char == "\n" or char not in raw
    assert json.loads(raw)["findings"][0]["message"] == f"a{char}b"


def test_a_name_that_utf_8_lacks_is_spelled_out() -> None:
    assert loaded(examples.named("a\udcffb"))["findings"][0]["message"] == "a\\udcffb"


def test_the_shipped_schema_is_that_of_the_types() -> None:
    shipped = files("dltdoctor.report").joinpath("diagnosis.schema.json").read_text(encoding="utf-8")
    again = "python -m dltdoctor.report.json > dltdoctor/report/diagnosis.schema.json"
    assert shipped == schema_text(), f"{again}, and bump the version if the contract changed"
    assert shipped == (ROOT / "docs" / "diagnosis.schema.json").read_text(encoding="utf-8")
    assert json.loads(shipped) == contract_schema()


def test_the_schema_demands_the_keys_of_the_contract() -> None:
    types = contract_schema()["$defs"]
    assert list(types["Report"]["properties"]) == types["Report"]["required"] == KEYS[""]
    assert list(types["Finding"]["properties"]) == types["Finding"]["required"] == KEYS["finding"]
    assert list(types["LedgerRow"]["properties"]) == types["LedgerRow"]["required"] == KEYS["row"]


def test_json_needs_no_rich() -> None:
    code = "import sys, dltdoctor.report.json; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
