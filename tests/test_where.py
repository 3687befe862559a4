"""`where TABLE`: every copy, whatever the way its name is written, and nothing is changed (law 3)."""

import json

import psycopg
import pytest

from dltdoctor import doctor, sketch
from dltdoctor.diagnosis import TableCopy
from dltdoctor.errors import CouldNotLookError, UsageError
from dltdoctor.whereabouts import Name, parse_name
from tests.captured import world
from tests.command_line import complaint, dltdoctor, is_quiet
from tests.examining import request
from tests.worlds import digest_database, digest_tree


@pytest.fixture
def shop(tmp_path, database):
    """The stranded world, with relations of odd names beside it."""
    captured = world("1.31.0", "stranded-merge")
    captured.restore(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute('CREATE SCHEMA "Odd.One"; CREATE TABLE "Odd.One"."Orders" (id int)')
        connection.execute('CREATE TABLE public."a.b" AS SELECT 1 AS id; CREATE VIEW public.orders AS SELECT 1 AS id')
        connection.execute("CREATE MATERIALIZED VIEW public.sums AS SELECT 1 AS id")
    unpacked = captured.unpack(tmp_path / "world")
    return request(unpacked.project, unpacked.pipelines_dir, dsn=database)


def found(name: str, asked) -> dict[str, TableCopy]:
    return {f"{copy.schema}.{copy.name}": copy for place in doctor.where(name, asked) for copy in place.copies}


@pytest.mark.parametrize(
    ("name", "copies"),
    [
        ("orders", {"shop.orders", "shop_staging.orders", "public.orders", "Odd.One.Orders"}),
        ("ORDERS", {"shop.orders", "shop_staging.orders", "public.orders", "Odd.One.Orders"}),
        ('"Orders"', {"Odd.One.Orders"}),
        ('"orders"', {"shop.orders", "shop_staging.orders", "public.orders"}),
        ("shop.orders", {"shop.orders"}),
        (" Shop.Orders ", {"shop.orders"}),
        ('"Shop".orders', set()),
        ('"Odd.One"."Orders"', {"Odd.One.Orders"}),
        ('"Odd.One".orders', {"Odd.One.Orders"}),
        ("a.b", {"public.a.b"}),
        ('public."a.b"', {"public.a.b"}),
        ("sums", {"public.sums"}),
        ("100%", set()),
        ("a.b.c.d", set()),
        ("x'; drop table orders", set()),
    ],
)
def test_every_way_to_write_a_name(name, copies, shop) -> None:
    assert set(found(name, shop)) == copies


def test_what_each_copy_is(shop) -> None:
    copies = found("orders", shop)
    final, staging, view = (copies[f"{schema}.orders"] for schema in ("shop", "shop_staging", "public"))
    assert (final.kind, final.rows, final.writers) == ("final", 3, ("sales",))
    assert (staging.kind, staging.rows, staging.writers) == ("staging", 3, ("sales",))
    assert (view.kind, view.relation, view.rows, view.writers) == ("other", "view", 1, ())
    assert [name for name, copy in copies.items() if copy.bare_name] == ["public.orders"]
    assert final.newest_load is not None
    assert final.newest_load.at is not None
    assert not any(column.name.startswith("_dlt_") for column in final.columns)


def test_a_bare_name_is_folded_as_sql_folds_it(shop) -> None:
    assert [copy.schema for copy in found("ORDERS", shop).values() if copy.bare_name] == ["public"]
    assert not any(copy.bare_name for copy in found('"Orders"', shop).values())


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("order", ("orders",)),
        ("ordesr", ("Orders", "orders")),
        ("nowhere.orders", ("public.orders", "shop.orders", "shop_staging.orders")),
        ("qqqq", ()),
    ],
)
def test_similar_names_are_offered(name, offered, shop) -> None:
    (place,) = doctor.where(name, shop)
    assert place.copies == ()
    assert set(offered) >= set(place.similar) or set(offered) <= set(place.similar)
    assert bool(place.similar) == bool(offered)


def test_a_name_without_letters_is_refused(shop) -> None:
    for name in ("", "  ", '""', "."):
        with pytest.raises(UsageError):
            doctor.where(name, shop)


def test_a_hidden_table_is_named_and_said_to_be_hidden(shop, loader_database) -> None:
    with psycopg.connect(shop.dsn, autocommit=True) as connection:
        connection.execute("REVOKE ALL ON ALL TABLES IN SCHEMA shop_staging FROM PUBLIC")
        connection.execute("GRANT USAGE ON SCHEMA shop TO dltdoctor_test_loader")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA shop TO dltdoctor_test_loader")
    hidden = shop.dsn.rpartition("/")[2]
    asked = request(shop.project, shop.pipelines_dir, dsn=f"{loader_database.rpartition('/')[0]}/{hidden}")
    copies = found("orders", asked)
    assert copies["shop.orders"].readable
    assert copies["shop.orders"].rows == 3
    assert not copies["shop_staging.orders"].readable
    assert copies["shop_staging.orders"].rows is None


def test_without_a_database_it_could_not_look(shop) -> None:
    with pytest.raises(CouldNotLookError, match="could not look into"):
        doctor.where("orders", request(shop.project, shop.pipelines_dir, dsn="postgresql://u:pw@127.0.0.1:1/x"))


def test_the_command_changes_nothing_and_says_the_same_in_both_formats(shop) -> None:
    root = shop.project.parent
    options = ("--project", shop.project, "--pipelines-dir", shop.pipelines_dir, "--dsn", shop.dsn)
    before = digest_tree(root), digest_database(shop.dsn)
    text = dltdoctor("where", "shop.orders", *options)
    as_json = dltdoctor("where", "shop.orders", *options, "--format", "json")
    unknown = dltdoctor("where", "order", *options)
    explained = dltdoctor("explain", "DD201", cwd=shop.project)

    assert text.returncode == 0
    assert is_quiet(text)
    assert "final table of sales" in text.stdout
    (copy,) = json.loads(as_json.stdout)["copies"]
    assert (copy["schema"], copy["kind"], copy["rows"], copy["writers"]) == ("shop", "final", 3, ["sales"])
    assert unknown.returncode == 1
    assert "Similar names:" in unknown.stdout
    assert explained.returncode == 0
    assert (digest_tree(root), digest_database(shop.dsn)) == before


def test_without_any_credentials_it_says_what_to_pass(tmp_path) -> None:
    done = dltdoctor("where", "orders", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "--dsn" in done.stderr
    assert complaint(done)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("t", Name(table="t")),
        ('"T"', Name(table="T", quoted=True)),
        ('s."a""b"', Name(schema="s", table='a"b', quoted=True)),
        ('"s.x".t', Name(schema="s.x", table="t", quoted_schema=True)),
        ('"broken', Name(table="broken")),
    ],
)
def test_names_are_parsed_as_sql_parses_them(text, name) -> None:
    assert parse_name(text, sketch.database({}, states=(), loads=())) == name
