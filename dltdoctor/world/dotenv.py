"""Which files of a project set an environment variable: dlt does not read them, but what starts it may."""

import os
import re
from pathlib import Path

from dltdoctor.world.files import read_bytes
from dltdoctor.world.unreadable import UnreadableError

MAX_BYTES = 1_000_000


def lines_that_set(name: str, project: Path) -> tuple[str, ...]:
    """`path:line` of every assignment in the project's `.env` files; values are not looked at."""
    pattern = re.compile(rf"^[ \t]*(?:export[ \t]+)?{re.escape(name)}[ \t]*=", re.MULTILINE)
    found = []
    for path in sorted(path for path in project.glob(".env*") if os.path.isfile(path)):
        try:
            text = read_bytes(str(path), limit=MAX_BYTES).decode("utf-8", "replace")
        except UnreadableError:
            continue
        found += [f"{path}:{text.count(chr(10), 0, hit.start()) + 1}" for hit in pattern.finditer(text)]
    return tuple(found)
