"""What `fix --migrate` leaves is what dlt's own finished load leaves, row for row (law 9).

30 examples here; `python -m benchmarks.differential` tries as many as are asked for.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.differential import Recipe, check, recipes

FEW = settings(
    max_examples=15,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@given(recipe=recipes(keeps_package=True))
@FEW
def test_a_pending_package(recipe: Recipe, postgres: str, place: Path) -> None:
    check(recipe, postgres, place)


@given(recipe=recipes(keeps_package=False))
@FEW
def test_without_the_working_dir(recipe: Recipe, postgres: str, place: Path) -> None:
    check(recipe, postgres, place)
