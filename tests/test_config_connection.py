"""Which database is connected to, who said so, and that the password stays inside."""

import traceback
from pathlib import Path

import pytest

from dltdoctor.errors import UsageError
from dltdoctor.snapshot import ConfigValue, Unread
from dltdoctor.world.connection import candidates, credentials_for
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.dsn import MalformedDsnError, libpq_parameters, parse_url
from dltdoctor.world.mask import is_secret_name, mask
from dltdoctor.world.providers import EnvProvider, Providers, read_providers

PASSWORD = "corr3ct-horse"
TABLE = f"""\
[destination.postgres.credentials]
host = "db"
port = 5433
database = "warehouse"
username = "loader"
password = "{PASSWORD}"
"""


def read(root: Path, secrets: str = "", **environ: str) -> Providers:
    (root / ".dlt").mkdir(exist_ok=True)
    (root / ".dlt/secrets.toml").write_text(secrets)
    (root / "home").mkdir(exist_ok=True)
    return read_providers(root, environ=environ, home=root / "home", is_root=False, profile=None)


def written(dsn: str) -> dict[str, ConfigValue]:
    return {
        "credentials": ConfigValue(key="credentials", value=dsn, display="", provider="argument", location="a.py:7")
    }


def best(
    providers: Providers, *, dsn: str | None = None, arguments: dict[str, ConfigValue] | None = None, **environ: str
) -> Credentials | Unread:
    return credentials_for(
        providers, pipeline="shop", destination_name=None, arguments=arguments or {}, dsn=dsn, environ=environ
    )


def test_every_candidate_in_order(tmp_path: Path) -> None:
    found = candidates(
        read(tmp_path, TABLE),
        pipeline="shop",
        destination_name=None,
        arguments=written("postgresql://me@src/d"),
        dsn="postgresql://typed@h/d",
        environ={"PGHOST": "pg", "PGSSLMODE": "require"},
    )
    table = f"{tmp_path}/.dlt/secrets.toml"
    assert [(c.origin, c.display) for c in found] == [
        ("--dsn", "postgresql://typed@h/d"),
        (
            f"a.py:7; port, password from {table}:3 [destination.postgres.credentials]",
            "postgresql://me:***@src:5433/d",
        ),
        (f"{table}:2 [destination.postgres.credentials]", "postgresql://loader:***@db:5433/warehouse"),
        ("PGHOST", "postgresql:///"),
    ]
    assert found[3].parameters == {}


def test_separate_variables_are_put_together(tmp_path: Path) -> None:
    prefix = "DESTINATION__POSTGRES__CREDENTIALS__"
    found = best(read(tmp_path, TABLE, **{f"{prefix}HOST": "env-host", f"{prefix}PASSWORD": "x"}))
    assert isinstance(found, Credentials)
    assert found.display == "postgresql://loader:***@env-host:5433/warehouse"
    assert found.parameters["password"] == "x"
    assert found.origin.startswith(f"{prefix}HOST, {prefix}PASSWORD; port, database, username from ")


def test_a_port_elsewhere_beats_the_default_port_of_the_string(tmp_path: Path) -> None:
    providers = read(
        tmp_path, "[destination.postgres]\ncredentials='postgresql://u:p@h:5432/d'", CREDENTIALS__PORT="6543"
    )
    found = best(providers)
    assert isinstance(found, Credentials)
    assert found.parameters["port"] == "6543"


def test_a_mounted_secret_is_read(tmp_path: Path) -> None:
    name = "destination--postgres--credentials--password"
    (tmp_path / name).mkdir()
    (tmp_path / name / name).write_text(f"{PASSWORD}\n")
    providers = Providers(stack=(EnvProvider({"CREDENTIALS__HOST": "h"}, mounted=tmp_path),), home=tmp_path)
    found = best(providers)
    assert isinstance(found, Credentials)
    assert found.parameters == {"host": "h", "port": "5432", "connect_timeout": "15", "password": PASSWORD}


def test_a_masked_password_in_source_is_no_password(tmp_path: Path) -> None:
    found = best(read(tmp_path), arguments=written("postgresql://u:***@h/d"))
    assert isinstance(found, Credentials)
    assert "password" not in found.parameters


def test_without_any_credentials_it_says_what_to_do(tmp_path: Path) -> None:
    found = best(read(tmp_path, "[providers]\nenable_google_secrets = true\n"), PGSSLMODE="require")
    assert isinstance(found, Unread)
    assert (found.code, found.pipeline, found.areas) == ("DD002", "shop", ("catalog",))
    assert "no [destination.postgres.credentials], no PG* variable" in found.reason
    assert "google_secrets" in found.reason


def test_a_pgpass_file_is_enough_for_libpq(tmp_path: Path) -> None:
    providers = read(tmp_path)
    (tmp_path / "home/.pgpass").write_text("*:*:*:*:x\n")
    assert best(providers) == Credentials(parameters={}, origin="~/.pgpass")
    assert best(providers, PGSERVICE="prod", PGPORT="") == Credentials(parameters={}, origin="PGSERVICE")


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgres://u:p%40ss@h/d", {"user": "u", "password": "p@ss", "host": "h", "dbname": "d"}),
        (
            "postgresql+psycopg2://u@h:1/d?sslmode=require",
            {"user": "u", "host": "h", "port": "1", "dbname": "d", "sslmode": "require"},
        ),
        ("postgresql://a,b:2/d", {"host": "a,b", "port": ",2", "dbname": "d"}),
        ("host=h dbname=d password='a b'", {"host": "h", "dbname": "d", "password": "a b"}),
        ("service=prod", {"service": "prod"}),
        ("postgresql:///d?host=/var/run", {"host": "/var/run", "dbname": "d"}),
    ],
)
def test_everything_that_libpq_takes_can_be_typed(dsn: str, expected: dict[str, str]) -> None:
    assert libpq_parameters(dsn) == expected


MALFORMED = (
    f"postgresql://u:x@{PASSWORD}@h/d",
    f"postgresql://u:{PASSWORD}/x@h/d",
    f"postgresql://u:{PASSWORD}%zz@h/d",
    f"postgresql://u:{PASSWORD}@h:port/d",
    f"postgresql://u:{PASSWORD}@h/d?nonsense={PASSWORD}",
    f"mysql://u:{PASSWORD}@h/d",
    f"host=h password='{PASSWORD}",
    f"host=h {PASSWORD}=x",
    f"{PASSWORD}://u:x@h/d",
    PASSWORD,
    "",
)


@pytest.mark.parametrize("dsn", MALFORMED)
def test_a_malformed_dsn_is_a_usage_error_without_the_password(tmp_path: Path, dsn: str) -> None:
    with pytest.raises(UsageError) as raised:
        best(read(tmp_path), dsn=dsn)
    assert raised.value.hint
    assert PASSWORD not in "".join(traceback.format_exception(raised.value)) + repr(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        f"postgres://u:x@{PASSWORD}@h/d",
        f"mysql://u:{PASSWORD}@h/d",
        f"u:{PASSWORD}@h/d",
        f"postgres://u:{PASSWORD}@h:x/d",
        PASSWORD,
        "",
        f"postgres://u:{PASSWORD}@h/d?connect_timeout=soon",
    ],
)
def test_malformed_credentials_in_a_file_are_reported_without_the_password(tmp_path: Path, text: str) -> None:
    providers = read(tmp_path, f"[destination.postgres]\ncredentials = '{text}'\n")
    found = best(providers, PGHOST="elsewhere")
    assert isinstance(found, Unread)
    assert found.reason.startswith(f"credentials at {tmp_path}/.dlt/secrets.toml:2: ")
    assert PASSWORD not in repr(found)
    assert candidates(
        providers, pipeline="shop", destination_name=None, arguments={}, dsn=None, environ={"PGHOST": "elsewhere"}
    ) == (Credentials(parameters={}, origin="PGHOST"),)


def test_a_field_of_the_wrong_type_is_reported_without_its_value(tmp_path: Path) -> None:
    found = best(read(tmp_path, TABLE.replace("5433", f"'{PASSWORD}'")))
    assert isinstance(found, Unread)
    assert found.reason == f"credentials at {tmp_path}/.dlt/secrets.toml:3: port is not a whole number"


def test_nothing_shows_the_password(tmp_path: Path) -> None:
    providers = read(tmp_path, TABLE, CREDENTIALS=f"postgresql://u:{PASSWORD}@h/d")
    found = next(providers.lookup("password", ("destination", "postgres"), below=("credentials",)))
    shown = [providers, found, best(providers), parse_url(f"postgresql://u:{PASSWORD}@h/d")]
    assert PASSWORD not in "".join(f"{one!r}{one!s}" for one in shown)
    with pytest.raises(MalformedDsnError) as raised:
        parse_url(f"mysql://u:{PASSWORD}@h/d")
    assert PASSWORD not in str(raised.value)


# ------------------------------------------------------------------------------------- masking


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to postgresql://u:s3cr3t@h:5/d failed", "to postgresql://u:***@h:5/d failed"),
        ("postgresql://u:s3@cr/3t@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:@h/d, postgres://v:s3cr3t@i/d", "postgresql://u:***@h/d, postgres://v:***@i/d"),
        ("postgresql://u@h/d?password=s3cr3t&sslmode=x", "postgresql://u@h/d?password=***&sslmode=x"),
        ("host=h password='s3 \\'cr3t' dbname=d", "host=h password=*** dbname=d"),
        ("{'PASSWORD': 's3cr3t', 'host': 'h'}", "{'PASSWORD': ***, 'host': 'h'}"),
        ('password authentication failed for user "u"', 'password authentication failed for user "u"'),
        ("primary_key=submission_id", "primary_key=submission_id"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
    ],
)
def test_what_looks_like_a_password_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_known_secrets_are_masked_in_every_spelling() -> None:
    assert mask("p@ss w/rd p%40ss%20w%2Frd p%40ss+w%2Frd", ["p@ss w/rd", ""]) == "*** *** ***"
    assert mask("the pipe is p", ["p"]) == "the pipe is ***"


def test_names_of_secrets() -> None:
    assert all(map(is_secret_name, ("password", "sslpassword", "api_key", "AWS_SECRET", "token", "pipeline_salt")))
    assert not any(map(is_secret_name, ("dataset_name", "keyspace", "host", "merge_strategy")))
