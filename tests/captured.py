"""The captured worlds under fixtures/worlds: working dirs and databases that real dlt left behind.

`fixtures/README.md` says how they are made and what is in them.
"""

import os
import re
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import psycopg

WORLDS = Path(__file__).parent.parent / "fixtures" / "worlds"
STORY_FILES = WORLDS / "story" / "files"
_LOAD_ID = re.compile(r"\d{10}\.\d+")


class RowCounts(msgspec.Struct, frozen=True):
    """Rows of one table, counted; None where there is no such table."""

    final: int | None
    staging: int | None


class Run(msgspec.Struct, frozen=True):
    """A command that made the world, and whether it ended with an exception (or was killed)."""

    command: str
    raised: bool


class UnpackedWorld(msgspec.Struct, frozen=True):
    """The files of a world on disk, as old as its loads."""

    root: Path
    project: Path
    pipelines_dir: Path


class CapturedWorld(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A world.json, and the folder it stands in.

    `version` is dlt's, or "story" for a world made by hand. `staging` is where staged rows are: the
    final dataset itself where the layout made them one. `rows` counts the tables of the two datasets,
    `elsewhere` those of any other schema. `captured_at` is Unix seconds.
    """

    world: str
    version: str
    captured: bool
    captured_at: float
    pipelines: tuple[str, ...]
    dataset: str
    staging: str
    truth: str
    runs: tuple[Run, ...]
    expected_codes: frozenset[str]
    one_of_codes: frozenset[str]
    allowed_codes: frozenset[str]
    forbidden_codes: frozenset[str]
    forbidden_severities: frozenset[str]
    rows: Mapping[str, RowCounts]
    elsewhere: Mapping[str, int]

    @property
    def id(self) -> str:
        return f"{self.version}/{self.world}"

    @property
    def folder(self) -> Path:
        return WORLDS / self.version / self.world

    @property
    def is_healthy(self) -> bool:
        """True where nothing at all is wrong: no error, no warning."""
        return {"error", "warning"} <= self.forbidden_severities

    def unpack(self, place: Path) -> UnpackedWorld:
        """Put project/ and pipelines/ into a directory, with the mtimes of the loads."""
        if self.captured:
            with tarfile.open(self.folder / "files.tar.xz") as archive:
                archive.extractall(place, filter="data")
        else:
            shutil.copytree(STORY_FILES, place, dirs_exist_ok=True)
            (place / "project").mkdir(exist_ok=True)
        unpacked = UnpackedWorld(place, place / "project", place / "pipelines")
        for top in (unpacked.project, unpacked.pipelines_dir):
            self._age(top)
        return unpacked

    def restore(self, dsn: str) -> None:
        """Fill an empty database, in one transaction."""
        with psycopg.connect(dsn) as connection:
            self.restore_into(connection)

    def restore_into(self, connection: "psycopg.Connection[Any]") -> None:
        """Fill the empty database of a connection; its transaction is the caller's."""
        connection.execute((self.folder / "database.sql").read_bytes())

    def faults(self, findings: Iterable[tuple[str, str]]) -> list[str]:
        """What is wrong with a diagnosis of this world, given as (code, severity); empty when right."""
        found = set(findings)
        codes = {code for code, _ in found}
        known = self.expected_codes | self.one_of_codes | self.allowed_codes
        faults = [f"{code} is missing" for code in sorted(self.expected_codes - codes)]
        if self.one_of_codes and not self.one_of_codes & codes:
            faults.append(f"none of {', '.join(sorted(self.one_of_codes))}")
        for code, severity in sorted(found):
            if code in self.forbidden_codes or severity in self.forbidden_severities:
                faults.append(f"{code} ({severity}) is wrong here")
            elif severity != "info" and code not in known:
                faults.append(f"{code} ({severity}) is a false positive")
        return faults

    def _age(self, top: Path) -> None:
        """Make everything as old as its load, so that nothing looks as if it were still at work."""
        for folder, _, files in os.walk(top, topdown=False):
            load_id = _LOAD_ID.search(folder.removeprefix(str(top)))
            then = float(load_id.group()) if load_id else self.captured_at
            for name in (*files, ""):
                os.utime(os.path.join(folder, name), (then, then))


@cache
def worlds() -> tuple[CapturedWorld, ...]:
    """Every world, oldest dlt first, the hand-made ones last."""
    return tuple(sorted(_read_worlds(), key=lambda w: (_order(w.version), w.world)))


def world(version: str, name: str) -> CapturedWorld:
    """The world of that name; raises KeyError when there is none."""
    return {(w.version, w.world): w for w in worlds()}[version, name]


def _read_worlds() -> Iterator[CapturedWorld]:
    for path in WORLDS.glob("*/*/world.json"):
        yield msgspec.json.decode(path.read_bytes(), type=CapturedWorld)


def _order(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split("."))) if version[0].isdigit() else (99,)
