"""What the reports are made from: a diagnosis, and the whereabouts of one table.

Pure values; a report adds nothing to them but form. Times are Unix seconds.
"""

import re
from collections.abc import Mapping
from typing import Literal

from dltdoctor.finding import Finding, SkippedCheck
from dltdoctor.ledger import LedgerRow
from dltdoctor.snapshot import Value


class PipelineLine(Value, frozen=True):
    """One pipeline, in a line.

    `dataset` is the final dataset as Postgres names it. `target` is "host:port/database", never with
    a password; `target_origin` says which candidate for the connection won. `working_dir` is None
    when there is no local state. `looked` is false when its working dir or its destination could not
    be read: nothing is known then, which is not health. The report itself explains healthy staging;
    `notes` are for anything else that fits in a line.
    """

    name: str
    dataset: str | None = None
    target: str | None = None
    target_origin: str | None = None
    working_dir: str | None = None
    last_load_id: str | None = None
    last_load_at: float | None = None
    looked: bool = True
    notes: tuple[str, ...] = ()


class Diagnosis(Value, frozen=True):
    """Everything an examination has to say.

    `checks` is the number of checks that were asked for. `blind` is true when something that had to
    be looked at could not be. `why` holds, by code, the line that
    `why_it_matters` finds in a check's doc.
    """

    findings: tuple[Finding, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    skipped: tuple[SkippedCheck, ...] = ()
    pipelines: tuple[PipelineLine, ...] = ()
    checks: int = 0
    why: Mapping[str, str] = {}
    taken_at: float = 0.0
    blind: bool = False


class ColumnShare(Value, frozen=True):
    """How much of a column holds a value: 0.0 to 1.0, None when it could not be told."""

    name: str
    type: str | None
    non_null: float | None


class NewestLoad(Value, frozen=True):
    """The newest load that wrote a copy; `at` is None when no `_dlt_loads` row tells."""

    id: str
    at: float | None


class TableCopy(Value, frozen=True):
    """A relation of the wanted name.

    `database` is "host:port/database". `kind` is what it is to dlt: the final table or the staging
    table of `pipelines`, or "other".
    `relation` is Postgres' word: "table", "view", "materialized view", "foreign table" or
    "partitioned table". `rows` is None when it could not be told; `exact` is about `rows`,
    `columns_exact` about the shares. `writers` are the pipelines that load into it. `bare_name` is
    true when the name without a schema resolves to this copy (search_path). `readable` is false when
    the role may not read it.
    """

    schema: str
    name: str
    kind: Literal["final", "staging", "other"]
    pipelines: tuple[str, ...] = ()
    relation: str = "table"
    readable: bool = True
    rows: int | None = None
    exact: bool = True
    columns: tuple[ColumnShare, ...] = ()
    columns_exact: bool = True
    newest_load: NewestLoad | None = None
    writers: tuple[str, ...] = ()
    bare_name: bool = False
    database: str | None = None


class Whereabouts(Value, frozen=True):
    """Every copy of a table in a database, and the `search_path` that picks among them.

    `similar` are names to offer when there is no copy. `notes` are lines worth adding, e.g. that a
    database could not be read.
    """

    table: str
    target: str | None = None
    target_origin: str | None = None
    search_path: tuple[str, ...] = ()
    copies: tuple[TableCopy, ...] = ()
    similar: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    taken_at: float = 0.0


_WHY = re.compile(
    r"^[ \t]*[#*_]*[ \t]*why it matters[ \t]*[*_]*[:.]?[*_]*[ \t]*\n*(?P<text>.+?)(?=\n[ \t]*\n|\n[#*]|\Z)",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_SENTENCE = re.compile(r".+?[.!?](?=\s+[A-Z`]|\Z)", re.DOTALL)
_A_LINE = 240


def why_it_matters(doc: str) -> str:
    """What a check's doc says under *Why it matters*: as many sentences as make a line or two.

    "" when it says nothing.
    """
    section = _WHY.search(doc)
    if not section:
        return ""
    text = " ".join(section["text"].split()).replace("`", "")
    line = ""
    for sentence in _SENTENCE.findall(text) or [text]:
        if line and len(line) + len(sentence) > _A_LINE:
            break
        line = f"{line} {sentence.strip()}".strip()
    return line
