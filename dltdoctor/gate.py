"""The use case `check`: a diagnosis, and what the project has decided about its findings, make a verdict."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

import msgspec

from dltdoctor.baseline import Baseline, Entry, Looked, Seen, decode, encode, gone, updated
from dltdoctor.check import Check
from dltdoctor.checks import CHECKS
from dltdoctor.diagnosis import Diagnosis
from dltdoctor.doctor import chosen, examined, exit_code
from dltdoctor.errors import UsageError
from dltdoctor.examine import could_look
from dltdoctor.finding import Finding, Severity, SkippedCheck
from dltdoctor.location import Edit, Location, locations_of
from dltdoctor.settings import Ignored, Settings, parse
from dltdoctor.snapshot import Snapshot, Value
from dltdoctor.world.atomic import replace_file
from dltdoctor.world.inline_ignores import InlineIgnore, ProjectFiles, read_inline_ignores
from dltdoctor.world.settings_file import find_settings
from dltdoctor.world.survey import Progress, Request, project_of

CODES: Mapping[str, str] = {word: c.code for c in CHECKS for word in (c.code, c.name)}
Status = Literal["new", "known", "ignored"]


class Judged(Value):
    """A finding with its places in the project, and what is decided about it."""

    finding: Finding
    status: Status = "new"
    locations: tuple[Location, ...] = ()
    ignored: Ignored | None = None
    edits: tuple[Edit, ...] = ()

    @property
    def location(self) -> Location | None:
        return next(iter(self.locations), None)


class Verdict(Value):
    """What the gate says.

    `diagnosis` holds the findings that count: neither ignored nor in the baseline. `judged` are all of
    them. `gone` are findings of the baseline that are not there any more; `notices` are decisions of
    the project that have no effect. `exit_code` is the documented one. `checks` are those that were
    asked for, `unable` the codes of those that could not look at all.
    """

    diagnosis: Diagnosis
    checks: tuple[Check, ...]
    judged: tuple[Judged, ...]
    exit_code: int
    fail_on: Severity | None
    has_baseline: bool = False
    updated: str | None = None
    unable: frozenset[str] = frozenset()
    gone: tuple[Entry, ...] = ()
    notices: tuple[str, ...] = ()

    def of(self, status: Status) -> tuple[Judged, ...]:
        return tuple(each for each in self.judged if each.status == status)

    def fails(self, finding: Finding) -> bool:
        """True for a finding that makes the gate fail."""
        return self.fail_on is not None and finding.severity.rank >= self.fail_on.rank


class Wish(Value):
    """How the gate was asked. `fail_on` is None for never."""

    fail_on: Severity | None = Severity.ERROR
    exit_zero: bool = False
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    baseline: Path | None = None
    update_baseline: bool = False
    with_edits: bool = False


def read_settings(request: Request, given: Path | None = None) -> Settings:
    """What the project has decided. Raises `UsageError` that names the file and the key."""
    found = find_settings(project_of(request), given, request.cwd)
    return parse(found.values, found.origin, CODES, found.place) if found else Settings()


def judge(request: Request, settings: Settings, wish: Wish, *, progress: Progress = lambda _: None) -> Verdict:
    """Diagnose, and apply what the project has decided. Raises `UsageError`, `CouldNotLookError`.

    Writes nothing but the baseline, and that only when it was asked to.
    """
    project = project_of(request)
    path = _baseline_path(settings, wish, project)
    old = _read_baseline(path, may_lack=wish.update_baseline)
    checks = chosen(wish.select or settings.select, wish.ignore)
    request = msgspec.structs.replace(request, contracts=settings.contracts)
    diagnosis, snapshot = examined(request, checks, progress)
    progress("applying the project's decisions")
    inline = read_inline_ignores(project, snapshot.config.files if snapshot.config else ())
    ignores = (*settings.ignores, *(each for found in inline for each in _ignored(found)))
    files = ProjectFiles(project)
    judged = tuple(_judged(f, settings, ignores, old, files) for f in diagnosis.findings)
    looked = _looked(checks, snapshot, diagnosis.skipped)
    seen = [Seen(finding=j.finding, path=_path(j)) for j in judged if j.status != "ignored"]
    departed = gone(old, seen, looked) if old else ()
    if wish.update_baseline and path:
        _write_baseline(path, updated(old or Baseline(), seen, looked))
        judged = tuple(msgspec.structs.replace(j, status="known") if j.status == "new" else j for j in judged)
    if wish.with_edits:
        progress("planning the edits")
        judged = _with_edits(judged, snapshot, request, project, files)
    counting = msgspec.structs.replace(diagnosis, findings=tuple(j.finding for j in judged if j.status == "new"))
    code = exit_code(counting, wish.fail_on)
    return Verdict(
        diagnosis=counting,
        checks=checks,
        judged=judged,
        exit_code=exit_code(counting, None) if wish.exit_zero and code == 1 else code,
        fail_on=wish.fail_on,
        has_baseline=path is not None,
        updated=str(wish.baseline or settings.baseline) if wish.update_baseline else None,
        unable=frozenset(c.code for c in checks) - looked.partly,
        gone=departed,
        notices=tuple(_unused(ignores, judged, looked)),
    )


def _judged(
    finding: Finding, settings: Settings, ignores: Sequence[Ignored], old: Baseline | None, files: ProjectFiles
) -> Judged:
    severity = settings.severities.get(finding.code, finding.severity)
    changed = msgspec.structs.replace(finding, severity=severity)
    locations = locations_of(finding, files.lines)
    ignored = next((each for each in ignores if _covers(each, finding, locations)), None)
    known = old is not None and finding.fingerprint in old.fingerprints
    status: Status = "ignored" if ignored else "known" if known else "new"
    return Judged(finding=changed, status=status, locations=locations, ignored=ignored)


def _covers(ignored: Ignored, finding: Finding, locations: Collection[Location]) -> bool:
    if ignored.code != finding.code:
        return False
    if ignored.line is not None:
        return any((ignored.path, ignored.line) == (at.path, at.line) for at in locations)
    wanted = ((ignored.pipeline, finding.pipeline), (ignored.dataset, finding.dataset), (ignored.table, finding.table))
    if any(asked is not None and asked != there for asked, there in wanted):
        return False
    pattern = ignored.path
    return pattern is None or any(fnmatch(at.path, pattern) for at in locations)


def _ignored(comment: InlineIgnore) -> Iterator[Ignored]:
    """An ignore for each code of a comment. Raises `UsageError`."""
    place = f"{comment.path}:{comment.line}"
    form = "Write # dltdoctor: ignore[CODE] and the reason."
    if not comment.codes:
        raise UsageError(f"{place}: the ignore names no check", form)
    if not comment.reason:
        raise UsageError(f"{place}: the ignore has no reason", form)
    for word in comment.codes:
        code = CODES.get(word.upper()) or CODES.get(word.lower())
        if code is None:
            raise UsageError(f"{place}: the ignore names no check: {word!r}", "dltdoctor explain lists them all.")
        yield Ignored(code=code, reason=comment.reason, origin=place, path=comment.path, line=comment.line)


def _looked(checks: Iterable[Check], snapshot: Snapshot, skipped: Iterable[SkippedCheck]) -> Looked:
    able = {c.code for c in checks if could_look(c, snapshot)}
    return Looked(whole=frozenset(able - {s.check for s in skipped}), partly=frozenset(able))


def _unused(ignores: Iterable[Ignored], judged: Iterable[Judged], looked: Looked) -> Iterator[str]:
    """Ignores that match nothing, of checks that looked; one of a check that could not look may be needed."""
    used = {j.ignored for j in judged}
    everything = list(judged)
    for each in ignores:
        ran = each.code in (looked.partly if each.line is not None else looked.whole)
        also = any(_covers(each, j.finding, j.locations) for j in everything)
        if ran and each not in used and not also:
            yield f"{each.origin}: the ignore of {each.code} matches nothing any more; remove it"


def _path(judged: Judged) -> str | None:
    return judged.location.path if judged.location else None


def _baseline_path(settings: Settings, wish: Wish, project: Path) -> Path | None:
    if wish.baseline is not None:
        return wish.baseline
    if settings.baseline is not None:
        return project / settings.baseline
    if wish.update_baseline:
        raise UsageError("--update-baseline has no baseline to update", "Name one with --baseline FILE.")
    return None


def _read_baseline(path: Path | None, *, may_lack: bool) -> Baseline | None:
    if path is None:
        return None
    try:
        return decode(path.read_bytes(), os.path.basename(path))
    except FileNotFoundError:
        if may_lack:
            return None
        raise UsageError(f"there is no baseline {path}", "Write it with --update-baseline.") from None
    except OSError as error:
        raise UsageError(f"the baseline {path} cannot be read: {error.strerror}", "Name another file.") from None


def _write_baseline(path: Path, baseline: Baseline) -> None:
    try:
        replace_file(path, encode(baseline))
    except OSError as error:
        raise UsageError(f"the baseline {path} cannot be written: {error.strerror}", "Name another file.") from None


def _with_edits(
    judged: tuple[Judged, ...], snapshot: Snapshot, request: Request, project: Path, files: ProjectFiles
) -> tuple[Judged, ...]:
    """The findings with the edits of `fix --config`, for the reports that can offer them."""
    from dltdoctor.edits import edits_of  # noqa: PLC0415 - it asks dlt, which takes a second

    wanted = tuple(j.finding for j in judged if j.status != "ignored")
    found = edits_of(wanted, snapshot, request, project, files)
    return tuple(msgspec.structs.replace(j, edits=found.get(j.finding.fingerprint, ())) for j in judged)
