"""The pipeline whose staged rows are migrated: python facts.py FIRST LAST merges facts into Postgres."""

import sys
from collections.abc import Iterator
from typing import Any

import dlt


@dlt.resource(name="facts", primary_key="id", write_disposition="merge")
def facts(first: int, last: int) -> Iterator[dict[str, Any]]:
    for number in range(first, last):
        yield {"id": number, "name": f"fact {number}", "score": number / 4, "seen": "2026-11-23T00:00:00Z"}


if __name__ == "__main__":
    pipeline = dlt.pipeline(pipeline_name="facts", destination="postgres", dataset_name="shop")
    print(pipeline.run(facts(int(sys.argv[1]), int(sys.argv[2]))))
