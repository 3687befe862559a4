"""The way back: the inverses of what a receipt has done, as a plan that preview and apply take like any other."""

import time
from collections.abc import Sequence

import msgspec

from dltdoctor import __version__
from dltdoctor.errors import RefusedError, UsageError
from dltdoctor.plan import Cure, Plan
from dltdoctor.receipt import Receipt
from dltdoctor.steps.step import Inverse, Rename, RunSql, Step, WriteFile
from dltdoctor.workshop import Workshop
from dltdoctor.world.directory_steps import directory_inverses
from dltdoctor.world.file_steps import done_already
from dltdoctor.world.postgres.capture import undo_step
from dltdoctor.world.postgres.writing import open_writing


def undo_plan(receipt: Receipt, workshop: Workshop) -> Plan:
    """The inverses of what was done, in reverse order. Raises `RefusedError` when there is nothing to take back."""
    if receipt.status in ("undone", "void"):
        raise UsageError(
            f"receipt {receipt.id} is {receipt.status}",
            f"To do it again: dltdoctor undo {receipt.undone_by}" if receipt.undone_by else "There is nothing to undo.",
        )
    if not receipt.has_undo:
        raise RefusedError(
            f"receipt {receipt.id} kept nothing to undo with",
            "It was made with --no-undo, or dlt itself finished a load, which cannot be taken back.",
        )
    steps: list[Step] = []
    if receipt.has_changed_database:
        if workshop.way_in is None:
            raise RefusedError(f"the database {receipt.target} is needed to undo this", "Pass --dsn.")
        with open_writing(workshop.way_in) as writing:
            home = receipt.home or writing.home(workshop.home_beside(receipt.plan))
            stem = receipt.id.lower()
            captures = tuple(enumerate(receipt.captures))
            inverses = [undo_step(writing.connection, c, home, f"{stem}_{n}_aside") for n, c in reversed(captures)]
        steps += _relying([*inverses, *structure_inverses(receipt)], receipt.plan)
    steps += _file_inverses(receipt)
    steps += directory_inverses(receipt, workshop.receipts.archives)
    cure = Cure(
        code=receipt.plan.cures[0].code if receipt.plan.cures else "",
        fingerprint="",
        pipeline=receipt.plan.cures[0].pipeline if receipt.plan.cures else None,
        message=f"Take back: {receipt.title}",
        safety="safe",
        steps=tuple(steps),
    )
    return Plan(version=1, tool=__version__, made_at=time.time(), target=receipt.target, cures=(cure,))


def structure_inverses(receipt: Receipt) -> list[RunSql]:
    """What takes back the changes of structure, the last one first; each can be taken back, too."""
    return [
        RunSql(
            title=step.inverse.title,
            statements=step.inverse.statements,
            touches=(),
            before=step.inverse.before,
            locks=step.locks,
            inverse=Inverse(title=step.title, statements=step.statements, before=step.before),
        )
        for step in reversed(receipt.structure)
        if step.inverse
    ]


def _relying(inverses: Sequence[RunSql], plan: Plan) -> list[RunSql]:
    """The inverses, of which the first relies on all that the repair relied on and left as it was."""
    lasting = tuple(p for step in plan.sql for p in step.before if p.lasts)
    first, *others = inverses
    return [msgspec.structs.replace(first, before=(*first.before, *lasting)), *others]


def _file_inverses(receipt: Receipt) -> list[WriteFile | Rename]:
    """What takes the file steps back, the last one first; of an unfinished repair only those that were done."""
    kept = {f.path: f for f in receipt.files}
    inverses: list[WriteFile | Rename] = []
    files = receipt.plan.files
    done = files[: done_already(files)] if receipt.is_unfinished else files
    for step in reversed(done):
        if isinstance(step, Rename):
            inverses.append(Rename(title=f"Move back {step.target}", source=step.target, target=step.source))
        else:
            old = kept[step.path]
            title = f"Put back {step.path}" if old.before is not None else f"Remove {step.path}"
            inverses.append(
                WriteFile(title=title, path=step.path, before=old.after, content=old.before, mode=old.before_mode)
            )
    return inverses
