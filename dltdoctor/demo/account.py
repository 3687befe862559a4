"""The user that a server runs as: Postgres refuses root, so root's server runs as somebody humble."""

import contextlib
import os
import pwd
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import msgspec

from dltdoctor.errors import CouldNotLookError

HUMBLE = ("postgres", "nobody")


class Account(msgspec.Struct, frozen=True):
    """A user and group by number; none of them means: this process' own."""

    uid: int | None = None
    gid: int | None = None

    def start(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        output: IO[str] | int = subprocess.DEVNULL,
        env: dict[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Start a program as this user, in a session of its own, with a pipe as standard input."""
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            text=True,
            cwd=cwd,
            env=env,
            start_new_session=True,
            user=self.uid,
            group=self.gid,
            extra_groups=None if self.uid is None else (),
        )

    def may_run(self, program: Path) -> bool:
        """Whether this user can start the program, which is asked for its version."""
        return self.can([program, "--version"])

    def own(self, directory: Path) -> None:
        """Give a directory and all in it to this user."""
        if self.uid is None or self.gid is None:
            return
        for path in (directory, *directory.rglob("*")):
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def temporary_root(self) -> Path:
        """A directory in which this user may make and remove directories."""
        for place in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - a fresh name is made in it
            if self.can(["test", "-w", place, "-a", "-x", place]):
                return Path(place)
        raise CouldNotLookError(
            "no temporary directory was found that the server's user may write to",
            "name one with the environment variable TMPDIR",
        )

    def can(self, command: Sequence[str | Path]) -> bool:
        """Whether the command succeeds as this user; false, too, where we may not become it."""
        try:
            process = self.start(command, cwd=Path("/"))
        except OSError:
            return False
        process.communicate()
        return process.returncode == 0


def server_account() -> Account:
    """The own user of this process, or for root the first humble one that it can become."""
    if os.geteuid() != 0:
        return Account()
    for name in HUMBLE:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            account = Account(entry.pw_uid, entry.pw_gid)
            if account.can(["true"]):
                return account
    raise CouldNotLookError(
        f"Postgres refuses to run as root, and root could not become {' or '.join(HUMBLE)} to run it",
        "run the command as an ordinary user",
    )
