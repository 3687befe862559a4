"""`python -m benchmarks.gate`: the offline gate over a large project, beside `ruff check` of the same tree."""

import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure, table
from benchmarks.measure import Program, race
from benchmarks.shop import script

FILES = 2000
FILES_A_PIPELINE = 40
MOST_SECONDS = 5.0
HEAD = '''\
"""A module of a large project."""

import json
from collections.abc import Iterator
'''
PART = '''

class Record{number}:
    """A record with fields, as a project is full of them."""

    def __init__(self, values: dict[str, object]) -> None:
        self.values = values

    def rows(self) -> Iterator[str]:
        for key, value in self.values.items():
            yield json.dumps({{"key": key, "value": value, "module": {number}}})


def total_{number}(records: list[Record{number}]) -> int:
    return sum(len(record.values) for record in records)
'''
LOADER = '''\
"""Loader {number}."""

import dlt
from dlt.destinations import postgres


@dlt.resource(name="orders_{number}", primary_key="id", write_disposition="merge")
def orders():
    yield [{{"id": 1}}]


def load() -> None:
    pipeline = dlt.pipeline("loader_{number}", destination=postgres(), dataset_name="shop_{number}")
    pipeline.run(orders())
'''


def gate(files: int = FILES, *, rounds: int) -> Figure:
    """The figure of the gate over a project of so many files."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "project"  # beside the home directory, which is no project
        write_project(root, files)
        environ = {"HOME": name, "PATH": "/usr/bin:/bin"}
        check = Program(command=(script("dltdoctor"), "check", "--offline", "-f", "json"), environ=environ, cwd=root)
        ruff = Program(command=(script("ruff"), "check", "--no-cache", "--isolated", "."), environ=environ, cwd=root)
        ours, theirs = race(check, ruff, rounds=rounds)
    return Figure(
        what=f"`dltdoctor check --offline`, {files:,} Python files, {files // FILES_A_PIPELINE} pipelines",
        ours=ours,
        rival=theirs,
        rival_name="`ruff check --no-cache`",
        most_seconds=MOST_SECONDS,
    )


def write_project(root: Path, files: int) -> None:
    """Python files in packages of a hundred; every fortieth makes a pipeline."""
    for number in range(files):
        folder = root / f"package_{number // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        is_loader = number % FILES_A_PIPELINE == 0
        text = LOADER.format(number=number) if is_loader else HEAD + "".join(PART.format(number=n) for n in range(8))
        (folder / f"module_{number}.py").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.stdout.write(table([gate(rounds=5)]))
