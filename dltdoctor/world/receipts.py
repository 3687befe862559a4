"""Receipts on disk: one file each in the XDG state directory, written so that a crash leaves it whole."""

import secrets
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from dltdoctor.errors import CouldNotLookError, RefusedError, UsageError
from dltdoctor.receipt import Receipt
from dltdoctor.world.atomic import replace_file, sweep

SUFFIX = ".json"
_MADE: set[str] = set()


def state_dir(environ: Mapping[str, str], home: Path) -> Path:
    """`$XDG_STATE_HOME/dltdoctor`, by default `~/.local/state/dltdoctor`."""
    given = environ.get("XDG_STATE_HOME")
    return (Path(given) if given and given.startswith("/") else home / ".local" / "state") / "dltdoctor"


def new_id() -> str:
    """An identifier that sorts by time, e.g. "20261123T081530-4f2a"."""
    while True:
        made = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
        if made not in _MADE:  # hundreds may be made in one second
            _MADE.add(made)
            return made


class Receipts:
    """The receipts of this machine's user."""

    def __init__(self, root: Path) -> None:
        self.root = root / "receipts"
        self.archives = root / "archives"

    def write(self, receipt: Receipt) -> None:
        """Write or replace a receipt, on disk before this returns. Raises `RefusedError`."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            content = msgspec.json.format(msgspec.json.encode(receipt), indent=1)
            replace_file(self.root / f"{receipt.id}{SUFFIX}", content, mode=0o600)
            sweep(self.root / f"{receipt.id}{SUFFIX}")
        except OSError as error:
            raise RefusedError(
                f"the receipt cannot be written to {self.root}: {error.strerror}",
                "Without a receipt nothing is changed. Make room there, or set XDG_STATE_HOME to another place.",
            ) from None

    def read(self, receipt: str) -> Receipt:
        """The receipt of that id, or of the only id that begins so. Raises `UsageError`."""
        found = [path for path in self._paths() if path.stem.startswith(receipt)]
        if len(found) != 1 or not receipt:
            problem = "is not the beginning of one receipt only" if found else "is no receipt"
            raise UsageError(f"{receipt!r} {problem}", "dltdoctor history lists them.")
        return _read(found[0])

    def all(self) -> tuple[Receipt, ...]:
        """Every receipt, unfinished ones first, then the newest first."""
        receipts = [_read(path) for path in self._paths()]
        return tuple(sorted(sorted(receipts, key=lambda r: r.made_at, reverse=True), key=lambda r: not r.is_unfinished))

    def unfinished(self) -> tuple[Receipt, ...]:
        return tuple(r for r in self.all() if r.is_unfinished)

    def remove(self, receipt: Receipt) -> None:
        (self.root / f"{receipt.id}{SUFFIX}").unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        try:
            return sorted(path for path in self.root.iterdir() if path.suffix == SUFFIX)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise CouldNotLookError(f"{self.root} cannot be read: {error.strerror}", "Check its permissions.") from None


def _read(path: Path) -> Receipt:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Receipt)
    except (OSError, msgspec.DecodeError) as error:
        detail = getattr(error, "strerror", None) or "it is not a whole receipt of this version"
        raise CouldNotLookError(
            f"{path} cannot be read: {detail}", "Move it aside; what it kept for undo stays in the database."
        ) from None
