"""dltdoctor.toml: what is understood, and that everything else is refused with its place."""

import tomllib
from pathlib import Path

import pytest

from dltdoctor import gate
from dltdoctor.errors import UsageError
from dltdoctor.finding import Severity
from dltdoctor.settings import Settings, parse
from dltdoctor.snapshot import Contract
from tests.examining import request

WHOLE = """
fail_on = "warning"
offline = true
select = ["DD1", "DD605"]
baseline = "known.json"

[severity]
DD605 = "error"
shared-staging = "info"

[[ignore]]
code = "reader-reads-staging"
reason = "a test of the staging dataset"
path = "tests/*"

[[reader]]
name = "batch scoring"
role = "anon"
search_path = ["public"]
tables = ["app_opportunities_trust"]
columns = { trust_score = { non_null = 0.95 }, trust_badge = {} }
fresh_within = "36h"
"""


def parsed(text: str) -> Settings:
    return parse(tomllib.loads(text), "dltdoctor.toml", gate.CODES)


def test_everything_is_understood():
    settings = parsed(WHOLE)
    assert settings.fail_on is Severity.WARNING
    assert settings.offline
    assert settings.select == ("DD1", "DD605")
    assert settings.baseline == "known.json"
    assert settings.severities == {"DD605": Severity.ERROR, "DD103": Severity.INFO}
    (ignored,) = settings.ignores
    assert (ignored.code, ignored.path, ignored.reason) == ("DD605", "tests/*", "a test of the staging dataset")
    assert settings.contracts == (
        Contract(
            name="batch scoring",
            role="anon",
            search_path=("public",),
            tables=("app_opportunities_trust",),
            columns={"trust_score": 0.95, "trust_badge": None},
            fresh_within=36 * 3600.0,
            origin="dltdoctor.toml",
        ),
    )


def test_nothing_is_fine():
    assert parsed("") == Settings(origin="dltdoctor.toml")


BAD = {
    'fail_onn = "error"': ("fail_onn is not a setting", "Did you mean fail_on?"),
    'fail-on = "error"': ("fail-on is not a setting", "Did you mean fail_on?"),
    'nonsense = "x"': ("nonsense is not a setting", "These are known: baseline,"),
    'fail_on = "loud"': ("fail_on has to be", ""),
    "fail_on = 1": ("fail_on has to be", ""),
    'offline = "yes"': ("offline has to be true or false", ""),
    'select = "DD1"': ("select has to be a list", ""),
    "select = [1]": ("select.1 has to be a text", ""),
    "baseline = 3": ("baseline has to be a text", ""),
    'severity = "error"': ("severity has to be a table", ""),
    '[severity]\nDD999 = "error"': ("severity.DD999 names no check: 'DD999'", "dltdoctor explain lists them all"),
    '[severity]\nshared-stagin = "error"': ("names no check", "Did you mean shared-staging?"),
    '[ignore]\ncode = "DD103"': ("ignore has to be a list of tables: write [[ignore]]", ""),
    '[[ignore]]\ncode = "DD103"': ("ignore.1 has no reason", "Say why"),
    '[[ignore]]\ncode = "DD103"\nreason = " "': ("ignore.1 has no reason", "Say why"),
    '[[ignore]]\nreason = "x"': ("ignore.1 has no code", ""),
    '[[ignore]]\ncode = "DD103"\nreason = "x"\npipline = "y"': (
        "ignore.1.pipline is not a setting",
        "Did you mean pipeline?",
    ),
    '[[reader]]\nname = "x"': ("reader.1 has no tables", ""),
    '[[reader]]\nname = "x"\ntables = []': ("reader.1.tables is empty", ""),
    '[[reader]]\nname = "x"\ntables = ["t"]\nfresh_within = "soon"': ("fresh_within has to be a time", ""),
    '[[reader]]\nname = "x"\ntables = ["t"]\ncolumns = { a = { non_null = 95 } }': (
        "has to be a share from 0 to 1",
        "",
    ),
    '[[reader]]\nname = "x"\ntables = ["t"]\ncolumns = { a = { nonnull = 1 } }': ("is not a setting", "non_null"),
    '[[reader]]\nname = "x"\ntables = ["t"]\ncolumns = ["a"]': ("columns has to be a table", ""),
}


@pytest.mark.parametrize("text", BAD, ids=lambda t: t.splitlines()[-1])
def test_what_is_not_understood_is_refused(text: str):
    message, hint = BAD[text]
    with pytest.raises(UsageError) as refused:
        parsed(text)
    assert refused.value.message.startswith("dltdoctor.toml: ")
    assert message in refused.value.message
    assert hint in refused.value.hint
    assert refused.value.exit_code == 2


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "work" / "project"
    made.mkdir(parents=True)
    return made


def test_the_line_of_the_key_is_named(project: Path):
    text = WHOLE + '\n[[reader]]\nname = "b"\ntables = ["t"]\nfresh = "1h"\n'
    (project / "dltdoctor.toml").write_text(text)
    assert text.splitlines()[26] == 'fresh = "1h"'
    with pytest.raises(UsageError, match=r"dltdoctor\.toml:27: reader\.2\.fresh is not a setting"):
        gate.read_settings(request(project))


def test_pyproject_is_read_where_there_is_no_file_of_its_own(project: Path):
    (project / "pyproject.toml").write_text('[project]\nname = "x"\n\n[tool.dltdoctor]\nfail_on = "info"\n')
    assert gate.read_settings(request(project)).fail_on is Severity.INFO
    (project / "pyproject.toml").write_text("[tool.dltdoctor]\nfail = 1\n")
    with pytest.raises(UsageError, match=r"pyproject\.toml:2: fail is not a setting"):
        gate.read_settings(request(project))
    (project / "dltdoctor.toml").write_text('fail_on = "warning"\n')
    assert gate.read_settings(request(project)).fail_on is Severity.WARNING


def test_a_file_that_is_no_toml_is_refused_unless_it_is_somebody_elses(project: Path):
    (project / "pyproject.toml").write_text("[broken")
    assert gate.read_settings(request(project)) == Settings()
    (project / "pyproject.toml").write_text("[tool.dltdoctor]\n[broken")
    with pytest.raises(UsageError, match="not valid TOML"):
        gate.read_settings(request(project))
    with pytest.raises(UsageError, match="there is no settings file"):
        gate.read_settings(request(project), Path("other.toml"))
