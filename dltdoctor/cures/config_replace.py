"""DD503 in configuration and source: the replace strategy that fills the table which readers have grants on."""

from dltdoctor.cures.config_rewrites import MOST_PLACES, Change, NotOfferedError, pipeline_of
from dltdoctor.finding import Finding
from dltdoctor.words import command
from dltdoctor.world.draft import Draft

KEY, OPTIMIZED, INSTEAD = "replace_strategy", "staging-optimized", "insert-from-staging"
NOTE = "Grants that are gone already have to be given again once, by the owner."


def insert_from_staging(finding: Finding, draft: Draft) -> Change:
    """Every place that asks for staging-optimized, until another strategy wins."""
    pipeline = pipeline_of(finding, draft)
    for _ in range(MOST_PLACES):
        winner = draft.config(pipeline)[KEY].winner
        if winner is None or winner.value != OPTIMIZED:
            break
        if winner.provider == "env":
            raise NotOfferedError(
                f"{winner.location} is an environment variable: unset it wherever it is exported",
                command("unset", winner.location),
            )
        draft.replace(winner, pipeline, INSTEAD)
    if not draft.edited:
        raise NotOfferedError(f"nothing in the configuration or the source asks for {OPTIMIZED} any more")
    return Change(pipelines=(pipeline.name,), note=NOTE)
