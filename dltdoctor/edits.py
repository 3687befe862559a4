"""What `fix --config` would write, as replacements of lines."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dltdoctor.cures import config
from dltdoctor.finding import Finding
from dltdoctor.location import Edit
from dltdoctor.snapshot import Snapshot
from dltdoctor.steps.step import WriteFile
from dltdoctor.world.inline_ignores import ProjectFiles
from dltdoctor.world.survey import Request


def edits_of(
    findings: Sequence[Finding], snapshot: Snapshot, request: Request, project: Path, files: ProjectFiles
) -> Mapping[str, tuple[Edit, ...]]:
    """The edits of every finding that a safe rewrite cures, by fingerprint; dlt itself agrees with them."""
    if not any(finding.code in config.REWRITES for finding in findings):
        return {}
    cures, _ = config.plan(findings, snapshot, request)
    found: dict[str, tuple[Edit, ...]] = {}
    for cure in cures:
        steps = [s for s in cure.steps if isinstance(s, WriteFile) and s.content is not None]
        found[cure.fingerprint] = tuple(edit for step in steps for edit in _edits(step, project, files))
    return found


def _edits(step: WriteFile, project: Path, files: ProjectFiles) -> Iterator[Edit]:
    path = Path(step.path)
    if not path.is_relative_to(project) or step.content is None:
        return
    name = path.relative_to(project).as_posix()
    ending = "\r\n" if b"\r\n" in step.content else "\n"
    before = [f"{line}{ending}" for line in files.lines(name) or ()]
    after = [f"{line}{ending}" for line in step.content.decode("utf-8", "replace").splitlines()]
    for tag, start, end, begin, finish in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            yield Edit(path=name, start=start + 1, end=end + 1, text="".join(after[begin:finish]), title=step.title)
