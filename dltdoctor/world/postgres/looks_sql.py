"""The statements that look into final tables; each answers with rows of (part, number, load id, rows)."""

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from dltdoctor.snapshot import Table
from dltdoctor.world.postgres.batches import template
from dltdoctor.world.questions import LOADS, OfLoad, Orphaned, Question, Repeated, Unlisted, Variant

WHOLE: Composable = SQL("")


def statement(part: int, question: Question, tail: Composable = WHOLE) -> Composed:
    """The question asked of the whole table, or of its tail."""
    match question:
        case Unlisted():
            loads = Identifier(question.table.schema, LOADS)
            return _template("unlisted", part, question, tail=tail, loads=loads)
        case OfLoad():
            return _template("of_load", part, question, tail=tail, load_id=Literal(question.load_id))
        case Repeated():
            return _repeated(part, question)
        case Orphaned():
            above = Identifier(question.above.schema, question.above.name)
            return _template("orphans", part, question, tail=tail, above=above, link=Identifier(question.link))
        case Variant():
            names = {"column": Identifier(question.column), "variant": Identifier(question.variant)}
            return _template("variants", part, question, tail=tail, **names)


def has_surplus(part: int, question: Repeated) -> Composed:
    """One row when there are more rows than keys, else none."""
    columns = SQL("({})").format(SQL(", ").join(_columns(question)))
    return _template("surplus", part, question, columns=columns, counted=_counted(question))


def tail_from(block: int, *, most_rows: int | None = None) -> Composable:
    """The rows that were written last, as a rule: those of the last blocks of the file."""
    limit = SQL("") if most_rows is None else SQL(" LIMIT {}").format(Literal(most_rows))
    return SQL("WHERE t.ctid >= {}::tid{}").format(Literal(f"({block},0)"), limit)


def holds_load(part: int, table: Table, load_id: str) -> Composed:
    """Whether there is a row of the load: found at once where it is as common as the statistics say."""
    return SQL("SELECT {}, EXISTS (SELECT FROM {} AS t WHERE t._dlt_load_id::text = {})").format(
        Literal(part), Identifier(table.schema, table.name), Literal(load_id)
    )


def _template(name: str, part: int, question: Question, **parts: Composable) -> Composed:
    table = Identifier(question.table.schema, question.table.name)
    return SQL(template(name)).format(part=Literal(part), table=table, **parts)


def _repeated(part: int, question: Repeated) -> Composed:
    columns = SQL(", ").join(_columns(question))
    return _template("repeated", part, question, columns=columns, counted=_counted(question))


def _columns(question: Repeated) -> list[Composed]:
    return [SQL("t.{}").format(Identifier(c)) for c in question.columns]


def _counted(question: Repeated) -> Composed:
    """A NULL is no key; of scd2 only the valid version of a key counts."""
    counted = [SQL("{} IS NOT NULL").format(c) for c in _columns(question)]
    if question.valid_to:
        counted.append(SQL("t.{} IS NULL").format(Identifier(question.valid_to)))
    return SQL(" AND ").join(counted)
