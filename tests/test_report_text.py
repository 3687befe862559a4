"""What people read: the text report of each kind of world, as it stands."""

import io
import textwrap

from dltdoctor.diagnosis import Diagnosis, why_it_matters
from dltdoctor.report.text import render
from tests import report_examples as examples


def rendered(diagnosis: Diagnosis, width: int = 100, *, verbose: bool = False) -> str:
    file = io.StringIO()
    render(diagnosis, console_width=width, verbose=verbose, file=file)
    return file.getvalue()


def expected(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


def test_healthy_staging_is_explained_instead_of_alarming() -> None:
    assert rendered(examples.healthy()) == expected("""
        [✓] trust_scores → public · healthy · last load 2 hours ago
            db:5432/warehouse · credentials: secrets.toml:4 · working dir: pipelines/trust_scores

            trust_scores                     ──►  public_staging  ──►          public
            app_opportunities_trust                     2 staged  merged       5 rows  ✓
              app_opportunities_trust__tags             4 staged  merged      11 rows  ✓
            events                                             –          ≈1,200 rows  ✓
            i Rows in public_staging are normal: dlt merges from there and leaves the last load behind. Look
              at public.app_opportunities_trust instead.

        no errors, no warnings · 22 checks, none skipped
        """)


def test_stranded_rows_come_with_what_why_evidence_and_the_next_command() -> None:
    assert rendered(examples.stranded()) == expected("""
        [✗] trust_scores → public · 1 error · last load 2 hours ago
            db:5432/warehouse · credentials: secrets.toml:4 · working dir: pipelines/trust_scores

            trust_scores     ──►  public_staging  ──►         public
            orders                      3 staged  STRANDED    7 rows  ✗ DD201
              orders__items             9 staged  STRANDED   12 rows  ✗
            customers                   1 staged  merged    112 rows  ✓

            ✗ DD201 stranded-rows · public.orders
              3 rows are in public_staging.orders only: the merge failed; the next load truncates them
              Why it matters: Readers see the old rows.
              │ 3 rows with load id 1714632000.51 — public_staging.orders
              │ permission denied for table orders
              │     load/loaded/1714632000.51/failed_jobs/orders.9a1b2c3d4e.0.sql
              → Let the staged rows reach the final table.
                Run (safe, keeps every row):
                  dltdoctor fix trust_scores --migrate

        [–] 1 check skipped: no project source was found (DD605)
        [–] 2 checks skipped for trust_scores: config.toml could not be read (DD101 DD102)

        1 error, no warnings · 22 checks, 3 skipped
        More about a code: dltdoctor explain DD201
        """)


def test_null_scores_mark_the_table_for_both_pipelines() -> None:
    assert rendered(examples.null_scores()) == expected("""
        [✗] concepts → public · 1 error · last load 2 hours ago
            db:5432/warehouse · credentials: secrets.toml:4 · working dir: pipelines/concepts

            concepts                 ──►  public_staging  ──►     public
            app_opportunities_trust             2 staged  merged  5 rows  ✗ DD301
            i Rows in public_staging are normal: dlt merges from there and leaves the last load behind. Look
              at public.app_opportunities_trust instead.

            ✗ DD301 clobbered-columns · public.app_opportunities_trust
              concepts and trust_scores merge different columns: trust_score is NULL in 1 row
              │ 1 row of loads of concepts with NULL in trust_score — public.app_opportunities_trust
              → Give both resources the merge strategy upsert.

        [✗] trust_scores → public · see DD301 · last load 2 hours ago
            db:5432/warehouse · credentials: secrets.toml:4 · working dir: pipelines/trust_scores

            trust_scores             ──►  public_staging  ──►     public
            app_opportunities_trust             2 staged  merged  5 rows  ✗ DD301
            i Rows in public_staging are normal: dlt merges from there and leaves the last load behind. Look
              at public.app_opportunities_trust instead.

        1 error, no warnings · 22 checks, none skipped
        More about a code: dltdoctor explain DD301
        """)


def test_staging_is_final_shows_one_schema() -> None:
    assert rendered(examples.staging_is_final()) == expected("""
        [✗] shop · 1 error · last load 2 hours ago
            db:5432/warehouse · credentials: secrets.toml:4 · working dir: pipelines/shop

            shop    ──►      shop  ──►    shop  ✗ one schema
            orders       0 staged       0 rows  ✗

            ✗ DD101 staging-is-final · shop
              staging and final are both 'shop'
              │ the staging layout is '%s' — config.toml:3
              → Remove the staging layout.
                Run (safe, keeps every row):
                  dltdoctor fix shop --config

        1 error, no warnings · 22 checks, none skipped
        More about a code: dltdoctor explain DD101
        """)


def test_could_not_look_is_not_healthy() -> None:
    assert rendered(examples.could_not_look("shop")) == expected("""
        [?] shop · could not look (1 error)
            db:5432/warehouse · credentials: secrets.toml:4 · working dir: pipelines/shop

            shop ──► shop_staging ──► shop
            1 table, not looked at

            ✗ DD002 unreachable-destination
              could not look into db:5432/warehouse: password authentication failed
              │ password authentication failed — db:5432/warehouse
              → Correct the password in secrets.toml:4.

        [–] 2 checks skipped for shop: the destination could not be reached (DD201 DD202)

        1 error, no warnings · 22 checks, 2 skipped
        More about a code: dltdoctor explain DD002
        """)


def test_forty_columns() -> None:
    assert rendered(examples.stranded(), 40) == expected("""
        [✗] trust_scores → public · 1 error
            last load 2 hours ago
            db:5432/warehouse
            credentials: secrets.toml:4
            working dir: pipelines/trust_scores

            trust_scores ──► public_staging
              ──► public
            orders
              3 staged → STRANDED
                → 7 rows ✗ DD201
              orders__items
                9 staged → STRANDED → 12 rows ✗
            customers
              1 staged → merged → 112 rows ✓

            ✗ DD201 stranded-rows
              public.orders
              3 rows are in
              public_staging.orders only: the
              merge failed; the next load
              truncates them
              Why it matters: Readers see the
                old rows.
              │ 3 rows with load id
              │ 1714632000.51
              │     public_staging.orders
              │ permission denied for table
              │ orders
              │     load/loaded/1714632000.51/fa
              │     iled_jobs/orders.9a1b2c3d4e.
              │     0.sql
              → Let the staged rows reach the
                final table.
                Run (safe, keeps every row):
                  dltdoctor fix trust_scores --migrate

        [–] 1 check skipped: no project source
            was found (DD605)
        [–] 2 checks skipped for trust_scores:
            config.toml could not be read (DD101
            DD102)

        1 error, no warnings
          22 checks, 3 skipped
        More about a code:
          dltdoctor explain DD201
        """)


def test_of_many_pipelines_the_sick_come_first_and_the_healthy_take_a_line_each() -> None:
    lines = rendered(examples.sixty()).splitlines()
    heads = [line for line in lines if line.startswith("[")]
    assert heads[0] == "[✗] trust_scores → public · 1 error · last load 2 hours ago"
    assert heads[1] == "[✗] p59 · 2 sick tables · last load 2 hours ago"
    assert heads[2:] == [f"[✓] p{number:02} · healthy · last load 2 hours ago" for number in range(58)]
    assert lines.index(heads[-1]) - lines.index(heads[2]) == 57


def test_of_many_tables_the_sick_are_shown_beneath_their_parents() -> None:
    report = rendered(examples.sixty())
    assert (
        expected("""
        [✗] p59 · 2 sick tables · last load 2 hours ago
            db:5432/warehouse · credentials: secrets.toml:4 · working dir: pipelines/p59

            p59           ──►                p59
            t007                          7 rows  ✓
              t007__sick       MISSING  no table  ✗
            gone               MISSING  no table  ✗
            and 109 healthy tables ✓
        """)
        in report
    )
    assert "t050" not in report
    assert "t050" in rendered(examples.sixty(), verbose=True)


def test_what_many_pipelines_share_is_said_once() -> None:
    names = [f"p{number:02}" for number in range(60)]
    report = rendered(examples.could_not_look(*names))
    assert report.count("unreachable-destination") == 1
    assert "DD002 unreachable-destination · p00, p01, p02, p03 and 56 more" in report
    assert report.count("[?] p") == 60
    assert "[–] 2 checks skipped for 60 pipelines: the destination could not be reached (DD201 DD202)" in report
    assert len(report.splitlines()) < 75


def test_a_ledger_with_sick_tables_is_never_called_healthy() -> None:
    sick = examples.stranded()
    ignored = Diagnosis(pipelines=sick.pipelines, ledger=sick.ledger, checks=1, taken_at=examples.NOW)
    assert rendered(ignored).startswith("[✗] trust_scores → public · 2 sick tables")


def test_nothing_to_diagnose() -> None:
    assert rendered(Diagnosis(checks=22)).startswith("[?] no dlt pipeline was found\n")


def test_a_ring_of_parents_is_drawn_all_the_same() -> None:
    ring = (
        examples.row("a", 1, 1, "stranded", parent="b"),
        examples.row("b", 1, 1, "stranded", parent="a"),
    )
    report = rendered(Diagnosis(pipelines=(examples.line(),), ledger=ring))
    assert report.count("STRANDED") == 2


def test_why_it_matters_is_a_line_or_two_of_the_doc() -> None:
    doc = """Rows are lost.

    *Why it matters.* Readers see the old rows. The next load
    truncates `staging`.

    *Fix safety.* None."""
    assert why_it_matters(doc) == "Readers see the old rows. The next load truncates staging."
    assert why_it_matters("Rows are lost.\n\n**Why it matters**\n\nThey are gone.") == "They are gone."
    assert why_it_matters("Rows are lost.") == ""
