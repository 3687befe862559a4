"""The staging dataset is the final dataset.

The staging layout gives the same name as the dataset: `"%s"`, a layout that differs only by case
while normalisation is off, or names that Postgres cuts to the same 63 bytes.

*Why it matters.* dlt empties the staging tables before it fills them, and here these are your final
tables. Before dlt 1.17 every run then reported success and left the merged tables empty. From 1.17 on
dlt compares the two names first and stops, except where only Postgres makes them equal.

*Fix safety.* Removing the value brings back `%s_staging`, which is what dlt uses by default. No row
is touched. Rows that an older dlt has already emptied do not come back with it (see DD302).
"""

from collections.abc import Iterable

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Severity
from dltdoctor.remedies import rewrite
from dltdoctor.snapshot import Config, Route, Snapshot, Source

LAYOUT = "staging_dataset_name_layout"


def _bare_placeholder() -> Snapshot:
    way = sketch.route(staging="shop", layout="%s", layout_origin=".dlt/config.toml:3")
    return sketch.world(routes=[way], settings=[sketch.setting(LAYOUT, "%s")])


def _cut_by_postgres() -> Snapshot:
    name = "a" * 63
    return sketch.world(routes=[sketch.route(final=name, staging=name)])


@check(
    "DD101",
    Severity.ERROR,
    sick=[_bare_placeholder, _cut_by_postgres],
    well=[sketch.world],
    url=f"{DLT_DOCS}/dlt-ecosystem/staging",
)
def staging_is_final(routes: tuple[Route, ...], config: Config, source: Source) -> Iterable[Note]:
    for way in routes:
        if way.staging is None or way.staging != way.final:
            continue
        winner = config.of(way.pipeline)[LAYOUT].winner
        evidence = [
            Evidence(f"the staging layout is {way.layout!r}", way.layout_origin),
            Evidence(f"final dataset {way.final!r}, staging dataset {way.staging!r}", "dlt's rule for the two names"),
        ]
        if source.dlt_version:
            evidence.append(Evidence(f"the project has dlt {source.dlt_version}", source.dlt_version_origin or "."))
        yield Note(
            message=f"staging and final are both {way.final!r}: {_consequence(way, source.dlt_version)}",
            pipeline=way.pipeline,
            dataset=way.final,
            evidence=tuple(evidence),
            remedy=rewrite(way.pipeline, winner, "Remove the staging layout, so that dlt's default applies")
            if winner
            else rewrite(
                way.pipeline, None, "Shorten the dataset name, or set a layout that differs in its first bytes"
            ),
            identity=way.schema,
        )


def _consequence(way: Route, version: str | None) -> str:
    if way.layout != "%s":
        return "dlt sees two names, Postgres makes them one, and the next merge leaves the table empty"
    refuses = "dlt 1.17 and newer refuse to run with it (ValueError), nothing is touched"
    empties = "dlt before 1.17 reports success and leaves the merged tables empty"
    parts = (version or "").split(".")
    if len(parts) > 1 and parts[0].isdigit() and parts[1].isdigit():
        return refuses if (int(parts[0]), int(parts[1])) >= (1, 17) else empties
    return f"{refuses}; {empties}"
