"""Parquet files, read batch by batch with pyarrow, which is imported only where there is one."""

import importlib
import importlib.util
from collections.abc import Iterator
from typing import Any

from dltdoctor.world.documents import MEGABYTE
from dltdoctor.world.job_files.file import JobFile, UnreadableFileError
from dltdoctor.world.job_files.stream import checked

_INSTALL = "Install it beside dltdoctor: pip install pyarrow"
_BATCH_BYTES = 8 * MEGABYTE
_BATCH_ROWS = 16_384


def columns_of(path: str) -> tuple[str, ...]:
    """The columns of the file's schema. Raises `UnreadableFileError`."""
    return tuple(_opened(path).schema_arrow.names)


def batches(file: JobFile) -> Iterator[list[list[object]]]:
    """The columns' values, batch by batch. Raises `UnreadableFileError`."""
    arrow: Any = importlib.import_module("pyarrow")
    opened = _opened(file.path)
    size = max(1, opened.metadata.num_rows)
    unpacked = sum(opened.metadata.row_group(at).total_byte_size for at in range(opened.metadata.num_row_groups))
    rows = max(1, min(_BATCH_ROWS, _BATCH_BYTES * size // max(1, unpacked)))
    try:
        for batch in opened.iter_batches(batch_size=rows):
            yield [_values(arrow, column) for column in batch.columns]
    except (arrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise UnreadableFileError(file.path, f"pyarrow cannot read it ({type(error).__name__})") from None


def _values(arrow: Any, column: Any) -> list[object]:
    """The values in Python; points in time in microseconds, which is what Postgres keeps."""
    kind = column.type
    if arrow.types.is_timestamp(kind):
        # cut, not rounded, as dlt and ADBC do
        column = column.cast(arrow.timestamp("us", tz="UTC" if kind.tz else None), safe=False)
    elif arrow.types.is_time64(kind):
        column = column.cast(arrow.time64("us"), safe=False)
    values: list[object] = column.to_pylist()
    return values


def _opened(path: str) -> Any:
    checked(path)
    if importlib.util.find_spec("pyarrow") is None:
        raise UnreadableFileError(path, "reading a Parquet file needs pyarrow, which is not installed", hint=_INSTALL)
    arrow: Any = importlib.import_module("pyarrow")
    parquet: Any = importlib.import_module("pyarrow.parquet")
    try:
        return parquet.ParquetFile(path)
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise UnreadableFileError(path, f"it is not Parquet, or was cut off ({type(error).__name__})") from None
