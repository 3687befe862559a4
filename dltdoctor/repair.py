"""The four verbs, written once: preview, apply, verify, undo. What preview shows is what apply runs."""

import contextlib
import time

import msgspec

from dltdoctor import __version__
from dltdoctor.errors import CouldNotLookError, DoctorError, RefusedError, UsageError
from dltdoctor.inverses import undo_plan
from dltdoctor.plan import Plan
from dltdoctor.receipt import Capture, KeptRename, Receipt, Status
from dltdoctor.steps.step import FinishLoad, Rename, WriteFile
from dltdoctor.workshop import Workshop
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.directory_steps import carry_out_directory, drop_archives, has_begun, keep, sweep
from dltdoctor.world.file_steps import carry_out, check_files, done_already, kept_file, take_back
from dltdoctor.world.finish_load import LoadNotFinishedError
from dltdoctor.world.postgres.writing import Writing, is_recorded, open_writing
from dltdoctor.world.receipts import new_id

SECRET = "password"  # noqa: S105 - the libpq keyword that never gets into a receipt


def preview(plan: Plan, workshop: Workshop, *, keep_undo: bool = True) -> tuple[Capture, ...]:
    """What the plan's database steps would do to each table, measured by a rehearsal that is rolled back.

    Without `keep_undo` nothing is measured, only tried. Raises `RefusedError` when they could not run.
    """
    steps = plan.sql
    if not steps or workshop.way_in is None:
        return ()
    with open_writing(workshop.way_in) as writing:
        home = writing.home(workshop.home_beside(plan))
        writing.make_home(home)
        stem = f"rehearsal_{new_id().lower()}"
        return writing.run(steps, stem=stem, home=home if keep_undo else None, progress=workshop.progress)


def apply(
    plan: Plan,
    workshop: Workshop,
    *,
    title: str,
    keep_undo: bool = True,
    undoes: str | None = None,
    can_be_undone: bool = True,
) -> Receipt:
    """Carry out a plan: the database in one transaction, then the files, then dlt.

    Without `can_be_undone` what it changes is kept all the same, but it is not for undo to put back.
    Raises `RefusedError` when the world is not as the plan says; nothing is changed then.
    """
    files = plan.files
    check_files(files)
    # Archives are whole and compared before the receipt that relies on them.
    archives = keep(plan.directories, workshop.progress)
    receipt = Receipt(
        id=new_id(),
        version=1,
        tool=__version__,
        made_at=time.time(),
        status="started",
        title=title,
        plan=plan,
        target=plan.target,
        connection=_without_secret(workshop.way_in),
        files=tuple(kept_file(s, files[:at]) for at, s in enumerate(files) if isinstance(s, WriteFile)),
        renames=tuple(KeptRename(source=s.source, target=s.target) for s in files if isinstance(s, Rename)),
        archives=archives,
        undoes=undoes,
        has_undo=keep_undo and can_be_undone and not any(isinstance(s, FinishLoad) for s in plan.steps),
    )
    try:
        workshop.receipts.write(receipt)
    except RefusedError:
        drop_archives(archives)
        raise
    try:
        receipt = _database(receipt, workshop, keep_undo=keep_undo)
    except BaseException:
        # Nothing has been committed: what was only begun leaves no receipt, unless the commit's answer got lost.
        if not _may_have_committed(receipt, workshop):
            workshop.receipts.remove(receipt)
            drop_archives(archives)
        raise
    return _after_database(receipt, workshop)


def resume(receipt: Receipt, workshop: Workshop) -> Receipt:
    """Finish an unfinished receipt, or find that nothing of it was done and call it void."""
    if receipt.plan.sql and not _has_committed(receipt, workshop):
        return _closed(receipt, workshop, "void", "nothing of it was done")
    return _after_database(receipt, workshop)


def undo(receipt: Receipt, workshop: Workshop) -> Receipt:
    """Take a repair back; its own receipt can be undone, too, which does the repair again."""
    is_whole = True
    if receipt.is_unfinished and receipt.plan.sql:
        if not _has_committed(receipt, workshop):
            return _closed(receipt, workshop, "void", "nothing of it was done")
        receipt, is_whole = _finished(receipt, workshop)
    plan = undo_plan(receipt, workshop)
    beside = msgspec.structs.replace(workshop, fallback_home=receipt.home or workshop.fallback_home)
    title = f"Undo of {receipt.id}: {receipt.title}"
    return apply(plan, beside, title=title, undoes=receipt.id, can_be_undone=is_whole)


def _finished(receipt: Receipt, workshop: Workshop) -> tuple[Receipt, bool]:
    """An unfinished repair is finished first: what takes back a part only could not be taken back itself."""
    if not any(isinstance(step, FinishLoad) for step in receipt.plan.steps):
        with contextlib.suppress(RefusedError):
            return _after_database(receipt, workshop), True
    return receipt, False


def _database(receipt: Receipt, workshop: Workshop, *, keep_undo: bool) -> Receipt:
    steps = receipt.plan.sql
    if not steps:
        return receipt
    if workshop.way_in is None:
        raise RefusedError(f"the database {receipt.target} is needed for this plan", "Pass --dsn.")
    with open_writing(workshop.way_in) as writing:
        home = writing.home(workshop.home_beside(receipt.plan))
        writing.make_home(home)
        captures = writing.run(
            steps, stem=receipt.id.lower(), home=home if keep_undo else None, progress=workshop.progress
        )
        receipt = msgspec.structs.replace(receipt, home=home, captures=captures)
        # On disk before the commit: whatever happens after it, undo can be found.
        workshop.receipts.write(receipt)
        _record_and_commit(writing, receipt, home)
    return receipt


def _record_and_commit(writing: Writing, receipt: Receipt, home: str) -> None:
    writing.record(receipt, home)
    writing.commit()


def _after_database(receipt: Receipt, workshop: Workshop) -> Receipt:
    """Files, then dlt; those that were done before a crash are not done again."""
    files = receipt.plan.files
    done: set[WriteFile | Rename] = set()
    for file in files[done_already(files) :]:
        workshop.progress(file.title)
        carry_out(file)
        done.add(file)
    _do_directories(receipt, workshop)
    outcome: list[str] = []
    for cure in receipt.plan.cures:
        try:
            outcome += [workshop.finish(step, workshop.progress) for step in cure.steps if isinstance(step, FinishLoad)]
        except DoctorError as error:
            if not (isinstance(error, LoadNotFinishedError) and error.has_moved):
                # dlt has not begun: what was laid out for it is taken back. Otherwise it is dlt's by now.
                for step in reversed(cure.steps):
                    if isinstance(step, WriteFile | Rename) and step in done:
                        take_back(step, receipt)
                        done.remove(step)
            _closed(receipt, workshop, "applied" if receipt.has_changed_database or done else "void", error.message)
            raise
    closed = _closed(receipt, workshop, "applied", "; ".join(outcome))
    for directory in receipt.plan.directories:
        sweep(directory)
    return closed


def _do_directories(receipt: Receipt, workshop: Workshop) -> None:
    """What could not even be begun leaves no receipt; what was begun leaves it unfinished."""
    for at, step in enumerate(receipt.plan.directories):
        workshop.progress(step.title)
        try:
            carry_out_directory(step)
        except RefusedError:
            if at == 0 and not has_begun(step):
                workshop.receipts.remove(receipt)
                drop_archives(receipt.archives)
            raise


def _closed(receipt: Receipt, workshop: Workshop, status: Status, outcome: str) -> Receipt:
    """Mark the receipt, and the one that it takes back; until then it stays unfinished."""
    closed = msgspec.structs.replace(receipt, status=status, outcome=outcome)
    try:
        if receipt.undoes and status == "applied":
            # The receipt may have been pruned by now: then there is nothing to mark.
            with contextlib.suppress(UsageError):
                undone = workshop.receipts.read(receipt.undoes)
                workshop.receipts.write(msgspec.structs.replace(undone, status="undone", undone_by=receipt.id))
        workshop.receipts.write(closed)
    except RefusedError as error:
        raise CouldNotLookError(
            f"all is done but {error.message}",
            f"Make room there, then mark it as finished: dltdoctor fix --continue {receipt.id}",
        ) from None
    return closed


def _has_committed(receipt: Receipt, workshop: Workshop) -> bool:
    if receipt.home is None or workshop.way_in is None:
        return False
    return is_recorded(workshop.way_in, receipt.home, receipt.id)


def _may_have_committed(receipt: Receipt, workshop: Workshop) -> bool:
    """True unless the database says that it has not; the receipt on disk knows the home by then."""
    if not receipt.plan.sql:
        return False
    try:
        on_disk = workshop.receipts.read(receipt.id)
        return _has_committed(on_disk, workshop)
    except DoctorError:
        return True


def _without_secret(way_in: Credentials | None) -> dict[str, str]:
    return {k: v for k, v in way_in.parameters.items() if k != SECRET} if way_in else {}
