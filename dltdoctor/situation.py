"""The user's own situation: places as seen from where they stand, commands as they have to type them.

Checks speak of absolute paths and of plain `dltdoctor` commands; here they are put into words for one
request, so that no check has to know of it.
"""

import os
import re
import shlex
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

import msgspec

from dltdoctor.diagnosis import Diagnosis, PipelineLine, Whereabouts
from dltdoctor.finding import Evidence, Finding
from dltdoctor.snapshot import Catalog, Config, ConfigValue, PipelineConfig, Setting, Snapshot
from dltdoctor.words import DSN_VARIABLE, PROGRAM
from dltdoctor.world.survey import Request, project_of

_EXAMINING = ("diagnose", "where", "fix", "undo", "history", "clean-cache", "check")
Change = Callable[[str], str]


class Situation:
    """What a request says about places and options."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def placed(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot with the places of settings relative to the project.

        They become a part of messages and fingerprints, which have to be the same on every machine.
        """
        change = self._from_project
        return msgspec.structs.replace(
            snapshot,
            config=_config(snapshot.config, change) if snapshot.config else None,
            catalog=_catalog(snapshot.catalog, change) if snapshot.catalog else None,
            unread=tuple(
                msgspec.structs.replace(u, what=change(u.what), reason=change(u.reason)) for u in snapshot.unread
            ),
        )

    def told(self, diagnosis: Diagnosis) -> Diagnosis:
        """The diagnosis for every format: what is inside the project is relative, commands can be pasted."""
        findings = tuple(self._pasteable(f) for f in diagnosis.findings)
        return _reworded(msgspec.structs.replace(diagnosis, findings=findings), self._from_project)

    def shortened(self, diagnosis: Diagnosis) -> Diagnosis:
        """The diagnosis for a person: paths from the current directory or from `~` where that is shorter.

        Inside a working dir they begin with the pipeline's name: where that is stands above its findings.
        """
        dirs = {Path(line.working_dir).parent for line in diagnosis.pipelines if line.working_dir}
        inside = _shorter((place, "") for place in dirs)
        findings = tuple(_finding(f, inside) for f in diagnosis.findings)
        return _reworded(msgspec.structs.replace(diagnosis, findings=findings), self._from_here)

    def shortened_place(self, place: Whereabouts) -> Whereabouts:
        """The same for the whereabouts of a table."""
        change = self._from_here
        origin = change(self._from_project(place.target_origin)) if place.target_origin else None
        return msgspec.structs.replace(place, target_origin=origin, notes=tuple(map(change, place.notes)))

    def command(self, command: str) -> str:
        """The command with the options of this request, where it is one of dltdoctor's that looks again."""
        return "\n".join(self._line(line) for line in command.split("\n"))

    @cached_property
    def _options(self) -> tuple[tuple[str, str], ...]:
        """Each option with its value, as a shell has to read it. A DSN may hold a password: only by name."""
        request = self._request
        given = (("--project", request.project), ("--pipelines-dir", request.pipelines_dir))
        options = tuple((name, shlex.quote(str(value))) for name, value in given if value is not None)
        return (*options, ("--dsn", f'"${DSN_VARIABLE}"')) if request.dsn is not None else options

    def _line(self, line: str) -> str:
        words = line.split(maxsplit=2)
        if len(words) < 2 or words[0] != PROGRAM or words[1] not in _EXAMINING:
            return line
        new = (f" {name} {value}" for name, value in self._options if not re.search(rf"\s{name}\b", line))
        return line + "".join(new)

    def _pasteable(self, finding: Finding) -> Finding:
        remedy = finding.remedy
        if remedy is None or remedy.command is None:
            return finding
        command = self.command(remedy.command)
        return msgspec.structs.replace(finding, remedy=msgspec.structs.replace(remedy, command=command))

    @cached_property
    def _from_project(self) -> Change:
        return _shorter(((project_of(self._request), ""),))

    @cached_property
    def _from_here(self) -> Change:
        request = self._request
        return _shorter(((request.cwd, ""), (Path(os.path.realpath(request.cwd)), ""), (request.home, "~/")))


def _shorter(places: Iterable[tuple[Path, str]]) -> Change:
    """Writes paths below the places another way; a place that is a whole disk is none."""
    rules = [
        (re.compile(rf"(?<![\w./~*-]){re.escape(str(place))}/(?=[^\s/])"), instead)
        for place, instead in places
        if place.is_absolute() and len(place.parts) > 1
    ]

    def change(text: str) -> str:
        for pattern, instead in rules:
            text = pattern.sub(lambda _, instead=instead: instead, text)  # type: ignore[misc]
        return text

    return change


def _config(config: Config, change: Change) -> Config:
    pipelines = {name: _settings(each, change) for name, each in config.pipelines.items()}
    return msgspec.structs.replace(config, pipelines=pipelines, files=tuple(map(change, config.files)))


def _settings(config: PipelineConfig, change: Change) -> PipelineConfig:
    settings = {key: _setting(each, change) for key, each in config.settings.items()}
    return msgspec.structs.replace(config, settings=settings, unused=tuple(_value(v, change) for v in config.unused))


def _setting(setting: Setting, change: Change) -> Setting:
    winner = _value(setting.winner, change) if setting.winner else None
    return msgspec.structs.replace(setting, winner=winner, shadowed=tuple(_value(v, change) for v in setting.shadowed))


def _value(value: ConfigValue, change: Change) -> ConfigValue:
    return msgspec.structs.replace(value, location=change(value.location))


def _catalog(catalog: Catalog, change: Change) -> Catalog:
    databases = tuple(
        msgspec.structs.replace(d, target=msgspec.structs.replace(d.target, origin=change(d.target.origin)))
        for d in catalog.databases
    )
    return msgspec.structs.replace(catalog, databases=databases)


def _reworded(diagnosis: Diagnosis, change: Change) -> Diagnosis:
    return msgspec.structs.replace(
        diagnosis,
        findings=tuple(_finding(f, change) for f in diagnosis.findings),
        skipped=tuple(msgspec.structs.replace(s, reason=change(s.reason)) for s in diagnosis.skipped),
        pipelines=tuple(_line(p, change) for p in diagnosis.pipelines),
    )


def _finding(finding: Finding, change: Change) -> Finding:
    """Everything but the command, which may be pasted somewhere else."""
    remedy = finding.remedy
    return msgspec.structs.replace(
        finding,
        message=change(finding.message),
        evidence=tuple(Evidence(fact=change(e.fact), source=change(e.source)) for e in finding.evidence),
        remedy=msgspec.structs.replace(remedy, title=change(remedy.title)) if remedy else None,
    )


def _line(line: PipelineLine, change: Change) -> PipelineLine:
    return msgspec.structs.replace(
        line,
        target_origin=change(line.target_origin) if line.target_origin else None,
        working_dir=change(line.working_dir) if line.working_dir else None,
        notes=tuple(map(change, line.notes)),
    )
