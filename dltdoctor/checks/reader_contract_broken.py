"""A declared reader does not get what it was promised.

The table is missing, or the reader's search path does not lead to it; a column is missing, or holds
fewer values than the contract asks for; or the newest load is older than it allows. The contract
stands in dltdoctor.toml, see docs/readers.md.

*Why it matters.* The reader fails, or goes on with NULLs and old rows without noticing.

*Fix safety.* There is nothing to rewrite here: the other findings about the table say why it is empty
or old. Where the promise is outdated, change the contract.
"""

from collections.abc import Iterable, Iterator

from dltdoctor import sketch
from dltdoctor.check import Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.promises import Promise, promises
from dltdoctor.snapshot import Catalog, Pipeline, Reader, Route, Share, Snapshot
from dltdoctor.words import identifier, listed, moment, relation


def _mostly_null() -> Snapshot:
    return sketch.read_by(columns={"amount": 0.95}, shares={"amount": Share(non_null=0.4)})


def _no_such_column() -> Snapshot:
    return sketch.read_by(columns={"total": None})


def _not_on_the_path() -> Snapshot:
    return sketch.read_by(search_path=("public",), resolved=None)


def _no_such_table() -> Snapshot:
    return sketch.read_by(table="invoices", copies=(), resolved=None)


def _old() -> Snapshot:
    return sketch.read_by(fresh_within=3600.0)


def _kept() -> Snapshot:
    return sketch.read_by(columns={"amount": 0.95}, shares={"amount": Share(non_null=0.97)}, fresh_within=1e9)


@check(
    "DD601",
    Severity.ERROR,
    sick=[_mostly_null, _no_such_column, _not_on_the_path, _no_such_table, _old],
    well=[_kept, sketch.world],
)
def reader_contract_broken(
    readers: tuple[Reader, ...], routes: tuple[Route, ...], pipelines: tuple[Pipeline, ...], catalog: Catalog
) -> Iterable[Note]:
    for promise in promises(readers, routes, pipelines, catalog):
        if promise.reader.role_exists:
            yield from _broken(promise, catalog)


def _broken(promise: Promise, catalog: Catalog) -> Iterator[Note]:
    if promise.meant is None:
        yield _missing(promise)
        return
    if promise.table.schema is None and promise.table.resolved is None and promise.meant.usage:
        yield _out_of_sight(promise)
    place = relation(promise.meant.schema, promise.meant.table)
    absent = [name for name in promise.contract.columns if name not in promise.meant.columns]
    if absent:
        yield _note(
            promise,
            f"{promise.who} reads {listed(absent)} of {place}: there is no such column",
            Evidence(f"{place} has no column {listed(absent)}", "pg_attribute"),
            identity="columns",
        )
    for name, least in promise.contract.columns.items():
        share = promise.meant.columns.get(name)
        if least and share and (share.exact or share.non_null is not None) and (share.non_null or 0.0) < least:
            yield _too_empty(promise, place, name, least, share)
    yield from _stale(promise, place, catalog)


def _note(promise: Promise, message: str, fact: Evidence, *, identity: str, remedy: Remedy | None = None) -> Note:
    declared = Evidence(f"{promise.contract.name!r} reads {promise.table.declared}", promise.contract.origin)
    return Note(
        message=message,
        pipeline=promise.pipeline,
        dataset=promise.dataset,
        table=promise.table.name,
        evidence=(declared, fact),
        remedy=remedy,
        identity=f"{promise.contract.name} {promise.table.declared} {identity}",
    )


def _missing(promise: Promise) -> Note:
    where = f" in {promise.dataset}" if promise.dataset else ""
    return _note(
        promise,
        f"{promise.who} reads {promise.table.declared}: there is no such table{where}",
        Evidence(f"no relation {promise.table.name}{where} of {promise.reader.database}", "pg_class"),
        identity="table",
    )


def _out_of_sight(promise: Promise) -> Note:
    path = ", ".join(promise.reader.search_path) or "empty"
    role, dataset = identifier(promise.reader.role), identifier(promise.dataset or "")
    remedy = Remedy(
        "Name the schema in the reader, or add it to the role's search path",
        "manual",
        f"ALTER ROLE {role} SET search_path = {', '.join(map(identifier, promise.reader.search_path))}, {dataset};"
        if promise.contract.search_path is None and promise.reader.search_path
        else None,
    )
    return _note(
        promise,
        f"{promise.who} does not find {promise.table.name}: it is in {promise.dataset}, the search path is {path}",
        Evidence(f"the search path is {path}", promise.reader.search_path_origin),
        identity="path",
        remedy=remedy,
    )


def _too_empty(promise: Promise, place: str, column: str, least: float, share: Share) -> Note:
    about = "" if share.exact else "about "
    held = "the table is empty" if share.non_null is None else f"{about}{share.non_null:.1%} of its values are there"
    source = f"count({column})" if share.exact else "pg_stats.null_frac"
    return _note(
        promise,
        f"{promise.who} needs {least:.1%} of {place}.{column} to hold a value: {held}",
        Evidence(f"{column}: {held}", source),
        identity=f"share {column}",
        remedy=Remedy("See where the values are", "manual", f"dltdoctor where {promise.table.name}"),
    )


def _stale(promise: Promise, place: str, catalog: Catalog) -> Iterator[Note]:
    """The newest load of the schemas that own the table; of any schema where none is known to."""
    within = promise.contract.fresh_within
    database = next((d for d in catalog.databases if d.target.key == promise.reader.database), None)
    if within is None or database is None:
        return
    names = {w.schema for w in promise.owners if w.final == promise.dataset}
    loads = [
        load
        for load in database.loads
        if load.dataset == promise.dataset and (not names or load.schema_name in names or load.schema_name is None)
    ]
    newest = max(loads, key=lambda load: load.newest, default=None)
    if newest and database.read_at - newest.newest <= within:
        return
    when = f"the newest load was recorded at {moment(str(newest.newest))}" if newest else "no load of it is recorded"
    yield _note(
        promise,
        f"{promise.who} needs {place} to be at most {_span(within)} old: {when}",
        Evidence(when, f"{promise.dataset}._dlt_loads"),
        identity="fresh",
    )


def _span(seconds: float) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{seconds / size:g} {unit}s"
    return f"{seconds:g} seconds"
