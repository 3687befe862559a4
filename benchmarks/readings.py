"""The pipeline whose job file is measured: python readings.py ROWS appends rows of the usual types to Postgres."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dlt

START = datetime(2024, 1, 1, tzinfo=UTC)


@dlt.resource(name="readings", write_disposition="append")
def readings(rows: int) -> Iterator[dict[str, Any]]:
    for number in range(rows):
        note = (
            None
            if number % 7 == 0
            else f'it\'s "note" {number},\nwith two lines'
            if number % 10 == 0
            else "plain words"
        )
        yield {
            "id": number,
            "name": f"reading {number}",
            "score": number / 4,
            "seen": START + timedelta(seconds=number),
            "note": note,
            "is_valid": number % 2 == 0,
        }


if __name__ == "__main__":
    pipeline = dlt.pipeline(pipeline_name="readings", destination="postgres", dataset_name="readings")
    pipeline.run(readings(int(sys.argv[1])))
