"""The file steps of a repair: checked before anything is changed, carried out one by one, taken back."""

from collections.abc import Sequence
from pathlib import Path

from dltdoctor.errors import RefusedError
from dltdoctor.receipt import KeptFile, Receipt
from dltdoctor.steps.step import Rename, WriteFile
from dltdoctor.world.atomic import digest, digest_of, remove_file, rename, replace_file, sweep


def kept_file(step: WriteFile, earlier: Sequence[WriteFile | Rename]) -> KeptFile:
    """What undo needs of a file; `earlier` are the steps that come before."""
    path = Path(_now(step.path, earlier))
    status = path.stat() if path.exists() else None
    return KeptFile(
        path=step.path,
        before=path.read_bytes() if status else None,
        before_mode=status.st_mode & 0o7777 if status else None,
        before_mtime_ns=status.st_mtime_ns if status else None,
        after=None if step.content is None else digest(step.content),
    )


def _now(path: str, earlier: Sequence[WriteFile | Rename]) -> str:
    """Where a path is before the earlier renames have brought it to its place."""
    for step in reversed(earlier):
        if isinstance(step, Rename) and (path == step.target or path.startswith(f"{step.target}/")):
            path = step.source + path[len(step.target) :]
    return path


def check_files(steps: Sequence[WriteFile | Rename]) -> None:
    """Every file must be as the plan found it. Raises `RefusedError`."""
    for at, step in enumerate(steps):
        if isinstance(step, Rename):
            source = _now(step.source, steps[:at])
            if not Path(source).exists():
                raise RefusedError(f"{source} is not there any more", "Run the command again to plan anew.")
            if Path(step.target).exists():
                raise RefusedError(f"{step.target} exists already", "Run the command again to plan anew.")
        else:
            _check_file(_now(step.path, steps[:at]), step)


def _check_file(path: str, step: WriteFile) -> None:
    try:
        found = digest_of(Path(path))
    except OSError as error:
        raise RefusedError(f"{path} cannot be read: {error.strerror}", "Nothing was changed.") from None
    if found != step.before:
        raise RefusedError(
            f"{path} has changed since the plan was made", "Nothing was changed. Run the command again to plan anew."
        )


def done_already(steps: Sequence[WriteFile | Rename]) -> int:
    """How many of the steps, from the first on, were carried out before a crash, whose traces it removes.

    The last that shows tells: what an earlier one left may have been moved on by a later one.
    """
    for step in steps:
        if isinstance(step, WriteFile):
            sweep(Path(step.path))
    shown = [at for at, step in enumerate(steps, start=1) if _shows(step)]
    return shown[-1] if shown else 0


def _shows(step: WriteFile | Rename) -> bool:
    """Whether the file is as the step leaves it, and was not so before."""
    if isinstance(step, Rename):
        return not Path(step.source).exists() and Path(step.target).exists()
    path = Path(step.path)
    wanted = None if step.content is None else digest(step.content)
    # A file is not gone because its directory has not been moved here yet.
    return wanted != step.before and path.parent.is_dir() and digest_of(path) == wanted


def carry_out(step: WriteFile | Rename) -> None:
    """Change the file. Raises `RefusedError`."""
    try:
        if isinstance(step, Rename):
            rename(Path(step.source), Path(step.target))
        elif step.content is None:
            remove_file(Path(step.path))
        else:
            replace_file(Path(step.path), step.content, mode=step.mode)
    except OSError as error:
        place = step.source if isinstance(step, Rename) else step.path
        raise RefusedError(
            f"{place} cannot be changed: {error.strerror}",
            "dltdoctor history shows the unfinished repair; finish it with dltdoctor fix --continue, or undo it.",
        ) from None


def take_back(step: WriteFile | Rename, receipt: Receipt) -> None:
    """Put the file back as the receipt kept it."""
    if isinstance(step, Rename):
        rename(Path(step.target), Path(step.source))
        return
    kept = next(f for f in receipt.files if f.path == step.path)
    if kept.before is None:
        remove_file(Path(step.path))
    else:
        replace_file(Path(step.path), kept.before, mode=kept.before_mode)
