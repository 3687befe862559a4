"""Law 10: the README and the documents say what the code prints."""

import importlib.util
import re
from pathlib import Path

from dltdoctor.report.docs import made

ROOT = Path(__file__).parent.parent


def _story():
    spec = importlib.util.spec_from_file_location("story", ROOT / "docs" / "story.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_shows_what_is_printed():
    story = _story()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    outputs = story.play()
    assert set(story.blocks(readme)) == set(outputs)
    assert story.with_story(readme, outputs) == readme, "run: python docs/story.py"


def test_documents_are_what_the_code_makes_of_them():
    for path, content in made(ROOT).items():
        assert path.read_text(encoding="utf-8") == content, "run: python -m dltdoctor.report.docs"


def test_links_lead_somewhere():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "benchmarks" / "README.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
