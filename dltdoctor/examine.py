"""The engine: checks over a snapshot. Pure; a check that cannot look or that crashes is visible."""

from collections.abc import Iterable, Iterator, Sequence

from dltdoctor.check import Check, Crashed, Found, Outcome, Skipped
from dltdoctor.finding import Finding, SkippedCheck
from dltdoctor.ledger import Ledger
from dltdoctor.snapshot import Snapshot, Unread

CRASHED = "the check crashed, which is a bug of dltdoctor"

# What a check asks for, and the areas of the world that have to be read for it.
_NEEDS = {
    "pipelines": ("pipelines",),
    "config": ("config",),
    "source": ("source",),
    "catalog": ("catalog",),
    "ledger": ("catalog",),
    "routes": (),
    "unread": (),
    "readers": ("readers",),
    "contracts": (),
}


def run(check: Check, snapshot: Snapshot, ledger: Ledger) -> Outcome:
    """The outcome of one check; the snapshot's areas are handed over by name."""
    absent = _absent(check, snapshot)
    if absent:
        return Skipped(absent)
    areas = {
        "pipelines": snapshot.pipelines,
        "config": snapshot.config,
        "source": snapshot.source,
        "catalog": snapshot.catalog,
        "ledger": ledger if snapshot.catalog else None,
        "routes": snapshot.routes,
        "unread": snapshot.unread,
        "readers": snapshot.readers,
        "contracts": snapshot.contracts,
    }
    try:
        notes = list(check.function(**{name: areas[name] for name in check.areas}))
        return Found(tuple(check.stamp(note) for note in notes))
    except Exception as error:  # noqa: BLE001 - a bug in one check must not hide the others
        return Crashed(f"{type(error).__name__} in {_place(error)}")


def _place(error: Exception) -> str:
    """Where it broke: file and line, without the message, which may hold the user's data."""
    traceback = error.__traceback__
    place = "unknown place"
    while traceback:
        code = traceback.tb_frame.f_code
        place = f"{code.co_filename.rsplit('/', 1)[-1]}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place


def _absent(check: Check, snapshot: Snapshot) -> str | None:
    for area in ("config", "source", "catalog"):
        asked = any(area in _NEEDS[name] for name in check.areas if name not in check.optional)
        if asked and getattr(snapshot, area) is None:
            reasons = dict.fromkeys(u.reason for u in snapshot.unread if area in u.areas)
            return next(iter(reasons), f"the {area} was not read")
    return None


def could_look(check: Check, snapshot: Snapshot) -> bool:
    """False for a check that was skipped as a whole, because an area it needs was not read."""
    return _absent(check, snapshot) is None


def examine(
    checks: Sequence[Check], snapshot: Snapshot, ledger: Ledger
) -> tuple[tuple[Finding, ...], tuple[SkippedCheck, ...]]:
    """Every finding, worst first, and every check that could not look, for whom and why."""
    findings: list[Finding] = []
    skipped: list[SkippedCheck] = []
    for check in checks:
        outcome = run(check, snapshot, ledger)
        if isinstance(outcome, Found):
            findings += outcome.findings
            skipped += _partly_skipped(check, snapshot.unread)
        elif isinstance(outcome, Skipped):
            skipped.append(SkippedCheck(check=check.code, pipeline=None, reason=outcome.reason))
        else:
            reason = f"{CRASHED}: {outcome.error}"
            skipped.append(SkippedCheck(check=check.code, pipeline=None, reason=reason))
    return tuple(sorted(findings, key=_order)), tuple(skipped)


def _order(finding: Finding) -> tuple[int, str, str, str, str, str]:
    place = (finding.pipeline or "", finding.dataset or "", finding.table or "")
    return (-finding.severity.rank, finding.code, *place, finding.fingerprint)


def _partly_skipped(check: Check, unread: Iterable[Unread]) -> Iterator[SkippedCheck]:
    """A check that ran is still skipped for the pipelines whose areas could not be read."""
    if "unread" in check.areas:
        return
    needed = {area for name in check.areas for area in _NEEDS[name]}
    seen: set[tuple[str | None, str]] = set()
    for part in unread:
        key = (part.pipeline, part.reason)
        if needed.intersection(part.areas) and key not in seen:
            seen.add(key)
            yield SkippedCheck(check=check.code, pipeline=part.pipeline, reason=f"{part.what}: {part.reason}")
