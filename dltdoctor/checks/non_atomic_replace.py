"""Replaced tables are empty while they load.

The default replace strategy, `truncate-and-insert`, truncates the final tables at the start of the load, in a
transaction of its own, and fills them afterwards.

*Why it matters.* Readers that look meanwhile find an empty table or a part of the rows. When the load fails
after the truncation, the tables stay so until it is finished.

*Fix safety.* With `insert-from-staging` the rows are staged first, and the final tables are emptied and filled
in one transaction. It needs room for both copies, and the right to create the staging dataset. Before dlt 1.29 a
staging dataset that is there already does not get the new tables, and the load fails: the rewrite is not offered
then.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.declared import stored_tables
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Config, Pipeline, Route, SchemaTable, Snapshot
from dltdoctor.words import command, listed

STRATEGY = "replace_strategy"
_DEFAULTS = (None, "truncate-and-insert")


def _replaced(**changes: Any) -> Snapshot:
    facts = {"disposition": "replace", "merge_strategy": None, **changes}
    setting = sketch.setting(STRATEGY, None, provider="default", location="dlt's default")
    return sketch.world(sketch.pipeline(tables=[sketch.table("rates", **facts)]), settings=[setting])


def _staged() -> Snapshot:
    return _replaced(replace_strategy="insert-from-staging")


def _never_loaded() -> Snapshot:
    return _replaced(seen_data=False)


@check(
    "DD504",
    Severity.INFO,
    sick=[_replaced],
    well=[_staged, _never_loaded, sketch.world],
    url=f"{DLT_DOCS}/general-usage/full-loading",
)
def non_atomic_replace(pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], config: Config) -> Iterable[Note]:
    replaced: dict[str, list[str]] = defaultdict(list)
    origins: dict[str, str] = {}
    for stored in stored_tables(pipelines, routes):
        if is_not_atomic(stored.table):
            replaced[stored.route.pipeline].append(stored.table.name)
            origins.setdefault(stored.route.pipeline, stored.schema.origin)
    for pipeline, tables in replaced.items():
        winner = config.of(pipeline)[STRATEGY].winner
        if winner is None:  # its configuration is somewhere else
            continue
        names = sorted(set(tables))
        yield Note(
            message=f"{listed(names)} {'is' if len(names) == 1 else 'are'} empty while a load replaces "
            f"{'it' if len(names) == 1 else 'them'} (truncate-and-insert)",
            pipeline=pipeline,
            evidence=(
                Evidence(f"{STRATEGY}: {winner.display}", winner.location),
                Evidence(f"write disposition replace: {listed(names)}", origins[pipeline]),
            ),
            remedy=Remedy(
                f'If readers look meanwhile: set {STRATEGY} = "insert-from-staging"',
                "safe",
                command("dltdoctor", "fix", pipeline, "--config", "--select", "DD504"),
            ),
        )


def is_not_atomic(table: SchemaTable) -> bool:
    """True for a table that is truncated before it is filled."""
    return table.disposition == "replace" and table.replace_strategy in _DEFAULTS
