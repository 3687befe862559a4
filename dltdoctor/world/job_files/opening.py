"""What the head of a job file says."""

import os
from collections.abc import Sequence
from typing import get_args

from dltdoctor.world.job_files import csv_file, insert_values, jsonl, parquet
from dltdoctor.world.job_files.file import Format, JobFile, UnreadableFileError
from dltdoctor.world.jobs import job_name

_FORMATS: tuple[Format, ...] = get_args(Format)


def open_job_file(path: str, known: Sequence[str] = ()) -> JobFile:
    """The job file with the columns that its head names (of JSON lines: that any of its rows has).

    `known` are the table's columns in the order of the package's schema: with them a csv file's
    delimiter is told for sure, and one without a header gets its columns.
    Raises `UnreadableFileError` that names the file.
    """
    name = job_name(os.path.basename(path))
    if name is None:
        raise UnreadableFileError(path, "its name is not that of a job file: <table>.<file id>.<retry>.<format>")
    for form in _FORMATS:
        if form == name.format:
            return _opened(path, name.table, form, known)
    raise UnreadableFileError(path, f"a job of the format {name.format} holds no rows that dltdoctor can read")


def _opened(path: str, table: str, form: Format, known: Sequence[str]) -> JobFile:
    if form == "csv":
        head = csv_file.head_of(path, known)
        return JobFile(
            path=path,
            format=form,
            table=table,
            columns=head.columns,
            delimiter=head.delimiter,
            has_header=head.has_header,
        )
    if form == "insert_values":
        columns = insert_values.columns_of(path)
    elif form == "parquet":
        columns = parquet.columns_of(path)
    else:
        columns = jsonl.columns_of(path, typed=form == "typed-jsonl")
    return JobFile(path=path, format=form, table=table, columns=columns)
