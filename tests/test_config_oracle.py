"""The configuration that dltdoctor resolves is the one that dlt resolves, over generated cases."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import tomlkit

from dltdoctor.snapshot import ConfigValue, PipelineConfig
from dltdoctor.world.config import resolve
from dltdoctor.world.connection import credentials_for
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.providers import Providers, active_profile, read_providers, variable

CASES = 310
PIPELINES = ("shop", "my-pipe", "Shop_Loader", "load", "destination")
TRUTHS: tuple[Any, ...] = (True, False, "true", "no", "Y", "0", 1, 0, 0.5)
KEYS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "staging_dataset_name_layout": ("destination", ("%s", "%s_tmp", "_st", "", 5, True, 1.5)),
    "enable_dataset_name_normalization": ("destination", TRUTHS),
    "replace_strategy": ("destination", ("insert-from-staging", "staging-optimized", "truncate-and-insert")),
    "dataset_name": ("pipelines", ("imagenet", "Raw Data", "", 2024, "x")),
    "dataset_name_layout": ("pipelines", ("dev_%s", "%s", "")),
    "use_single_dataset": ("pipelines", TRUTHS),
    "dev_mode": ("pipelines", TRUTHS),
    "full_refresh": ("pipelines", TRUTHS),
    "refresh": ("pipelines", ("drop_sources", "drop_data")),
    "restore_from_destination": ("pipelines", TRUTHS),
    "pipelines_dir": ("pipelines", ("/nowhere", "x")),
    "truncate_staging_dataset": ("load", TRUTHS),
    "raise_on_failed_jobs": ("load", TRUTHS),
}
REFUSED: tuple[Any, ...] = ("", "maybe", " true ", "all", "no_placeholder", ["a"], {"a": 1})
URLS = (
    "postgresql://u:p@h/d",
    "postgres://u:p%40%2Fss@h:7/d?sslmode=require",
    "postgresql+psycopg2://u@h/d?connect_timeout=9",
    "postgresql://u:p@[::1]:5/d?client_encoding=utf8&connect_timeout=15",
    "postgresql://h/d",
    "postgresql://u:@h:5432/d",
    "postgresql://u:p/x@h:5/d",
    "h:5432/d",
    "postgres://u:p@h:/d",
    "",
)
FIELDS: dict[str, tuple[Any, ...]] = {
    "host": ("db1", "db2"),
    "port": (5433, "6543", " 7 ", "0x10", 5432),
    "database": ("warehouse", "lake"),
    "username": ("loader", "me"),
    "password": ("hunter2", "  spaced ", ""),
    "connect_timeout": (3, "4", 15),
    "client_encoding": ("utf8",),
    "session_timezone": ("UTC",),
    "query": ({"sslmode": "require", "options": "-c a=b"},),
}

Case = dict[str, Any]
Answered = list[tuple[Case, dict[str, Any]]]


def test_the_configuration_is_the_one_that_dlt_resolves(tmp_path: Path) -> None:
    answered = _ask_dlt(tmp_path)
    _settings_are_those_of_dlt(answered)
    _credentials_are_those_of_dlt(answered)
    _secrets_in_config_toml_are_refused_where_dlt_refuses_them(answered)


def _ask_dlt(root: Path) -> Answered:
    """One process for all the cases, and so one test: each worker of pytest would start its own."""
    made = [_make(random.Random(seed), root / str(seed)) for seed in range(CASES)]
    before = sorted(root.rglob("*"))
    oracle = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("config_oracle.py"))],
        input=json.dumps(made),
        capture_output=True,
        text=True,
        check=False,
        cwd=root,
        env={"RUNTIME__DLTHUB_TELEMETRY": "false", "HOME": str(root)},
    )
    assert oracle.returncode == 0, oracle.stderr
    assert sorted(root.rglob("*")) == before
    return list(zip(made, json.loads(oracle.stdout), strict=True))


def _settings_are_those_of_dlt(answered: Answered) -> None:
    compared = 0
    for case, answer in answered:
        config = _resolved(case)
        for group in ("pipeline", "destination", "load"):
            compared += _compare(case, config, group, answer[group])
    assert compared > 2.5 * CASES


def _credentials_are_those_of_dlt(answered: Answered) -> None:
    equal = refused = 0
    for case, answer in answered:
        ours = _credentials(case)
        said = answer["credentials"]
        if "values" in said:
            assert isinstance(ours, Credentials), (case, ours)
            expected = {k: str(v) for k, v in said["values"].items() if v is not None}
            assert ours.parameters == expected, case
            equal += 1
        elif said["error"] == "InvalidNativeValue":
            assert not isinstance(ours, Credentials), case
            refused += 1
    assert equal > CASES / 8
    assert refused > CASES / 40


def _secrets_in_config_toml_are_refused_where_dlt_refuses_them(answered: Answered) -> None:
    refused = 0
    for case, answer in answered:
        winner = _resolved(case)["credentials"].winner
        if winner and winner.problem:
            assert answer["credentials"].get("error") == "ValueNotSecretException", case
            refused += 1
    assert refused


def _compare(case: Case, config: PipelineConfig, group: str, answer: dict[str, Any]) -> int:
    keys = _keys_of(group)
    problems = {key for key in keys if (winner := config[key].winner) and winner.problem}
    if "error" in answer:
        assert problems, (case, answer)
        return 0
    assert not problems, (case, problems)
    assert {key: config.value(key) for key in keys} == {key: answer["values"][key] for key in keys}, case
    return 1


def _keys_of(group: str) -> list[str]:
    section = {"pipeline": "pipelines"}.get(group, group)
    return [key for key, (where, _) in KEYS.items() if where == section and key != "full_refresh"]


# ------------------------------------------------------------------------------ making the cases


def _make(rng: random.Random, root: Path) -> Case:
    project, home = root / "project", root / "home"
    pipeline = rng.choice(PIPELINES)
    name = rng.choice((None, None, "pg_prod"))
    environ = {"HOME": str(home), "RUNTIME__DLTHUB_TELEMETRY": "false"}
    project.mkdir(parents=True)
    home.mkdir()
    global_dir = home / ".dlt"
    if rng.random() < 0.15:
        environ["XDG_DATA_HOME"] = str(root / "xdg")
        global_dir = rng.choice((global_dir, root / "xdg" / "dlt"))
    settings = project / ".dlt"
    if rng.random() < 0.1:
        environ["DLT_PROJECT_DIR"] = str(root / "elsewhere")
        settings = root / "elsewhere" / ".dlt"
    _make_workspace(rng, project, settings, environ)
    for folder in (settings, global_dir):
        for prefix in ("", "dev.", "prod."):
            for file in ("secrets.toml", "config.toml"):
                if rng.random() < 0.45:
                    _write(folder / f"{prefix}{file}", _document(rng, pipeline, name or "postgres", file))
    environ.update(_variables(rng, pipeline, name or "postgres"))
    return {
        "project": str(project),
        "home": str(home),
        "environ": environ,
        "pipeline": pipeline,
        "destination_name": name,
        "arguments": _arguments(rng, "pipelines", ("full_refresh",)),
        "factory": _arguments(rng, "destination", ()),
        "credentials": rng.choice(URLS) or None if rng.random() < 0.15 else None,
    }


def _make_workspace(rng: random.Random, project: Path, settings: Path, environ: dict[str, str]) -> None:
    if rng.random() < 0.5:
        return
    _write(project / ".dlt" / ".workspace", "")
    if rng.random() < 0.4:
        environ["WORKSPACE__PROFILE"] = "prod"
    elif rng.random() < 0.4:
        _write(settings / "profile-name", "prod\n")


def _document(rng: random.Random, pipeline: str, name: str, file: str) -> str:
    document: dict[str, Any] = {}
    if rng.random() < 0.02:
        document["destination"] = "in the way"
    for path, values in _entries(rng, pipeline, name, with_secrets=file == "secrets.toml" or rng.random() < 0.1):
        value = rng.choice(REFUSED) if rng.random() < 0.02 else rng.choice(values)
        _put(document, path, value)
    return tomlkit.dumps(document)


def _variables(rng: random.Random, pipeline: str, name: str) -> dict[str, str]:
    if rng.random() < 0.3:
        return {}
    chosen = {}
    for path, values in _entries(rng, pipeline, name, with_secrets=rng.random() < 0.4):
        value = rng.choice(REFUSED[:5]) if rng.random() < 0.02 else rng.choice(values)
        if rng.random() < 0.4:
            chosen[variable(path[:-1], path[-1])] = json.dumps(value) if isinstance(value, dict) else str(value)
    return chosen


def _entries(
    rng: random.Random, pipeline: str, name: str, *, with_secrets: bool
) -> list[tuple[tuple[str, ...], tuple[Any, ...]]]:
    entries: list[tuple[tuple[str, ...], tuple[Any, ...]]] = []
    for key, (section, values) in rng.sample(sorted(KEYS.items()), rng.randint(0, 6)):
        named: dict[str, tuple[str, ...]] = {"destination": ("destination", name), "pipelines": ("pipelines", pipeline)}
        sections = named.get(section, ("load",))
        entries.append(((*_scope(rng, pipeline, sections), key), values))
    if with_secrets and rng.random() < 0.7:
        destination = ("destination", rng.choice((name, name, name, "postgres")))
        if rng.random() < 0.35:
            entries.append(((*_scope(rng, pipeline, destination), "credentials"), URLS))
        fields = rng.choice(((), tuple(FIELDS), tuple(FIELDS)[:5], tuple(rng.sample(sorted(FIELDS), 3))))
        sections = _scope(rng, pipeline, destination)
        entries += [((*sections, "credentials", field), FIELDS[field]) for field in fields]
    return entries


def _scope(rng: random.Random, pipeline: str, sections: tuple[str, ...]) -> tuple[str, ...]:
    popped = sections[: rng.choice((len(sections), len(sections), *range(len(sections) + 1)))]
    return (pipeline, *popped) if rng.random() < 0.3 else popped


def _arguments(rng: random.Random, section: str, left_out: tuple[str, ...]) -> dict[str, Any]:
    if rng.random() < 0.6:
        return {}
    keys = [key for key, (where, _) in KEYS.items() if where == section and key not in left_out]
    typed = {key: [v for v in KEYS[key][1] if isinstance(v, bool) or KEYS[key][1] is not TRUTHS] for key in keys}
    return {key: rng.choice((*typed[key], *([None] * (rng.random() < 0.2)))) for key in rng.sample(keys, 2)}


def _put(document: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    node = document
    for key in path[:-1]:
        node = node.setdefault(key, {})
        if not isinstance(node, dict):
            return
    node.setdefault(path[-1], value)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


# --------------------------------------------------------------------------------- our answers


def _providers(case: Case) -> Providers:
    project, environ = Path(case["project"]), case["environ"]
    profile = active_profile(project, environ)
    return read_providers(project, environ=environ, home=Path(case["home"]), is_root=False, profile=profile)


def _given(values: dict[str, Any]) -> dict[str, ConfigValue]:
    return {
        key: ConfigValue(key=key, value=value, display=repr(value), provider="argument", location="load.py:1")
        for key, value in values.items()
    }


def _resolved(case: Case) -> PipelineConfig:
    return resolve(
        _providers(case),
        pipeline=case["pipeline"],
        destination_name=case["destination_name"],
        destination_type="dlt.destinations.postgres",
        arguments=_given({**case["arguments"], **case["factory"], "credentials": case["credentials"]}),
    )


def _credentials(case: Case) -> object:
    return credentials_for(
        _providers(case),
        pipeline=case["pipeline"],
        destination_name=case["destination_name"],
        arguments=_given({"credentials": case["credentials"]} if case["credentials"] else {}),
        dsn=None,
        environ={},
    )
