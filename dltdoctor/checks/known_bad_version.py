"""The project's dlt is known to harm what this project does.

Only what the project does counts, not the version alone: dlt from 0.5 to 1.16 does not notice that a staging
layout gives the name of the final dataset, and empties the merged tables; 1.27.0 and 1.27.1 truncate the final
table of a merge resource that has nothing new; before 1.0 a failed job does not fail the load, which is recorded
as successful; dlt 1.16 to 1.31 cannot read through `dataset()` beside sqlglot 30.22 or newer.

*Why it matters.* The first two lose rows and report success. The third leaves rows in staging that nobody
misses, because the ledger says that they arrived.

*Fix safety.* A newer dlt upgrades the working dir when it opens it, and an older one cannot read it back: let
pending packages finish first, and upgrade every machine that runs the pipeline.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from dltdoctor import sketch
from dltdoctor.check import DLT_ISSUES, Note, check
from dltdoctor.deduced.versions import release
from dltdoctor.finding import Evidence, Remedy, Severity
from dltdoctor.snapshot import Call, Config, Pipeline, Route, Snapshot, Source
from dltdoctor.words import command, count, listed

# Measured: 0.4.12 ignores the layout, 0.5.4 to 1.16.0 empty the table, 1.17.0 refuses.
_EMPTIES, _REFUSES = (0, 5), (1, 17)
_TRUNCATES = ((1, 27, 0), (1, 27, 1))
_RAISES = (1, 0)
# Measured with sqlglot 30.30: 1.16.0, 1.21.0, 1.28.1, 1.30.0 and 1.31.0 fail alike.
_QUALIFIES, _LAST_KNOWN, _SQLGLOT = (1, 16), (1, 32), (30, 22)


def _source(version: str, **changes: Any) -> Source:
    return msgspec.structs.replace(Source(root=".", dlt_version=version, dlt_version_origin="uv.lock"), **changes)


def _emptied() -> Snapshot:
    way = sketch.route(staging="shop", layout="%s", layout_origin="load.py:9")
    return sketch.world(routes=[way], source=_source("1.16.0"))


def _refused() -> Snapshot:
    return sketch.world(routes=_emptied().routes, source=_source("1.17.0"))


def _ignored_layout() -> Snapshot:
    return sketch.world(routes=_emptied().routes, source=_source("1.31.0"))


def _truncated() -> Snapshot:
    return sketch.world(source=_source("1.27.1", calls=_made()))


def _truncated_offline() -> Snapshot:
    return sketch.world(pipelines=(), routes=[], source=sketch.declared(pinned="1.27.0"))


def _only_appends() -> Snapshot:
    tables = [sketch.table("log", disposition="append", merge_strategy=None)]
    return sketch.world(sketch.pipeline(tables=tables), source=_source("1.27.0", calls=_made()))


def _false_success() -> Snapshot:
    failed = sketch.package("1700000200.0", "loaded", sketch.job(kind="sql", status="failed"))
    return sketch.world(sketch.pipeline(packages=[failed]), source=_source("0.5.4", calls=_made()))


def _old_and_well() -> Snapshot:
    newer = sketch.setting("raise_on_failed_jobs", value=True, provider="default", location="dlt's default")
    return sketch.world(source=_source("0.5.4", calls=_made()), settings=[newer])


def _old_and_strict() -> Snapshot:
    return sketch.world(
        source=_source("0.5.4", calls=_made()), settings=[sketch.setting("raise_on_failed_jobs", value=True)]
    )


def _unreadable() -> Snapshot:
    reads = Call(function="dataset", file="report.py", line=7)
    return sketch.world(source=_source("1.31.0", calls=(reads,), sqlglot_version="30.30.0"))


def _older_sqlglot() -> Snapshot:
    reads = Call(function="dataset", file="report.py", line=7)
    return sketch.world(source=_source("1.31.0", calls=(reads,), sqlglot_version="28.0.0"))


def _nobody_reads() -> Snapshot:
    return sketch.world(source=_source("1.31.0", sqlglot_version="30.30.0"))


def _made() -> tuple[Call, ...]:
    name = sketch.argument("pipeline_name", "shop_loader")
    return (Call(function="pipeline", file="load.py", line=3, arguments=(name,)),)


@check(
    "DD507",
    Severity.WARNING,
    Severity.ERROR,
    Severity.INFO,
    sick=[_emptied, _truncated, _truncated_offline, _false_success, _old_and_well, _unreadable],
    well=[_refused, _ignored_layout, _only_appends, _old_and_strict, _older_sqlglot, _nobody_reads, sketch.world],
    url=f"{DLT_ISSUES}/3998",
)
def known_bad_version(
    source: Source, config: Config, pipelines: tuple[Pipeline, ...], routes: tuple[Route, ...]
) -> Iterable[Note]:
    version = release(source.dlt_version)
    if version is None:
        return
    mine = tuple(p for p in pipelines if _is_of(p, source))
    if _EMPTIES <= version < _REFUSES:
        yield from _emptying(source, [w for w in routes if w.staging == w.final and w.staging is not None])
    if version in _TRUNCATES:
        yield from _truncating(source, mine)
    if version < _RAISES:
        yield from _succeeding(source, config, mine)
    if _QUALIFIES <= version < _LAST_KNOWN:
        yield from _failing_to_read(source)


def _is_of(pipeline: Pipeline, source: Source) -> bool:
    """True for a pipeline that this project runs; another project may have another dlt."""
    state = pipeline.state
    return bool(source.pipeline_calls(pipeline.name)) or bool(state and state.run_dir and state.run_dir == source.root)


def _emptying(source: Source, ways: list[Route]) -> Iterator[Note]:
    if ways:
        yield Note(
            message=f"dlt {source.dlt_version} loads although staging is the final dataset "
            f"({listed(sorted({w.final for w in ways}))}), and leaves the merged tables empty",
            severity=Severity.ERROR,
            evidence=(
                _pinned(source),
                *(Evidence(f"{w.pipeline}: final and staging are {w.final!r}", w.layout_origin) for w in ways),
            ),
            remedy=_upgrade("1.17.0", "which refuses such a layout; and cure the layout (DD101)"),
            identity="staging is final",
        )


def _truncating(source: Source, pipelines: Iterable[Pipeline]) -> Iterator[Note]:
    merged = [
        Evidence(f"{t.name} of {p.name} is merged", s.origin)
        for p in pipelines
        for s in p.schemas
        for t in s.data_tables
        if t.disposition == "merge" and not t.is_nested
    ]
    declared = [Evidence(f"{r.name} is merged", r.place) for r in source.resources if r.disposition == "merge"]
    if found := merged or declared:
        yield Note(
            message=f"dlt {source.dlt_version} truncates the final table of a merge resource that has nothing new",
            severity=Severity.ERROR,
            evidence=(_pinned(source), *found[:5]),
            remedy=_upgrade("1.27.2", "and do not run the pipeline before"),
            identity="merge without news",
        )


def _succeeding(source: Source, config: Config, pipelines: Iterable[Pipeline]) -> Iterator[Note]:
    """A warning where it has happened; that it could happen is worth a word only."""
    lenient = [p for p in pipelines if not _is_strict(config, p)]
    failed = [
        Evidence(f"{count(len(jobs), 'failed job')} in a load that counts as successful", package.path)
        for p in lenient
        for package in p.packages
        if package.stage == "loaded" and (jobs := [j for j in package.jobs if j.status == "failed"])
    ]
    if lenient:
        done = "has recorded loads with failed jobs" if failed else "records a load with failed jobs"
        yield Note(
            message=f"dlt {source.dlt_version} {done} as successful, and raises nothing",
            severity=None if failed else Severity.INFO,
            evidence=(_pinned(source), *failed[:5]),
            remedy=_upgrade("1.0.0", "or set raise_on_failed_jobs = true under [load]"),
            identity="failed jobs",
        )


def _is_strict(config: Config, pipeline: Pipeline) -> bool:
    """True when somebody asked for what is the default since 1.0."""
    winner = config.of(pipeline.name)["raise_on_failed_jobs"].winner
    return winner is not None and winner.provider != "default" and winner.value is True


def _failing_to_read(source: Source) -> Iterator[Note]:
    beside = release(source.sqlglot_version)
    readers = [call for call in source.calls if call.function == "dataset"]
    if beside is not None and beside >= _SQLGLOT and readers:
        places = listed(f"{call.file}:{call.line}" for call in readers)
        yield Note(
            message=f"dlt {source.dlt_version} cannot read through dataset() beside sqlglot {source.sqlglot_version}: "
            f"TypeError at {places}",
            evidence=(
                _pinned(source),
                Evidence(f"sqlglot {source.sqlglot_version}", source.sqlglot_version_origin or source.root),
                *(Evidence(f"dataset() in {call.file}", f"{call.file}:{call.line}") for call in readers[:5]),
            ),
            remedy=Remedy("Hold sqlglot below 30.22", "manual", command("pip", "install", "sqlglot<30.22")),
            identity="sqlglot",
        )


def _pinned(source: Source) -> Evidence:
    return Evidence(f"the project has dlt {source.dlt_version}", source.dlt_version_origin or source.root)


def _upgrade(version: str, more: str) -> Remedy:
    return Remedy(
        f"Give the project dlt {version} or newer, {more}", "manual", command("pip", "install", f"dlt>={version}")
    )
