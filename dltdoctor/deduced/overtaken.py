"""Whether the package of a load that was overtaken can bring its rows after all, as far as a snapshot tells. Pure."""

from collections.abc import Iterable

from dltdoctor.finding import Safety
from dltdoctor.snapshot import Database, Package, Pipeline, Schema, SchemaTable

FULL = ("scd2", "cdc")  # what a load does not bring counts as gone: a load that is missing changes the others


def obstacle(package: Package, pipeline: Pipeline, tables: Iterable[str]) -> str | None:
    """Why the package cannot bring the rows of these tables, as one clause; None where it can."""
    for root in _unsettled(package, pipeline):
        if not {t.name for t in _chain(package, pipeline, root)} & set(tables):
            continue
        if root.disposition == "merge" and root.merge_strategy in FULL:
            return f"{root.name} is merged by {root.merge_strategy}, which cannot take a load after a later one"
        if root.disposition == "replace":
            return f"it was to replace {root.name}, which the next run does again"
    return None


def safety(package: Package, pipeline: Pipeline, dataset: str, database: Database) -> Safety:
    """Unsafe where rows that later loads brought or deleted may be changed."""
    merged = [t for t in _unsettled(package, pipeline) if t.disposition == "merge" and t.merge_strategy not in FULL]
    forgets = any(c.hard_delete for t in merged for c in t.columns) and _is_any_missing(
        package, pipeline, dataset, database
    )
    return "unsafe" if forgets or any(t.merge_keys for t in merged) else "safe"


def _unsettled(package: Package, pipeline: Pipeline) -> list[SchemaTable]:
    """The root tables of which something has not arrived."""
    schema = _schema(package, pipeline)
    known = [table for job in package.jobs if schema and (table := schema.table(job.table))]
    roots = [schema.table(name) for name in dict.fromkeys(t.root for t in known)] if schema else []
    return [root for root in roots if root and _is_unsettled(package, pipeline, root)]


def _is_unsettled(package: Package, pipeline: Pipeline, root: SchemaTable) -> bool:
    names = [t.name for t in _chain(package, pipeline, root)]
    data = [j for j in package.jobs_of(*names) if not j.is_followup]
    moves = [j for j in package.jobs_of(root.name) if j.is_followup]
    if root.disposition == "merge":
        return bool(data) and not (moves and all(j.status == "completed" for j in moves))
    is_left = any(j.status != "completed" for j in (*data, *moves))
    return is_left and not (root.disposition == "replace" and _is_replaced(package, pipeline, root))


def _is_replaced(package: Package, pipeline: Pipeline, root: SchemaTable) -> bool:
    """A later load has replaced the table since."""
    return any(
        p.load_id > package.load_id and p.stage == "loaded" and p.jobs_of(root.name)
        for p in pipeline.packages
        if p.schema_name == package.schema_name
    )


def _is_any_missing(package: Package, pipeline: Pipeline, dataset: str, database: Database) -> bool:
    """Not every recorded load left a package here."""
    here = [p for p in pipeline.packages if p.schema_name == package.schema_name and p.stage == "loaded" and p.jobs]
    mine = [s for s in database.loads if (s.dataset, s.schema_name) == (dataset, package.schema_name)]
    newest = {s.newest_load_id for s in mine} - {p.load_id for p in pipeline.packages}
    return bool(newest) or sum(s.rows for s in mine) > len(here)


def _chain(package: Package, pipeline: Pipeline, root: SchemaTable) -> tuple[SchemaTable, ...]:
    schema = _schema(package, pipeline)
    return schema.chain(root.name) if schema else ()


def _schema(package: Package, pipeline: Pipeline) -> Schema | None:
    return package.schema or pipeline.schema(package.schema_name)
