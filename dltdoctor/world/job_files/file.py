"""A job file as it was found, and what is said when it cannot be read."""

from typing import Literal

from dltdoctor.snapshot import Value
from dltdoctor.world.unreadable import UnreadableError

Format = Literal["insert_values", "jsonl", "typed-jsonl", "csv", "parquet"]

_HINT = "dlt did not write it like this: restore the file from a backup, or load its rows from the source again."


class JobFile(Value):
    """A readable job file. `columns` are named as in the file, in its order.

    `table` is dlt's name of the table. `delimiter` and `has_header` count for csv only.
    """

    path: str
    format: Format
    table: str
    columns: tuple[str, ...]
    delimiter: str = ","
    has_header: bool = True


class UnreadableFileError(UnreadableError):
    """A job file that is not what dlt writes; `row` counts from 1, None where no row is to blame.

    `origin` is the file, `reason` never holds a value of it.
    """

    def __init__(self, path: str, reason: str, *, row: int | None = None, hint: str = _HINT) -> None:
        super().__init__(path, f"row {row:,}: {reason}" if row is not None else reason, hint)
        self.row = row
