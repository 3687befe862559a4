"""Looks into final tables that cost no more than a few megabytes read, or all of them when asked for.

A small table is read whole. Of a large one the last blocks are read, where the newest rows are, and what
ANALYZE has kept; what neither can tell (keys that are repeated) is left to a deep look.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from dltdoctor.snapshot import Looks, Orphans, RepeatedKey, Rows, RowsOfLoad, Table, UnlistedRows, VariantRows
from dltdoctor.world.postgres.batches import BATCH, Progress, read_parts, template
from dltdoctor.world.postgres.dlt_tables import read_load_rows
from dltdoctor.world.postgres.facts import Key, read_facts
from dltdoctor.world.postgres.failures import FailedReadError
from dltdoctor.world.postgres.proof import LOAD_ID
from dltdoctor.world.postgres.session import Session
from dltdoctor.world.questions import OfLoad, Orphaned, Question, Repeated, Unlisted, Variant

LARGEST = 8 * 1024 * 1024
"""Bytes of a table that is read whole."""
ALL_TOGETHER = 64 * 1024 * 1024
"""Bytes of all the tables that are larger than those that are counted anyway."""
BLOCK = 8192
TAIL_BLOCKS = 64
TAIL_ROWS = 200
RANGE_SCANS = 140000
"""From this version of Postgres on a range of blocks is read without the blocks before it."""
COMMON = 0.001
PATIENCE = {"statement_timeout": "2s"}
DEEP_PATIENCE = {"statement_timeout": "600s"}


class _Answer(NamedTuple):
    question: Question
    number: int
    load_id: str | None
    rows: int
    exact: bool


def look(
    session: Session,
    questions: Iterable[Question],
    tables: Mapping[Key, Table],
    counts: Mapping[Key, Rows],
    *,
    deep: bool,
    progress: Progress | None = None,
) -> Looks:
    """What the questions found. A table that could not be read has no answer."""
    asked = tuple(questions)
    whole, parted = (asked, ()) if deep else _shared_out(session, asked, counts)
    answers = list(_whole(session, whole, deep=deep, progress=progress))
    if parted:
        sizes = {key: f.size or 0 for key, f in read_facts(session, _tables(parted)).facts.items()}
        answers += _tails(session, parted, sizes)
        answers += _statistics(session, parted, tables, counts)
    return _looks(session, answers, tables)


def _tables(questions: Iterable[Question]) -> list[Table]:
    return list({(q.table.schema, q.table.name): q.table for q in questions}.values())


def _needs(question: Question) -> list[Table]:
    """The tables that are read; those that are looked up by an index are not."""
    return [question.table, question.above] if isinstance(question, Orphaned) else [question.table]


def _shared_out(
    session: Session, asked: Sequence[Question], counts: Mapping[Key, Rows]
) -> tuple[list[Question], list[Question]]:
    """Questions whose tables may be read whole, the smallest first, and the others."""

    def was_counted(table: Table) -> bool:
        known = counts.get((table.schema, table.name))
        return known is not None and known.exact

    larger = [t for t in _tables_needed(asked) if not was_counted(t)]
    facts = read_facts(session, larger).facts if larger else {}
    sizes = {key: f.size for key, f in facts.items() if f.size is not None and f.size <= LARGEST}
    left, affordable = ALL_TOGETHER, set[Key]()
    for key, size in sorted(sizes.items(), key=lambda each: (each[1] or 0, each[0])):
        left -= size or 0
        if left < 0:
            break
        affordable.add(key)
    whole: list[Question] = []
    parted: list[Question] = []
    for question in asked:
        fits = all(was_counted(t) or (t.schema, t.name) in affordable for t in _needs(question))
        (whole if fits else parted).append(question)
    return whole, parted


def _tables_needed(questions: Iterable[Question]) -> list[Table]:
    return list({(t.schema, t.name): t for q in questions for t in _needs(q)}.values())


def _whole(session: Session, asked: Sequence[Question], *, deep: bool, progress: Progress | None) -> Iterator[_Answer]:
    from dltdoctor.world.postgres.looks_sql import statement  # noqa: PLC0415 - it needs psycopg

    if not deep:
        asked = _suspected(session, asked)
    parts = (statement(i, question) for i, question in enumerate(asked))
    size, patience = (1, DEEP_PATIENCE) if deep else (BATCH, None)
    reading = read_parts(session, parts, size=size, settings=patience, progress=progress, of=len(asked))
    for i, number, load_id, rows in reading.rows:
        yield _Answer(asked[i], number, load_id, rows, exact=True)


def _suspected(session: Session, asked: Sequence[Question]) -> list[Question]:
    """The questions, without those about keys of tables that have no more rows than keys."""
    from dltdoctor.world.postgres.looks_sql import has_surplus  # noqa: PLC0415

    keyed = [q for q in asked if isinstance(q, Repeated)]
    parts = (has_surplus(i, question) for i, question in enumerate(keyed))
    sick = [keyed[i] for i, _ in sorted(read_parts(session, parts).rows)]
    return [*(q for q in asked if not isinstance(q, Repeated)), *sick]


def _tails(session: Session, asked: Sequence[Question], sizes: Mapping[Key, int]) -> Iterator[_Answer]:
    """What the last blocks of large tables show: the least there is."""
    from dltdoctor.world.postgres.looks_sql import statement, tail_from  # noqa: PLC0415

    if session.server_version < RANGE_SCANS:
        return
    able = [q for q in asked if sizes.get((q.table.schema, q.table.name)) and _has_tail(q)]
    parts = []
    for i, question in enumerate(able):
        first = max(0, sizes[question.table.schema, question.table.name] // BLOCK - TAIL_BLOCKS)
        most = TAIL_ROWS if isinstance(question, Orphaned) else None
        parts.append(statement(i, question, tail_from(first, most_rows=most)))
    for i, number, load_id, rows in read_parts(session, parts, settings=PATIENCE).rows:
        yield _Answer(able[i], number, load_id, rows, exact=False)


def _has_tail(question: Question) -> bool:
    """A few rows say something: all but which keys are repeated, and which rows above no index leads to."""
    if isinstance(question, Orphaned):
        return question.above.has_row_key_index
    return not isinstance(question, Repeated)


def _statistics(
    session: Session, asked: Sequence[Question], tables: Mapping[Key, Table], counts: Mapping[Key, Rows]
) -> Iterator[_Answer]:
    """What ANALYZE saw in large tables."""
    able = [q for q in asked if isinstance(q, Unlisted | Variant)]
    suspects: list[tuple[Unlisted, str, int]] = []
    for question, null_share, load_ids, shares in _kept(session, able):
        number = counts.get((question.table.schema, question.table.name), Rows(rows=None)).rows or 0
        if isinstance(question, Unlisted):
            common = zip(load_ids or (), shares or (), strict=False)
            suspects += [(question, load_id, int(share * number)) for load_id, share in common if share >= COMMON]
        elif rows := int((1 - null_share) * number):
            yield _Answer(question, 0, None, rows, exact=False)
    yield from _unlisted(session, suspects, tables)


def _kept(
    session: Session, asked: Sequence[Unlisted | Variant]
) -> Iterator[tuple[Unlisted | Variant, float, Sequence[str] | None, Sequence[float] | None]]:
    from psycopg import sql  # noqa: PLC0415 - not before a connection is wanted

    if not asked:
        return
    query = sql.SQL(template("statistics")).format(
        schemas=[q.table.schema for q in asked],
        names=[q.table.name for q in asked],
        columns=[LOAD_ID if isinstance(q, Unlisted) else q.variant for q in asked],
    )
    with contextlib.suppress(FailedReadError):
        for place, null_share, load_ids, shares in session.fetch(query):
            yield asked[place - 1], null_share, load_ids, shares


def _unlisted(
    session: Session, suspects: Sequence[tuple[Unlisted, str, int]], tables: Mapping[Key, Table]
) -> Iterator[_Answer]:
    """Common load ids that no `_dlt_loads` of their dataset lists, and that are still there."""
    from dltdoctor.world.postgres.looks_sql import holds_load  # noqa: PLC0415

    listed = {(row.dataset, row.load_id) for row in read_load_rows(session, tables, {s[1] for s in suspects})}
    left = [s for s in suspects if (s[0].table.schema, s[1]) not in listed]
    parts = [holds_load(i, question.table, load_id) for i, (question, load_id, _) in enumerate(left)]
    for i, is_there in read_parts(session, parts, size=1, settings=PATIENCE).rows:
        if is_there:
            question, load_id, rows = left[i]
            yield _Answer(question, 0, load_id, max(1, rows), exact=False)


def _looks(session: Session, answers: Iterable[_Answer], tables: Mapping[Key, Table]) -> Looks:
    """The answers as values of the snapshot; of several to one question the one that tells most."""
    best: dict[tuple[Question, str | None], _Answer] = {}
    for answer in answers:
        key = (answer.question, answer.load_id)
        if key not in best or best[key].rows < answer.rows:
            best[key] = answer
    found = tuple(best.values())
    elsewhere: dict[str, set[str]] = defaultdict(set)
    load_ids = {a.load_id for a in found if a.load_id} | {
        a.question.load_id for a in found if isinstance(a.question, OfLoad)
    }
    for row in read_load_rows(session, tables, load_ids):
        elsewhere[row.load_id].add(row.dataset)
    return Looks(
        unlisted=tuple(
            UnlistedRows(
                dataset=q.table.schema,
                table=q.table.name,
                load_id=a.load_id or "",
                rows=a.rows,
                exact=a.exact,
                listed_in=tuple(sorted(elsewhere.get(a.load_id or "", ()))),
            )
            for a in found
            if isinstance(q := a.question, Unlisted)
        ),
        of_loads=tuple(
            RowsOfLoad(
                dataset=q.table.schema,
                table=q.table.name,
                load_id=q.load_id,
                rows=a.rows,
                exact=a.exact,
                listed=q.table.schema in elsewhere.get(q.load_id, ()),
            )
            for a in found
            if isinstance(q := a.question, OfLoad)
        ),
        repeated=tuple(
            RepeatedKey(
                dataset=q.table.schema,
                table=q.table.name,
                columns=q.columns,
                keys=a.number,
                surplus=a.rows,
                valid_to=q.valid_to,
            )
            for a in found
            if isinstance(q := a.question, Repeated)
        ),
        orphans=tuple(
            Orphans(
                dataset=q.table.schema,
                table=q.table.name,
                above=q.above.name,
                link=q.link,
                rows=a.rows,
                exact=a.exact,
            )
            for a in found
            if isinstance(q := a.question, Orphaned)
        ),
        variants=tuple(
            VariantRows(
                dataset=q.table.schema,
                table=q.table.name,
                column=q.column,
                variant=q.variant,
                rows=a.rows,
                beside=a.number if a.exact else None,
                exact=a.exact,
            )
            for a in found
            if isinstance(q := a.question, Variant)
        ),
    )
