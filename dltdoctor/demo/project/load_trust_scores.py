"""Loads the trust scores of app ideas into Postgres: python load_trust_scores.py monday.csv."""

import csv
import sys
from collections.abc import Iterator

import dlt


@dlt.resource(name="app_opportunities_trust", primary_key="submission_id", write_disposition="merge")
def trust_scores(file_name: str) -> Iterator[dict[str, object]]:
    with open(file_name, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield {
                "submission_id": row["submission_id"],
                "trust_score": float(row["trust_score"]),
                "trust_badge": row["trust_badge"],
            }


if __name__ == "__main__":
    pipeline = dlt.pipeline(
        pipeline_name="trust_scores",
        destination="postgres",
        dataset_name="public",
    )
    print(pipeline.run(trust_scores(sys.argv[1])))
