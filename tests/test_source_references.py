"""Where project text names a staging dataset, and where it only seems to."""

import textwrap
from pathlib import Path

import pytest

from dltdoctor.world.source import read_source

Reference = tuple[int, str, str | None]


def read(root: Path, name: str, text: str, *staging_names: str) -> list[Reference]:
    (root / name).write_text(textwrap.dedent(text), encoding="utf-8")
    source, unread = read_source(root, staging_names=staging_names)
    assert unread == ()
    assert {r.file for r in source.references} <= {name}
    return [(r.line, r.schema, r.table) for r in source.references]


ORDERS = (1, "public_staging", "orders")
SCHEMA = (1, "public_staging", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('q("SELECT * FROM public_staging.orders")', ORDERS),
        ("""q('select 1 from "public_staging"."orders"')""", ORDERS),
        ("""q('select 1 from "My_staging"."my orders"')""", (1, "My_staging", "my orders")),
        ('q("select 1 from Public_Staging . Orders")', (1, "Public_Staging", "Orders")),
        ('q("select 1 from warehouse.public_staging.orders")', ORDERS),
        ('q("select 1 from a, public_staging.orders o")', ORDERS),
        ('q("public_staging.orders")', ORDERS),
        ('q("from public_staging.orders")', ORDERS),
        ('q("delete from x using public_staging.orders")', ORDERS),
        ('q("create view v as select 1 from (public_staging.orders join x using (y))")', ORDERS),
        ('q("copy public_staging.orders to stdout")', ORDERS),
        ('q("GRANT SELECT ON TABLE public_staging.orders TO anon")', ORDERS),
        ('q("insert into public_staging.x select 1 from only public_staging.orders")', ORDERS),
        ('q(f"select 1 from {SCHEMA}.orders where {x}")', ORDERS),
        ('q(f"select 1 from public_staging.{table}")', SCHEMA),
        ('q("select 1 from public_staging.{}".format(t))', SCHEMA),
        ('pd.read_sql_table("orders", c, schema="public_staging")', ORDERS),
        ('frame.to_sql(name="orders", con=c, schema="public_staging")', ORDERS),
        ('Table("orders", MetaData(), schema=SCHEMA)', ORDERS),
        ('MetaData(schema="public_staging")', SCHEMA),
        ('x = {"schema": "public_staging"}', SCHEMA),
        ('supabase.schema("public_staging").table("orders").select("*").execute()', ORDERS),
        ('supabase.schema("public_staging").from_(t)', SCHEMA),
        ('client = supabase.schema("public_staging")', SCHEMA),
        ('sql.Identifier("public_staging", "orders")', ORDERS),
        ('connect(options="-c search_path=public_staging")', SCHEMA),
        ('q("SET search_path TO app, public_staging")', SCHEMA),
        ("""q("SET search_path = 'public_staging'")""", SCHEMA),
        ("""q("select 'public_staging.orders'::regclass")""", ORDERS),
    ],
)
def test_python_that_reads_staging(text: str, expected: Reference, tmp_path: Path) -> None:
    found = read(tmp_path, "reader.py", f'{text}\nSCHEMA = "public_staging"\n')
    assert found == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "# select * from public_staging.orders",
        '"""Docstring: select * from public_staging.orders."""',
        'def f():\n    """Reads from public_staging.orders."""',
        'x = 1\n"select * from public_staging.orders"',
        'log.info("copied from public_staging.orders")',
        'print(f"select from public_staging.orders {x}")',
        'raise ValueError("nothing from public_staging.orders")',
        'assert rows, "no rows from public_staging.orders"',
        'x = "public_staging"',
        'x = "3 rows are in public_staging.orders only: the merge failed"',
        'x = "this was copied from public_staging.orders"',
        'q("create table if not exists public_staging.orders (id int)")',
        'q("alter table only public_staging.orders add x int")',
        'q("create index i on public_staging.orders (id)")',
        'q("insert into public_staging.orders values (1)")',
        'q("update public_staging.orders set x = 1")',
        'q("truncate public_staging.orders; select 1 from x")',
        'q("copy public_staging.orders from stdin")',
        'open("public_staging.csv")',
        'open("data/public_staging.orders")',
        'q("select * from public_staging_old.orders")',
        'q("select * from {x}_staging.orders")',
        'q(f"select * from {x}_staging.orders")',
        'q(f"select * from {x}public_staging.orders")',
        'q("select 1 -- from public_staging.orders")',
        'q("select 1 /* from public_staging.orders */")',
        """q("select 'see public_staging.orders'")""",
        'dlt.destinations.postgres(staging_dataset_name_layout="public_staging.orders")',
        'dlt.pipeline("a", dataset_name="public_staging.orders")',
        'f(**{"dataset_name": "public_staging.orders"})',
        "import public_staging.orders",
        "public_staging.orders()",
        "x = b'select * from public_staging.orders'",
        "x = (",
    ],
)
def test_python_that_does_not_read_staging(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, "app.py", text + "\n") == []


def test_the_line_is_that_of_the_schema(tmp_path: Path) -> None:
    text = '''
    def f(SCHEMA):
        name = "public_staging"
        q(
            """
            select *
            from public_staging.orders
            join public_staging.items using (id)
            """
        )
        q("select * "
          "from public_staging.more")
        q(f"select * from {name}.named")
    '''
    assert read(tmp_path, "reader.py", text) == [
        (7, "public_staging", "orders"),
        (8, "public_staging", "items"),
        (12, "public_staging", "more"),
        (13, "public_staging", "named"),
    ]


def test_sql(tmp_path: Path) -> None:
    text = """
    -- from public_staging.comment
    /* from public_staging.comment
       and public_staging.comment */
    SELECT 'it''s public_staging.text', "a--b" FROM public_staging.orders o -- public_staging.comment
    JOIN "Shop_staging"."Order Items" USING (id);
    SELECT * FROM public.orders_staging; CREATE TABLE public_staging.made (id int);
    SET search_path TO public_staging;
    SELECT * FROM {{ source('crm_staging', 'people') }} {# public_staging.comment #}
    """
    assert read(tmp_path, "report.sql", text) == [
        (5, "public_staging", "orders"),
        (6, "Shop_staging", "Order Items"),
        (8, "public_staging", None),
        (9, "crm_staging", "people"),
    ]


def test_yaml(tmp_path: Path) -> None:
    text = """
    sources:  # public_staging.comment
      - name: crm_staging
      - name: crm
        schema: public_staging  # read by the dashboards
        description: they don't know that public_staging.text is staging
        tables: [{name: orders}]
    query: select * from public_staging.orders
    table: "shop_staging.orders"
    file: shop_staging.csv
    image: registry/shop_staging.latest
    """
    assert read(tmp_path, "models.yml", text) == [
        (3, "crm_staging", None),
        (5, "public_staging", None),
        (8, "public_staging", "orders"),
        (9, "shop_staging", "orders"),
    ]


@pytest.mark.parametrize("suffix", ["js", "jsx", "ts", "tsx", "mjs"])
def test_javascript(suffix: str, tmp_path: Path) -> None:
    text = """
    // supabase.schema("public_staging").from("comment")
    /* db.schema('public_staging') */
    const a = await supabase.schema("public_staging").from("app_opportunities_trust").select("*");
    const b = supabase
      .schema('public_staging')
      .from('orders');
    const c = createClient(url, key, { db: { schema: `public_staging` } });
    const d = await sql`
      select * from public_staging.orders -- public_staging.comment
      where url = 'https://x'`;
    const e = "public_staging";
    const f = q(`select * from public_staging.${table}`);
    import x from "./public_staging.json";
    """
    assert read(tmp_path, f"reader.{suffix}", text) == [
        (4, "public_staging", "app_opportunities_trust"),
        (6, "public_staging", "orders"),
        (8, "public_staging", None),
        (10, "public_staging", "orders"),
        (13, "public_staging", None),
    ]


def test_further_names_count_when_given(tmp_path: Path) -> None:
    text = 'q("select * from landing.a join public_staging.b on x")\nq(schema="landing")\n'
    assert read(tmp_path, "a.py", text) == [(1, "public_staging", "b")]
    assert read(tmp_path, "a.py", text, "landing", "in(valid") == [
        (1, "landing", "a"),
        (1, "public_staging", "b"),
        (2, "landing", None),
    ]


def test_the_text_is_masked_and_cut(tmp_path: Path) -> None:
    secret = "p4ss-w0rd"
    text = f"""
    x = q("select 1 from public_staging.a", "postgresql://u:{secret}@h/d")
    x = q("select 1 from public_staging.b", password="{secret}")
    x = q("select 1 from public_staging.c", {{"password": '{secret} x'}}, y="{"y" * 200}")
    os.environ["PGPASSWORD"] = "{secret}"; q("select 1 from public_staging.d")
    """
    (tmp_path / "a.py").write_text(textwrap.dedent(text))
    (tmp_path / "a.sql").write_text(f"ALTER ROLE x PASSWORD '{secret}'; select 1 from public_staging.e;\n")
    references = read_source(tmp_path)[0].references
    assert [r.table for r in references] == ["a", "b", "c", "d", "e"]
    assert secret not in repr(references)
    assert max(len(r.text) for r in references) == 120


def test_a_dump_does_not_fill_the_report(tmp_path: Path) -> None:
    text = "select * from public_staging.t;\n" * 20_000
    assert len(read(tmp_path, "dump.sql", text)) == 200
    (tmp_path / "dump.sql").write_text(text * 10)
    assert read_source(tmp_path)[0].references == ()


def test_python_without_dlt_that_cannot_be_parsed_is_not_our_news(tmp_path: Path) -> None:
    (tmp_path / "py2.py").write_text("print 'select * from public_staging.orders'\n")
    assert read_source(tmp_path)[1] == ()
