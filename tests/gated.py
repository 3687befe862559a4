"""The story's project as the gate sees it: a script with a broken layout, and a reader of staging."""

from pathlib import Path

import msgspec

from dltdoctor import gate
from tests.examining import request

LOAD = """\
import dlt
from dlt.destinations import postgres

pipeline = dlt.pipeline(
    pipeline_name="trust_scores",
    destination=postgres(staging_dataset_name_layout=None),
    dataset_name="public",
)
"""
SCORE = """\
import psycopg

QUERY = "SELECT submission_id, trust_score FROM public_staging.app_opportunities_trust"

with psycopg.connect() as connection:
    print(connection.execute(QUERY).fetchall())
"""


def write_story(project: Path, **files: str) -> Path:
    """The story's two files, and others."""
    project.mkdir(parents=True, exist_ok=True)
    for name, text in {"load.py": LOAD, "score_batch.py": SCORE, **files}.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    return project


def judged(project: Path, wish: gate.Wish | None = None, **changes) -> gate.Verdict:
    """The verdict of the gate, offline unless told otherwise."""
    facts = {"offline": True, "local_state": False, **changes}
    asked = msgspec.structs.replace(request(project), **facts)
    return gate.judge(asked, gate.read_settings(asked), wish or gate.Wish())


def told(verdict: gate.Verdict) -> dict[str, str]:
    """The status of each finding, by its code."""
    return {each.finding.code: each.status for each in verdict.judged}
