"""The use cases: pipelines that belong elsewhere, and what is said to the user in the user's own place."""

import json
import shutil

import msgspec
import pytest

from dltdoctor import doctor
from dltdoctor.errors import UsageError
from dltdoctor.situation import Situation
from tests.captured import world
from tests.examining import codes, diagnose, request


@pytest.fixture
def two(tmp_path, database):
    """A database that has met `shop`; beside its working dir that of `crm`, which loaded elsewhere."""
    captured = world("1.31.0", "healthy-merge")
    captured.restore(database)
    unpacked = captured.unpack(tmp_path / "world")
    stranger = world("1.31.0", "wrong-destination").unpack(tmp_path / "other")
    for name in ("crm", "erp"):
        working_dir = unpacked.pipelines_dir / name
        shutil.copytree(stranger.pipelines_dir / "sales", working_dir)
        rename(working_dir, name)
    return unpacked, database


def rename(working_dir, name: str) -> None:
    """Make another pipeline of a copied working dir."""
    state = working_dir / "state.json"
    document = json.loads(state.read_text())
    document |= {"pipeline_name": name, "default_schema_name": name, "schema_names": [name], "dataset_name": name}
    state.write_text(json.dumps(document))
    for schema in (working_dir / "schemas").iterdir():
        content = json.loads(schema.read_text()) | {"name": name}
        schema.unlink()
        (working_dir / "schemas" / f"{name}.schema.json").write_text(json.dumps(content))


def test_pipelines_that_loaded_elsewhere_are_left_out_aloud(two) -> None:
    unpacked, dsn = two
    diagnosis = diagnose(unpacked.project, unpacked.pipelines_dir, dsn=dsn)
    assert "DD109" not in codes(diagnosis)
    assert [line.name for line in diagnosis.pipelines] == ["shop"]
    assert {skipped.pipeline for skipped in diagnosis.skipped} == {"crm", "erp"}
    assert {s.reason.partition(":")[0] for s in diagnosis.skipped} == {"left out with --dsn 127.0.0.1"}
    assert not diagnosis.blind
    assert doctor.exit_code(diagnosis, None) == 0


def test_a_pipeline_that_is_named_is_never_left_out(two) -> None:
    unpacked, dsn = two
    diagnosis = diagnose(unpacked.project, unpacked.pipelines_dir, dsn=dsn, names=("crm",))
    assert [(f.code, f.pipeline) for f in diagnosis.findings if f.severity == "error"] == [("DD109", "crm")]


def test_a_database_that_knows_nobody_is_the_wrong_one_for_all(two, loader_database) -> None:
    unpacked, _ = two
    diagnosis = diagnose(unpacked.project, unpacked.pipelines_dir, dsn=loader_database)
    assert {f.pipeline for f in diagnosis.findings if f.code == "DD109"} == {"shop", "crm", "erp"}


def test_where_does_not_take_a_pipeline_that_loaded_elsewhere_for_a_writer(two) -> None:
    unpacked, dsn = two
    (place,) = doctor.where("orders", request(unpacked.project, unpacked.pipelines_dir, dsn=dsn))
    assert {writer for copy in place.copies for writer in copy.writers} == {"shop"}


def test_an_unknown_name_is_refused_with_the_names_of_the_working_dirs(two) -> None:
    unpacked, dsn = two
    with pytest.raises(UsageError) as refused:
        diagnose(unpacked.project, unpacked.pipelines_dir, dsn=dsn, names=("shopp",))
    assert "Did you mean shop?" in refused.value.hint
    assert "crm, erp and shop" in refused.value.hint


@pytest.mark.parametrize(
    ("command", "carried"),
    [
        ("dltdoctor fix sales --migrate", True),
        ("dltdoctor diagnose sales", True),
        ("dltdoctor explain DD201", False),
        ("dltdoctor", False),
        ("unset DATASET_NAME", False),
        ("python load.py; dltdoctor-elsewhere fix sales", False),
    ],
)
def test_only_commands_that_look_again_carry_options(command, carried, tmp_path) -> None:
    asked = request(tmp_path / "a b", dsn="postgresql://u:Hunter-2@h/d", pipelines_dir=tmp_path)
    told = Situation(asked).command(command)
    options = f""" --project '{tmp_path / "a b"}' --pipelines-dir {tmp_path} --dsn "$DLTDOCTOR_DSN\""""
    assert told == command + (options if carried else "")
    assert Situation(asked).command(told) == told


def test_a_dsn_in_the_command_itself_stays(tmp_path) -> None:
    told = Situation(request(tmp_path, dsn="postgresql://h/d")).command("dltdoctor diagnose x --dsn postgresql://…")
    assert told.count("--dsn") == 1


def test_without_options_commands_stay_as_they_are(tmp_path) -> None:
    plain = msgspec.structs.replace(request(tmp_path), project=None)
    assert Situation(plain).command("dltdoctor fix sales --migrate") == "dltdoctor fix sales --migrate"
