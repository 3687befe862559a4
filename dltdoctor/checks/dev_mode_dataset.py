"""The pipeline runs in dev mode and loads into a timestamped dataset.

With `dev_mode` (formerly `full_refresh`) every run gets a dataset of its own, `<name>_YYYYMMDDhhmmss`.
A bare environment variable `DEV_MODE=true` is enough to switch it on.

*Why it matters.* Readers look at the dataset without the timestamp, where nothing new arrives.

*Fix safety.* Switching dev mode off sends the next run to the plain dataset. Rows of the timestamped
one stay there until they are moved or loaded again. It is unsafe where the last run was of dlt before 1.23: the
cursors stay, and the rows up to them never arrive in the plain dataset unless the working dir is archived first.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.deduced.dev_mode import TIMESTAMP, would_skip
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.remedies import rewrite
from dltdoctor.snapshot import Catalog, Config, ConfigValue, Pipeline, Route, Snapshot
from dltdoctor.words import command


def _timestamped() -> Snapshot:
    name = "shop_20261123073104"
    return sketch.world(sketch.pipeline(dataset=name, state={"dev_mode": True}), routes=[sketch.route(final=name)])


def _archive() -> Snapshot:
    return sketch.world(
        sketch.pipeline(dataset="shop_2026"), routes=[sketch.route(final="shop_2026")], on=sketch.database()
    )


@check(
    "DD106",
    Severity.WARNING,
    sick=[_timestamped],
    well=[_archive, sketch.world],
    url=f"{DLT_DOCS}/general-usage/pipeline#do-experiments-with-dev-mode",
)
def dev_mode_dataset(
    routes: tuple[Route, ...], pipelines: tuple[Pipeline, ...], config: Config, catalog: Catalog | None = None
) -> Iterable[Note]:
    everyone = {p.name: p for p in pipelines}
    for way in routes:
        state = everyone[way.pipeline].state if way.pipeline in everyone else None
        setting = config.of(way.pipeline)["dev_mode"]
        stamped = TIMESTAMP.search(way.final)
        switched_on = setting.winner is not None and setting.winner.value is True
        if not (stamped or switched_on):
            continue
        plain = TIMESTAMP.sub("", way.final)
        evidence = [Evidence(f"dataset_name is {way.final!r}", state.origin if state else way.pipeline)]
        if state and state.dev_mode:
            evidence.append(Evidence("_dev_mode is true", state.origin))
        if setting.winner:
            evidence.append(Evidence(f"dev_mode = {setting.winner.display}", setting.winner.location))
        database = catalog.database(way.pipeline) if catalog else None
        if database and stamped and plain in database.schemas:
            evidence.append(Evidence(f"the schema {plain} exists too; this run did not load there", "pg_namespace"))
        yield Note(
            message=f"dev mode {'is' if switched_on else 'was'} on: the last run loaded into {way.final}, not into {plain}"
            if stamped
            else f"dev mode is on: the next run loads into {way.final}_<timestamp>, not into {way.final}",
            pipeline=way.pipeline,
            dataset=plain,  # without the timestamp: the same finding after the next run
            evidence=tuple(evidence),
            remedy=_remedy(
                way.pipeline,
                setting.winner if switched_on else None,
                skips=plain if would_skip(everyone.get(way.pipeline), way.final, database) else "",
            ),
            identity=way.schema,
        )


def _remedy(pipeline: str, winner: ConfigValue | None, *, skips: str) -> Remedy:
    first = f" Before the next run archive the working dir, or rows up to its cursors never arrive in {skips}"
    after = f".{first}: {command('dltdoctor', 'clean-cache', pipeline, '--unsafe')}" if skips else ""
    if winner is None:
        return Remedy(
            "Nothing that dltdoctor reads switches dev mode on: look for DEV_MODE in the environment of the run"
            f"{after or '. The next run without it loads into the plain dataset'}",
            "manual",
            "unset DEV_MODE",
        )
    made = rewrite(pipeline, winner, "Switch dev mode off")
    if not skips:
        return made
    line = made.command if winner.provider == "env" else command("dltdoctor", "fix", pipeline, "--config", "--unsafe")
    return Remedy(made.title + after, "unsafe", line)
