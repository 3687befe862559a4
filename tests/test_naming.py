"""The names of datasets, compared with dlt's own classes and with a real Postgres."""

import os
import pkgutil
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import dlt
import dlt.common.normalizers.naming as conventions
import psycopg
import pytest
from dlt.common.configuration.exceptions import ConfigurationValueError
from dlt.common.schema import Schema
from dlt.destinations.impl.postgres.configuration import PostgresClientConfiguration, PostgresCredentials
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg import sql

from dltdoctor.world import naming
from dltdoctor.world.naming import (
    DatasetNames,
    configured_dataset,
    dataset_names,
    effective_name,
    final_name,
    normalize_dataset,
    raw_dataset,
    staging_name,
)

NAMINGS = sorted(naming.KNOWN)
NO_CODE = {"naming", "exceptions"}

words = st.text(alphabet="abz_09", min_size=1, max_size=70)
odd = st.text(
    alphabet="aZqé ß_-+*@|0\u0663\"'%\n.▶数İ🐘/",
    min_size=1,
    max_size=80,
)
names = st.one_of(words, odd, st.sampled_from(["MyData", "nmNorm-DS 2024", "数据" * 12, "é" * 31 + "_x"]))
layouts = st.one_of(
    st.sampled_from(
        [
            "%s_staging",
            "%s",
            "stg_%s",
            "LAY_%s",
            "_dlt_staging",
            "{dataset}_staging",
            "%(ds)s_staging",
            "%d_staging",
            "%s_%s",
            "100%s%",
            "%s_%d",
            "%%s",
            "%(x)s%s",
            " %s ",
            "  ",
            "数据_%s",
        ]
    ),
    odd,
)


@lru_cache
def schema_of(convention: str, name: str = "shop") -> Schema:
    normalizers: Any = {"names": convention, "json": {"module": "dlt.common.normalizers.json.relational"}}
    schema = Schema(name, normalizers=normalizers)
    schema.naming.max_length = 63
    return schema


@lru_cache
def fold_of(convention: str) -> Any:
    factory = dlt.destinations.postgres()
    caps = factory.capabilities(naming=schema_of(convention).naming)
    return caps.casefold_identifier


def dlt_config(
    dataset: str, layout: str | None, *, normalize: bool, default: str | None = None
) -> PostgresClientConfiguration:
    config = PostgresClientConfiguration(credentials=PostgresCredentials())
    config._bind_dataset_name(dataset, cast("str", default))
    config.staging_dataset_name_layout = layout
    config.enable_dataset_name_normalization = normalize
    return config


def cut(name: str) -> str:
    return name.encode()[:63].decode(errors="ignore")


@given(name=words)
@settings(max_examples=400, deadline=None)
def test_ordinary_names_are_those_every_convention_leaves_alone(name: str) -> None:
    if len(name) > 63 or not naming._ORDINARY.fullmatch(name):
        return
    for convention in set(NAMINGS) - {"s3_tables"}:
        assert schema_of(convention).naming.normalize_table_identifier(name) == name


@given(name=names, convention=st.sampled_from(NAMINGS))
@settings(max_examples=500, deadline=None)
def test_normalising_equals_dlt(name: str, convention: str) -> None:
    try:
        expected = fold_of(convention)(schema_of(convention).naming.normalize_table_identifier(name))
    except ValueError:
        with pytest.raises(ValueError, match=r"^$"):
            normalize_dataset(name, convention)
    else:
        assert normalize_dataset(name, convention) == expected


@given(
    name=names,
    convention=st.sampled_from(NAMINGS),
    normalize=st.booleans(),
    single=st.booleans(),
    schema=st.sampled_from(["shop", "crm"]),
)
@settings(max_examples=300, deadline=None)
def test_the_final_dataset_equals_dlts(
    name: str, convention: str, *, normalize: bool, single: bool, schema: str
) -> None:
    config = dlt_config(name, "%s_staging", normalize=normalize, default=None if single else "shop")
    raw = raw_dataset(name, schema_name=schema, default_schema_name="shop", use_single_dataset=single)
    held = final_name(raw, naming=convention, normalize=normalize)
    try:
        expected = config.normalize_dataset_name(schema_of(convention, schema))
    except ValueError:
        assert held == cut(raw)
    else:
        assert held == cut(fold_of(convention)(expected))


@given(name=names, layout=layouts, convention=st.sampled_from(NAMINGS), normalize=st.booleans())
@settings(max_examples=500, deadline=None)
def test_the_staging_dataset_equals_dlts(name: str, layout: str, convention: str, *, normalize: bool) -> None:
    config = dlt_config(name, layout, normalize=normalize)
    expected: tuple[str | None, str | None]
    try:
        asked = config.normalize_staging_dataset_name(schema_of(convention))
        expected = cut(fold_of(convention)(asked)), None
    except (TypeError, ValueError) as refused:
        expected = None, str(refused).strip() or "the name is blank"
    assert staging_name(name, layout, naming=convention, normalize=normalize) == expected


@pytest.mark.parametrize(
    ("layout", "held", "error"),
    [
        ("%s_staging", "shop_staging", None),
        ("%s", "shop", None),
        ("_dlt_staging", "_dlt_staging", None),
        ("{dataset}_staging", "_dataset_staging", None),
        ("%(ds)s_staging", "_ds_s_staging", None),
        ("%d_staging", "_d_staging", None),
        ("%s_%s", None, "not enough arguments for format string"),
        ("100%s%", None, "incomplete format"),
        ("", None, naming.EMPTY_LAYOUT),
        (None, None, naming.NO_LAYOUT),
    ],
)
def test_layouts_as_measured(layout: str | None, held: str | None, error: str | None) -> None:
    assert staging_name("shop", layout) == (held, error)


def test_the_collisions_that_dlts_guard_does_not_see() -> None:
    assert dataset_names("lay_x", "LAY_X", normalize=False).collide
    assert dataset_names("a" * 63, normalize=False).collide
    assert dataset_names("数" * 24, naming="direct").collide
    assert not dataset_names("shop").collide


def test_a_schema_that_is_not_the_default_one_has_its_own_dataset() -> None:
    held = dataset_names("Shop", schema_name="crm", default_schema_name="shop", use_single_dataset=False)
    assert held == DatasetNames(raw="Shop_crm", final="shop_crm", staging="shop_crm_staging")


@pytest.mark.parametrize("name", [None, "data"])
@pytest.mark.parametrize("layout", [None, "", "pre_%s", "none", "%s_%s"])
def test_the_next_dataset_equals_dlts(
    name: str | None, layout: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if layout is not None:
        monkeypatch.setenv("DATASET_NAME_LAYOUT", layout)
    held, error = configured_dataset("my pipe", name, layout)
    try:
        pipeline = dlt.pipeline(
            "my pipe", pipelines_dir=str(tmp_path), destination="postgres", dataset_name=cast("str", name)
        )
    except (ConfigurationValueError, TypeError):
        assert held is None
        assert error
    else:
        assert (held, error) == (pipeline.dataset_name, None)


def test_the_known_conventions_are_dlts() -> None:
    found = {m.name for m in pkgutil.iter_modules(conventions.__path__)} - NO_CODE
    assert found == naming.KNOWN
    sensitive = {c for c in found if schema_of(c).naming.is_case_sensitive}
    assert sensitive == naming.CASE_SENSITIVE


def test_a_convention_of_the_users_is_not_run_and_its_result_not_claimed() -> None:
    assert dataset_names("My-Data", naming="my_naming") == DatasetNames(
        raw="My-Data", final="My-Data", staging="My-Data_staging", certain=False
    )


def test_an_ordinary_name_does_not_import_dlt() -> None:
    code = (
        "import sys; from dltdoctor.world.naming import dataset_names;"
        "names = dataset_names('public'); assert names.staging == 'public_staging';"
        "assert 'dlt' not in sys.modules"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize("name", ["x\ud800", "\ud800" * 80])
def test_a_name_that_is_not_unicode_does_not_crash(name: str) -> None:
    for convention in (*NAMINGS, "mine"):
        for normalize in (True, False):
            assert dataset_names(name, naming=convention, normalize=normalize).raw == name


def test_postgres_holds_the_names(database: str) -> None:
    given_names = ["a" * 63, "a" * 64, "é" * 40, "x" + "é" * 40, "数" * 24, "数" * 21 + "xy", "🐘" * 20]
    given_names += ["xx" + "🐘" * 20, 'quo"ted' * 12, "Mixed Case%s" * 6, "a" * 61 + "数"]
    with psycopg.connect(database, autocommit=True) as connection:
        before = _schemas(connection)
        for name in given_names:
            connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {}").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        held = _schemas(connection) - before
    assert held == {effective_name(name) for name in given_names}


def _schemas(connection: psycopg.Connection[Any]) -> set[str]:
    found = {str(row[0]) for row in connection.execute("SELECT nspname FROM pg_namespace")}
    return {name for name in found if not re.match("pg_(toast_)?temp", name)}
