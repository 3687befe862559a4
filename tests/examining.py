"""How the tests call the doctor: a world unpacked, its database restored, nothing of this machine."""

from pathlib import Path

import msgspec

from dltdoctor import doctor
from dltdoctor.diagnosis import Diagnosis
from dltdoctor.world.survey import Request


def request(project: Path, pipelines_dir: Path | None = None, **changes) -> Request:
    """A request that sees only the given places."""
    home = project.parent.parent / "home"
    home.mkdir(exist_ok=True)
    plain = Request(
        environ={"HOME": str(home)},
        cwd=project,
        home=home,
        is_root=False,
        project=project,
        pipelines_dir=pipelines_dir,
    )
    return msgspec.structs.replace(plain, **changes)


def diagnose(project: Path, pipelines_dir: Path | None = None, **changes) -> Diagnosis:
    """The diagnosis of what is in the given places."""
    return doctor.diagnose(request(project, pipelines_dir, **changes))


def codes(diagnosis: Diagnosis) -> set[str]:
    return {finding.code for finding in diagnosis.findings}
