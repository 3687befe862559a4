"""Something local that could not be read: what, why, and what the user can do about it."""

import errno
import os

from dltdoctor.errors import CouldNotLookError
from dltdoctor.snapshot import Area, Unread


class UnreadableError(CouldNotLookError):
    """A file, directory or stored text that could not be read; `origin` says which."""

    def __init__(self, origin: str, reason: str, hint: str) -> None:
        super().__init__(f"{origin}: {reason}", hint)
        self.origin = origin
        self.reason = reason

    def unread(self, *areas: Area, pipeline: str | None = None) -> Unread:
        """The same as a value of the snapshot, for DD001."""
        return Unread(
            code="DD001",
            what=self.origin,
            reason=self.reason,
            hint=self.hint,
            areas=areas,
            pipeline=pipeline,
        )


_REASONS = {
    errno.EACCES: ("permission denied", "Run dltdoctor as the user who runs the pipeline."),
    errno.EPERM: ("permission denied", "Run dltdoctor as the user who runs the pipeline."),
    errno.ELOOP: ("a symbolic link that leads back to itself", "Remove it or point it elsewhere."),
    errno.ENOENT: ("no such file or directory", "Check the spelling, and that the disk is mounted."),
    errno.ENOTDIR: ("not a directory", "Name the directory that holds one directory per pipeline."),
    errno.EISDIR: ("a directory stands where a file should be", "Move the directory away."),
    errno.ENAMETOOLONG: ("the path is too long", "Shorten it."),
}


def refused(path: str | os.PathLike[str], error: OSError) -> UnreadableError:
    """What the operating system's refusal means for the reader of the report."""
    code = error.errno or 0
    reason, hint = _REASONS.get(
        code, (os.strerror(code) if code else "could not be read", "Check the disk and try again.")
    )
    return UnreadableError(os.fspath(path), reason, hint)
