"""Where a table is, as text and as JSON."""

import io
import json
import textwrap

import msgspec
import pytest
from rich.cells import cell_len

from dltdoctor.diagnosis import ColumnShare, NewestLoad, TableCopy, Whereabouts
from dltdoctor.report.where import render, render_json
from tests.report_examples import LOAD, NOW, TARGET


def whereabouts() -> Whereabouts:
    table = "app_opportunities_trust"
    return Whereabouts(
        table=table,
        target=TARGET,
        target_origin="--dsn",
        search_path=('"$user"', "public"),
        taken_at=NOW,
        copies=(
            TableCopy(
                schema="public",
                name=table,
                kind="final",
                pipelines=("trust_scores", "concepts"),
                rows=5,
                columns=_shares(submission_id=1.0, trust_score=0.0, app_concept=1.0, _dlt_id=1.0),
                newest_load=NewestLoad(id=LOAD, at=NOW - 8000),
                writers=("trust_scores", "concepts"),
                bare_name=True,
            ),
            TableCopy(
                schema="public_staging",
                name=table,
                kind="staging",
                pipelines=("trust_scores",),
                rows=2,
                columns=_shares(submission_id=1.0, trust_score=1.0, _dlt_id=1.0),
            ),
            TableCopy(
                schema="old",
                name=table,
                kind="other",
                relation="view",
                rows=1_200_000,
                exact=False,
                columns=_shares(submission_id=1.0, trust_score=0.9999, app_concept=None, _dlt_id=1.0),
                columns_exact=False,
            ),
        ),
    )


def _shares(**columns: float | None) -> tuple[ColumnShare, ...]:
    return tuple(ColumnShare(name=name, type="text", non_null=share) for name, share in columns.items())


def rendered(where: Whereabouts, width: int = 100, *, verbose: bool = False) -> str:
    file = io.StringIO()
    render(where, console_width=width, verbose=verbose, file=file)
    return file.getvalue()


def test_copies_stand_side_by_side() -> None:
    assert rendered(whereabouts()) == textwrap.dedent("""\
        app_opportunities_trust · 3 copies · db:5432/warehouse · credentials: --dsn

          public.app_opportunities_trust · final table of trust_scores and concepts
            5 rows · newest load 2 hours ago (1714632000.51) · written by trust_scores and concepts

          public_staging.app_opportunities_trust · staging table of trust_scores
            2 rows

          old.app_opportunities_trust · view, not dlt's
            ≈1,200,000 rows

          Columns: how many rows hold a value
                         public  public_staging     old
            trust_score     0 %           100 %   ≈99 %
            app_concept   100 %          absent       ?
            and 2 columns full wherever there are rows

        ✓ A bare app_opportunities_trust means public.app_opportunities_trust (search_path: "$user",
          public).
        """)


def test_narrow() -> None:
    report = rendered(whereabouts(), 40)
    assert all(cell_len(line) <= 40 for line in report.splitlines())
    assert "    trust_score\n      public 0 % · public_staging 100 %\n" in report


def test_verbose_lists_the_full_columns_too() -> None:
    assert "submission_id   100 %" in rendered(whereabouts(), verbose=True)


def test_no_copy_offers_similar_names() -> None:
    where = Whereabouts(table="order", target=TARGET, similar=("orders", "orders__items"))
    assert rendered(where) == "order · no copy · db:5432/warehouse\n  Similar names: orders and orders__items\n"


@pytest.mark.parametrize(
    ("kinds", "bare", "line"),
    [
        (("final", "other"), 1, "! A bare t means s1.t."),
        (("final", "other"), None, "! A bare t finds none of them."),
        (("other", "other"), 0, "✓ A bare t means s0.t."),
    ],
)
def test_a_bare_name_that_misses_the_final_table_is_a_warning(
    kinds: tuple[str, ...], bare: int | None, line: str
) -> None:
    copies = tuple(
        msgspec.convert({"schema": f"s{n}", "name": "t", "kind": kind, "bare_name": n == bare}, TableCopy)
        for n, kind in enumerate(kinds)
    )
    assert rendered(Whereabouts(table="t", copies=copies)).splitlines()[-1] == line


def test_hostile_names() -> None:
    name = "[red]\x1b[31m\u202e\n" + "x" * 63
    copy = TableCopy(schema=name, name=name, kind="final", pipelines=(name,), writers=(name,))
    report = rendered(Whereabouts(table=name, copies=(copy,), search_path=(name,), notes=(name,)), 60)
    assert not set("\x1b\u202e") & set(report)
    assert all(cell_len(line) <= 60 for line in report.splitlines())


def test_json_has_the_copies_as_they_are() -> None:
    raw = render_json(whereabouts())
    told = json.loads(raw)
    assert raw.endswith(b"}\n")
    assert list(told) == ["version", "table", "copies"]
    assert told["version"] == 1
    assert told["copies"][0]["columns"][1] == {"name": "trust_score", "type": "text", "non_null": 0.0}
    assert told["copies"][1]["newest_load"] is None
    read = msgspec.convert(told["copies"], tuple[TableCopy, ...])
    assert read == tuple(msgspec.structs.replace(copy, database=TARGET) for copy in whereabouts().copies)


def test_json_of_several_databases_is_one_object_too() -> None:
    other = Whereabouts(table="t", target="other:5432/x", copies=(TableCopy(schema="s", name="t", kind="other"),))
    told = json.loads(render_json(whereabouts(), other))
    assert [copy["database"] for copy in told["copies"]] == [TARGET] * 3 + ["other:5432/x"]
