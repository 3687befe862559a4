"""What a finding about lost rows comes to: a cure with what it cannot promise, or why there is none."""

from collections.abc import Sequence

from dltdoctor.cures.recovery.chain import Chain
from dltdoctor.cures.recovery.clobbered import Sample
from dltdoctor.cures.recovery.history import History
from dltdoctor.deduced.writers import Writer
from dltdoctor.errors import DoctorError
from dltdoctor.finding import Finding
from dltdoctor.plan import Cure, HeldBack
from dltdoctor.snapshot import Package, Value
from dltdoctor.steps.step import Replay
from dltdoctor.words import command, listed, relation
from dltdoctor.world.credentials import Credentials


class Recovery(Value):
    """What was planned, what was held back, and rows that show what comes back; those are never stored."""

    cures: tuple[Cure, ...] = ()
    held: tuple[HeldBack, ...] = ()
    samples: tuple[Sample, ...] = ()


class Case(Value):
    """Findings about one table, the chains of all pipelines that write it, and the way into its database."""

    finding: Finding
    chains: tuple[Chain, ...]
    way_in: Credentials
    writers: tuple[Writer, ...] = ()
    package: Package | None = None
    beware: str = ""

    @property
    def place(self) -> str:
        return relation(*self.chains[0].place)


def recovered(
    case: Case, message: str, steps: Sequence[tuple[Chain, Replay, History]], lacking: Sequence[str] = ()
) -> Recovery:
    """The cure, and beside it what it cannot bring back."""
    doubts = (*lacking, *(d for chain, _, history in steps for d in history.doubts(chain.root)))
    cure = Cure(
        code=case.finding.code,
        fingerprint=case.finding.fingerprint,
        pipeline=case.finding.pipeline,
        message=message,
        safety="unsafe" if doubts else "safe",
        steps=tuple(step for _, step, _ in steps),
        cost=listed(doubts, most=9),
        guarantees_missing=doubts,
    )
    gone = tuple(not_all(case, chain.pipeline.name, reason) for chain, _, history in steps for reason in history.gone())
    return Recovery(cures=(cure,), held=gone)


def not_all(case: Case, pipeline: str, reason: str) -> HeldBack:
    """A part that no package brings back, and the range that has to be loaded again."""
    what = "the load" if case.package else case.place
    message = f"Not all of {what} can be recovered"
    return HeldBack(code=case.finding.code, pipeline=pipeline, message=message, reason=reason)


def refused(case: Case, reason: str) -> Recovery:
    """Why nothing is planned; `command` is what the finding itself advises, where that is by hand."""
    finding = case.finding
    by_hand = finding.remedy.command if finding.remedy and finding.remedy.safety == "manual" else None
    held = HeldBack(
        code=finding.code,
        pipeline=finding.pipeline,
        message=finding.message,
        reason=f"nothing can be recovered: {reason}",
        command=by_hand or command("dltdoctor", "explain", finding.code),
    )
    return Recovery(held=(held,))


def told(error: DoctorError) -> str:
    """What is wrong, and what helps."""
    return f"{error.message}. {error.hint}" if error.hint else error.message
