"""The pipeline that is measured: python orders.py DAY ROWS merges orders with nested items into Postgres.

With dlt's own columns there are 25 in `orders` and 21 in `orders__items`: 23 a table.
"""

import sys
from collections.abc import Iterator
from typing import Any

import dlt


@dlt.resource(name="orders", primary_key="order_id", write_disposition="merge")
def orders(day: int, rows: int) -> Iterator[dict[str, Any]]:
    for number in range(rows):
        texts = {f"note_{i}": f"text {day} {i}" for i in range(12)}
        numbers = {f"amount_{i}": number + i / 4 for i in range(10)}
        yield {"order_id": number, **texts, **numbers, "items": [item(number, n) for n in range(2)]}


def item(order: int, place: int) -> dict[str, Any]:
    return {"sku": f"{order}-{place}", **{f"size_{i}": order * i for i in range(16)}}


if __name__ == "__main__":
    pipeline = dlt.pipeline(pipeline_name="orders", destination="postgres", dataset_name="shop")
    print(pipeline.run(orders(int(sys.argv[1]), int(sys.argv[2]))))
