"""`verify_load` in real processes, after real loads; and the snippets of the docs, run as they stand."""

import importlib.util
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dltdoctor.errors import LoadNotVerifiedError
from tests.real import RealWorld
from tests.worlds import run_pipeline, write_project

ROOT = Path(__file__).parent.parent
ENV = {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
SNIPPET = re.compile(r"<!-- (run|output of): (\w+) -->\n```\w+\n(.*?)```", re.DOTALL)

# What each script below begins with: a shop, and a call of verify_load that proves what it leaves alone.
PRELUDE = """
import asyncio, contextlib, io, os, signal, sys, threading
from pathlib import Path
import dlt, psycopg
from dlt.destinations import postgres
from dltdoctor import CouldNotLookError, LoadNotVerifiedError, verify_load
from dltdoctor.errors import DoctorError
from tests.worlds import digest_database, digest_tree

DSN = os.environ["THE_DSN"]

@dlt.resource(primary_key="id", write_disposition="merge")
def orders(page):
    yield [{"id": i, "amount": i * 10, "items": [{"sku": f"s{i}"}]} for i in range(3 * page - 2, 3 * page + 1)]

@dlt.resource(write_disposition="append")
def events():
    yield [{"n": 1}]

def execute(*statements):
    with psycopg.connect(DSN, autocommit=True) as connection:
        return [connection.execute(s).rowcount for s in statements]

def run(pipeline, data):
    try:
        return pipeline.run(data)
    except Exception as error:
        return getattr(error, "step_info", None)

def world():
    return digest_tree(Path(os.environ["DLT_DATA_DIR"])), digest_tree(Path.cwd()), digest_database(DSN), os.getcwd()

def verify(*arguments, **options):
    out, before, handler = io.StringIO(), world(), signal.getsignal(signal.SIGINT)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            return verify_load(*arguments, **options)
    except DoctorError as error:
        assert "s3cret" not in f"{error} {error.hint} {error!r}"
        return error
    finally:
        assert world() == before
        assert out.getvalue() == "" and signal.getsignal(signal.SIGINT) is handler
        assert execute("SELECT FROM pg_stat_activity WHERE application_name = 'dltdoctor'") == [0]

def raised(error, *codes):
    assert isinstance(error, LoadNotVerifiedError), error
    assert [f.code for f in error.findings] == list(codes), error
    assert all(f"{f.code} {f.severity}: {f.message}" in str(error) for f in error.findings)
    assert all(not f.remedy.command or f.remedy.command in str(error) for f in error.findings)
    assert error.hint and error.diagnosis.findings is not None
    return str(error)

def refused(error, kind, text):
    assert isinstance(error, DoctorError) and type(error).__name__ == kind and text in str(error), repr(error)

pipeline = dlt.pipeline("shop", destination="postgres", dataset_name="shop")
"""
CANNOT_DELETE = 'execute("REVOKE DELETE ON shop.orders FROM CURRENT_USER")\n'


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


def _run(world: RealWorld, script: str, **env: str) -> str:
    return world.run(PRELUDE + script, env=ENV | {"THE_DSN": world.dsn} | env)


def test_a_healthy_load_returns_wherever_it_is_asked(world: RealWorld) -> None:
    _run(
        world,
        """
info = run(pipeline, [orders(1), events()])
diagnosis = verify(pipeline, info, fail_on="info")
assert not diagnosis.findings and {p.name for p in diagnosis.pipelines} == {"shop"}, diagnosis
assert {r.table: r.verdict for r in diagnosis.ledger} == {
    "orders": "leftover", "orders__items": "leftover", "events": "healthy"}
assert not verify(pipeline).findings

async def in_a_loop():
    return verify(pipeline, info), await asyncio.to_thread(verify_load, pipeline, info, deep=True)
assert all(not d.findings for d in asyncio.run(in_a_loop()))

later = run(pipeline, orders(2))
with psycopg.connect(DSN) as other:  # a session of the loading role, and a lock on its table
    other.execute("LOCK shop.events IN ROW EXCLUSIVE MODE")
    assert not verify(pipeline, later, fail_on="info").findings
    assert not verify(pipeline, info).findings

other = dlt.pipeline("stock", destination="postgres", dataset_name="stock")
refused(verify(other, info), "UsageError", "the LoadInfo is of pipeline shop, not of stock")
refused(verify("shop"), "UsageError", "a dlt pipeline is needed, not str")
refused(verify(pipeline, "info"), "UsageError", "not a LoadInfo")
refused(verify(pipeline, info, fail_on="bad"), "UsageError", "fail_on")
refused(verify(pipeline, info, select="DD999"), "UsageError", "DD999")
assert not verify(pipeline, info, select="DD2", ignore=["DD203"]).findings
refused(verify(dlt.pipeline("none")), "UsageError", "no destination")
files = dlt.pipeline("files", destination=dlt.destinations.filesystem("file:///tmp/none"), dataset_name="d")
refused(verify(files), "CouldNotLookError", "loads to filesystem")
closed = dlt.pipeline("shop", destination=postgres("postgresql://u:s3cret@127.0.0.1:1/db"), dataset_name="shop")
refused(verify(closed), "CouldNotLookError", "could not look")

execute("DELETE FROM shop._dlt_loads")  # the record is gone, and with it the proof
assert "is not recorded in shop._dlt_loads" in str(verify(pipeline, info))
pipeline.run(events(), dataset_name="elsewhere")
refused(verify(pipeline, later), "UsageError", "into dataset shop")
""",
    )


def test_a_stranded_load_raises_although_it_is_seconds_old(world: RealWorld) -> None:
    _run(
        world,
        "run(pipeline, orders(1))\n"
        + CANNOT_DELETE
        + """
info = run(pipeline, orders(2))
for given in (info, None):
    said = raised(verify(pipeline, given), "DD202", "DD502")
    assert "permission denied for table orders" in said and "next: dltdoctor fix shop --resume" in said, said
assert isinstance(verify(pipeline, info, fail_on="never"), LoadNotVerifiedError)
assert isinstance(verify(pipeline, info, ignore=["DD202"]), LoadNotVerifiedError)

import shutil
shutil.rmtree(Path(pipeline.working_dir) / "load" / "normalized")
with psycopg.connect(DSN) as other:  # as if the load were still at work
    other.execute("LOCK shop_staging.orders IN ROW EXCLUSIVE MODE")
    raised(verify(pipeline, info), "DD201", "DD502")
raised(verify(pipeline), "DD201", "DD502")
""",
    )


def test_failed_jobs_that_dlt_was_told_to_pass_over_and_rows_that_never_left(world: RealWorld) -> None:
    _run(
        world,
        """
run(pipeline, events())
execute("REVOKE INSERT ON shop.events FROM CURRENT_USER")
assert "recorded as done, but jobs of it failed" in str(verify(pipeline, pipeline.run(events())))
execute("GRANT INSERT ON shop.events TO CURRENT_USER")
pipeline.extract(orders(1))
assert "is not recorded" in raised(verify(pipeline), "DD206")
""",
        LOAD__RAISE_ON_FAILED_JOBS="false",
    )


def test_another_pipeline_empties_columns(world: RealWorld) -> None:
    _run(
        world,
        """
@dlt.resource(name="reviews", primary_key="id", write_disposition="merge")
def reviews(**values):
    yield {"id": "a"} | values

scores = dlt.pipeline("scores", destination="postgres", dataset_name="shop")
concepts = dlt.pipeline("concepts", destination="postgres", dataset_name="shop")
assert not verify(scores, run(scores, reviews(trust_score=63.6))).findings
info = run(concepts, reviews(app_concept="x"))
assert "trust_score" in raised(verify(concepts, info), "DD301")
""",
    )


def test_a_layout_that_only_the_object_knows(world: RealWorld) -> None:
    _run(
        world,
        """
run(pipeline, orders(1))
for layout, code in (("%s", "DD101"), (None, "DD102"), ("", "DD102")):
    wrong = dlt.pipeline("shop", destination=postgres(staging_dataset_name_layout=layout), dataset_name="shop")
    info = run(wrong, orders(2))
    assert "the pipeline object" in str(verify(wrong, info).findings[0].evidence)
    raised(verify(wrong, info), code)

own = dlt.pipeline("own", destination=postgres(DSN, staging_dataset_name_layout="zone_%s"), dataset_name="own")
assert not verify(own, run(own, orders(1))).findings
execute("REVOKE DELETE ON own.orders FROM CURRENT_USER")
assert "wait in staging" in raised(verify(own, run(own, orders(2))), "DD202", "DD502")
""",
    )


def test_importing_the_package_imports_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import dltdoctor; new = set(sys.modules) - before\n"
        "assert new == {'dltdoctor'}, new\n"
        "from dltdoctor import LoadNotVerifiedError\n"
        "assert 'dlt' not in sys.modules and 'dltdoctor.verify' not in sys.modules\n"
        "from dltdoctor import verify_load\n"
        "assert 'dlt' not in sys.modules and 'psycopg' not in sys.modules and 'typer' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | ENV)


def test_the_error_survives_another_process() -> None:
    error = LoadNotVerifiedError("message", "hint", ("finding",), None)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.message, copy.hint, copy.findings, str(copy)) == ("message", "hint", ("finding",), "message")


def _script(world: RealWorld, script: str) -> tuple[int, str]:
    write_project(world.project, world.dsn, {"script.py": script})
    done = run_pipeline("script.py", project=world.project, data_dir=world.root / "data", env=ENV)
    return done.returncode, done.stdout


def _scripts_of(name: str) -> dict[str, str]:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    found = {title: body for kind, title, body in SNIPPET.findall(text) if kind == "run"}
    assert text.count("```python") == len(found), "a snippet of the docs that is not run"
    return found


def test_the_plain_script_of_the_docs(world: RealWorld) -> None:
    text = (ROOT / "docs" / "verify-load.md").read_text(encoding="utf-8")
    scripts = _scripts_of("verify-load.md")
    code, said = _script(world, scripts["plain"])
    assert code == 0, said
    world.execute("REVOKE DELETE ON shop.orders FROM CURRENT_USER")
    code, said = _script(world, scripts["caught"])
    assert code == 1
    said = said[said.rindex("dltdoctor.errors.LoadNotVerifiedError") :]
    said = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "<time>", re.sub(r"\d{10}\.\d+", "<load id>", said))
    said = said.replace("dltdoctor_test_loader", "loader")
    expected = next(body for kind, title, body in SNIPPET.findall(text) if kind == "output of")
    assert said.strip() == expected.strip()


def test_the_airflow_snippets(world: RealWorld) -> None:
    scripts = _scripts_of("airflow.md")
    write_project(world.project, world.dsn, {"shop_load.py": scripts.pop("shop_load")})
    revoke = "REVOKE DELETE ON shop.orders FROM CURRENT_USER"
    then = f"import psycopg\nwith psycopg.connect({world.dsn!r}) as connection:\n    connection.execute({revoke!r})\n"
    code, said = _script(world, f"from shop_load import load_orders\nload_orders()\n{then}load_orders()\n")
    assert code == 1
    assert "dltdoctor fix shop --resume" in said
    for title, script in scripts.items():
        compile(script, title, "exec")
        assert "from shop_load import load_orders\n" in script


def test_the_dagster_snippet(world: RealWorld) -> None:
    script = _scripts_of("dagster.md")["assets"]
    compile(script, "assets", "exec")
    if importlib.util.find_spec("dagster"):
        script += "\nassert dg.materialize([shop_orders, shop_orders_arrived]).success\n"
    else:  # its two functions, undecorated
        script = re.sub(r"^(import dagster as dg|@dg\..*|definitions = .*)\n", "", script, flags=re.MULTILINE)
        names = "import types\ndg = types.SimpleNamespace(MaterializeResult=dict, AssetCheckResult=dict)\n"
        script = f"{names}{script}\nshop_orders()\nassert shop_orders_arrived() == CHECKED\n"
        script = script.replace("CHECKED", repr({"passed": True, "metadata": {"tables": 1}}))
    code, said = _script(world, script)
    assert code == 0, said
