"""Loads the concepts of app ideas, too, into Postgres: python load_concepts.py concepts.csv."""

import csv
import sys
from collections.abc import Iterator

import dlt


@dlt.resource(name="app_opportunities_trust", primary_key="submission_id", write_disposition="merge")
def concepts(file_name: str) -> Iterator[dict[str, str]]:
    with open(file_name, encoding="utf-8") as file:
        yield from csv.DictReader(file)


if __name__ == "__main__":
    pipeline = dlt.pipeline(
        pipeline_name="concepts",
        destination="postgres",
        dataset_name="public",
    )
    print(pipeline.run(concepts(sys.argv[1])))
