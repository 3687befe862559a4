"""What can go wrong for a reason the user can do something about.

Each kind says whose fault it is and carries the exit code that the README lists. The command line
prints `message` and `hint` on a line each and exits; nothing of this kind is shown as a traceback.
"""

from typing import Any


class DoctorError(Exception):
    """An error with one line that says what is wrong and one that says what to do."""

    exit_code = 3

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DoctorError):
    """The command was called with something that cannot be meant."""

    exit_code = 2


class CouldNotLookError(DoctorError):
    """Something that has to be read could not be read; nothing is known, which is not health."""

    exit_code = 3


class LoadNotVerifiedError(DoctorError):
    """The rows of a load did not arrive, or its pipeline is sick; raised by `verify_load`.

    `findings` are those of `diagnosis` that count, worst first; there is none when only the record of
    the load is missing. Both are values of `dltdoctor.finding` and `dltdoctor.diagnosis`.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str, findings: tuple[Any, ...], diagnosis: Any) -> None:
        super().__init__(message, hint)
        self.findings = findings
        self.diagnosis = diagnosis

    def __reduce__(self) -> tuple[Any, ...]:
        """For the processes of an orchestrator, which hand errors on pickled."""
        return type(self), (self.message, self.hint, self.findings, self.diagnosis)


class RefusedError(DoctorError):
    """The world has drifted, is locked, or the step is unsafe; nothing was changed."""

    exit_code = 4
