"""`fix --config` plans rewrites that cure, that dlt agrees with, and that need no second plan."""

import hashlib
import os
from pathlib import Path

import pytest

from dltdoctor.plan import Cure
from tests.fixing import apply, codes, planned

LAYOUT = "staging_dataset_name_layout"
PIPELINE = 'pipeline = dlt.pipeline("shop", destination=DESTINATION, dataset_name="shop_data")\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "work" / "project"
    (made / ".dlt").mkdir(parents=True)
    return made


def write(project: Path, **files: str) -> None:
    """Files by name without its dots: `load` is load.py, `config` and `secrets` are dlt's."""
    names = {"config": ".dlt/config.toml", "secrets": ".dlt/secrets.toml"}
    for name, text in files.items():
        (project / names.get(name, f"{name}.py")).write_bytes(text.encode())


def script(destination: str, before: str = "", extra: str = "") -> str:
    imports = "import dlt\nfrom dlt.destinations import postgres as pg\n"
    return f"{imports}{before}\n{PIPELINE.replace('DESTINATION', destination)}{extra}"


def contents(cures: list[Cure]) -> dict[str, str]:
    return {os.path.basename(s.path): s.content.decode() for cure in cures for s in cure.steps}


SOURCES = {
    "None": (f"pg({LAYOUT}=None)", "", "pg()", ""),
    "bare placeholder": (f'pg({LAYOUT}="%s", create_indexes=True)', "", "pg(create_indexes=True)", ""),
    "empty": (f'pg("c", {LAYOUT}="")', "", 'pg("c")', ""),
    "literal": (f'pg(**{{"{LAYOUT}": None}})', "", "pg()", ""),
    "variable": ("pg(**OPTIONS)", f'OPTIONS = {{"a": 1, "{LAYOUT}": None}}', "pg(**OPTIONS)", 'OPTIONS = {"a": 1}'),
    "constant": (f"pg({LAYOUT}=BARE)", 'BARE = "%s"', "pg()", 'BARE = "%s"'),
    "dlt.destination": (f'dlt.destination("postgres", {LAYOUT}=None)', "", 'dlt.destination("postgres")', ""),
}


def test_a_bad_layout_in_source_is_removed(project: Path) -> None:
    expected = {}
    for index, (destination, before, instead, after) in enumerate(SOURCES.values()):
        name = f"load_{index}"
        write(project, **{name: script(destination, before).replace('"shop', f'"shop_{index}')})
        expected[f"{name}.py"] = script(instead, after).replace('"shop', f'"shop_{index}')
    cures, held = planned(project)
    assert not held
    assert contents(cures) == expected
    apply(cures)
    assert not codes(project) & {"DD101", "DD102"}
    assert planned(project) == ([], [])


def test_toml_keeps_comments_order_and_everything_else(project: Path) -> None:
    config = f'# ours\r\n[destination.postgres]\r\n{LAYOUT} = "%s"  # no staging\r\n# last\r\n\r\n[load]\r\nworkers=3'
    write(project, load=script('"postgres"'), config=config)
    cures, held = planned(project)
    assert not held
    assert contents(cures) == {"config.toml": config.replace(f'{LAYOUT} = "%s"  # no staging\r\n', "")}
    (step,) = cures[0].steps
    assert step.before == hashlib.sha256(config.encode()).hexdigest()
    apply(cures)
    assert planned(project) == ([], [])


def test_secrets_are_edited_and_never_named(project: Path) -> None:
    secrets = f'[destination.postgres]\n{LAYOUT} = ""\ncredentials = "postgresql://u:hunter2@h/d"\n'
    write(project, load=script('"postgres"'), secrets=secrets)
    cures, _ = planned(project)
    assert contents(cures) == {"secrets.toml": secrets.replace(f'{LAYOUT} = ""\n', "")}
    told = [(c.message, c.cost, *((s.title, s.note, s.path) for s in c.steps)) for c in cures]
    assert "hunter2" not in str(told)


def test_every_bad_value_goes_until_a_good_one_wins(project: Path) -> None:
    config = f'{LAYOUT} = "%s_stage"\n[destination.postgres]\n{LAYOUT} = "%s"\n'
    write(project, load=script(f"pg({LAYOUT}=None)"), config=config, secrets=f'[shop]\n{LAYOUT} = "{{x}}"\n')
    cures, held = planned(project)
    assert not held
    assert contents(cures) == {
        "load.py": script("pg()"),
        "config.toml": f'{LAYOUT} = "%s_stage"\n[destination.postgres]\n',
        "secrets.toml": "[shop]\n",
    }


def test_an_environment_variable_is_held_back_with_its_line(project: Path) -> None:
    write(project, load=script('"postgres"'))
    (project / ".env").write_text(f"A=1\nexport {LAYOUT.upper()}=%s\n")
    cures, held = planned(project, environ={LAYOUT.upper(): "%s"})
    assert not cures
    assert held[0].command == f"unset {LAYOUT.upper()}"
    assert f"{project}/.env:2" in held[0].reason


def test_an_argument_stays_while_a_variable_would_win_after_it(project: Path) -> None:
    write(project, load=script(f"pg({LAYOUT}=None)"))
    environ = {f"DESTINATION__POSTGRES__{LAYOUT.upper()}": "%s"}
    cures, held = planned(project, environ=environ)
    assert not cures
    assert held[0].command == f"unset DESTINATION__POSTGRES__{LAYOUT.upper()}"
    assert "again" in held[0].reason
    assert contents(planned(project)[0]) == {"load.py": script("pg()")}


def test_two_findings_with_one_cause_make_one_step(project: Path) -> None:
    write(
        project,
        load=script(
            "pg(**O)", f"O = {{'{LAYOUT}': None}}", PIPELINE.replace("DESTINATION", "pg(**O)").replace('"shop', '"mart')
        ),
    )
    cures, held = planned(project)
    assert not held
    assert sorted(str(c.pipeline) for c in cures) == ["mart", "shop"]
    assert sum(len(c.steps) for c in cures) == 1


def test_a_static_layout_gets_a_placeholder(project: Path) -> None:
    both = PIPELINE.replace("DESTINATION", '"postgres"')
    write(
        project,
        load="import dlt\n" + both + both.replace('"shop', '"mart'),
        config=f'[destination.postgres]\n{LAYOUT} = "_dlt_staging"\n',
    )
    cures, held = planned(project)
    assert not held
    assert contents(cures) == {"config.toml": f'[destination.postgres]\n{LAYOUT} = "%s__dlt_staging"\n'}
    apply(cures)
    assert planned(project) == ([], [])


DEV_MODES = {
    "argument": (
        {"load": script('"postgres"').replace('shop_data"', 'shop_data", dev_mode=True')},
        {"load.py": script('"postgres"')},
    ),
    "old name": (
        {"load": script('"postgres"').replace('shop_data"', 'shop_data", full_refresh=True')},
        {"load.py": script('"postgres"')},
    ),
    "key": (
        {"load": script('"postgres"'), "config": "[pipelines]\ndev_mode = true\n"},
        {"config.toml": "[pipelines]\n"},
    ),
}


@pytest.mark.parametrize("name", DEV_MODES)
def test_dev_mode_is_switched_off(project: Path, name: str) -> None:
    files, expected = DEV_MODES[name]
    write(project, **files)
    cures, held = planned(project)
    assert not held
    assert contents(cures) == expected
    apply(cures)
    assert planned(project) == ([], [])


def test_a_value_behind_an_argument_is_removed(project: Path) -> None:
    config = '[shop.pipelines]\ndataset_name = "other"\n'
    write(project, load=script('"postgres"'), config=config)
    cures, held = planned(project)
    assert not held
    assert contents(cures) == {"config.toml": "[shop.pipelines]\n"}
    apply(cures)
    assert planned(project) == ([], [])


def test_a_value_that_another_pipeline_needs_stays(project: Path) -> None:
    extra = 'dlt.pipeline("mart", destination="postgres")\n'
    write(project, load=script('"postgres"', extra=extra), config='[pipelines]\ndataset_name = "other"\n')
    cures, held = planned(project)
    assert not cures
    assert [h.reason for h in held] == ["mart would be configured differently without it"]


def test_a_value_that_counts_on_other_machines_stays(project: Path) -> None:
    config = "[load]\nraise_on_failed_jobs = true\n"
    write(project, load=script('"postgres"'), config=config, secrets="[load]\nraise_on_failed_jobs = false\n")
    cures, held = planned(project)
    assert not cures
    assert "every machine" in held[0].reason


def test_source_that_is_used_elsewhere_is_refused_with_its_line(project: Path) -> None:
    write(project, load=script("pg(**O)", f"O = {{'{LAYOUT}': None}}\nprint(O)"))
    cures, held = planned(project)
    assert not cures
    assert held[0].reason == "load.py:4: O is used for something else, too"


def test_a_read_only_file_is_still_planned(project: Path) -> None:
    write(project, load=script(f"pg({LAYOUT}=None)"))
    (project / "load.py").chmod(0o444)
    before = sorted(project.rglob("*"))
    cures, _ = planned(project)
    assert len(cures) == 1
    assert sorted(project.rglob("*")) == before


def test_a_name_that_postgres_cuts_gets_a_layout_that_differs_in_front(project: Path) -> None:
    name = "a" * 63
    write(
        project,
        load=script('"postgres"').replace("shop_data", name),
        config="[destination.postgres]\nenable_dataset_name_normalization = false\n",
    )
    cures, held = planned(project)
    assert not held
    assert contents(cures)["config.toml"].endswith(f'\n[shop.destination.postgres]\n{LAYOUT} = "stg_%s"\n')
    apply(cures)
    assert planned(project) == ([], [])
