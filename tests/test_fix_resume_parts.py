"""What resuming relies on: counting rows in job files, finding the project's Python, leading dlt to a database."""

import csv
import gzip
import io
import sys
from pathlib import Path

import pytest
from dlt.common.configuration.specs import ConnectionStringCredentials
from dlt.common.data_writers.writers import InsertValuesWriter
from dlt.common.schema.typing import TTableSchemaColumns
from dlt.destinations import postgres
from dlt.destinations.impl.postgres.configuration import PostgresCredentials
from hypothesis import given
from hypothesis import strategies as st

from dltdoctor import sketch
from dltdoctor.errors import RefusedError
from dltdoctor.snapshot import Pipeline, Target
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.finish_load import credentials_environ
from dltdoctor.world.interpreter import fitness, project_interpreter
from dltdoctor.world.job_rows import count_rows

NASTY = st.text() | st.sampled_from(
    ["),\n(", "'", "\\", "\\'", ");\nINSERT INTO {}(", "\r\n", "VALUES", '"', "\x85\u2028"]
)
VALUES = NASTY | st.none() | st.integers() | st.binary() | st.dictionaries(st.text(), NASTY)


@given(st.lists(st.lists(st.tuples(NASTY, VALUES), max_size=3), max_size=3))
def test_rows_of_any_values_are_counted(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[list[tuple[str, object]]]
) -> None:
    columns: TTableSchemaColumns = {"a": {"name": "a", "data_type": "text"}, "b": {"name": "b", "data_type": "json"}}
    text = io.StringIO(newline="")
    writer = InsertValuesWriter(text, caps=postgres().capabilities())
    writer.write_header(columns)
    for chunk in chunks:
        writer.write_data([{"a": a, "b": b} for a, b in chunk])
    writer.write_footer()
    path = tmp_path_factory.getbasetemp() / "rows.insert_values.gz"
    path.write_bytes(gzip.compress(text.getvalue().encode("utf-8", "surrogatepass")))
    assert count_rows(str(path), "insert_values") == sum(map(len, chunks))


@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE x;",
        'INSERT INTO {}("a")\nVALUES\n(1),\n(2)',  # cut off
        'INSERT INTO {}("a")\nVALUES\n(1),\n2);',
        'INSERT INTO {}("a")\nVALUES\n(1);\nDELETE FROM t;',
        'INSERT INTO {}("a")\nSELECT 1;',
    ],
)
def test_a_file_of_another_form_is_not_counted(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.insert_values"
    file.write_text(text)
    assert count_rows(str(file), "insert_values") is None


@given(rows=st.lists(st.tuples(st.text(), st.text(min_size=1)), max_size=5), has_header=st.booleans())
def test_rows_of_csv_are_counted(
    tmp_path_factory: pytest.TempPathFactory, *, rows: list[tuple[str, str]], has_header: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "rows.csv"
    with path.open("w", encoding="utf-8", errors="surrogatepass", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        if has_header:
            writer.writerow(["id_of_row", "_dlt_load_id"])
        writer.writerows(rows)
    assert count_rows(str(path), "csv", ["id_of_row", "_dlt_load_id"]) == len(rows)


def test_what_cannot_be_counted(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(b'INSERT INTO {}("a")\nVALUES\n(1);')[:-9])
    assert count_rows(str(broken), "insert_values") is None
    assert count_rows(str(tmp_path / "missing"), "insert_values") is None
    assert count_rows(str(broken), "model") is None


def _environment(place: Path, version: str, storage: str = "1.0.1") -> Path:
    """An environment as a project has it, with only what is looked at."""
    program = place / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/false\n")
    program.chmod(0o755)
    packages = place / "lib" / "python3.11" / "site-packages"
    (packages / f"dlt-{version}.dist-info").mkdir(parents=True)
    storages = packages / "dlt" / "common" / "storages"
    storages.mkdir(parents=True)
    (storages / "load_storage.py").write_text(f'class LoadStorage:\n    STORAGE_VERSION = "{storage}"\n')
    return program


def test_the_project_s_own_python_comes_first(tmp_path: Path) -> None:
    active, project = tmp_path / "active", tmp_path / "project"
    project.mkdir()
    assert project_interpreter(project, {}).path == sys.executable
    program = _environment(active, "1.5.0")
    found = project_interpreter(project, {"VIRTUAL_ENV": str(active)})
    assert (found.path, found.dlt_version, found.origin) == (str(program), "1.5.0", "VIRTUAL_ENV")
    program = _environment(project / ".venv", "1.28.1")
    found = project_interpreter(project, {"VIRTUAL_ENV": str(active)})
    assert (found.path, found.dlt_version, found.aborts) == (str(program), "1.28.1", True)


def test_an_environment_without_dlt_is_passed_over(tmp_path: Path) -> None:
    program = _environment(tmp_path / ".venv", "1.28.1")
    (tmp_path / ".venv/lib/python3.11/site-packages/dlt-1.28.1.dist-info").rmdir()
    assert project_interpreter(tmp_path, {}).path != str(program)


@pytest.mark.parametrize(
    ("written", "outcome"), [("1.0.2", "refused"), ("1.0.1", ""), ("1.0.0", "newer"), (None, ""), ("odd", "")]
)
def test_an_older_dlt_is_refused_and_a_newer_one_is_told(tmp_path: Path, written: str | None, outcome: str) -> None:
    _environment(tmp_path / ".venv", "1.28.1")
    interpreter = project_interpreter(tmp_path, {})
    pipeline: Pipeline = sketch.pipeline(storage_version=written)
    if outcome == "refused":
        with pytest.raises(RefusedError, match=r"written by a newer dlt than 1\.28\.1, which \.venv has"):
            fitness(interpreter, pipeline)
    else:
        assert ("newer than the dlt that wrote" in fitness(interpreter, pipeline)) == bool(outcome)


@pytest.mark.parametrize("password", ["simple", "p@ss:/w%rd ?#", ""])
def test_dlt_reads_the_address_as_it_was_examined(password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(host="db.example", port=5432, database="wäre house", user="lo@der", origin="--dsn")
    parameters = {"sslmode": "require", **({"password": password} if password else {})}
    made = credentials_environ(
        "shop", None, Credentials(parameters=parameters, origin="--dsn"), target, {"PGPASSWORD": "from-env"}
    )
    url = made["SHOP__DESTINATION__POSTGRES__CREDENTIALS"]
    parsed: ConnectionStringCredentials = PostgresCredentials(url)
    assert (parsed.host, parsed.port, parsed.username) == ("db.example", 5432, "lo@der")
    assert parsed.password == (password or "from-env")
    monkeypatch.setenv("DESTINATION__POSTGRES__CREDENTIALS__PORT", "1")
    for name, value in made.items():
        monkeypatch.setenv(name, value)
    resolved = postgres(pipeline_name="shop").configuration(postgres().spec()._bind_dataset_name("x")).credentials
    assert (resolved.host, resolved.port, resolved.database) == ("db.example", 5432, "wäre house")
    assert (resolved.username, resolved.password) == ("lo@der", password or "from-env")
    assert resolved.query["sslmode"] == "require"
