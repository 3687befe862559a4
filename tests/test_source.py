"""Reading a project's source: its dlt calls, with the value of every argument and where it stands."""

import inspect
import os
import textwrap
import time
import warnings
from pathlib import Path

import dlt
import msgspec
import pytest

from dltdoctor.snapshot import Call, Source, Unread
from dltdoctor.world import source_walk
from dltdoctor.world.source import INSTALLED, credential_literals, read_source
from dltdoctor.world.source_calls import (
    ATTACH_ORDER,
    FACTORY_ORDER,
    OTHER_FACTORY_ORDERS,
    PIPELINE_ORDER,
    REFERENCE_ORDER,
)
from dltdoctor.world.source_values import STARRED

PASSWORD = "p4ss-w0rd"


def project(root: Path, **files: str) -> Path:
    for name, text in files.items():
        (root / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    return root


def read(root: Path, text: str) -> Source:
    source, unread = read_source(project(root, pipeline=text))
    assert unread == ()
    return source


def call(source: Source, function: str) -> Call:
    (found,) = [c for c in source.calls if c.function == function]
    return found


def given(found: Call) -> dict[str, tuple[object, bool, int]]:
    return {a.name: (a.value, a.literal, a.line) for a in found.arguments}


# --------------------------------------------------------------------------- the ways to name a call


@pytest.mark.parametrize(
    ("imports", "factory"),
    [
        ("import dlt", "dlt.destinations.postgres"),
        ("import dlt as d", "d.destinations.postgres"),
        ("import dlt.destinations as there", "there.postgres"),
        ("from dlt import destinations", "destinations.postgres"),
        ("from dlt import destinations as to", "to.postgres"),
        ("from dlt.destinations import postgres", "postgres"),
        ("from dlt.destinations import postgres as pg", "pg"),
        ("from dlt.destinations import *", "postgres"),
        ("from dlt.destinations.impl.postgres.factory import postgres", "postgres"),
        ("import dlt\nmake = dlt.destinations.postgres", "make"),
        ("try:\n    import dlt\nexcept ImportError:\n    dlt = None", "dlt.destinations.postgres"),
    ],
)
def test_a_factory_is_known_by_any_name(imports: str, factory: str, tmp_path: Path) -> None:
    source = read(tmp_path, f"{imports}\nx = {factory}(staging_dataset_name_layout='%s')\n")
    assert call(source, "postgres").literal("staging_dataset_name_layout") == "%s"


@pytest.mark.parametrize(
    ("imports", "function"),
    [
        ("import dlt", "dlt.pipeline"),
        ("import dlt as d", "d.pipeline"),
        ("from dlt import pipeline", "pipeline"),
        ("from dlt import pipeline as make", "make"),
        ("from dlt.pipeline import pipeline", "pipeline"),
        ("from dlt import *", "pipeline"),
    ],
)
def test_a_pipeline_is_known_by_any_name(imports: str, function: str, tmp_path: Path) -> None:
    source = read(tmp_path, f"{imports}\np = {function}('loader', dataset_name='public')\np.run([])\n")
    assert given(call(source, "pipeline"))["dataset_name"][0] == "public"
    assert call(source, "run").literal("pipeline_name") == "loader"
    assert source.pipeline_calls("loader") == (call(source, "pipeline"),)


@pytest.mark.parametrize("text", ["pipeline('a')", "import other as dlt\ndlt.pipeline('a')  # not dlt"])
def test_what_is_not_dlt_is_not_a_call(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, f"# dlt\n{text}\n").calls == ()


def test_positions_are_those_of_dlt() -> None:
    def order(function: object) -> tuple[str, ...]:
        parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
        return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD and p.name != "self")

    assert order(dlt.pipeline) == PIPELINE_ORDER
    assert order(dlt.attach) == ATTACH_ORDER
    assert order(dlt.common.destination.Destination.from_reference) == REFERENCE_ORDER
    assert set(dlt.destinations.__all__) <= STARRED["dlt.destinations"]
    for name in dlt.destinations.__all__:
        positions = order(getattr(dlt.destinations, name).__init__)
        known = OTHER_FACTORY_ORDERS.get(name, FACTORY_ORDER)
        assert positions[: len(known)] == known, name


def test_positional_arguments_have_their_names(tmp_path: Path) -> None:
    source = read(tmp_path, "import dlt\ndlt.pipeline('a', None, None, 'duckdb', None, 'data')\n")
    found = call(source, "pipeline")
    assert found.literal("dataset_name") == "data"
    assert found.argument("staging") is not None
    assert found.destination == Call(function="duckdb", file="pipeline.py", line=2)


def test_a_starred_argument_hides_the_names_after_it(tmp_path: Path) -> None:
    source = read(tmp_path, "import dlt\ndlt.pipeline('a', *rest, 'data', dev_mode=True)\n")
    assert given(call(source, "pipeline")) == {
        "pipeline_name": ("a", True, 2),
        "*": (None, False, 2),
        "dev_mode": (True, True, 2),
    }


# ------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'%s'", "%s"),
        ("None", None),
        ("True", True),
        ("-3", -3),
        ("1.5", 1.5),
        ("LAYOUT", "%s_x"),
        ("f'{NAME}_{NUMBER}'", "shop_3"),
        ("f'{NAME!s}'", "shop"),
        ("NAME + '_' + NAME", "shop_shop"),
        ("'%s_%d' % (NAME, NUMBER)", "shop_3"),
        ("'a' 'b'", "ab"),
        ("(x := 'a')", "a"),
        ("Settings.layout", "of class"),
        ("ALIAS", "shop"),
        ("FIRST", "one"),
    ],
)
def test_constants_are_known(expression: str, value: object, tmp_path: Path) -> None:
    source = read(
        tmp_path,
        f"""
import dlt
NAME, NUMBER = "shop", 3
LAYOUT: str = "%s_x"
ALIAS = NAME
[FIRST, SECOND] = ["one", "two"]
class Settings:
    layout = "of class"
dlt.destinations.postgres(layout={expression})
""",
    )
    found = call(source, "postgres").argument("layout")
    assert found is not None
    assert (found.value, found.literal) == (value, True)


@pytest.mark.parametrize(
    "expression",
    [
        "os.environ['X']",
        "os.getenv('X', 'a')",
        "TWICE",
        "PARAMETER",
        "COUNTED",
        "CIRCLE",
        "DELETED",
        "IMPORTED",
        "UNDEFINED",
        "ITEM",
        "FILE",
        "f'{NAME!r}'",
        "f'{NAME:>9}'",
        "'%999999999s' % NAME",
        "'%s_%s' % NAME",
        "NAME * 2",
        "'a' if NAME else 'b'",
        "[1]",
        "b'a'",
        "2 ** 70",
        "99999999999999999999999",
        "A30",
        "GLOBAL",
    ],
)
def test_what_is_computed_is_no_literal(expression: str, tmp_path: Path) -> None:
    doubled = "\n".join(f"A{n} = A{n - 1} + A{n - 1}" for n in range(1, 31))
    source = read(
        tmp_path,
        f"""
import dlt, os
from elsewhere import IMPORTED
NAME = "shop"
TWICE = "a"
TWICE = "b"
COUNTED = "a"
COUNTED += "b"
CIRCLE = CIRCLE_2
CIRCLE_2 = CIRCLE
DELETED = "a"
del DELETED
A0 = "{"a" * 100}"
{doubled}
GLOBAL = "a"
for ITEM in "ab": pass
with open("x") as FILE: pass
def change():
    global GLOBAL
    GLOBAL = "b"
def load(PARAMETER="a"):
    dlt.destinations.postgres(layout={expression})
""",
    )
    found = call(source, "postgres").argument("layout")
    assert found is not None
    assert (found.value, found.literal) == (None, False)


def test_an_attribute_of_self_is_not_taken_for_a_name_of_the_module(tmp_path: Path) -> None:
    source = read(
        tmp_path,
        """
        import dlt
        layout = "module"
        class Loader:
            name = "shop"
            def __init__(self, layout):
                self.layout = layout
                self.fixed = "fixed"
            def load(self):
                dlt.destinations.postgres(layout=self.layout, fixed=self.fixed, name=self.name)
        """,
    )
    assert given(call(source, "postgres")) == {
        "layout": (None, False, 10),
        "fixed": ("fixed", True, 8),
        "name": ("shop", True, 5),
    }


def test_the_line_and_column_are_those_of_the_value_to_edit(tmp_path: Path) -> None:
    source = read(tmp_path, 'import dlt\né = 1; LAYOUT = "%s"\ndlt.destinations.postgres(\n  x=LAYOUT, y="é", z=2)\n')
    arguments = [(a.name, a.line, a.column) for a in call(source, "postgres").arguments]
    assert arguments == [("x", 2, 17), ("y", 4, 15), ("z", 4, 22)]


# ------------------------------------------------------------------------------------- ** dicts


@pytest.mark.parametrize(
    "arguments",
    [
        "**{'layout': '%s', 'create_indexes': False}",
        "**{**{'layout': '%s'}, 'create_indexes': False}",
        "**dict(layout='%s', create_indexes=False)",
        "**dict({'layout': 'overridden'}, layout='%s', create_indexes=False)",
        "**OPTIONS",
        "**MORE",
        "**OPTIONS | {'layout': '%s'}",
        "**LATER",
        "**options()",
    ],
)
def test_entries_of_dicts_are_arguments(arguments: str, tmp_path: Path) -> None:
    source = read(
        tmp_path,
        f"""
import dlt
OPTIONS = {{"layout": "%s", "create_indexes": False}}
MORE = {{**OPTIONS}}
LATER = dict(layout="%s")
LATER["create_indexes"] = False
def options():
    return OPTIONS
dlt.destinations.postgres({arguments})
""",
    )
    found = call(source, "postgres")
    assert {a.name: (a.value, a.literal) for a in found.arguments} == {
        "layout": ("%s", True),
        "create_indexes": (False, True),
    }


@pytest.mark.parametrize(
    "change",
    [
        "options['layout'] = '%s'",
        "if x: options['other'] = 1",
        "for _ in x: options['layout'] = 1",
        "options.update(x)",
        "options |= x",
        "del options['layout']",
        "options = x",
    ],
)
def test_an_entry_that_may_have_changed_is_no_literal(change: str, tmp_path: Path) -> None:
    source = read(
        tmp_path,
        f"import dlt\noptions = dict(layout='a')\n{change}\ndlt.destinations.postgres(**options)\n",
    )
    assert any(not a.literal for a in call(source, "postgres").arguments)
    assert call(source, "postgres").literal("layout") in {None, "a"}
    if "'layout'" in change or "other" not in change:
        assert call(source, "postgres").literal("layout") is None


def test_an_unknown_dict_is_said_to_be_there(tmp_path: Path) -> None:
    source = read(tmp_path, "import dlt\ndef f(**k):\n    dlt.pipeline('a', **k)\n")
    assert given(call(source, "pipeline"))["**"] == (None, False, 3)


# ------------------------------------------------------------------------------------- destinations


@pytest.mark.parametrize(
    "destination",
    [
        "dlt.destinations.postgres(layout='%s')",
        "target",
        "alias",
        "made()",
        "dlt.destination('postgres', layout='%s')",
        "dlt.destination('pg_prod', destination_type='postgres', layout='%s')",
        "dlt.destination('pg_prod', destination_type='dlt.destinations.postgres', layout='%s')",
        "Destination.from_reference('postgres', None, 'pg_prod', layout='%s')",
    ],
)
def test_a_pipeline_leads_to_its_factory_call(destination: str, tmp_path: Path) -> None:
    source = read(
        tmp_path,
        f"""
import dlt
from dlt.common.destination import Destination
target = dlt.destinations.postgres(layout="%s")
alias = target
def made():
    return dlt.destinations.postgres(layout="%s")
dlt.pipeline("a", destination={destination})
""",
    )
    found = call(source, "pipeline").destination
    assert found is not None
    assert (found.function, found.literal("layout")) == ("postgres", "%s")
    assert found in source.calls
    named = "pg_prod" in destination
    assert found.literal("destination_name") == ("pg_prod" if named else None)


@pytest.mark.parametrize(
    "destination", ["'postgres'", "'dlt.destinations.postgres'", "NAME", "dlt.destinations.postgres"]
)
def test_a_name_of_a_destination_becomes_a_call_without_arguments(destination: str, tmp_path: Path) -> None:
    source = read(tmp_path, f"import dlt\nNAME = 'postgres'\ndlt.pipeline('a', destination={destination})\n")
    assert call(source, "pipeline").destination == Call(function="postgres", file="pipeline.py", line=3)


@pytest.mark.parametrize("destination", ["TARGETS['x']", "a if x else b", "Sink()", "loop"])
def test_an_unknown_destination_is_none(destination: str, tmp_path: Path) -> None:
    text = f"import dlt\nloop = dlt.pipeline('x', destination=loop)\ndlt.attach('a', destination={destination})\n"
    assert call(read(tmp_path, text), "attach").destination is None


@pytest.mark.parametrize("name", ["filesystem", "duckdb", "bigquery", "snowflake", "brand_new"])
def test_every_factory_is_a_call(name: str, tmp_path: Path) -> None:
    assert call(read(tmp_path, f"import dlt\ndlt.destinations.{name}()\n"), name).line == 2


@pytest.mark.parametrize(
    "text",
    [
        "from dlt.destinations.adapters import postgres_adapter\npostgres_adapter(x)",
        "from dlt.destinations import postgres_adapter\npostgres_adapter(x)",
        "from dlt.destinations.impl.postgres.configuration import PostgresCredentials\nPostgresCredentials('x')",
    ],
)
def test_adapters_and_credentials_are_no_factories(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text).calls == ()


def test_runs_are_known_by_their_pipeline_or_their_arguments(tmp_path: Path) -> None:
    source = read(
        tmp_path,
        """
        import asyncio, dlt, subprocess
        dlt.pipeline("chained").run([], dataset_name="x")
        dlt.attach("attached").run([])
        dlt.run([], destination="postgres", dataset_name="y")
        def load(pipeline):
            pipeline.run([], write_disposition="merge")
            pipeline.run([])
        subprocess.run(["dlt"], check=True)
        asyncio.run(load(None))
        """,
    )
    runs = [
        (c.line, c.literal("pipeline_name"), c.literal("dataset_name")) for c in source.calls if c.function == "run"
    ]
    assert runs == [(3, "chained", "x"), (4, "attached", None), (5, None, "y"), (7, None, None)]


# ------------------------------------------------------------------------------------- secrets


@pytest.mark.parametrize(
    ("credentials", "raw", "shown"),
    [
        (
            f"'postgresql://u:{PASSWORD}@h:5/d'",
            f"postgresql://u:{PASSWORD}@h:5/d",
            "postgresql://u:***@h:5/d",
        ),
        (f"f'postgresql://u:{PASSWORD}@h/d'", f"postgresql://u:{PASSWORD}@h/d", "postgresql://u:***@h/d"),
        (f"'postgresql://u:{PASSWORD}@!@h/d'", f"postgresql://u:{PASSWORD}@!@h/d", "postgresql://u:***@h/d"),
        (f"'host=h password={PASSWORD}'", f"host=h password={PASSWORD}", "host=h password=***"),
        (
            f"'host=h password = \"{PASSWORD} x\"'",
            f'host=h password = "{PASSWORD} x"',
            "host=h password = ***",
        ),
        (f"'{PASSWORD}'", PASSWORD, "***"),
        (f"'postgresql://u:a {PASSWORD}@h/d'", f"postgresql://u:a {PASSWORD}@h/d", "***"),
        (
            f"'postgresql://h/d?password={PASSWORD}'",
            f"postgresql://h/d?password={PASSWORD}",
            "postgresql://h/d?password=***",
        ),
        ("'postgresql://u@h/d'", "postgresql://u@h/d", "postgresql://u@h/d"),
        (
            f"{{'host': 'h', 'port': 5, 'username': 'u', 'database': 'd', 'password': '{PASSWORD}'}}",
            {"host": "h", "port": 5, "username": "u", "database": "d", "password": PASSWORD},
            "postgresql://u:***@h:5/d",
        ),
        (
            f"dict(host='h', password='{PASSWORD}')",
            {"host": "h", "password": PASSWORD},
            "postgresql://:***@h/",
        ),
        (
            f"PostgresCredentials('postgresql://u:{PASSWORD}@h/d')",
            f"postgresql://u:{PASSWORD}@h/d",
            "postgresql://u:***@h/d",
        ),
        (
            f"x.PostgresCredentials({{'password': '{PASSWORD}'}})",
            {"password": PASSWORD},
            "postgresql://:***@/",
        ),
        ("DSN", f"postgresql://u:{PASSWORD}@h/d", "postgresql://u:***@h/d"),
    ],
)
def test_credentials_are_masked_and_given_apart(credentials: str, raw: object, shown: str, tmp_path: Path) -> None:
    source = read(
        tmp_path,
        f"import dlt\nDSN = 'postgresql://u:{PASSWORD}@h/d'\ndlt.destinations.postgres({credentials})\n",
    )
    found = call(source, "postgres").argument("credentials")
    assert found is not None
    assert (found.value, found.literal) == (shown, True)
    assert credential_literals(source) == {("pipeline.py", found.line): raw}
    assert PASSWORD not in repr(source)


@pytest.mark.parametrize(
    "credentials",
    ["os.environ['X']", "{'password': os.environ['X']}", "dlt.secrets['x']", "dlt.secrets.value", "f(x)"],
)
def test_computed_credentials_are_not_given(credentials: str, tmp_path: Path) -> None:
    source = read(tmp_path, f"import dlt, os\ndlt.destinations.postgres(credentials={credentials})\n")
    assert call(source, "postgres").literal("credentials") is None
    assert credential_literals(source) == {}


def test_two_credentials_on_one_line_are_not_confused(tmp_path: Path) -> None:
    one, other = "postgresql://u:one@h/d", "postgresql://u:other@h/d"
    source = read(
        tmp_path,
        f"import dlt\nx = dlt.destinations.postgres('{one}'); y = dlt.destinations.postgres('{other}')\n"
        f"z = dlt.destinations.postgres('{other}')\n",
    )
    assert credential_literals(source) == {("pipeline.py", 3): other}


def test_other_arguments_are_masked_too(tmp_path: Path) -> None:
    source = read(
        tmp_path,
        f"import dlt\ndlt.pipeline('a', pipeline_salt='{PASSWORD}')\n"
        f"dlt.destinations.weaviate(api_key='{PASSWORD}', url='https://u:{PASSWORD}@h', primary_key='id')\n",
    )
    assert PASSWORD not in repr(source)
    assert call(source, "weaviate").literal("primary_key") == "id"
    assert call(source, "weaviate").literal("url") == "https://u:***@h"


# ------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("content", "where", "reason"),
    [
        (b"import dlt\nx = (", "bad.py:2", "'(' was never closed"),
        (b"import dlt\nx = '\xe9'\n", "bad.py", "utf-8"),
        (b"# -*- coding: nothing -*-\nimport dlt\n", "bad.py", "unknown encoding"),
        (b"# -*- coding: rot13 -*-\nimport dlt\n", "bad.py", "not a text encoding"),
        (b"import dlt\n\x00\n", "bad.py", "null bytes"),
        (b"import dlt\nx = " + b"(" * 9000 + b")" * 9000, "bad.py:2", "too many nested"),
        (b"import dlt\nx = " + b"-" * 50_000 + b"1", "bad.py", ""),
        (b"import dlt\n" + b"#" * 1_000_001, "bad.py", "larger than 1 MB"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_and_the_rest_is_read(
    content: bytes, where: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "bad.py").write_bytes(content)
    source, unread = read_source(project(tmp_path, good="import dlt\ndlt.pipeline('a')\n"))
    (told,) = unread
    assert told.what.startswith(where.split(":", maxsplit=1)[0])
    assert ":" not in where or told.what == where
    assert reason in told.reason
    assert (told.code, told.areas, told.pipeline) == ("DD001", ("source",), None)
    assert len(source.calls) == 1


def test_a_deep_chain_of_calls_does_not_overflow(tmp_path: Path) -> None:
    (tmp_path / "deep.py").write_text(f"import dlt\nx = dlt.pipeline('a'){'.run([])' * 700}\n")
    (tmp_path / "long.py").write_text(f"import dlt\nx = {' + '.join(['a'] * 900)}\ny = a{'.b' * 900}\n")
    source, unread = read_source(tmp_path)
    assert source.calls or unread


def test_a_latin_file_that_says_so_is_read(tmp_path: Path) -> None:
    text = "# -*- coding: latin-1 -*-\nimport dlt\ndlt.pipeline('é', dataset_name='ü')\n"
    (tmp_path / "latin.py").write_bytes(text.encode("latin-1"))
    (tmp_path / "bom.py").write_bytes(b"\xef\xbb\xbfimport dlt\r\ndlt.pipeline('bom')\r\n")
    source, unread = read_source(tmp_path)
    assert unread == ()
    assert [c.literal("pipeline_name") for c in source.calls] == ["bom", "é"]
    assert [c.line for c in source.calls] == [2, 3]


def test_texts_that_are_not_unicode_can_still_be_written_as_json(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.py"))).write_text("import dlt\ndlt.pipeline('\\ud800')\n")
    source, unread = read_source(tmp_path)
    assert unread == ()
    assert msgspec.json.decode(msgspec.json.encode(source), type=Source) == source
    assert source.calls[0].file == "caf\ufffd.py"


def test_nothing_is_run_nor_warned_about(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = "import dlt\nopen('ran', 'w')\nx = '\\d'\nif x is 'a': print(1)\ndlt.pipeline('a')\n"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, text)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pipeline.py"]
    assert capfd.readouterr() == ("", "")


# ------------------------------------------------------------------------------------- the walk


def names(root: Path) -> list[str]:
    source, unread = read_source(root)
    assert unread == ()
    return sorted({c.file for c in source.calls})


def test_what_is_not_the_projects_own_is_not_read(tmp_path: Path) -> None:
    for directory in (
        ".git",
        ".venv/lib",
        "venv",
        "node_modules/x",
        "lib/site-packages",
        "__pycache__",
        ".dlt",
        ".var",
        "build",
        "dist",
        "any-env",
        "src/app",
    ):
        (tmp_path / directory).mkdir(parents=True)
        (tmp_path / directory / "a.py").write_text("import dlt\ndlt.pipeline('a')\n")
    (tmp_path / "any-env" / "pyvenv.cfg").touch()
    (tmp_path / ".hidden.py").write_text("import dlt\ndlt.pipeline('a')\n")
    assert names(tmp_path) == ["src/app/a.py"]


@pytest.mark.parametrize(
    "marks",
    [("state.json", "load"), ("schemas", "load", "normalize"), ("completed_jobs",), ("new_jobs", "schema.json")],
)
def test_the_sql_of_dlts_own_working_dirs_is_not_a_reader(marks: tuple[str, ...], tmp_path: Path) -> None:
    for name in marks:
        (tmp_path / "state" / name).mkdir(parents=True)
        (tmp_path / "state" / name / "orders.sql").write_text("select 1 from shop_staging.orders")
    (tmp_path / "load" / "schemas").mkdir(parents=True)
    (tmp_path / "load" / "schemas" / "own.sql").write_text("select 1 from shop_staging.orders")
    assert [r.file for r in read_source(tmp_path)[0].references] == ["load/schemas/own.sql"]


def test_links_do_not_lead_in_circles(tmp_path: Path) -> None:
    project(tmp_path, a="import dlt\ndlt.pipeline('a')\n")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "self.py").symlink_to(tmp_path / "self.py")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere")
    (tmp_path / "link.py").symlink_to(tmp_path / "a.py")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "directory.py").mkdir()
    assert names(tmp_path) == ["a.py", "link.py"]


def test_of_a_home_only_the_top_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "home" / "project"
    inner.mkdir(parents=True)
    for directory in (tmp_path, tmp_path / "home", inner):
        project(directory, a="import dlt\ndlt.pipeline('a')\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert names(tmp_path) == ["a.py"]
    assert names(tmp_path / "home") == ["a.py"]
    assert names(inner) == ["a.py"]
    monkeypatch.setenv("HOME", "/nowhere")
    assert names(tmp_path) == ["a.py", "home/a.py", "home/project/a.py"]


@pytest.mark.parametrize("make", [lambda root: root / "no", lambda root: root / "file.py"])
def test_a_root_that_is_no_directory_is_told(make: object, tmp_path: Path) -> None:
    (tmp_path / "file.py").touch()
    source, unread = read_source(make(tmp_path))  # type: ignore[operator]
    assert source.calls == ()
    assert [u.code for u in unread] == ["DD001"]


def test_a_root_that_links_to_itself_is_told(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert len(read_source(tmp_path / "loop")[1]) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    project(tmp_path, a="import dlt").joinpath("a.py").chmod(0)
    assert [u.what for u in read_source(tmp_path)[1]] == ["a.py"]


def test_the_bounds_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_walk, "MAX_FILES", 3)
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        project(tmp_path / name, one="import dlt\ndlt.pipeline('a')\n", two="")
    source, unread = read_source(tmp_path)
    assert [c.file for c in source.calls] == ["a/one.py", "b/one.py"]
    (told,) = unread
    assert isinstance(told, Unread)
    assert "only the first 4 source files" in told.reason
    assert "--project" in told.hint


def test_a_large_tree_is_read_within_a_second(tmp_path: Path) -> None:
    body = "\n".join(f"def f{n}(x):\n    return x + {n}\n" for n in range(200))
    for directory in range(40):
        inner = tmp_path / f"d{directory}"
        inner.mkdir()
        for number in range(50):
            head = "import dlt\ndlt.pipeline('a')\n" if number == 0 or (directory < 10 and number == 1) else ""
            (inner / f"m{number}.py").write_text(head + body)
    told: list[str] = []
    started = time.process_time()
    source, _ = read_source(tmp_path, progress=told.append)
    spent = time.process_time() - started
    assert (source.files_read, len(source.calls)) == (2000, 50)
    assert spent < 1
    assert told == [f"project source: {n} files" for n in (500, 1000, 1500, 2000)]


def test_the_version_falls_back_to_the_one_installed(tmp_path: Path) -> None:
    assert read(tmp_path, "").dlt_version_origin == INSTALLED
    (tmp_path / "requirements.txt").write_text("dlt==0.5.4\n")
    source = read(tmp_path, "")
    assert (source.dlt_version, source.dlt_version_origin) == ("0.5.4", "requirements.txt:1")


def test_source_written_by_others_is_read() -> None:
    root = Path(inspect.getfile(dlt)).parent
    for package in ("pipeline", "destinations"):
        source, unread = read_source(root / package)
        assert unread == ()
        assert source.files_read > 5
