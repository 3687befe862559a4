"""The table of tests: for each check those in which it fires for real, and those that keep it quiet.

`python docs/check_tests.py` writes docs/check-tests.md anew; the suite fails while it differs. The marks
`fires` and `quiet` of the tests are read without running them; the suite itself holds every marked test to
its word. The captured worlds of fixtures/worlds say what has to be found in them, and that the healthy ones
yield no error and no warning.
"""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dltdoctor.checks import CHECKS

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "check-tests.md"
MARKS = ("fires", "quiet")
WORLDS_TEST = "test_diagnose_captured.py"
HEAD = """# Which tests prove which check

Made by `python docs/check_tests.py`; the suite fails while this page differs from the tests.

**Fires**: the sickness is made by real dlt on real Postgres, or was captured from a real dlt, and the check says so.
**Quiet**: a healthy world, or one that only looks like it, in which the check must not say a word. Each test is held to
its word: it fails when the check was not seen, or was. *World* is a captured one, in `fixtures/worlds`, with the dlt
versions that made it. *The healthy worlds* are the captured ones in which nothing is wrong, and those of
[test_diagnose_wellness](../tests/test_diagnose_wellness.py), which go through every disposition and strategy.
"""


class Mark(NamedTuple):
    """A test that names a check."""

    kind: str
    code: str
    file: str
    test: str


class World(NamedTuple):
    """A captured world: the codes that have to be found in it, and whether it is healthy."""

    version: str
    name: str
    expected: frozenset[str]
    healthy: bool


def marks(tests: Path) -> Iterator[Mark]:
    """Every mark in the files of a directory, also those of a module and of single parameters."""
    for path in sorted(tests.glob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        shared = [n.value for n in tree.body if isinstance(n, ast.Assign) and _is_pytestmark(n)]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for place in (*shared, *node.decorator_list):
                    yield from (Mark(kind, code, path.name, node.name) for kind, code in _named(place))


def _is_pytestmark(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets)


def _named(place: ast.expr) -> Iterator[tuple[str, str]]:
    """The codes of `pytest.mark.fires("DD001", …)` anywhere in an expression."""
    for node in ast.walk(place):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MARKS:
            for argument in node.args:
                yield node.func.attr, str(ast.literal_eval(argument))


def worlds(fixtures: Path) -> Iterator[World]:
    """Every captured world, the oldest dlt first."""
    for path in sorted(fixtures.glob("*/*/world.json"), key=_by_version):
        told: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        healthy = {"error", "warning"} <= set(told["forbidden_severities"])
        yield World(told["version"], told["world"], frozenset(told["expected_codes"]), healthy)


def _by_version(path: Path) -> tuple[list[int], str]:
    return [int(n) for n in re.findall(r"\d+", path.parts[-3])] or [99], path.parts[-2]


def page(root: Path = ROOT) -> str:
    """The whole page."""
    found: dict[tuple[str, str], list[Mark]] = defaultdict(list)
    for mark in marks(root / "tests"):
        found[mark.kind, mark.code].append(mark)
    captured = list(worlds(root / "fixtures" / "worlds"))
    healthy = sum(world.healthy for world in captured)
    lines = [
        HEAD,
        f"The {healthy} healthy captured worlds keep every check quiet; only notes (info) are allowed in them.",
        "",
        "| check | fires in | stays quiet in |",
        "|---|---|---|",
    ]
    for check in CHECKS:
        fires = [*_tests(found["fires", check.code]), *_captured(check.code, captured)]
        quiet = list(_tests(found["quiet", check.code]))
        lines.append(f"| {check.code} {check.name} | {_cell(fires)} | {_cell([*quiet, 'the healthy worlds'])} |")
    return "\n".join([*lines, ""])


def firing(root: Path = ROOT) -> set[str]:
    """The codes that some test or captured world makes fire."""
    named = {mark.code for mark in marks(root / "tests") if mark.kind == "fires"}
    return named.union(*(world.expected for world in worlds(root / "fixtures" / "worlds")))


def _tests(found: list[Mark]) -> Iterator[str]:
    """The tests by file, each once."""
    by_file: dict[str, dict[str, None]] = defaultdict(dict)
    for mark in found:
        by_file[mark.file][mark.test.removeprefix("test_")] = None
    for file, names in by_file.items():
        yield f"[{file.removesuffix('.py')}](../tests/{file}): {', '.join(names)}"


def _captured(code: str, captured: list[World]) -> Iterator[str]:
    """The worlds in which a code has to be found, with the versions of each."""
    versions: dict[str, list[str]] = defaultdict(list)
    for world in captured:
        if code in world.expected:
            versions[world.name].append(world.version)
    for name, made_by in versions.items():
        yield f"[world](../tests/{WORLDS_TEST}) {name}: {', '.join(made_by)}"


def _cell(parts: list[str]) -> str:
    return "<br>".join(parts) or "–"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
