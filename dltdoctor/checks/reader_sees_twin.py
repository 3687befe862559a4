"""A declared reader gets another table of the same name.

The reader does not name a schema, and its search path leads to a table of that name which is not the
one the pipeline loads: an old copy, a staging table, somebody else's.

*Why it matters.* Nothing fails. The reader works with rows that no load will ever change, or that the
next load truncates.

*Fix safety.* Naming the schema in the reader touches no row. A changed search path changes what every
other bare name of that role leads to.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.promises import promises
from dltdoctor.snapshot import Catalog, Pipeline, Reader, Route, Snapshot
from dltdoctor.words import listed, relation


def _old_copy() -> Snapshot:
    copies = (sketch.copy(), sketch.copy(schema="public"))
    return sketch.read_by(search_path=("public", "shop"), resolved="public", copies=copies)


def _final_first() -> Snapshot:
    copies = (sketch.copy(), sketch.copy(schema="public"))
    return sketch.read_by(search_path=("shop", "public"), resolved="shop", copies=copies)


@check("DD603", Severity.ERROR, sick=[_old_copy], well=[_final_first, sketch.world])
def reader_sees_twin(
    readers: tuple[Reader, ...], routes: tuple[Route, ...], pipelines: tuple[Pipeline, ...], catalog: Catalog
) -> Iterable[Note]:
    for promise in promises(readers, routes, pipelines, catalog):
        resolved = promise.table.resolved
        if not promise.is_twin or resolved is None or not promise.reader.role_exists:
            continue
        name, contract = promise.table.name, promise.contract
        stagings = {way.staging for way in promise.owners}
        kind = "the staging dataset, which the next load truncates" if resolved in stagings else "not its dataset"
        yield Note(
            message=f"{promise.who} gets {relation(resolved, name)}: {listed(sorted({w.pipeline for w in promise.owners}))} "
            f"loads {relation(promise.dataset or '', name)}, and {resolved} is {kind}",
            pipeline=promise.pipeline,
            dataset=promise.dataset,
            table=name,
            evidence=(
                Evidence(f"{contract.name!r} reads {promise.table.declared}", contract.origin),
                Evidence(
                    f"the search path is {', '.join(promise.reader.search_path)}", promise.reader.search_path_origin
                ),
                Evidence(f"{relation(resolved, name)} comes first on it", "pg_class"),
            ),
            remedy=Remedy(f"Let the reader name {relation(promise.dataset or '', name)}", "manual"),
            identity=f"{contract.name} {promise.table.declared}",
        )
