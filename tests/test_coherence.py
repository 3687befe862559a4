"""Findings that stand beside each other: what one advises does not undo, or wait for, what another advises."""

from typing import Any

import msgspec
import pytest

from dltdoctor import sketch
from dltdoctor.checks import CHECKS
from dltdoctor.checks.clobbered_columns import clobbered_columns
from dltdoctor.cures import rows
from dltdoctor.cures.restaging import HindranceError, refuse_without_merge
from dltdoctor.cures.wipe import comes_first
from dltdoctor.examine import examine
from dltdoctor.finding import Finding
from dltdoctor.ledger import draw_up
from dltdoctor.plan import Cure
from dltdoctor.sketch import states
from dltdoctor.snapshot import RowsAround, SchemaColumn, Snapshot
from dltdoctor.steps.step import RunSql, TouchedTable

LOST = "1700000150.0"


def found(world: Snapshot, code: str) -> Finding:
    """The one finding of that code."""
    findings, _ = examine(CHECKS, world, draw_up(world))
    (finding,) = (f for f in findings if f.code == code)
    return finding


def advice(finding: Finding) -> tuple[str, str]:
    assert finding.remedy
    return finding.remedy.safety, finding.remedy.command or ""


@pytest.mark.parametrize("code", ["DD301", "DD302"])
def test_a_wipe_waits_for_the_table_that_another_pipeline_is_named_for(code: str) -> None:
    """DD301 names the pipeline that wrote last; the packages of the others bring the values back."""
    table = sketch.table("orders", "score")
    world = sketch.world(sketch.pipeline("scores", tables=[table]), sketch.pipeline("concepts"), on=sketch.database())
    other = sketch.world(sketch.pipeline("scores", tables=[sketch.table("events")]), on=sketch.database())
    finding = found(clobbered_columns.sick[-1](), "DD301")
    assert (finding.pipeline, finding.dataset, finding.table) == ("concepts", "shop", "orders")
    finding = msgspec.structs.replace(finding, code=code)
    assert comes_first(finding, "scores", draw_up(world))
    assert not comes_first(finding, "scores", draw_up(other))


@pytest.mark.parametrize(
    ("table", "safety", "command"),
    [
        ({}, "safe", "dltdoctor fix shop_loader --recover"),
        ({"merge_strategy": "scd2"}, "manual", "orders.apply_hints("),
        ({"merge_strategy": "cdc"}, "manual", "orders.apply_hints("),
        ({"disposition": "replace", "merge_strategy": None}, "manual", "orders.apply_hints("),
        ({"merge_key": True}, "unsafe", "dltdoctor fix shop_loader --recover --unsafe"),
        ({"hard_delete": True}, "unsafe", "dltdoctor fix shop_loader --recover --unsafe"),
    ],
)
def test_a_lost_load_says_what_its_plan_will_say(table: dict[str, Any], safety: str, command: str) -> None:
    hints = {k: table.pop(k) for k in ("merge_key", "hard_delete") if k in table}
    orders = sketch.table("orders", "amount", **table)
    if hints:
        marked = SchemaColumn(name="mark", data_type="bool", **hints)
        orders = sketch.table("orders", "amount", **table, columns=(*orders.columns, marked))
    aborted = sketch.package(LOST, "aborted", sketch.job(status="failed"))
    around = RowsAround(dataset="shop", table="orders", load_id=LOST, rows=0, older=3)
    world = sketch.world(
        sketch.pipeline(version=3, tables=[orders], packages=[aborted]),
        on=sketch.database(states=states.history((LOST, 2, "6", None)), around=(around,)),
    )
    said, line = advice(found(world, "DD204"))
    assert said == safety
    assert line.startswith(command)
    assert len(line) == len(command) or safety == "manual"


@pytest.mark.parametrize("stage", ["normalized", "extracted"])
def test_a_merge_that_the_server_does_not_know_is_not_resumed(stage: str) -> None:
    orders = sketch.table("orders", "amount", merge_strategy="upsert")
    jobs = (sketch.job(), sketch.job(kind="sql", status="new", error='syntax error at or near "MERGE"'))
    package = sketch.package(sketch.LATEST, stage, *(jobs if stage == "normalized" else [sketch.job(status="new")]))
    staged = (sketch.staged(),) if stage == "normalized" else ()
    old, new = (
        sketch.world(
            sketch.pipeline(tables=[orders], packages=[package]),
            on=sketch.database(server_version=version, staged=staged),
        )
        for version in (140023, 150000)
    )
    code = "DD202" if stage == "normalized" else "DD206"
    assert advice(found(old, code)) == advice(found(old, "DD501"))
    assert advice(found(old, code)) == ("manual", "dlt pipeline shop_loader abort-packages")
    assert advice(found(new, code)) == ("safe", "dltdoctor fix shop_loader --resume")
    assert old.catalog
    assert new.catalog
    with pytest.raises(HindranceError, match="DD501"):
        refuse_without_merge(old.pipelines[0], old.catalog.databases[0])
    refuse_without_merge(new.pipelines[0], new.catalog.databases[0])


@pytest.mark.parametrize("code", ["DD306", "DD309"])
def test_rows_are_not_deleted_in_the_plan_that_brings_others(code: str) -> None:
    world = sketch.world(on=sketch.database())
    brings, deletes = _cure("DD201", "orders"), _cure(code, "orders")
    assert rows.after_others([brings, deletes], world)[0] == [brings]
    (held,) = rows.after_others([deletes, brings], world)[1]
    assert (held.code, held.reason) == (code, "rows are brought to its tables first; run the command again afterwards")
    elsewhere = _cure(code, "events")
    assert rows.after_others([brings, elsewhere], world) == ([brings, elsewhere], [])


def _cure(code: str, table: str) -> Cure:
    step = RunSql(title=code, statements=(), touches=(TouchedTable(schema="shop", table=table, key=("_dlt_id",)),))
    return Cure(code=code, fingerprint=code, pipeline="shop_loader", message=code, safety="unsafe", steps=(step,))


@pytest.mark.parametrize(("noted", "safety"), [(None, "unsafe"), (True, "safe")])
def test_switching_dev_mode_off_is_unsafe_where_the_cursors_stay(noted: bool | None, safety: str) -> None:
    """Measured: dlt 1.16 keeps them and never brings the rows to the plain dataset; 1.31 resets the state."""
    name = "shop_20261123073104"
    world = sketch.world(
        sketch.pipeline(dataset=name, state={"dev_mode": noted}),
        routes=[sketch.route(final=name)],
        on=sketch.database({"shop.orders": 3, f"{name}.orders": 3}),
        settings=[sketch.setting("dev_mode", value=True)],
    )
    said, line = advice(found(world, "DD106"))
    assert said == safety
    assert line == f"dltdoctor fix shop_loader --config{' --unsafe' if safety == 'unsafe' else ''}"
