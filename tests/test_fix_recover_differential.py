"""What `fix --recover` leaves is what was there before the loss, row for row (law 9).

A few examples here; `python -m benchmarks.differential --recover` tries as many as are asked for.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.recover_differential import Loss, Turn, check, check_clobbered, losses, turns

FEW = settings(
    max_examples=5,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.fixture
def place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@given(loss=losses())
@FEW
def test_emptied_tables(loss: Loss, postgres: str, place: Path) -> None:
    check(loss, postgres, place)


@given(given_turns=turns())
@FEW
def test_columns_that_another_pipeline_nulls(given_turns: tuple[Turn, ...], postgres: str, place: Path) -> None:
    check_clobbered(given_turns, postgres, place)
