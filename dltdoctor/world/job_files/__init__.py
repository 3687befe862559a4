"""dlt's completed job files, read as data and staged by COPY: streaming, and never run as SQL.

`open_job_file` looks at the head of a file, `stage` brings its rows into a relation that is there,
`iterate` hands them out in Python. What is not exactly what dlt writes is an `UnreadableFileError`.
"""

from dltdoctor.world.job_files.file import JobFile, UnreadableFileError
from dltdoctor.world.job_files.opening import open_job_file
from dltdoctor.world.job_files.staging import iterate, stage

__all__ = ["JobFile", "UnreadableFileError", "iterate", "open_job_file", "stage"]
