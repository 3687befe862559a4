"""Two worlds of one package: in the first dlt loads it, in the second its merge is denied and dltdoctor repairs it.

Both are given the very same normalised package, so that load ids, row keys and boundaries are the same
and every table can be compared row for row.
"""

import itertools
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
import psycopg
from hypothesis import reject
from hypothesis import strategies as st
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from dltdoctor.cures.migrate import DELETED
from tests.repairing import Patient

Kind = Literal[
    "delete-insert",
    "merge-key",
    "upsert",
    "insert-only",
    "scd2",
    "key-less",
    "dedup",
    "insert-from-staging",
    "staging-optimized",
]
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]
REPLACING = ("insert-from-staging", "staging-optimized")
DELETING = ("delete-insert", "merge-key", "upsert", "dedup")
ROLE, PASSWORD = "dltdoctor_differential", "of-the-twin"
SETTLED = {"DD201", "DD202", "DD203"}
TRUE_OF_ITSELF = {"DD305"}  # one kind has no key
# Written by now() at the moment of the load or of the repair.
CLOCKS = {"_dlt_loads": ("inserted_at",), "_dlt_version": ("inserted_at",)}
VALIDITY = ("_dlt_valid_from", "_dlt_valid_to")
_numbers = itertools.count(1)


class Root(msgspec.Struct, frozen=True):
    """A resource: `key` are its primary key's columns, `depth` that of its nested lists."""

    kind: Kind
    key: tuple[str, ...]
    depth: int
    deletes: bool
    batches: tuple[tuple[tuple[int, int, int], ...], ...]

    @property
    def is_keyed(self) -> bool:
        return self.kind in ("delete-insert", "upsert", "insert-only", "dedup")


class Recipe(msgspec.Struct, frozen=True):
    """A pipeline and its batches; in the last batch the merge jobs of `denied` roots fail."""

    roots: tuple[Root, ...]
    denied: frozenset[int]
    quoted_names: bool
    keeps_package: bool
    late_column: bool

    @property
    def last(self) -> int:
        return len(self.roots[0].batches) - 2

    def table(self, at: int) -> str:
        # No blank: the temporary tables of dlt's own merge are not quoted.
        return f"OrDer{at}" if self.quoted_names else f"orders_{at}"

    def column(self, name: str) -> str:
        return f"The {name.title()}" if self.quoted_names else name


@st.composite
def recipes(draw: st.DrawFn, *, keeps_package: bool) -> Recipe:
    """A recipe; the last batch is loaded after the repair, the one before it is the one that fails."""
    count = draw(st.integers(2, 3)) + 1
    replace = draw(st.sampled_from(REPLACING))
    kinds = draw(
        st.lists(st.sampled_from([k for k in KINDS if k not in REPLACING] + [replace]), min_size=1, max_size=3)
    )
    roots = tuple(draw(_roots(kind, count)) for kind in kinds)
    denied = draw(st.sets(st.integers(0, len(roots) - 1), min_size=1))
    return Recipe(
        roots=roots,
        denied=frozenset(denied),
        quoted_names=draw(st.booleans()),
        keeps_package=keeps_package,
        late_column=draw(st.booleans()),
    )


@st.composite
def _roots(draw: st.DrawFn, kind: Kind, count: int) -> Root:
    key = draw(st.sampled_from([("id",), ("id", "part")]))
    # (id, value, how many nested items): every id once a batch, but for dedup_sort, which has an order
    row = st.tuples(st.integers(1, 6), st.integers(0, 99), st.integers(0, 2))
    unique = None if kind in ("dedup", "key-less", *REPLACING) else (lambda r: r[0])
    sorted_by = (lambda r: (r[0], r[1])) if kind == "dedup" else unique
    batch = (
        st.lists(row, min_size=1, max_size=5, unique_by=sorted_by)
        if sorted_by
        else st.lists(row, min_size=1, max_size=5)
    )
    return Root(
        kind=kind,
        key=key,
        depth=draw(st.integers(0, 3)),
        deletes=kind in DELETING and draw(st.booleans()),
        batches=tuple(tuple(draw(batch)) for _ in range(count)),
    )


class Twins(msgspec.Struct, frozen=True):
    """The clean world and its twin."""

    recipe: Recipe
    admin: str
    clean: Patient
    twin: Patient

    @property
    def dataset(self) -> str:
        return "Shop" if self.recipe.quoted_names else "shop"


def check(recipe: Recipe, admin: str, place: Path) -> None:
    """Load in one world, fail and repair in its twin, compare; then undo, redo, and run dlt again in both."""
    with _twins(recipe, admin, place) as twins:
        with _of_dlt():
            for batch in range(recipe.last):
                _run(twins, twins.clean, batch)
            _pipeline(twins, twins.clean).extract(_resources(recipe, recipe.last))
            _pipeline(twins, twins.clean).normalize()
        _copy(twins)
        with _of_dlt():
            _pipeline(twins, twins.clean).load()
        _fail(twins)
        _repair(twins)
        for world in (twins.clean, twins.twin):
            _run(twins, world, recipe.last + 1)
        same(facts(twins, twins.twin), facts(twins, twins.clean))
        assert twins.twin.codes("error", "warning") <= TRUE_OF_ITSELF


def _repair(twins: Twins) -> None:
    twin, recipe = twins.twin, twins.recipe
    before = rows(twins, twin)
    if not recipe.keeps_package:
        shutil.rmtree(twin.pipelines_dir / "shop")
    files = twin.files()
    prepared = twin.prepare()
    if not prepared.plan.cures and all(held.reason == DELETED for held in prepared.plan.held_back):
        reject()  # nothing but deletions was denied, and they are done
    assert not [held for held in prepared.plan.held_back if held.reason != DELETED]
    receipt = twin.apply(prepared)
    proof = twin.prove(prepared, receipt)
    assert not proof.remaining
    assert not proof.new
    repaired = rows(twins, twin)
    same(repaired, rows(twins, twins.clean))
    undone = twin.undo(receipt)
    same(rows(twins, twin), before)
    assert twin.files() == files
    twin.undo(undone)
    same(rows(twins, twin), repaired)
    twin.age()


def rows(twins: Twins, world: Patient) -> dict[str, list[str]]:
    """Every row of every table of the final dataset; without what is excluded, each for its reason."""
    left_out = {k: list(v) for k, v in CLOCKS.items()}
    found = {}
    for table, columns in _columns(world, twins.dataset).items():
        if table == "_dlt_loads" and not is_provable(twins.recipe):
            continue
        hidden = set(left_out.get(table, []))
        if not twins.recipe.keeps_package:
            hidden |= set(VALIDITY)  # the boundary stands in the package only; the load id is as near as one gets
        names = [c for c in columns if c not in hidden]
        found[table] = _select(world, twins.dataset, table, names)
    return found


def is_provable(recipe: Recipe) -> bool:
    """Whether anything says that the load is whole: a table that dlt moved leaves nothing in staging to compare."""
    moved = any(_is_moved(recipe, at) for at in range(len(recipe.roots)) if at not in recipe.denied)
    return recipe.keeps_package or not moved


def same(found: dict[str, list[str]], wanted: dict[str, list[str]]) -> None:
    """Fail with the rows that differ, by table."""
    for table in sorted({*found, *wanted}):
        have, want = (Counter(side.get(table, ["no table"])) for side in (found, wanted))
        if have != want:
            raise AssertionError(f"{table}: too many: {list(have - want)}, missing: {list(want - have)}")


def facts(twins: Twins, world: Patient) -> dict[str, list[str]]:
    """The rows' own values: what two runs of dlt on the same data agree on."""
    found = {}
    for table, columns in _columns(world, twins.dataset).items():
        if not table.startswith("_dlt"):
            found[table] = _select(world, twins.dataset, table, [c for c in columns if not c.startswith("_dlt")])
    return found


def _columns(world: Patient, dataset: str) -> dict[str, list[str]]:
    query = sql.SQL(
        "SELECT relname, array_agg(attname::text ORDER BY attname) FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid"
        " WHERE relnamespace = to_regnamespace({}) AND relkind = 'r' AND attnum > 0 AND NOT attisdropped"
        " AND relname NOT LIKE '%dltdoctor%' GROUP BY relname"
    ).format(sql.Literal(sql.Identifier(dataset).as_string(None)))
    with psycopg.connect(world.dsn) as connection:
        return dict(connection.execute(query).fetchall())


def _select(world: Patient, dataset: str, table: str, columns: Sequence[str]) -> list[str]:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    query = sql.SQL("SELECT ROW({})::text FROM {}").format(names, sql.Identifier(dataset, table))
    with psycopg.connect(world.dsn) as connection:
        return sorted(text for (text,) in connection.execute(query))


# ------------------------------------------------------------------------------------ dlt


def _pipeline(twins: Twins, world: Patient) -> Any:
    import dlt

    replacing = next((r.kind for r in twins.recipe.roots if r.kind in REPLACING), "truncate-and-insert")
    destination = dlt.destinations.postgres(credentials=_loader(world.dsn), replace_strategy=replacing)
    return dlt.pipeline(
        "shop", pipelines_dir=str(world.pipelines_dir), destination=destination, dataset_name=twins.dataset
    )


@contextmanager
def _of_dlt() -> Iterator[None]:
    """Give up an example that dlt itself cannot load: some of its merges leave names unquoted."""
    from dlt.pipeline.exceptions import PipelineStepFailed

    try:
        yield
    except PipelineStepFailed as error:
        if "does not exist" in str(error):
            reject()
        raise


def _run(twins: Twins, world: Patient, batch: int) -> None:
    _pipeline(twins, world).run(_resources(twins.recipe, batch))


def _resources(recipe: Recipe, batch: int) -> list[Any]:
    return [_resource(recipe, at, root, batch) for at, root in enumerate(recipe.roots)]


def _resource(recipe: Recipe, at: int, root: Root, batch: int) -> Any:
    import dlt

    column = recipe.column
    hints: dict[str, Any] = {}
    columns: dict[str, Any] = {}
    if root.is_keyed:
        hints["primary_key"] = [column(k) for k in root.key]
    if root.kind == "merge-key":
        hints["merge_key"] = column("part")
    if root.deletes:
        columns[column("gone")] = {"hard_delete": True, "data_type": "bool"}
    if root.kind == "dedup":
        columns[column("value")] = {"dedup_sort": "desc"}
    strategy = root.kind if root.kind in ("upsert", "insert-only", "scd2") else "delete-insert"
    disposition: Any = "replace" if root.kind in REPLACING else {"disposition": "merge", "strategy": strategy}
    data = [_item(recipe, root, batch, row) for row in root.batches[batch]]
    return dlt.resource(data, name=recipe.table(at), write_disposition=disposition, columns=columns or None, **hints)


def _item(recipe: Recipe, root: Root, batch: int, row: tuple[int, int, int]) -> dict[str, Any]:
    number, value, nested = row
    if root.kind == "insert-only" and not recipe.keeps_package:
        # Rows whose keys are all there have nowhere to go: without a package nobody can call them stranded,
        # though dlt's own merge would have added their nested rows.
        number += 10 * batch
    if root.kind == "scd2" and not recipe.keeps_package:
        value += 100 * batch  # likewise: rows that are all there as they are
    item: dict[str, Any] = {"id": number, "part": number % 3, "value": value, "note": f'it\'s "{value}"; %s'}
    if root.deletes:
        item["gone"] = value % 4 == 0
    if recipe.late_column and batch >= recipe.last and root.kind != "staging-optimized":
        item["late"] = value
    named = {recipe.column(k): v for k, v in item.items()}
    return named | _nested(recipe, root.depth, nested, value)


def _nested(recipe: Recipe, depth: int, many: int, value: int) -> dict[str, Any]:
    if depth == 0:
        return {}
    return {
        recipe.column("items"): [
            {recipe.column("sku"): f"{value}-{depth}-{n}"} | _nested(recipe, depth - 1, many, value)
            for n in range(many)
        ]
    }


# ------------------------------------------------------------------------------------ two worlds


@contextmanager
def _twins(recipe: Recipe, admin: str, place: Path) -> Iterator[Twins]:
    names = [f"dltdoctor_twin_{os.getpid()}_{next(_numbers)}" for _ in range(2)]
    with psycopg.connect(admin, autocommit=True) as connection:
        with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):
            connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'".encode())
        connection.execute(f"CREATE DATABASE {names[0]} TEMPLATE template0 ENCODING 'UTF8' OWNER {ROLE}".encode())
        settings = {
            "SCHEMA__NAMING": "direct" if recipe.quoted_names else "snake_case",
            "RUNTIME__LOG_LEVEL": "CRITICAL",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        os.environ.update(settings)
        try:
            clean, twin = (_world(admin, name, place / name) for name in names)
            yield Twins(recipe=recipe, admin=admin, clean=clean, twin=twin)
        finally:
            for name in settings:
                del os.environ[name]
            for name in names:
                connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
                shutil.rmtree(place / name, ignore_errors=True)


def _world(admin: str, database: str, place: Path) -> Patient:
    parts = conninfo_to_dict(admin) | {"dbname": database}
    dsn = "postgresql://{user}{secret}@{host}:{port}/{dbname}".format(
        secret=f":{parts['password']}" if parts.get("password") else "", **{"port": "5432", **parts}
    )
    (place / "world" / "project").mkdir(parents=True)
    (place / "world" / "pipelines").mkdir()
    return Patient(
        root=place, project=place / "world" / "project", pipelines_dir=place / "world" / "pipelines", dsn=dsn
    )


def _loader(dsn: str) -> str:
    parts = conninfo_to_dict(dsn)
    return f"postgresql://{ROLE}:{PASSWORD}@{parts['host']}:{parts.get('port', 5432)}/{parts['dbname']}"


def _copy(twins: Twins) -> None:
    source, target = (str(conninfo_to_dict(w.dsn)["dbname"]) for w in (twins.clean, twins.twin))
    shutil.rmtree(twins.twin.pipelines_dir)
    shutil.copytree(twins.clean.pipelines_dir, twins.twin.pipelines_dir)
    with psycopg.connect(twins.admin, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
            (source,),
        )
        connection.execute(f"CREATE DATABASE {target} TEMPLATE {source} OWNER {ROLE}".encode())


def _fail(twins: Twins) -> None:
    """While dlt loads, the denied tables may not be written: it can stage their rows, but not move them."""
    from dlt.pipeline.exceptions import PipelineStepFailed

    role = sql.Identifier(ROLE)
    places = [sql.Identifier(twins.dataset, twins.recipe.table(at)) for at in sorted(twins.recipe.denied)]
    moved = [p for p, at in zip(places, sorted(twins.recipe.denied), strict=True) if _is_moved(twins.recipe, at)]
    _as_admin(twins, [sql.SQL("ALTER TABLE {} OWNER TO CURRENT_USER").format(p) for p in moved])
    # The owner of a schema may drop any table in it.
    schema = sql.Identifier(twins.dataset)
    _as_admin(twins, [sql.SQL("ALTER SCHEMA {} OWNER TO CURRENT_USER").format(schema)] if moved else [])
    _as_admin(twins, [sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {}").format(schema, role)] if moved else [])
    _as_admin(twins, [sql.SQL("GRANT SELECT ON {} TO {}").format(p, role) for p in moved])
    _as_admin(twins, [sql.SQL("REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {} FROM {}").format(p, role) for p in places])
    try:
        _pipeline(twins, twins.twin).load()
    except PipelineStepFailed as error:
        assert "permission denied" in str(error) or "must be owner" in str(error), error
    else:
        raise AssertionError("the merge was to fail")
    finally:
        _as_admin(twins, [sql.SQL("ALTER SCHEMA {} OWNER TO {}").format(schema, role)])
        _as_admin(twins, [sql.SQL("ALTER TABLE {} OWNER TO {}").format(p, role) for p in moved])
        _as_admin(twins, [sql.SQL("GRANT ALL ON {} TO {}").format(p, role) for p in places])
    twins.twin.age()


def _is_moved(recipe: Recipe, at: int) -> bool:
    """dlt drops the final table and moves the staged one to its place: only its owner can be denied that."""
    return recipe.roots[at].kind == "staging-optimized"


def _as_admin(twins: Twins, statements: Sequence[sql.Composed]) -> None:
    with psycopg.connect(twins.twin.dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
