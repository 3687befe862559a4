"""Every check has a test in which it fires for real, and docs/check-tests.md says which."""

import importlib.util
from pathlib import Path
from types import ModuleType

from dltdoctor.checks import CHECKS

ROOT = Path(__file__).parent.parent
SAMPLE = """
import pytest
pytestmark = pytest.mark.quiet("DD777")

@pytest.mark.fires("DD701", "DD702")
@pytest.mark.parametrize("a", [1, pytest.param(2, marks=pytest.mark.quiet("DD703"))])
def test_one(a): ...

class TestMore:
    @pytest.mark.fires("DD704")
    def test_two(self): ...

def helper(): ...
"""


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("check_tests", ROOT / "docs" / "check_tests.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_check_fires_in_a_test() -> None:
    assert sorted({check.code for check in CHECKS} - _script().firing()) == []


def test_no_test_names_a_check_that_is_not_there() -> None:
    known = {check.code for check in CHECKS}
    assert sorted({mark.code for mark in _script().marks(ROOT / "tests")} - known) == []


def test_the_page_is_what_the_tests_make_of_it() -> None:
    script = _script()
    assert script.PAGE.read_text(encoding="utf-8") == script.page(), "run: python docs/check_tests.py"


def test_marks_are_read_wherever_they_stand(tmp_path: Path) -> None:
    (tmp_path / "test_sample.py").write_text(SAMPLE, encoding="utf-8")
    found = {(m.kind, m.code, m.test) for m in _script().marks(tmp_path)}
    assert found == {
        ("fires", "DD701", "test_one"),
        ("fires", "DD702", "test_one"),
        ("quiet", "DD703", "test_one"),
        ("fires", "DD704", "test_two"),
        ("quiet", "DD777", "test_one"),
        ("quiet", "DD777", "test_two"),
    }
