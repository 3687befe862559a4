"""The demo's scenarios: what happens to a project before the doctor is called."""

from collections.abc import Callable

import msgspec

from dltdoctor.demo.stage import Stage
from dltdoctor.errors import UsageError

SCORES = "load_trust_scores.py"
CONCEPTS = "load_concepts.py"
SCORES_FILES = (SCORES, "monday.csv", "tuesday.csv")


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A story that ends in a state of a project and its database.

    `story` is told before the diagnosis and does not give it away. `expected_code` is the check that
    finds the sickness, None where there is none. `cure` are the words after `dltdoctor` that its finding
    prints, `next_run` the script and its argument that show what the cure was for. `files` are those of
    `demo/project/` it needs.
    """

    name: str
    title: str
    story: str
    expected_code: str | None
    play: Callable[[Stage], None]
    cure: tuple[str, ...] = ()
    next_run: tuple[str, str] | None = None
    files: tuple[str, ...] = SCORES_FILES


def find_scenario(name: str) -> Scenario:
    """The scenario of that name."""
    for scenario in SCENARIOS:
        if scenario.name == name:
            return scenario
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    raise UsageError(f"there is no scenario {name!r}", f"the scenarios are: {names}")


def _healthy(stage: Stage) -> None:
    stage.run(SCORES, "monday.csv")
    stage.run(SCORES, "tuesday.csv")


def _null_scores(stage: Stage) -> None:
    stage.run(SCORES, "monday.csv")
    stage.run(CONCEPTS, "concepts.csv")


def _stranded(stage: Stage) -> None:
    stage.run(SCORES, "monday.csv")
    stage.execute("REVOKE DELETE ON public.app_opportunities_trust FROM loader")
    stage.run_to_fail(SCORES, "tuesday.csv", "permission denied for table app_opportunities_trust")
    stage.remove_working_dir("trust_scores")
    stage.execute("GRANT DELETE ON public.app_opportunities_trust TO loader")


def _staging_is_final(stage: Stage) -> None:
    stage.run(SCORES, "monday.csv")
    stage.append(".dlt/config.toml", '\n[destination.postgres]\nstaging_dataset_name_layout = "%s"\n')
    stage.run_to_fail(SCORES, "tuesday.csv", "identical to the final dataset name")


def _dev_mode(stage: Stage) -> None:
    stage.run(SCORES, "monday.csv")
    stage.edit(SCORES, '"public",\n', '"public",\n        dev_mode=True,\n')
    stage.run(SCORES, "tuesday.csv")


def _emptied(stage: Stage) -> None:
    stage.run(SCORES, "monday.csv")
    stage.run(SCORES, "tuesday.csv")
    stage.execute("TRUNCATE public.app_opportunities_trust")


SCENARIOS = (
    Scenario(
        name="healthy",
        title="Nothing is wrong, though public_staging is full of rows",
        story="A pipeline merges trust scores into public.app_opportunities_trust, on Monday and on "
        "Tuesday. Then somebody opens the database, finds the rows in public_staging, and worries.",
        expected_code=None,
        play=_healthy,
    ),
    Scenario(
        name="null-scores",
        title="The scores were loaded, and yet they are NULL",
        story="A pipeline merges trust scores into public.app_opportunities_trust. A second pipeline "
        "merges the concepts of the same submissions into the same table. Both report success; many "
        "scores are NULL.",
        expected_code="DD301",
        cure=("fix", "trust_scores", "--recover"),
        play=_null_scores,
        files=(SCORES, "monday.csv", CONCEPTS, "concepts.csv"),
    ),
    Scenario(
        name="stranded",
        title="Tuesday's rows never reached the final table",
        story="Monday's load is fine. Then the loader loses a privilege, and Tuesday's load fails at the "
        "end. Advice from the web is followed: the pipeline's working directory is removed. The "
        "privilege is back, but Tuesday's rows are not in public.app_opportunities_trust.",
        expected_code="DD201",
        cure=("fix", "trust_scores", "--migrate", "--unsafe"),
        play=_stranded,
    ),
    Scenario(
        name="staging-is-final",
        title="A cure from the web that stops the pipeline",
        story="Monday's load is fine. To be rid of public_staging, somebody follows advice from the web "
        'and sets staging_dataset_name_layout = "%s" in .dlt/config.toml. Tuesday\'s load does not even '
        "start.",
        expected_code="DD101",
        cure=("fix", "trust_scores", "--config"),
        next_run=(SCORES, "tuesday.csv"),
        play=_staging_is_final,
    ),
    Scenario(
        name="dev-mode",
        title="The load succeeded, and public still shows Monday",
        story="Monday's load is fine. Before Tuesday's, somebody tries something out and leaves "
        "dev_mode=True in the script. The load reports success; the readers of public see Monday's rows "
        "only.",
        expected_code="DD106",
        cure=("fix", "trust_scores", "--config"),
        next_run=(SCORES, "tuesday.csv"),
        play=_dev_mode,
    ),
    Scenario(
        name="emptied",
        title="The table was emptied, and the files that it was loaded from are gone",
        story="Monday's and Tuesday's loads are fine. Then somebody empties public.app_opportunities_trust by "
        "hand, to load it afresh, and finds that nobody has the two files any more.",
        expected_code="DD302",
        cure=("fix", "trust_scores", "--recover"),
        play=_emptied,
    ),
)
