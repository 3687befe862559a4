"""Room on a disk: what an archive may need of it, and what there is."""

import shutil
from pathlib import Path

from dltdoctor.errors import RefusedError
from dltdoctor.world.trees import Tree

RESERVE = 16 << 20  # left free for everybody else on that disk
HEADERS = 3_072  # a member's two headers, and what its last block is filled up with


def need(tree: Tree) -> int:
    """Bytes that an archive may take at worst."""
    return tree.size + HEADERS * len(tree.entries)


def check_room(folder: Path, wanted: int, what: str) -> None:
    """Raises `RefusedError` when the disk of `folder` is too small for that many bytes more."""
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free - RESERVE
    if free < wanted:
        raise RefusedError(
            f"{what} may take {megabytes(wanted)}, and {folder} has {megabytes(max(free, 0))} free",
            "Nothing was changed. Make room there, or set XDG_STATE_HOME to a place on another disk.",
        )


def megabytes(size: int) -> str:
    """A number of bytes as a person writes it."""
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
