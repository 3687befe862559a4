"""How the tests plan rewrites of a project: examined, planned, and written as planned."""

from pathlib import Path

from dltdoctor.checks import CHECKS
from dltdoctor.cures import config
from dltdoctor.examine import examine
from dltdoctor.finding import Finding
from dltdoctor.ledger import draw_up
from dltdoctor.plan import Cure, HeldBack
from dltdoctor.snapshot import Snapshot
from dltdoctor.world.survey import Request, take
from tests.examining import request


def examined(project: Path, **changes) -> tuple[Request, Snapshot, tuple[Finding, ...]]:
    """The project, looked at offline, and what is found."""
    asked = request(project, project / "no-pipelines", **{"offline": True, **changes})
    snapshot = take(asked).snapshot
    findings, _ = examine(CHECKS, snapshot, draw_up(snapshot))
    return asked, snapshot, findings


def planned(project: Path, *, unsafe: bool = False, **changes) -> tuple[list[Cure], list[HeldBack]]:
    asked, snapshot, findings = examined(project, **changes)
    return config.plan(findings, snapshot, asked, unsafe=unsafe)


def apply(cures: list[Cure]) -> None:
    """Write the files as whoever applies a plan would."""
    for cure in cures:
        for step in cure.steps:
            Path(step.path).parent.mkdir(exist_ok=True)
            Path(step.path).write_bytes(step.content)


def codes(project: Path, **changes) -> set[str]:
    return {f.code for f in examined(project, **changes)[2]}
