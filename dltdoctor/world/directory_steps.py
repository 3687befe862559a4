"""The directory steps of a repair: archived, moved aside by one rename, emptied; and brought back.

The order is what makes a kill harmless: the archive is whole and on disk before the receipt is, the
receipt before anything is moved, and everything is moved before anything is removed. Beside the
directory stands a hidden one, "aside", while its step is going on: what is in it was moved, and an
emptied directory in it stays until the receipt is closed.
"""

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from dltdoctor.errors import RefusedError
from dltdoctor.receipt import KeptArchive, Receipt
from dltdoctor.steps.step import ArchiveDirectory, RestoreDirectory
from dltdoctor.world.archive import digest_of_file, extract, holds, write_archive
from dltdoctor.world.atomic import sync_directory
from dltdoctor.world.room import check_room, need
from dltdoctor.world.trees import AGAIN, Tree, empty, exists, read_tree, sync_tree

DirectoryStep = ArchiveDirectory | RestoreDirectory
Progress = Callable[[str], None]

ASIDE = ".dltdoctor-"
UNFINISHED = "dltdoctor history shows it as unfinished: finish it with dltdoctor fix --continue, or undo it."


def _check_archivable(step: ArchiveDirectory) -> Tree:
    tree = read_tree(step.directory, step.parts)
    if tree.fingerprint != step.before:
        raise RefusedError(f"{step.directory} has changed since it was looked at", f"Is the pipeline running? {AGAIN}")
    return tree


def _check_restorable(step: RestoreDirectory) -> None:
    if digest_of_file(Path(step.archive)) != step.digest:
        problem = "is damaged" if exists(step.archive) else "is gone"
        raise RefusedError(f"the archive {step.archive} {problem}", "Nothing was changed.")
    for part in step.parts:
        place = _place(step, part)
        if exists(place):
            raise RefusedError(
                f"{place} is there again: its pipeline has run since",
                "Bringing the old one back would take the new one away. Purge the new one first, or move it.",
            )
        if not os.path.isdir(os.path.dirname(place)):
            raise RefusedError(
                f"{os.path.dirname(place)} is not there any more", "Take back first what removed it: dltdoctor history"
            )
    check_room(Path(os.path.dirname(step.directory)), step.size, f"bringing back {step.directory}")


def keep(steps: Iterable[DirectoryStep], progress: Progress) -> tuple[KeptArchive, ...]:
    """The archives of the steps, whole and compared: before the receipt.

    Every directory must be as the plan found it, every place of one that comes back free. Raises `RefusedError`.
    """
    made: list[KeptArchive] = []
    try:
        for step in steps:
            if isinstance(step, ArchiveDirectory):
                progress(f"archiving {step.directory}")
                tree = _check_archivable(step)
                done = write_archive(Path(step.archive), step.directory, tree, progress)
                made.append(KeptArchive(archive=step.archive, digest=done.digest, size=done.size, content=need(tree)))
            else:
                _check_restorable(step)
    except BaseException:
        drop_archives(made)
        raise
    return tuple(made)


def drop_archives(kept: Iterable[KeptArchive]) -> None:
    """Free archives that nobody needs any more."""
    for each in kept:
        Path(each.archive).unlink(missing_ok=True)


def directory_inverses(receipt: Receipt, folder: Path) -> list[DirectoryStep]:
    """What takes the directory steps back, the last one first; of an unfinished repair only what was done.

    `folder` is where archives are kept: undoing what brought a directory back archives it again.
    """
    kept = {each.archive: each for each in receipt.archives}
    inverses: list[DirectoryStep] = []
    for step in reversed(receipt.plan.steps):
        if isinstance(step, ArchiveDirectory):
            parts = _moved(step) if receipt.is_unfinished else step.parts
            archive = kept[step.archive]
            inverses.append(
                RestoreDirectory(
                    title=f"Bring back {step.directory}",
                    directory=step.directory,
                    parts=parts,
                    archive=step.archive,
                    digest=archive.digest,
                    after=step.before if parts == step.parts else "",
                    size=archive.content,
                    times=step.times if receipt.is_unfinished else _times_now(step),
                    note=f"from {step.archive}",
                )
            )
        elif isinstance(step, RestoreDirectory):
            parts = tuple(p for p in step.parts if exists(_place(step, p))) if receipt.is_unfinished else step.parts
            before = step.after if parts == step.parts and step.after else read_tree(step.directory, parts).fingerprint
            inverses.append(archive_step(step.directory, parts, before, folder))
    return inverses


def _times_now(step: ArchiveDirectory) -> tuple[tuple[str, int], ...]:
    """Those of now: dlt may have written there since. Where they are gone, so is the place to restore to."""
    try:
        return _times(step.directory, step.parts)
    except OSError:
        return ()


def archive_step(directory: str, parts: tuple[str, ...], before: str, folder: Path) -> ArchiveDirectory:
    """The step that archives and removes parts of a directory, with a name for the archive that is free."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in os.path.basename(directory))
    stamp = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
    what = directory if parts == ("",) else f"{len(parts)} of the load packages in {directory}"
    archive = str(folder / f"{stamp}-{plain[:60]}.tar.gz")
    return ArchiveDirectory(
        title=f"Archive and remove {what}",
        directory=directory,
        parts=parts,
        archive=archive,
        before=before,
        times=_times(directory, parts),
        note=f"the archive: {archive}",
    )


def has_begun(step: DirectoryStep) -> bool:
    """Whether anything of the directory may have been moved, or brought back."""
    return exists(_aside(step))


def _moved(step: ArchiveDirectory) -> tuple[str, ...]:
    """The parts that are not in their place any more, of a step that was interrupted."""
    return tuple(p for at, p in enumerate(step.parts) if exists(os.path.join(_aside(step), str(at))))


def carry_out_directory(step: DirectoryStep) -> None:
    """Do the step, or the rest of it. Raises `RefusedError`."""
    try:
        if isinstance(step, ArchiveDirectory):
            _remove(step)
        else:
            _restore(step)
    except RefusedError:
        _forget_empty(step)
        raise
    except OSError as error:
        _forget_empty(step)
        place = error.filename or step.directory
        hint = UNFINISHED if has_begun(step) else "Nothing was changed."
        raise RefusedError(f"{place} cannot be changed: {error.strerror}", hint) from None


def _forget_empty(step: DirectoryStep) -> None:
    """Nothing stands aside when nothing was moved: then nothing was begun."""
    with suppress(OSError):
        os.rmdir(_aside(step))


def sweep(step: DirectoryStep) -> None:
    """Remove what stood aside; after the receipt is closed, or when nothing was begun."""
    shutil.rmtree(_aside(step), ignore_errors=True)
    if isinstance(step, RestoreDirectory):
        # what an interrupted purge has left there is in the archive, and back in its place
        empty(Path(_aside_of(step.directory, step.archive)))
        shutil.rmtree(_aside_of(step.directory, step.archive), ignore_errors=True)


def tidy(pipelines_dir: Path) -> None:
    """Remove the empty directories that a kill after the very last step has left; nothing that holds a file."""
    for aside in pipelines_dir.glob(f"{ASIDE}*"):
        with suppress(OSError):
            for inner in list(aside.iterdir()):
                inner.rmdir()
            aside.rmdir()


def _remove(step: ArchiveDirectory) -> None:
    aside = Path(_aside(step))
    done = _moved(step)
    waiting = [(at, part) for at, part in enumerate(step.parts) if part not in done]
    if not done:
        _check_archivable(step)
    else:
        # going on after a kill: what has changed since, or is gone, is not in the archive and stays as it is
        waiting = [(at, part) for at, part in waiting if _is_archived(step, part)]
    with suppress(FileExistsError):
        aside.mkdir(mode=0o700)
    for at, part in waiting:
        _move(step, part, aside / str(at))
    _set_times(step)
    sync_directory(aside)
    for at, _ in enumerate(step.parts):
        empty(aside / str(at))


def _is_archived(step: ArchiveDirectory, part: str) -> bool:
    return exists(_place(step, part)) and holds(Path(step.archive), step.directory, read_tree(step.directory, [part]))


def _move(step: ArchiveDirectory, part: str, target: Path) -> None:
    """Out of dlt's sight in one rename; back at once when somebody has written to it in the last moment."""
    source = _place(step, part)
    before = read_tree(source)
    os.rename(source, target)
    after = read_tree(str(target))
    if not before.is_still(after):
        os.rename(target, source)
        raise RefusedError(f"{source} was written to in the last moment", f"Is the pipeline running? {AGAIN}")
    sync_directory(Path(source).parent)


def _restore(step: RestoreDirectory) -> None:
    aside = Path(_aside(step))
    with suppress(FileExistsError):
        aside.mkdir(mode=0o700)
    for at, part in enumerate(step.parts):
        place, copy = _place(step, part), aside / str(at)
        if exists(place):
            continue
        if copy.exists():
            empty(copy)
            copy.rmdir()
        extract(Path(step.archive), part, copy)
        sync_tree(copy)
        os.rename(copy, place)
        sync_directory(Path(place).parent)
    _set_times(step)
    if not holds(Path(step.archive), step.directory, read_tree(step.directory, step.parts)):
        raise RefusedError(
            f"{step.directory} came back, but not as it was: modes, times or owners differ",
            f"The archive is kept: {step.archive}. {UNFINISHED}",
        )


def _set_times(step: DirectoryStep) -> None:
    """The directories around the parts look as if nobody had been there."""
    for folder, mtime in step.times:
        place = os.path.join(step.directory, folder)
        os.utime(place, ns=(os.stat(place).st_atime_ns, mtime))


def _times(directory: str, parts: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
    folders = sorted({os.path.dirname(part) for part in parts if part})
    return tuple((folder, os.stat(os.path.join(directory, folder)).st_mtime_ns) for folder in folders)


def _place(step: DirectoryStep, part: str) -> str:
    return os.path.join(step.directory, part) if part else step.directory


def _aside(step: DirectoryStep) -> str:
    return _aside_of(step.directory, step.archive) + ("-back" if isinstance(step, RestoreDirectory) else "")


def _aside_of(directory: str, archive: str) -> str:
    """Hidden, beside the directory, so that a rename leads there; dlt and `diagnose` take no notice of it."""
    stem = os.path.basename(archive).partition(".")[0]
    return os.path.join(os.path.dirname(directory), f"{ASIDE}{stem}")
