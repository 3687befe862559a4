"""Each routing setting says where its value stands and which values it shadows."""

from pathlib import Path

import msgspec
import pytest

from dltdoctor.snapshot import ConfigValue, PipelineConfig
from dltdoctor.world.config import resolve
from dltdoctor.world.providers import Providers, active_profile, global_dir, read_providers, settings_dir

LAYOUT = "staging_dataset_name_layout"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def providers(root: Path, *, profile: str | None = None, **environ: str) -> Providers:
    home = root / "home"
    home.mkdir(exist_ok=True)
    return read_providers(root / "project", environ=environ, home=home, is_root=False, profile=profile)


def config(
    read: Providers, *, name: str | None = None, used: tuple[str, ...] = (), **arguments: object
) -> PipelineConfig:
    given = {
        key: ConfigValue(key=key, value=value, display=str(value), provider="argument", location="load.py:3")  # type: ignore[arg-type]
        for key, value in arguments.items()
    }
    return resolve(
        read,
        pipeline="shop",
        destination_name=name,
        destination_type="dlt.destinations.postgres",
        arguments=given,
        used_destinations=used,
    )


def test_the_winner_and_everything_it_shadows_in_order(tmp_path: Path) -> None:
    secrets = write(tmp_path / "project/.dlt/secrets.toml", '[destination]\nstaging_dataset_name_layout = "s"\n')
    local = write(
        tmp_path / "project/.dlt/config.toml",
        '# why\n[destination.postgres]\nstaging_dataset_name_layout = "%s"\n[shop]\nstaging_dataset_name_layout = "p"\n',
    )
    shared = write(tmp_path / "home/.dlt/config.toml", "\n[destination.postgres]\nstaging_dataset_name_layout = 'g'\n")
    setting = config(providers(tmp_path, STAGING_DATASET_NAME_LAYOUT="bare"))[LAYOUT]

    assert [(c.value, c.provider, c.location) for c in setting.candidates] == [
        ("p", "config.toml", f"{local}:5"),
        ("bare", "env", "STAGING_DATASET_NAME_LAYOUT"),
        ("s", "secrets.toml", f"{secrets}:2"),
        ("%s", "config.toml", f"{local}:3"),
        ("g", "config.toml", f"{shared}:3"),
    ]
    assert [c.pipeline_scoped for c in setting.candidates] == [True, False, False, False, False]
    assert [c.sections for c in setting.candidates][:4] == [
        ("shop",),
        (),
        ("destination",),
        ("destination", "postgres"),
    ]
    assert setting.winner is not None
    assert setting.winner.display == '"p"'


def test_without_any_value_dlt_s_default_wins(tmp_path: Path) -> None:
    winner = config(providers(tmp_path))[LAYOUT].winner
    assert winner is not None
    assert (winner.value, winner.provider) == ("%s_staging", "default")
    assert config(providers(tmp_path))["dataset_name"].shadowed == ()


def test_an_argument_wins_even_when_it_is_none(tmp_path: Path) -> None:
    read = providers(tmp_path, DATASET_NAME="imagenet")
    setting = config(read, dataset_name=None)["dataset_name"]
    assert setting.winner is not None
    assert (setting.winner.provider, setting.winner.value, setting.winner.problem) == ("argument", None, None)
    assert [c.value for c in setting.shadowed] == ["imagenet"]
    layout = config(read, staging_dataset_name_layout=None)[LAYOUT].winner
    assert layout is not None
    assert layout.problem == f"dlt refuses it: {LAYOUT} must not be None"


def test_an_argument_that_dlt_ignores_does_not_win(tmp_path: Path) -> None:
    found = config(providers(tmp_path), use_single_dataset=False)
    assert found.value("use_single_dataset") is True
    assert [(u.key, u.problem) for u in found.unused] == [
        ("use_single_dataset", "dlt.pipeline() accepts use_single_dataset and ignores it")
    ]


def test_the_old_name_of_dev_mode_still_wins(tmp_path: Path) -> None:
    setting = config(providers(tmp_path, FULL_REFRESH="no"), dev_mode=True)["dev_mode"]
    assert [(c.key, c.value) for c in setting.candidates] == [("full_refresh", False), ("dev_mode", True)]


@pytest.mark.parametrize(
    ("variable", "key", "text", "problem"),
    [
        ("DEV_MODE", "dev_mode", "", "dlt refuses it: not true or false"),
        ("DEV_MODE", "dev_mode", "maybe", "dlt refuses it: not true or false"),
        ("REFRESH", "refresh", "all", "dlt refuses it: not one of drop_sources, drop_resources, drop_data"),
        ("DATASET_NAME_LAYOUT", "dataset_name_layout", "x", "dlt refuses it: a dataset_name_layout must contain %s"),
        ("DATASET_NAME", "dataset_name", "", None),
        ("DATASET_NAME_LAYOUT", "dataset_name_layout", "", None),
    ],
)
def test_a_value_that_dlt_refuses_says_so(
    tmp_path: Path, variable: str, key: str, text: str, problem: str | None
) -> None:
    winner = config(providers(tmp_path, **{variable: text}))[key].winner
    assert winner is not None
    assert (winner.value, winner.problem, winner.location) == (text, problem, variable)


def test_a_named_destination_does_not_read_the_section_of_its_type(tmp_path: Path) -> None:
    toml = write(tmp_path / "project/.dlt/config.toml", '[destination.postgres]\nstaging_dataset_name_layout = "_st"\n')
    found = config(providers(tmp_path), name="pg_prod")
    assert found.value(LAYOUT) == "%s_staging"
    assert [(u.key, u.value, u.location, u.sections) for u in found.unused] == [
        (LAYOUT, "_st", f"{toml}:2", ("destination", "postgres"))
    ]
    assert config(providers(tmp_path), name="pg_prod", used=("postgres",)).unused == ()
    assert config(providers(tmp_path)).unused == ()


def test_the_plural_of_the_section_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "project/.dlt/config.toml", "[destinations.postgres]\nreplace_strategy = 'staging-optimized'\n")
    found = config(providers(tmp_path, DESTINATIONS__POSTGRES__STAGING_DATASET_NAME_LAYOUT="x"))
    assert {u.key for u in found.unused} == {"replace_strategy", LAYOUT}
    assert found.value("replace_strategy") is None


def test_a_broken_file_does_not_hide_the_others(tmp_path: Path) -> None:
    write(tmp_path / "project/.dlt/config.toml", "dataset_name = \n")
    write(tmp_path / "project/.dlt/secrets.toml", "dataset_name = 'raw'\n")
    read = providers(tmp_path)
    assert [u.what for u in read.unread] == [str(tmp_path / "project/.dlt/config.toml")]
    assert read.files == (str(tmp_path / "project/.dlt/secrets.toml"),)
    assert config(read).value("dataset_name") == "raw"


def test_the_credentials_show_no_password(tmp_path: Path) -> None:
    write(
        tmp_path / "project/.dlt/secrets.toml",
        "[destination.postgres]\ncredentials = 'postgresql://u:corr3ct-horse@h/d'\n",
    )
    read = providers(
        tmp_path,
        CREDENTIALS="postgresql://me:corr3ct-horse@h2/d?sslpassword=corr3ct-horse",
        DATASET_NAME="postgresql://me:corr3ct-horse@h2/d",
    )
    found = config(read, credentials="postgres://u:corr3ct-horse@src/d")
    displays = [c.display for c in found["credentials"].candidates]
    assert displays == [
        "postgres://u:***@src/d",
        "postgresql://me:***@h2/d?sslpassword=***",
        "postgresql://u:***@h/d",
    ]
    assert found["dataset_name"].winner is not None
    assert found["dataset_name"].winner.display == '"postgresql://me:***@h2/d"'
    assert "corr3ct-horse" not in repr(found["credentials"]) + repr(read) + str(read)
    assert b"corr3ct-horse" not in msgspec.json.encode(found["credentials"])


def test_credentials_as_a_table_show_the_names_of_its_fields(tmp_path: Path) -> None:
    toml = write(
        tmp_path / "project/.dlt/config.toml", "[destination.postgres.credentials]\nhost = 'h'\npassword = 'p'\n"
    )
    winner = config(providers(tmp_path))["credentials"].winner
    assert winner is not None
    assert (winner.display, winner.location) == ("host, password", f"{toml}:1")
    assert winner.problem == "dlt refuses it: credentials may not stand in config.toml"


# ------------------------------------------------------------------------- where the files are


def test_the_files_of_a_profile_come_before_those_of_every_profile(tmp_path: Path) -> None:
    names = ("project/.dlt/prod.config.toml", "project/.dlt/config.toml", "home/.dlt/prod.config.toml")
    for name in (*names, "project/.dlt/dev.config.toml"):
        write(tmp_path / name, f"dataset_name = '{name}'\n")
    setting = config(providers(tmp_path, profile="prod"))["dataset_name"]
    assert tuple(c.value for c in setting.candidates) == names


def test_a_project_that_is_the_home_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / ".dlt/config.toml", "dataset_name = 'raw'\n")
    read = read_providers(tmp_path, environ={}, home=tmp_path, is_root=False, profile=None)
    assert len(read.files) == 1
    assert config(read)["dataset_name"].shadowed == ()


def test_dlt_s_variables_move_the_directories(tmp_path: Path) -> None:
    home, xdg = tmp_path, str(tmp_path / "xdg")
    assert global_dir({}, home=home, is_root=True) == Path("/var/dlt")
    assert global_dir({"DLT_DATA_DIR": "/data"}, home=home, is_root=False) == home / ".dlt"
    assert global_dir({"DLT_CONFIG_FOLDER": ".conf"}, home=home, is_root=False) == home / ".conf"
    assert global_dir({"XDG_DATA_HOME": xdg}, home=home, is_root=False) == tmp_path / "xdg/dlt"
    (home / ".dlt").mkdir()
    assert global_dir({"XDG_DATA_HOME": xdg}, home=home, is_root=False) == home / ".dlt"
    assert global_dir({"TMPDIR": "/scratch"}, home=tmp_path / "absent", is_root=False) == Path("/scratch/dlt")
    assert settings_dir(tmp_path, {"DLT_PROJECT_DIR": "sub", "DLT_CONFIG_FOLDER": "c"}) == tmp_path / "sub/c"


def test_the_profile_is_the_variable_then_the_pin_then_dev(tmp_path: Path) -> None:
    assert active_profile(tmp_path, {"WORKSPACE__PROFILE": "prod"}) is None
    write(tmp_path / ".dlt/.workspace", "")
    assert active_profile(tmp_path, {}) == "dev"
    write(tmp_path / ".dlt/profile-name", "tests\n")
    assert active_profile(tmp_path, {}) == "tests"
    assert active_profile(tmp_path, {"WORKSPACE__PROFILE": "prod"}) == "prod"


def test_a_vault_that_is_switched_on_is_named(tmp_path: Path) -> None:
    assert providers(tmp_path).vaults == ()
    write(tmp_path / "project/.dlt/config.toml", "[providers]\nenable_google_secrets = true\n")
    place = tmp_path / "project/.dlt/config.toml"
    read = providers(tmp_path, PROVIDERS__ENABLE_AWS_SECRETS="0")
    assert read.vaults == (f"google_secrets (switched on by {place}:2)",)
