"""Where dlt will write: real projects whose settings lead rows somewhere else, and those that only look so."""

from pathlib import Path

import pytest

from tests.real import SHOP, RealWorld, messages, verdicts

LAYOUT = '[destination.postgres]\nstaging_dataset_name_layout = "{}"\n'
DD102, DD105, DD110 = ("DD102", "error"), ("DD105", "error"), ("DD110", "warning")


@pytest.fixture
def world(tmp_path: Path, loader_database: str) -> RealWorld:
    return RealWorld(tmp_path / "world", loader_database)


def named(pipeline: str, dataset: str, table: str = "orders") -> str:
    """The shop's script for another pipeline, dataset or table."""
    script = SHOP.replace('"shop", destination', f'"{pipeline}", destination').replace('e="shop"', f'e="{dataset}"')
    return script.replace('"orders"', f'"{table}"')


# ---------------------------------------------------------------------------- the staging layout


@pytest.mark.fires("DD102")
def test_a_layout_of_none(world: RealWorld) -> None:
    world.run(SHOP, "1")
    none = "dlt.destinations.postgres(staging_dataset_name_layout=None)"
    world.run(SHOP.replace('"postgres"', none), "2", fails="staging_dataset_name_layout")
    assert world.found() == [DD102]


@pytest.mark.fires("DD102")
@pytest.mark.quiet("DD101")
def test_an_empty_layout(world: RealWorld) -> None:
    world.run(SHOP, "1")
    world.write(config=LAYOUT.format(""))
    world.run(SHOP, "2", fails="ValueError")
    assert world.found() == [DD102]


@pytest.mark.fires("DD102")
@pytest.mark.quiet("DD103")
def test_a_misspelt_placeholder_is_a_name(world: RealWorld) -> None:
    world.write(config=LAYOUT.format("{dataset}_staging"))
    world.run(SHOP, "1", "2")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [DD102]
    assert "_dataset_staging" in messages(diagnosis, "DD102")[0]
    assert {row.verdict for row in diagnosis.ledger} == {"leftover"}


@pytest.mark.fires("DD103")
@pytest.mark.quiet("DD102", "DD104")
def test_a_static_layout_with_overlapping_tables(world: RealWorld) -> None:
    world.write(config=LAYOUT.format("_dlt_staging"))
    world.run(SHOP, "1")
    world.run(named("mart", "mart"), "1")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD103", "error")]
    assert {row.verdict for row in diagnosis.ledger} == {"leftover"}


@pytest.mark.fires("DD103")
@pytest.mark.quiet("DD102", "DD104")
def test_a_static_layout_without_overlap(world: RealWorld) -> None:
    world.write(config=LAYOUT.format("_dlt_staging"))
    world.run(SHOP, "1")
    world.run(named("mart", "mart", table="sales"), "1")
    assert world.found() == [("DD103", "warning")]


@pytest.mark.fires("DD103")
@pytest.mark.quiet("DD301")
def test_two_pipelines_merge_one_table(world: RealWorld) -> None:
    world.run(SHOP, "1")
    world.run(named("twin", "shop"), "2")
    assert world.found() == [("DD103", "warning")]


@pytest.mark.fires("DD104")
@pytest.mark.quiet("DD103")
def test_the_staging_environment_is_the_staging_dataset(world: RealWorld) -> None:
    world.run(named("preview", "shop_staging"), "1")
    world.run(SHOP, "1")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD104", "error")]
    assert "shop_staging.orders" in messages(diagnosis, "DD104")[0]


# ------------------------------------------------------------------------------ the dataset's name


@pytest.mark.fires("DD105")
@pytest.mark.quiet("DD109")
def test_the_dataset_was_renamed_to_one_that_is_not_there(world: RealWorld) -> None:
    world.run(SHOP, "1")
    world.write(load=named("shop", "bazaar"))
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD105", "warning")]
    assert "drop the working dir" in messages(diagnosis, "DD105")[0]


@pytest.mark.fires("DD105")
@pytest.mark.quiet("DD109")
def test_the_dataset_was_renamed_to_one_that_is_there(world: RealWorld) -> None:
    world.run(SHOP, "1")
    world.run(named("other", "bazaar"), "1")
    world.write(load=named("shop", "bazaar"), other=named("other", "bazaar"))
    diagnosis = world.examine()
    # That both would then merge one table is said, too.
    assert DD105 in verdicts(diagnosis)
    assert {code for code, _ in verdicts(diagnosis)} <= {"DD105", "DD103"}


@pytest.mark.fires("DD105")
@pytest.mark.quiet("DD110")
def test_the_dataset_was_renamed_in_toml(world: RealWorld) -> None:
    script = SHOP.replace(', dataset_name="shop"', "")
    world.write(config='[pipelines.shop]\ndataset_name = "shop"\n')
    world.run(script, "1")
    assert world.found() == []
    world.write(config='[pipelines.shop]\ndataset_name = "bazaar"\n')
    assert world.found() == [("DD105", "warning")]


QUIET = {
    "per tenant": SHOP.replace("orders(int(page))", 'orders(int(page)), dataset_name=f"tenant_{page}"'),
    "computed": SHOP.replace('"shop")\nfor', 'f"shop_{sys.argv[1]}")\nfor'),
    "from the environment": SHOP.replace('e="shop"', 'e=__import__("os").environ.get("WHERE", "shop")'),
    "always the same at run": SHOP.replace("orders(int(page))", 'orders(int(page)), dataset_name="elsewhere"'),
}


@pytest.mark.quiet("DD105")
@pytest.mark.parametrize("way", QUIET)
def test_a_name_that_only_running_tells_is_no_drift(world: RealWorld, way: str) -> None:
    world.run(QUIET[way], "1", "2")
    assert world.found() == []


@pytest.mark.quiet("DD105")
def test_a_sticky_name_is_no_drift(world: RealWorld) -> None:
    world.run(SHOP, "1")
    world.run(SHOP.replace(', dataset_name="shop"', ""), "2")
    assert world.rows("shop.orders") == 6
    assert world.found() == []


@pytest.mark.fires("DD106")
@pytest.mark.quiet("DD105")
def test_dev_mode_from_the_environment(world: RealWorld) -> None:
    world.run(SHOP, "1")
    world.run(SHOP, "2", env={"DEV_MODE": "true"})
    assert world.found() == [("DD106", "warning")]


@pytest.mark.quiet("DD106", "DD105")
def test_dev_mode_is_over(world: RealWorld) -> None:
    world.run(SHOP, "1", env={"DEV_MODE": "true"})
    world.run(SHOP, "1")
    assert world.found() == []


# -------------------------------------------------------------------------- which value dlt reads


@pytest.mark.fires("DD110")
@pytest.mark.quiet("DD105")
def test_a_bare_variable_beats_toml(world: RealWorld, clean_machine: Path) -> None:
    script = SHOP.replace(', dataset_name="shop"', "")
    world.write(config='[pipelines.shop]\ndataset_name = "shop"\n')
    world.run(script, "1", env={"DATASET_NAME": "imagenet"})
    assert world.rows("imagenet.orders") == 3
    environ = {"HOME": str(clean_machine), "DATASET_NAME": "imagenet"}
    assert world.found(environ=environ) == [DD110]


@pytest.mark.fires("DD110")
def test_a_section_of_the_pipeline_beats_the_environment(world: RealWorld, clean_machine: Path) -> None:
    key = "DESTINATION__POSTGRES__STAGING_DATASET_NAME_LAYOUT"
    world.write(config='[shop.destination.postgres]\nstaging_dataset_name_layout = "a_%s"\n')
    world.run(SHOP, "1", env={key: "b_%s"})
    assert world.rows("a_shop.orders") == 3
    assert world.found(environ={"HOME": str(clean_machine), key: "b_%s"}) == [DD110]


@pytest.mark.fires("DD110")
def test_secrets_beat_config(world: RealWorld) -> None:
    world.run(SHOP, "1")
    secrets = world.project / ".dlt" / "secrets.toml"
    text = secrets.read_text(encoding="utf-8")
    world.write(config=LAYOUT.format("b_%s"), secrets=LAYOUT.format("a_%s") + text)
    world.run(SHOP, "2")
    assert world.rows("a_shop.orders") == 3
    assert world.found() == [DD110]


@pytest.mark.fires("DD110")
def test_a_named_destination_has_its_own_section(world: RealWorld) -> None:
    script = SHOP.replace('"postgres"', 'dlt.destination("warehouse", destination_type="postgres")')
    world.write(load=script)
    secrets = world.project / ".dlt" / "secrets.toml"
    text = secrets.read_text(encoding="utf-8").replace("destination.postgres", "destination.warehouse")
    world.write(secrets=text, config=LAYOUT.format("stage_%s"))
    world.run(script, "1")
    assert world.rows("shop_staging.orders") == 3
    assert world.found() == [DD110]


@pytest.mark.fires("DD109")
@pytest.mark.quiet("DD302", "DD401")
def test_another_database(world: RealWorld, database: str, postgres: str) -> None:
    world.run(SHOP, "1")
    mine = world.dsn.rsplit("/", 1)[1]
    secrets = world.project / ".dlt" / "secrets.toml"
    other = database.rsplit("/", 1)[1]
    secrets.write_text(secrets.read_text(encoding="utf-8").replace(mine, other), encoding="utf-8")
    diagnosis = world.examine()
    assert verdicts(diagnosis) == [("DD109", "error")]
    assert "would wipe the working dir" in messages(diagnosis, "DD109")[0]
