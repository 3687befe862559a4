"""docs/ci.md says which checks can look without a database."""

import re
import shutil
from pathlib import Path

from dltdoctor.checks import CHECKS
from dltdoctor.demo.stage import FILES
from tests.command_line import dltdoctor, report

PAGE = Path(__file__).parent.parent / "docs" / "ci.md"


def _documented(row: str) -> set[str]:
    (line,) = (line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {row}"))
    return set(re.findall(r"DD\d{3}", line))


def test_the_checks_that_look_offline_are_those_of_the_page(tmp_path: Path) -> None:
    shutil.copyfile(FILES / "load_concepts.py", tmp_path / "load_concepts.py")
    done = dltdoctor("check", "--offline", "--format", "json", tmp_path, env={"HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    skipped = {skip.check for skip in report(done).skipped}
    assert _documented("look at all they need") == {c.code for c in CHECKS} - skipped


def test_the_checks_that_look_at_a_part_offline_can_do_without_the_catalog() -> None:
    partly = _documented("say what the source")
    assert partly
    assert partly <= {c.code for c in CHECKS if "catalog" in c.optional}
