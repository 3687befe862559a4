"""Worlds that lose rows: a pipeline with updates, deletions and nested rows, and what it had loaded."""

import json
import sys
from typing import Any

import psycopg

from dltdoctor import treatment
from dltdoctor.receipt import Receipt
from dltdoctor.treatment import Prepared, Wish
from tests.real import RealWorld
from tests.repairing import Patient, silent
from tests.worlds import run_pipeline

# dataset, pipeline, table, write disposition and hints come as JSON; then a batch of rows for each run.
LOADER = """
import json, sys, dlt

how = json.loads(sys.argv[1])
pipeline = dlt.pipeline(how["pipeline"], destination="postgres", dataset_name="shop")
for batch in sys.argv[2:]:
    rows = json.loads(batch)
    @dlt.resource(
        name="orders", primary_key=how.get("key"), write_disposition=how["disposition"], columns=how.get("columns")
    )
    def orders(new=dlt.sources.incremental("at", initial_value=0)):
        yield rows
    if "at" not in rows[0]:
        orders = dlt.resource(
            rows, name="orders", primary_key=how.get("key"), write_disposition=how["disposition"],
            columns=how.get("columns"),
        )
    pipeline.run(orders, loader_file_format=how.get("format"))
"""
FIRST = [
    {"id": 1, "amount": 10, "note": "it's \\ one", "items": [{"sku": "a", "tags": ["x", "y"]}, {"sku": "b"}]},
    {"id": 2, "amount": 20, "note": "zwei\n\ttwo", "items": [{"sku": "c"}]},
    {"id": 3, "amount": 30, "note": None, "items": []},
]
SECOND = [
    {"id": 2, "amount": 21, "note": "ünï ☃", "items": [{"sku": "c"}, {"sku": "d", "tags": ["z"]}]},
    {"id": 4, "amount": 40, "note": "four", "items": [{"sku": "e"}]},
]
THIRD = [{"id": 1, "amount": 11, "note": "last", "items": []}, {"id": 5, "amount": 50, "note": "", "items": []}]
SCORES = [{"id": i, "score": i + 0.5, "badge": f"it's {i}" if i != 2 else None} for i in range(1, 7)]
CONCEPTS = [{"id": i, "concept": f"c{i}"} for i in (2, 3, 4, 9)]
# What two runs of dlt on the same rows do not agree on.
CLOCKS = ("_dlt_load_id", "_dlt_id", "_dlt_root_id", "_dlt_parent_id")


class Recovering(Patient, frozen=True):
    """A world whose repair is `fix --recover`."""

    def prepare(self, *, unsafe: bool = False, **changes: Any) -> Prepared:
        return prepare(self, unsafe=unsafe, **changes)


def prepare(sick: Patient, *, unsafe: bool = False, **changes: Any) -> Prepared:
    return treatment.prepare(sick.request(**changes), Wish(recover=True, unsafe=unsafe), progress=silent)


def cured(sick: Patient, code: str, *, unsafe: bool = False) -> Receipt:
    """Planned, rehearsed, applied and proved; there and back again; and nothing is left to do (laws 3 to 6)."""
    everything, before = sick.everything(), sick.rows()
    prepared = prepare(sick, unsafe=unsafe)
    assert [c.code for c in prepared.plan.cures] == [code], (prepared.plan.held_back, prepared.findings)
    measured = sick.preview(prepared)
    assert sick.everything() == everything
    receipt = sick.apply(prepared)
    assert [(c.table, c.rows_come, c.rows_gone) for c in receipt.captures] == [
        (c.table, c.rows_come, c.rows_gone) for c in measured
    ]
    proof = sick.prove(prepared, receipt)
    assert not proof.remaining
    assert not proof.new
    assert code not in sick.codes()
    assert prepare(sick, unsafe=True).plan.is_empty
    repaired = sick.rows()
    undone = sick.undo(receipt)
    assert sick.rows() == before
    assert code in sick.codes()
    sick.undo(undone)
    assert sick.rows() == repaired
    return receipt


def merge(strategy: str) -> dict[str, str]:
    return {"disposition": "merge", "strategy": strategy}


def load(
    world: RealWorld,
    *batches: Any,
    pipeline: str = "sales",
    disposition: Any = "append",
    python: str = sys.executable,
    fails: str | None = None,
    **how: Any,
) -> None:
    """Run real dlt, of the environment `python`, once for each batch of rows; with `fails` it ends with these words."""
    asked = {"pipeline": pipeline, "disposition": disposition, **how}
    world.write(load=LOADER)
    arguments = [json.dumps(asked), *(json.dumps(batch) for batch in batches)]
    done = run_pipeline("load.py", *arguments, project=world.project, data_dir=world.root / "data", python=python)
    assert (done.returncode == 0) == (fails is None), done.stdout
    assert fails is None or fails in done.stdout, done.stdout


def patient_of(world: RealWorld) -> Patient:
    """The world as one that is repaired; nothing in it looks as if it were at work."""
    world.age()
    return Patient(root=world.root, project=world.project, pipelines_dir=world.pipelines_dir, dsn=world.dsn)


def contents(world: RealWorld, *, without: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Every row of every data table of the dataset, as sorted JSON."""
    with psycopg.connect(world.dsn) as connection:
        names = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'shop' AND tablename NOT LIKE '\\_dlt\\_%'"
        ).fetchall()
        removed = "".join(f" - '{column}'" for column in without)
        return {
            name: sorted(
                str(row)
                for (row,) in connection.execute(f'SELECT (to_jsonb(t){removed})::text FROM shop."{name}" t'.encode())
            )
            for (name,) in names
        }


def orders(world: RealWorld) -> list[tuple]:
    """Every order with its items and their tags, as a reader joins them."""
    with psycopg.connect(world.dsn) as connection:
        return connection.execute(
            "SELECT o.id, o.amount, i._dlt_list_idx, i.sku, t.value FROM shop.orders AS o"
            " LEFT JOIN shop.orders__items AS i ON i._dlt_parent_id = o._dlt_id"
            " LEFT JOIN shop.orders__items__tags AS t ON t._dlt_parent_id = i._dlt_id ORDER BY 1, 2, 3, 4, 5"
        ).fetchall()


def clobbered(world: RealWorld, strategy: str = "delete-insert") -> None:
    how = {"disposition": merge(strategy), "key": "id"}
    load(world, SCORES[:4], [{"id": 3, "score": None, "badge": "newer"}, *SCORES[4:]], pipeline="scores", **how)
    load(world, CONCEPTS, pipeline="concepts", **how)
