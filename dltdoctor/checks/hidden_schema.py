"""A schema exists, and this role may not look into it.

Postgres tells everybody that the schema is there (pg_namespace), and nothing about its tables to a
role without USAGE, or about their rows without SELECT. The rows may be there or not.

*Why it matters.* Through information_schema the same database looks empty, which is how people come
to believe that their rows are lost.

*Fix safety.* The printed GRANTs give the examining role the right to read, nothing else.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import Note, check
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Snapshot, Unread


def _no_usage() -> Snapshot:
    hidden = Unread(
        code="DD003",
        what="schema shop",
        reason="the role reader has no USAGE on schema shop",
        hint="GRANT USAGE ON SCHEMA shop TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA shop TO reader;",
        areas=("catalog",),
        dataset="shop",
    )
    return sketch.world(on=sketch.database(hidden=["shop"]), unread=(hidden,))


def _all_visible() -> Snapshot:
    return sketch.world(on=sketch.database())


@check("DD003", Severity.WARNING, sick=[_no_usage], well=[_all_visible])
def hidden_schema(unread: tuple[Unread, ...]) -> Iterable[Note]:
    for part in unread:
        if part.code == "DD003":
            yield Note(
                message=f"cannot see into {part.what}, which is not the same as empty: {part.reason}",
                pipeline=part.pipeline,
                dataset=part.dataset,
                evidence=(Evidence(part.reason, "pg_namespace, has_schema_privilege(), has_table_privilege()"),),
                remedy=Remedy("Let the examining role read it", "manual", part.hint or None),
                identity=part.what,
            )
