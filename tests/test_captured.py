"""Every captured world loads: its files unpack, its dump restores, no trace of the machine is in it."""

import base64
import binascii
import gzip
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.captured import WORLDS, CapturedWorld, RowCounts, world, worlds

MEGABYTE = 1024 * 1024
VERSIONS = ("0.4.12", "0.5.4", "1.5.0", "1.16.0", "1.21.0", "1.28.1", "1.29.1", "1.31.0")
OF_A_MACHINE = re.compile(rb"""/(tmp|root|work|home|Users|private|mnt|opt)(?=[/"'\s])""")
PACKED = re.compile(rb"eJ[0-9A-Za-z+/]{14,}={0,2}")  # base64 of what zlib begins with

every_world = pytest.mark.parametrize("captured", worlds(), ids=lambda w: w.id)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["healthy-merge", "stranded-merge", "staging-is-final"])
def test_every_era_has_the_core_worlds(version: str, name: str) -> None:
    assert world(version, name).captured


def test_worlds_stay_small() -> None:
    assert sum(path.stat().st_size for path in WORLDS.rglob("*") if path.is_file()) < 4 * MEGABYTE


@every_world
def test_unpacks_with_the_age_of_its_loads(captured: CapturedWorld, tmp_path: Path) -> None:
    unpacked = captured.unpack(tmp_path)
    kept = {path.name for path in unpacked.pipelines_dir.iterdir()}
    assert kept in (set(captured.pipelines), set())  # none where the disk was ephemeral
    for folder, _, files in os.walk(tmp_path / "pipelines"):
        for name in (*files, ""):
            assert Path(folder, name).stat().st_mtime <= captured.captured_at


@pytest.mark.parametrize("version", list(dict.fromkeys(w.version for w in worlds())))
def test_restores_with_the_rows_it_had(version: str, database: str) -> None:
    # One database for all worlds of a version: to create one takes longer than to restore one.
    with psycopg.connect(database) as connection:
        for captured in (w for w in worlds() if w.version == version):
            with connection.transaction(force_rollback=True):
                captured.restore_into(connection)
                assert_rows(connection, captured)


def test_restores_from_a_dsn(database: str) -> None:
    captured = world("1.31.0", "healthy-public")
    captured.restore(database)
    with psycopg.connect(database) as connection:
        assert_rows(connection, captured)


@every_world
def test_names_no_path_of_the_capturing_machine(captured: CapturedWorld, tmp_path: Path) -> None:
    captured.unpack(tmp_path)
    for path in (*tmp_path.rglob("*"), *captured.folder.glob("*.*")):
        if path.is_file() and path.suffix != ".xz":
            for text in layers(path.read_bytes()):
                assert not OF_A_MACHINE.search(text), f"{path.name}: {OF_A_MACHINE.findall(text)}"


def test_faults_of_a_diagnosis() -> None:
    stranded, well = world("1.28.1", "stranded-merge"), world("1.28.1", "healthy-merge")
    assert stranded.faults([("DD201", "error"), ("DD205", "warning"), ("DD107", "info")]) == []
    assert stranded.faults([("DD202", "error")]) == ["DD201 is missing", "DD202 (error) is wrong here"]
    assert well.faults([("DD107", "info")]) == []
    assert well.faults([("DD103", "warning")]) == ["DD103 (warning) is wrong here"]
    assert world("story", "final-null").faults([]) == ["none of DD201, DD301"]


def assert_rows(connection: "psycopg.Connection[tuple[Any, ...]]", captured: CapturedWorld) -> None:
    for table, rows in captured.rows.items():
        found = RowCounts(count(connection, captured.dataset, table), count(connection, captured.staging, table))
        assert (captured.id, table, found) == (captured.id, table, rows)
    for qualified, rows_elsewhere in captured.elsewhere.items():
        found_elsewhere = count(connection, *qualified.split("."))
        assert (captured.id, qualified, found_elsewhere) == (captured.id, qualified, rows_elsewhere)


def count(connection: "psycopg.Connection[tuple[Any, ...]]", schema: str, table: str) -> int | None:
    """Rows of a table, or None when there is no such table."""
    query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table))
    try:
        with connection.transaction():
            row = connection.execute(query).fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return row[0] if row else None


def layers(data: bytes) -> Iterator[bytes]:
    """The bytes, and what is packed in them by gzip or by zlib and base64, as deep as it goes."""
    yield data
    if data.startswith(b"\x1f\x8b"):
        yield from layers(gzip.decompress(data))
    for match in PACKED.finditer(data):
        try:
            yield from layers(zlib.decompress(base64.b64decode(match.group())))
        except (binascii.Error, zlib.error):
            continue
