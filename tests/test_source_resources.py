"""Reading what the source says about rows: dispositions, keys, cursors and contracts, wherever they stand."""

import textwrap
from pathlib import Path

import dlt
import pytest

from dltdoctor.snapshot import Resource
from dltdoctor.world.source import read_source
from dltdoctor.world.source_hints import CONTRACT_ENTITIES, INCREMENTAL
from dltdoctor.world.source_resources import RESOURCES, SOURCES

MERGE = 'write_disposition="merge"'


def read(root: Path, text: str, **others: str) -> tuple[Resource, ...]:
    for name, content in {"load": f"import dlt\n{textwrap.dedent(text)}", **others}.items():
        (root / f"{name}.py").write_text(content, encoding="utf-8")
    source, unread = read_source(root)
    assert unread == ()
    return source.resources


def only(root: Path, text: str, **others: str) -> Resource:
    (found,) = read(root, text, **others)
    return found


def generator(decorator: str, parameters: str = "", body: str = "yield {}") -> str:
    return f"{decorator}\ndef orders({parameters}):\n    {body}\n"


def test_the_names_are_dlts() -> None:
    for path in (*RESOURCES, *SOURCES, *INCREMENTAL):
        found = dlt
        for part in path.split(".")[1:]:
            found = getattr(found, part)
        assert found in (dlt.resource, dlt.transformer, dlt.source, dlt.sources.incremental) or "incremental" in path
    assert set(dlt.Schema.expand_schema_contract_settings("evolve")) == set(CONTRACT_ENTITIES)


@pytest.mark.parametrize(
    ("imports", "decorator"),
    [
        ("", "@dlt.resource"),
        ("import dlt as d", "@d.resource"),
        ("from dlt import resource", "@resource"),
        ("from dlt import resource as r", "@r"),
        ("from dlt.extract import resource", "@resource"),
        ("from dlt.extract.decorators import transformer", "@transformer"),
        ("from dlt import *", "@resource"),
    ],
)
def test_a_resource_is_known_by_any_name(imports: str, decorator: str, tmp_path: Path) -> None:
    found = only(tmp_path, f"{imports}\n{generator(f'{decorator}({MERGE})')}")
    assert (found.names, found.disposition, found.place) == (("orders",), "merge", "load.py:3")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (generator("@dlt.resource(name='o', table_name='t')"), ("t", "o")),
        (generator("@dlt.resource(table_name=lambda row: row['t'])"), ("orders",)),
        ("x = dlt.resource([{}], name='o')\n", ("o",)),
        ("x = dlt.resource([{}], 'o')\n", ("o",)),
        ("def rows():\n    yield {}\nx = dlt.resource(rows)\n", ("rows",)),
        ("def make(name):\n    return dlt.resource([], name=name)\n", ()),
    ],
)
def test_the_names_of_its_table(text: str, names: tuple[str, ...], tmp_path: Path) -> None:
    assert only(tmp_path, text).names == names


@pytest.mark.parametrize(
    ("hints", "disposition", "strategy", "unknown"),
    [
        ('write_disposition="merge"', "merge", None, False),
        ('write_disposition={"disposition": "merge", "strategy": "scd2"}', "merge", "scd2", False),
        ("write_disposition=HOW", "merge", "upsert", False),
        ("**HINTS", "replace", None, False),
        ("write_disposition=None", None, None, False),
        ("write_disposition=lambda row: 'merge'", None, None, True),
        ("write_disposition=sys.argv[1]", None, None, True),
        ('write_disposition={"disposition": "merge", "strategy": sys.argv[1]}', None, None, True),
        ('write_disposition={"disposition": "merge", **more()}', None, None, True),
        ("**more()", None, None, True),
    ],
)
def test_the_disposition(hints: str, disposition: str, strategy: str, unknown: bool, tmp_path: Path) -> None:
    given = 'HOW = dict(disposition="merge", strategy="upsert")\nHINTS = {"write_disposition": "replace"}\n'
    found = only(tmp_path, given + generator(f"@dlt.resource({hints})"))
    assert (found.disposition, found.strategy, "disposition" in found.unknown) == (disposition, strategy, unknown)


@pytest.mark.parametrize(
    ("hints", "key", "merge_key", "unknown"),
    [
        ('primary_key="id"', True, False, False),
        ('primary_key=("a", "b")', True, False, False),
        ("primary_key=[KEY]", True, False, False),
        ("primary_key=KEY", True, False, False),
        ('merge_key="day"', True, True, False),
        ("primary_key=()", False, False, False),
        ('primary_key=""', False, False, False),
        ("primary_key=None", False, False, False),
        ("primary_key=key_of()", False, False, True),
        ("primary_key=lambda row: 'id'", False, False, True),
        ('columns={"id": {"primary_key": True}}', True, False, False),
        ('columns=[{"name": "id", "merge_key": True}]', True, True, False),
        ('columns={"id": {"data_type": "text"}}', False, False, False),
        ("columns=None", False, False, False),
        ("columns=Model", False, False, True),
        ("columns=COLUMNS", True, False, False),
    ],
)
def test_the_keys(hints: str, key: bool, merge_key: bool, unknown: bool, tmp_path: Path) -> None:
    given = 'KEY = "id"\nCOLUMNS = {"id": {"primary_key": True}}\n'
    found = only(tmp_path, given + generator(f"@dlt.resource({MERGE}, {hints})"))
    assert (found.has_key, found.has_merge_key, "key" in found.unknown) == (key, merge_key, unknown)


@pytest.mark.parametrize(
    ("decorator", "parameters", "cursor"),
    [
        ("@dlt.resource()", 'new=dlt.sources.incremental("at")', "at"),
        ("@dlt.resource()", 'new: Any = dlt.sources.incremental[int](cursor_path="at", initial_value=1)', "at"),
        ("@dlt.resource()", '*, new=dlt.sources.incremental("at")', "at"),
        ("@dlt.resource()", "new=AT", "at"),
        ("@dlt.resource()", "new=dlt.sources.incremental(path())", "an unknown column"),
        ('@dlt.resource(incremental=dlt.sources.incremental("at"))', "", "at"),
        ("@dlt.resource()", "new=None", None),
        ("@dlt.resource()", "new=dlt.config.value", None),
    ],
)
def test_the_cursor(decorator: str, parameters: str, cursor: str | None, tmp_path: Path) -> None:
    found = only(tmp_path, 'AT = dlt.sources.incremental("at")\n' + generator(decorator, parameters))
    assert found.cursor == cursor


PIPELINE = 'pipeline = dlt.pipeline("shop")\n'
KEYLESS = generator(f"@dlt.resource({MERGE})")


@pytest.mark.parametrize(
    "later",
    [
        'r = orders()\nr.apply_hints(primary_key="id")\n',
        'orders.apply_hints(primary_key="id")\n',
        'orders().add_limit(1).apply_hints(merge_key="id")\n',
        'shop = source()\nshop.orders.apply_hints(primary_key="id")\n',
        'shop = source()\nshop.resources["orders"].apply_hints(primary_key="id")\n',
        'for each in source().resources.values():\n    each.apply_hints(primary_key="id")\n',
        'pipeline.run(orders(), primary_key="id")\n',
        'pipeline.run([orders(), other()], columns={"id": {"primary_key": True}})\n',
        'pipeline.extract(everything(), primary_key="id")\n',
        "@dlt.source(schema=dlt.Schema.from_dict(stored))\ndef shop():\n    return orders\n",
        'other = dlt.pipeline("other", import_schema_path="schemas")\n',
    ],
)
def test_a_key_that_comes_later(later: str, tmp_path: Path) -> None:
    found = next(r for r in read(tmp_path, KEYLESS + PIPELINE + later) if "orders" in r.names)
    assert found.has_key or "key" in found.unknown


def test_a_key_that_comes_later_in_another_file(tmp_path: Path) -> None:
    run = 'import dlt\nfrom load import source\nsource().orders.apply_hints(primary_key="id")\n'
    assert only(tmp_path, KEYLESS, run=run).has_key


def test_hints_for_another_resource_leave_this_one_alone(tmp_path: Path) -> None:
    later = 'source().items.apply_hints(primary_key="id")\npipeline.run(other(), write_disposition="append")\n'
    other = generator("@dlt.resource()").replace("orders", "other")
    found = {r.name: r for r in read(tmp_path, KEYLESS + other + PIPELINE + later)}
    assert not found["orders"].has_key
    assert found["orders"].unknown == frozenset()
    assert found["other"].disposition == "append"


def test_hints_that_rows_bring_are_unknown(tmp_path: Path) -> None:
    body = "yield dlt.mark.with_hints({}, dlt.mark.make_hints(primary_key='id'))"
    assert "key" in only(tmp_path, generator(f"@dlt.resource({MERGE})", "", body)).unknown


@pytest.mark.parametrize(
    ("run", "names"),
    [
        ('pipeline.run([{"id": 1}], table_name="t", write_disposition="merge")', ("t",)),
        ('dlt.run([{"id": 1}], table_name="t", write_disposition="merge")', ("t",)),
        ('pipeline.run(({"id": i} for i in x), table_name="t", write_disposition="merge")', ("t",)),
        ('pipeline.run(rows(), write_disposition="merge")', ("rows",)),
        ('ROWS = [{"id": 1}]\npipeline.run(ROWS, table_name="t", write_disposition="merge")', ("t",)),
    ],
)
def test_a_run_of_plain_rows(run: str, names: tuple[str, ...], tmp_path: Path) -> None:
    found = only(tmp_path, f"def rows():\n    yield {{}}\n{PIPELINE}{run}\n")
    assert (found.origin, found.names, found.disposition, found.has_key) == ("run", names, "merge", False)


@pytest.mark.parametrize(
    "data", ["api.rows()", "frame", "[orders(), 1]", "imported", "sql_table()", "load(imported)", "[resource]"]
)
def test_a_run_of_who_knows_what(data: str, tmp_path: Path) -> None:
    assert read(tmp_path, f'{PIPELINE}pipeline.run({data}, table_name="t", write_disposition="merge")\n') == ()


@pytest.mark.parametrize(
    ("text", "contract"),
    [
        (generator('@dlt.resource(schema_contract={"columns": "discard_row"})'), {"columns": "discard_row"}),
        (generator('@dlt.resource(schema_contract="freeze")'), dict.fromkeys(CONTRACT_ENTITIES, "freeze")),
        (
            '@dlt.source(schema_contract="evolve")\ndef shop():\n    return []\n',
            dict.fromkeys(CONTRACT_ENTITIES, "evolve"),
        ),
        (generator("@dlt.resource(schema_contract=contract())"), None),
    ],
)
def test_the_contract(text: str, contract: dict[str, str] | None, tmp_path: Path) -> None:
    assert only(tmp_path, text).contract == contract


def test_the_pipeline_is_that_of_the_file(tmp_path: Path) -> None:
    one = 'import dlt\npipeline = dlt.pipeline("one")\n'
    assert only(tmp_path, KEYLESS).pipeline is None
    assert only(tmp_path, KEYLESS, one=one).pipeline == "one"
    assert only(tmp_path, KEYLESS, one=one, two=one.replace("one", "two")).pipeline is None
    assert only(tmp_path, KEYLESS + PIPELINE, one=one).pipeline == "shop"
