"""What becomes of the cursors when dev mode is switched off. Pure.

dlt that notes dev mode in the local state (1.23 and newer) resets the state then. Before, the cursors of the timestamped
dataset stay, and where the plain dataset exists the next run brings it newer rows only (measured with 1.16).
"""

import re

from dltdoctor.snapshot import Database, Pipeline

TIMESTAMP = re.compile(r"_(20\d{12})$")


def would_skip(pipeline: Pipeline | None, final: str, database: Database | None) -> bool:
    """Whether rows that are in the timestamped dataset only would never arrive in the plain one."""
    state = pipeline.state if pipeline else None
    if state is None or state.dev_mode or not state.cursors or not TIMESTAMP.search(final):
        return False
    return database is None or database.is_dataset(TIMESTAMP.sub("", final))
