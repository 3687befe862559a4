"""Two worlds that dlt loads alike: one stays clean, its twin loses rows or values, and `fix --recover` brings them back.

Emptied twins are copies, so that every table is compared row for row with load ids and row keys. Where two
pipelines write one table, the clean world merges by upsert, the twin by delete-insert; there what a reader
joins is compared, since row keys are random.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import psycopg
from hypothesis import reject
from hypothesis import strategies as st
from psycopg import sql
from psycopg.rows import dict_row

from dltdoctor import treatment
from dltdoctor.receipt import Receipt
from dltdoctor.treatment import Wish
from tests import differential as twins_of
from tests.differential import REPLACING, Recipe, Root, Twins, rows, same
from tests.repairing import Patient, silent

Damage = Literal["none", "truncated", "deleted", "root only"]
# By dlt's own words but the last two, which are dispositions.
KINDS = ("delete-insert", "merge-key", "upsert", "insert-only", "scd2", "key-less", "dedup", "append", *REPLACING)
BOOKKEEPING = "_dlt_"


class Loss(msgspec.Struct, frozen=True):
    """What dlt loads, and what happens to each root table afterwards."""

    recipe: Recipe
    damages: tuple[Damage, ...]


class Turn(msgspec.Struct, frozen=True):
    """One load: of the pipeline with nested rows, or of the one that knows one column beside the key."""

    is_ours: bool
    rows: tuple[tuple[int, int | None, int], ...]


@st.composite
def losses(draw: st.DrawFn) -> Loss:
    """Loads of one to three tables, at least one of which is emptied."""
    count = draw(st.integers(2, 4)) + 1
    replacing = draw(st.sampled_from(REPLACING))
    usual = [k for k in KINDS if k not in REPLACING]
    kinds = [draw(st.sampled_from(usual)), *draw(st.lists(st.sampled_from([*usual, replacing]), max_size=2))]
    roots = tuple(draw(twins_of._roots(kind, count)) for kind in kinds)
    recipe = Recipe(
        roots=roots,
        denied=frozenset(range(len(roots))),
        quoted_names=draw(st.booleans()),
        keeps_package=True,
        late_column=draw(st.booleans()),
    )
    sick: st.SearchStrategy[Damage] = st.sampled_from(["truncated", "deleted", "root only"])
    # That a replaced table is empty is no sign: the last load may have brought nothing.
    damages = [draw(st.one_of(sick, st.just("none"))) if r.kind not in REPLACING else "none" for r in roots]
    damages[0] = draw(sick)
    return Loss(recipe=recipe, damages=tuple(damages))


@st.composite
def turns(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Loads of two pipelines into one table, in any order after one of each kind."""
    row = st.tuples(st.integers(1, 4), st.one_of(st.none(), st.integers(0, 99)), st.integers(0, 2))
    batch = st.lists(row, min_size=1, max_size=4, unique_by=lambda r: r[0])
    order = [True, *draw(st.lists(st.booleans(), max_size=1)), False, *draw(st.lists(st.booleans(), max_size=2))]
    return tuple(Turn(is_ours=ours, rows=tuple(draw(batch))) for ours in order)


# ------------------------------------------------------------------------------- emptied tables


def check(loss: Loss, admin: str, place: Path) -> None:
    """Load, copy, empty, recover, compare; then undo, redo, and run dlt again in both."""
    recipe = loss.recipe
    with twins_of._twins(recipe, admin, place) as twins:
        with twins_of._of_dlt():
            for batch in range(recipe.last + 1):
                _run(twins, twins.clean, batch)
        twins_of._copy(twins)
        hurt = [at for at, damage in enumerate(loss.damages) if damage != "none" and _has_rows(twins, at)]
        for at in hurt:
            _hurt(twins, at, loss.damages[at])
        before = rows(twins, twins.twin)
        receipt = _recovered(twins, hurt) if hurt else None
        same(rows(twins, twins.twin), rows(twins, twins.clean))
        if receipt:
            undone = twins.twin.undo(receipt)
            same(rows(twins, twins.twin), before)
            twins.twin.undo(undone)
            same(rows(twins, twins.twin), rows(twins, twins.clean))
        for world in (twins.clean, twins.twin):
            _run(twins, world, recipe.last + 1)
        same(twins_of.facts(twins, twins.twin), twins_of.facts(twins, twins.clean))


def _recovered(twins: Twins, hurt: Sequence[int]) -> Receipt:
    sick = twins.twin
    sick.age()
    prepared = treatment.prepare(sick.request(), Wish(recover=True), progress=silent)
    found = {f.table for f in prepared.findings if f.code == "DD302"}
    unseen = [at for at in hurt if twins.recipe.table(at) not in found]
    assert not [at for at in unseen if not twins.recipe.roots[at].deletes]
    if unseen:
        reject()  # the source may have deleted every row
    assert [c.code for c in prepared.plan.cures] == ["DD302"] * len(hurt), (
        prepared.plan.held_back,
        prepared.findings,
    )
    assert not prepared.plan.held_back
    measured = sick.preview(prepared)
    receipt = sick.apply(prepared)
    assert [(c.table, c.rows_come, c.rows_gone) for c in receipt.captures] == [
        (c.table, c.rows_come, c.rows_gone) for c in measured
    ]
    proof = sick.prove(prepared, receipt)
    assert not proof.remaining
    assert not proof.new
    assert treatment.prepare(sick.request(), Wish(recover=True, unsafe=True), progress=silent).plan.is_empty
    return receipt


def _run(twins: Twins, world: Patient, batch: int) -> None:
    resources = twins_of._resources(twins.recipe, batch)
    for root, resource in zip(twins.recipe.roots, resources, strict=True):
        if root.kind == "append":  # type: ignore[comparison-overlap]
            resource.apply_hints(write_disposition="append")
    twins_of._pipeline(twins, world).run(resources)


def _chain(twins: Twins, at: int) -> list[str]:
    """The root table and what nests in it."""
    root: Root = twins.recipe.roots[at]
    item = twins.recipe.column("items")
    return [twins.recipe.table(at) + f"__{item}" * depth for depth in range(root.depth + 1)]


def _has_rows(twins: Twins, at: int) -> bool:
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(twins.dataset, twins.recipe.table(at)))
    with psycopg.connect(twins.twin.dsn) as connection:
        return bool(connection.execute(query).fetchall()[0][0])


def _hurt(twins: Twins, at: int, damage: Damage) -> None:
    how = {"truncated": "TRUNCATE {}"}.get(damage, "DELETE FROM {}")
    with psycopg.connect(twins.twin.dsn, autocommit=True) as connection:
        for name in _chain(twins, at)[: 1 if damage == "root only" else None]:
            place = sql.Identifier(twins.dataset, name)
            found = connection.execute("SELECT to_regclass(%s)", (place.as_string(None),)).fetchone()
            if found and found[0]:  # nested rows may never have come
                connection.execute(sql.SQL(how).format(place))


# ----------------------------------------------------------------------------- clobbered columns


def check_clobbered(given: Sequence[Turn], admin: str, place: Path) -> None:
    """Both pipelines merge by upsert in the clean world, by delete-insert in its twin, which is then recovered."""
    recipe = Recipe(roots=(), denied=frozenset(), quoted_names=False, keeps_package=True, late_column=False)
    with twins_of._twins(recipe, admin, place) as twins:
        twins_of._copy(twins)
        for turn in given:
            _merge(twins, twins.clean, turn, "upsert")
            _merge(twins, twins.twin, turn, "delete-insert")
        sick = twins.twin
        sick.age()
        prepared = treatment.prepare(sick.request(), Wish(recover=True), progress=silent)
        before = sick.rows()
        if prepared.plan.cures:
            receipt = sick.apply(prepared)
            assert not sick.prove(prepared, receipt).new
        assert _read(twins.twin) == _read(twins.clean), prepared.plan
        assert treatment.prepare(sick.request(), Wish(recover=True, unsafe=True), progress=silent).plan.is_empty
        if prepared.plan.cures:
            sick.undo(receipt)
            assert sick.rows() == before


def _merge(twins: Twins, world: Patient, turn: Turn, strategy: str) -> None:
    import dlt

    name = "shop" if turn.is_ours else "concepts"
    pipeline = dlt.pipeline(
        name,
        pipelines_dir=str(world.pipelines_dir),
        destination=dlt.destinations.postgres(credentials=twins_of._loader(world.dsn)),
        dataset_name="shop",
    )
    data = [_theirs(*row) if not turn.is_ours else _ours(*row) for row in turn.rows]
    columns: dict[str, Any] = {} if not turn.is_ours else {"score": {"data_type": "bigint"}}
    disposition: Any = {"disposition": "merge", "strategy": strategy}
    pipeline.run(
        dlt.resource(data, name="orders", primary_key="id", write_disposition=disposition, columns=columns or None)
    )


def _ours(number: int, value: int | None, nested: int) -> dict[str, Any]:
    return {
        "id": number,
        "score": value,
        "badge": f"it's {value} \\ of {number}",
        "items": [{"sku": f"{number}-{value}-{n}", "tags": [f"{n}", "z"]} for n in range(nested)],
    }


def _theirs(number: int, value: int | None, _: int) -> dict[str, Any]:
    return {"id": number, "concept": f"c{value}"}


def _read(world: Patient) -> list[str]:
    """Every order with its items and their tags, without dlt's own columns."""
    with psycopg.connect(world.dsn, row_factory=dict_row) as connection:
        connection.execute("SET search_path TO shop")
        has = connection.execute("SELECT to_regclass('orders__items') IS NOT NULL AS there").fetchall()[0]["there"]
        orders = connection.execute("SELECT * FROM orders").fetchall()
        items = connection.execute("SELECT * FROM orders__items").fetchall() if has else []
        tags = connection.execute("SELECT * FROM orders__items__tags").fetchall() if has else []
    return sorted(json.dumps(_tree(order, [items, tags]), sort_keys=True, default=str) for order in orders)


def _tree(row: dict[str, Any], below: Sequence[list[dict[str, Any]]]) -> dict[str, Any]:
    own = {k: v for k, v in row.items() if not k.startswith(BOOKKEEPING)}
    nested = [r for r in below[0] if r["_dlt_parent_id"] == row["_dlt_id"]] if below else []
    in_order = sorted(nested, key=lambda r: (r["_dlt_list_idx"], str(r)))
    return {**own, "below": [_tree(r, below[1:]) for r in in_order]}
