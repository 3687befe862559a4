"""The working dir has loaded before, and this database knows nothing of it.

The state says that loads were completed. In the database that the configuration leads to there is
no load and no state of this pipeline: it is another database, or the dataset was dropped.

*Why it matters.* Where the dataset does not exist, the next dlt command that connects wipes the whole
working dir, pending packages included, and loads everything again into this database. Where another
pipeline has made a dataset of that name, the cursor survives and only newer rows arrive there.

*Fix safety.* Pointing the configuration back to the database that holds the state changes no row. Until
then run no dlt command for this pipeline, not even `dlt pipeline <name> info`.
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import Note, check
from dltdoctor.deduced.strangers import has_loaded, knows
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Catalog, Pipeline, Route, Snapshot


def _empty_database() -> Snapshot:
    loader = sketch.pipeline(
        packages=[sketch.package()], last_destination="postgresql://loader:***@prod:5432/warehouse"
    )
    return sketch.world(loader, on=sketch.database({}, states=(), loads=()))


def _its_own_database() -> Snapshot:
    return sketch.world(sketch.pipeline(packages=[sketch.package()]), on=sketch.database())


def _never_loaded() -> Snapshot:
    return sketch.world(sketch.pipeline(state={"first_run": True}), on=sketch.database({}, states=(), loads=()))


@check("DD109", Severity.ERROR, sick=[_empty_database], well=[_its_own_database, _never_loaded])
def wrong_destination(pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...], catalog: Catalog) -> Iterable[Note]:
    for pipeline in pipelines:
        database = catalog.database(pipeline.name)
        ways = [r for r in routes if r.pipeline == pipeline.name]
        if (
            database is None
            or not ways
            or not has_loaded(pipeline)
            or knows(database, pipeline, [w.final for w in ways])
        ):
            continue
        state = pipeline.state
        loaded = [p for p in pipeline.packages if p.stage == "loaded"]
        evidence = [
            Evidence(
                f"state version {state.version if state else 0}, {len(loaded)} completed packages",
                pipeline.working_dir or pipeline.name,
            ),
            Evidence(
                f"no dataset {ways[0].final}, no row for {pipeline.name} in any _dlt_pipeline_state",
                f"{database.target.key} ({database.target.origin})",
            ),
        ]
        if pipeline.last_destination:
            evidence.append(
                Evidence(f"the last run loaded to {pipeline.last_destination}", "trace.pickle, not unpickled")
            )
        there = any(database.is_dataset(w.final) for w in ways)
        yield Note(
            message=f"{database.target.key} knows nothing of this pipeline, which has loaded before: {_harm(there=there)}",
            pipeline=pipeline.name,
            dataset=ways[0].final,
            evidence=tuple(evidence),
            remedy=Remedy(
                "Point the credentials back to the database that holds the dataset, then look again",
                "manual",
                None
                if database.target.origin == "--dsn"
                else f"dltdoctor diagnose {pipeline.name} --dsn postgresql://…",
            ),
        )


def _harm(*, there: bool) -> str:
    if there:
        return "its dataset is there, but another pipeline's; only rows newer than the cursor would arrive in it"
    return "its dataset is not there, and the next dlt command would wipe the working dir"
