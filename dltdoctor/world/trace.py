"""Where the last run loaded to, from dlt's `trace.pickle`, which is never unpickled.

Unpickling runs whatever the file says. The credentials that dlt made displayable are a string of
their own in it, so they can be found by the length that the pickle protocol writes before a string.
"""

import re

from dltdoctor.world.error_text import one_line
from dltdoctor.world.files import MAX_TRACE, read_bytes
from dltdoctor.world.mask import mask
from dltdoctor.world.unreadable import UnreadableError

_POSTGRES_URL = re.compile(rb"postgres(?:ql)?://")
_SHORT, _LONG = 0x8C, ord("X")  # SHORT_BINUNICODE and BINUNICODE; pickletools.opcodes
_MAX_URL = 2000


def last_destination(path: str) -> str | None:
    """The last destination string in the trace, password masked; None when it cannot be told."""
    try:
        data = read_bytes(path, limit=MAX_TRACE)
    except UnreadableError:
        return None
    found = None
    for match in _POSTGRES_URL.finditer(data):
        found = _string_at(data, match.start()) or found
    return mask(one_line(found)) if found else None


def _string_at(data: bytes, start: int) -> str | None:
    """The pickled string that begins at `start`, if one begins there: a longer text only quotes it."""
    if start >= 2 and data[start - 2] == _SHORT:
        length = data[start - 1]
    elif start >= 5 and data[start - 5] == _LONG:
        length = int.from_bytes(data[start - 4 : start], "little")
    else:
        return None
    return data[start : start + length].decode("utf-8", "replace") if length <= _MAX_URL else None
