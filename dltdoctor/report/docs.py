"""The documents that are made from the code: the catalogue of checks and the blocks of the README.

`python -m dltdoctor.report.docs` writes them anew; the suite fails while they differ from the code.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from dltdoctor.check import Check
from dltdoctor.checks import CHECKS

GROUPS = {
    "DD0": "could not look (never the same as nothing found)",
    "DD1": "routing: where dlt will write",
    "DD2": "loads: did the staged rows arrive",
    "DD3": "rows",
    "DD4": "schema drift",
    "DD5": "configuration and privileges",
    "DD6": "readers",
}


def check_table(checks: Sequence[Check] = CHECKS) -> str:
    """The checks as a Markdown table, for the README."""
    lines = ["| code | name | severity | what it says |", "|---|---|---|---|"]
    for check in checks:
        severities = " or ".join(check.severities)
        lines.append(
            f"| {check.code} | [{check.name}](docs/checks.md#{anchor(check)}) | {severities} | {check.title} |"
        )
    return "\n".join(lines)


def checks_page(checks: Sequence[Check] = CHECKS) -> str:
    """The catalogue: what `explain` says of every check, as a page."""
    parts = ["# The checks", "", "What `dltdoctor explain CODE` prints, for every check.", ""]
    group = ""
    for check in checks:
        if check.code[:3] != group:
            group = check.code[:3]
            parts += [f"## {group}xx {GROUPS[group]}", ""]
        parts.append(section(check))
    return "\n".join(parts)


def section(check: Check) -> str:
    """What `explain` says of one check, as a section."""
    _, _, body = check.doc.partition("\n")
    parts = [
        f"### {check.code} {check.name}",
        "",
        f"**{check.title}.** Severity: {' or '.join(check.severities)}.",
        "",
        body.strip(),
        "",
    ]
    if check.url:
        parts += [f"See also <{check.url}>.", ""]
    return "\n".join(parts)


def anchor(check: Check) -> str:
    """The heading's anchor, as GitHub and GitLab make it."""
    return f"{check.code.lower()}-{check.name}"


def block(text: str, name: str, content: str) -> str:
    """The document with what stands between `<!-- name -->` and `<!-- /name -->` replaced."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


def made(root: Path) -> dict[Path, str]:
    """Every document that is made from the code, with what should stand in it."""
    readme = root / "README.md"
    return {
        root / "docs" / "checks.md": checks_page(),
        readme: block(readme.read_text(encoding="utf-8"), "checks", check_table()),
    }


if __name__ == "__main__":
    for path, content in made(Path(sys.argv[1] if len(sys.argv) > 1 else ".")).items():
        path.write_text(content, encoding="utf-8")
