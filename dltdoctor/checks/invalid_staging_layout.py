"""The staging layout is nothing that dlt can use as meant.

`None` and the empty string stop the pipeline, and so does a layout with a wrong number of `%s`. A
layout with another kind of placeholder (`{dataset}_staging`, `%(ds)s`, `%d_staging`) is not refused: dlt
finds no `%s` in it and takes it as a literal name, shared by every dataset.

*Why it matters.* `None` is widely recommended to switch staging off. It does not: dlt has no such
switch, merges need staging, and the pipeline stops with a message that does not name the cause.

*Fix safety.* Removing the value brings back `%s_staging`, dlt's default. No row is touched.
"""

import re
from collections.abc import Iterable

import msgspec

from dltdoctor import sketch
from dltdoctor.check import DLT_DOCS, Note, check
from dltdoctor.finding import Evidence, Severity
from dltdoctor.remedies import rewrite
from dltdoctor.snapshot import Config, Route, Snapshot

LAYOUT = "staging_dataset_name_layout"
_TYPO = re.compile(r"[{}]|%(?!s)")


def _none() -> Snapshot:
    way = sketch.route(layout=None, layout_error="None is not a name", staging=None, layout_origin="load.py:9")
    return sketch.world(
        routes=[msgspec.structs.replace(way, staging=None)],
        settings=[sketch.setting(LAYOUT, None, provider="argument", location="load.py:9")],
    )


def _typo() -> Snapshot:
    way = sketch.route(layout="{dataset}_staging", staging="_dataset_staging")
    return sketch.world(routes=[way], settings=[sketch.setting(LAYOUT, "{dataset}_staging")])


def _static() -> Snapshot:
    return sketch.world(
        routes=[sketch.route(layout="_dlt_staging", staging="_dlt_staging")],
        settings=[sketch.setting(LAYOUT, "_dlt_staging")],
    )


@check(
    "DD102",
    Severity.ERROR,
    sick=[_none, _typo],
    well=[_static, sketch.world],
    url=f"{DLT_DOCS}/dlt-ecosystem/staging",
)
def invalid_staging_layout(routes: tuple[Route, ...], config: Config) -> Iterable[Note]:
    seen: set[tuple[str, str | None]] = set()
    for way in routes:
        typo = way.layout is not None and "%s" not in way.layout and _TYPO.search(way.layout)
        if not (way.layout_error or typo) or (way.pipeline, way.layout) in seen:
            continue
        seen.add((way.pipeline, way.layout))
        effect = (
            f"{_stop(way.layout_error)}; the pipeline stops before it loads anything"
            if way.layout_error
            else f"it has no %s, so dlt takes it literally: every dataset would share the staging schema {way.staging!r}"
        )
        yield Note(
            message=f"the staging layout is {way.layout!r}: {effect}",
            pipeline=way.pipeline,
            dataset=way.final,
            evidence=(Evidence(f"{LAYOUT} = {way.layout!r}", way.layout_origin),),
            remedy=rewrite(
                way.pipeline,
                config.of(way.pipeline)[LAYOUT].winner,
                "Remove the staging layout, so that dlt's default applies",
            ),
        )


def _stop(error: str) -> str:
    """What dlt does, without saying once more what the layout is."""
    _, colon, rest = error.partition(": dlt ")
    return f"dlt {rest}" if colon else f"dlt cannot use it ({error})"
