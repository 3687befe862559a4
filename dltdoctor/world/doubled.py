"""The rows in the files of jobs that Postgres refused because their rows are there already."""

import msgspec

from dltdoctor.snapshot import Job, Schema
from dltdoctor.world.job_rows import count_rows


def counted(jobs: tuple[Job, ...], schema: Schema | None) -> tuple[Job, ...]:
    """The jobs, those of such tables with the number of rows in their files: only there it tells something."""
    tables = {job.table for job in jobs if job.is_doubled}
    if not tables:
        return jobs
    return tuple(_with_rows(job, schema) if job.table in tables and not job.is_followup else job for job in jobs)


def _with_rows(job: Job, schema: Schema | None) -> Job:
    table = schema.table(job.table) if schema else None
    columns = tuple(c.name for c in table.columns) if table else ()
    return msgspec.structs.replace(job, rows=count_rows(job.path, job.format, columns))
