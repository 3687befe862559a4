"""The project as it would be after some edits: files are changed in memory, and everything is resolved anew.

Nothing is written. The configuration and the source are those that the diagnosis read, with the new bytes
in place of the old ones.
"""

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from dltdoctor.errors import RefusedError
from dltdoctor.snapshot import Call, ConfigValue, Pipeline, PipelineConfig, Route, Snapshot, Source
from dltdoctor.world.config import resolve
from dltdoctor.world.edit_check import Answer, Case, ask_dlt
from dltdoctor.world.edit_source import Program
from dltdoctor.world.edit_toml import with_key, without_key
from dltdoctor.world.files import read_bytes
from dltdoctor.world.options import DESTINATION
from dltdoctor.world.providers import (
    EnvProvider,
    Providers,
    TomlProvider,
    run_dir,
    settings_dir,
)
from dltdoctor.world.request import Request, providers_in
from dltdoctor.world.routing import destination_of, is_computed, pipeline_arguments, routes_of
from dltdoctor.world.source_walk import Walk
from dltdoctor.world.surveyor import SUPPORTED
from dltdoctor.world.toml import TomlFile
from dltdoctor.world.unreadable import UnreadableError

MAX_FILE = 8 * 1024 * 1024
MAX_CALLS = 100
PASSED_TO_FACTORY = frozenset(option.key for option in DESTINATION)


class Draft:
    """A project with edits. `fork()` gives one that can be thrown away."""

    def __init__(self, request: Request, snapshot: Snapshot) -> None:
        self.request = request
        self.snapshot = snapshot
        self.source = snapshot.source or Source()
        self.originals: dict[str, bytes | None] = {}
        self.edited: dict[str, bytes] = {}
        self.titles: dict[str, tuple[str, ...]] = {}
        self._providers: dict[Path, Providers] = {}
        self._overlays: dict[Path, Providers] = {}

    def fork(self) -> "Draft":
        twin = Draft(self.request, self.snapshot)
        twin.source, twin._providers, twin.originals = self.source, self._providers, self.originals
        twin._overlays = dict(self._overlays)
        twin.edited, twin.titles = dict(self.edited), dict(self.titles)
        return twin

    # ----------------------------------------------------------------------------- what it amounts to

    def pipelines(self) -> Iterator[Pipeline]:
        """Those that this project configures; a stranger of the destination has no place to edit."""
        for pipeline in self.snapshot.pipelines:
            if pipeline.origin != "destination" or self.source.pipeline_calls(pipeline.name):
                yield pipeline

    def config(self, pipeline: Pipeline) -> PipelineConfig:
        """The settings of the pipeline, resolved as dlt would with the edits made."""
        name, factory = destination_of(self.source, pipeline)
        return resolve(
            self._overlaid(self.project(pipeline)),
            pipeline=pipeline.name,
            destination_name=name,
            destination_type=factory or SUPPORTED,
            arguments=pipeline_arguments(self.source, pipeline),
        )

    def routes(self, pipeline: Pipeline) -> tuple[Route, ...]:
        computed = is_computed(self.source, pipeline, "dataset_name")
        return routes_of(pipeline, self.config(pipeline), computed_dataset=computed)

    def project(self, pipeline: Pipeline) -> Path:
        """The directory whose settings count: the one asked for, the current one, else the last run's."""
        request, state = self.request, pipeline.state
        here = (request.project or request.cwd).absolute()
        if request.project or (run_dir(here, request.environ) / ".dlt").is_dir():
            return here
        last = Path(state.run_dir) if state and state.run_dir else None
        return last if last and last.is_dir() else here

    def own_config(self, pipeline: Pipeline) -> str:
        """The config.toml of the pipeline's project, whether or not it is there."""
        return os.path.realpath(settings_dir(self.project(pipeline), self.request.environ) / "config.toml")

    def is_in_project(self, value: ConfigValue, pipeline: Pipeline) -> bool:
        folder = settings_dir(self.project(pipeline), self.request.environ)
        return os.path.realpath(_place(value)[0]).startswith(os.path.realpath(folder) + os.sep)

    def asked_of_dlt(self, pipelines: list[Pipeline]) -> dict[str, tuple[Case, Answer]]:
        """What dlt itself resolves for these pipelines, by name."""
        found: dict[str, tuple[Case, Answer]] = {}
        for project in dict.fromkeys(self.project(p) for p in pipelines):
            cases = [self._case(p) for p in pipelines if self.project(p) == project]
            answers = ask_dlt(
                cases,
                project=project,
                environ=self.request.environ,
                home=self.request.home,
                is_root=self.request.is_root,
                edited=self.edited,
            )
            found.update({case.pipeline: (case, answer) for case, answer in zip(cases, answers, strict=True)})
        return found

    def _case(self, pipeline: Pipeline) -> Case:
        given = {key: value.value for key, value in pipeline_arguments(self.source, pipeline).items()}
        given.pop("credentials", None)
        given.pop("pipelines_dir", None)
        naming = {schema.name: schema.naming for schema in pipeline.schemas}
        return Case(
            pipeline=pipeline.name,
            destination_name=destination_of(self.source, pipeline)[0],
            factory={key: value for key, value in given.items() if key in PASSED_TO_FACTORY},
            arguments={key: value for key, value in given.items() if key not in PASSED_TO_FACTORY},
            ways=tuple((w.raw_dataset, naming.get(w.schema, "snake_case")) for w in self.routes(pipeline)),
        )

    # --------------------------------------------------------------------------------------- the edits

    def remove(self, value: ConfigValue, pipeline: Pipeline) -> None:
        """Take a value out of where it stands. Raises `RefusedError`."""
        title = f"Remove {value.key} = {value.display}"
        if value.provider == "argument":
            self._each_argument(value, pipeline, None, title)
            return
        path, line = _place(value)
        self._write(path, without_key(self._required(path), path, (*value.sections, value.key), line=line), title)

    def replace(self, value: ConfigValue, pipeline: Pipeline, new: str) -> None:
        """Put another text where a value stands. Raises `RefusedError`."""
        title = f'Set {value.key} to "{new}" instead of {value.display}'
        if value.provider == "argument":
            self._each_argument(value, pipeline, f'"{new}"', title)
            return
        path, line = _place(value)
        keys = (*value.sections, value.key)
        self._write(path, with_key(self._required(path), path, keys, new, line=line), title)

    def add(self, pipeline: Pipeline, sections: tuple[str, ...], key: str, new: str) -> None:
        """Put a text into a section of the project's config.toml. Raises `RefusedError`."""
        path = self.own_config(pipeline)
        title = f'Set {key} to "{new}" under [{".".join(sections)}]'
        self._write(path, with_key(self._content(path) or b"", path, (*sections, key), new), title)

    def exchange(self, file: str, ordinal: int, argument: str, source: str) -> None:
        """Put another expression where an argument of the source stands. Raises `RefusedError`."""
        self._rewrite(file, self.program(file).with_value(ordinal, argument, source), f"Pass {argument}={source}")

    def withdraw(self, file: str, ordinal: int, argument: str) -> None:
        """Take an argument out of a call. Raises `RefusedError`."""
        program = self.program(file)
        title = f"Do not pass {argument}={program.spelled(ordinal, argument)}"
        self._rewrite(file, program.without(ordinal, argument), title)

    def program(self, file: str) -> Program:
        """A file of the source, with its edits. Raises `RefusedError`."""
        return Program(self._required(self._source_path(file)), file)

    def programs(self, mention: bytes) -> Iterator[Program]:
        """The Python files of the project that mention dlt and the word, with their edits."""
        for file in Walk(Path(self.source.root)).files() if self.source.root else ():
            try:
                content = self._content(file.path) if file.suffix == ".py" else None
                if content and b"dlt" in content and mention in content:
                    yield Program(content, file.name)
            except RefusedError:
                continue  # a file that cannot be read was reported by the diagnosis

    def _rewrite(self, file: str, content: bytes, title: str) -> None:
        self._write(self._source_path(file), content, title)
        others = [call for call in self.source.calls if call.file != file]
        calls = tuple(sorted([*others, *Program(content, file).calls()], key=lambda call: (call.file, call.line)))
        self.source = msgspec.structs.replace(self.source, calls=calls)

    def _each_argument(self, value: ConfigValue, pipeline: Pipeline, new: str | None, title: str) -> None:
        """Every call for this pipeline that passes the value; a shared one is edited once."""
        for _ in range(MAX_CALLS):
            call = self._passing(value, pipeline)
            if call is None:
                return
            program = self.program(call.file)
            ordinals = [i for i in program.ordinals(call) if program.has(i, value.key)]
            if len(ordinals) != 1:
                break
            key, ordinal = value.key, ordinals[0]
            content = program.without(ordinal, key) if new is None else program.with_value(ordinal, key, new)
            self._rewrite(call.file, content, title)
        raise RefusedError(
            f"{value.location}: it cannot be told which call passes {value.key} by name",
            "Edit the file by hand; nothing was changed.",
        )

    def _passing(self, value: ConfigValue, pipeline: Pipeline) -> Call | None:
        for made in self.source.pipeline_calls(pipeline.name):
            call = made.destination if value.key in PASSED_TO_FACTORY else made
            argument = call.argument(value.key) if call else None
            if argument and argument.literal and argument.value == value.value:
                return call
        return None

    # --------------------------------------------------------------------------------------- the files

    def _source_path(self, file: str) -> str:
        return os.path.realpath(Path(self.source.root) / file)

    def _required(self, path: str) -> bytes:
        content = self._content(path)
        if content is None:
            raise RefusedError(f"{path} is not there any more", "Look again with dltdoctor diagnose.")
        return content

    def _content(self, path: str) -> bytes | None:
        real = os.path.realpath(path)
        if real not in self.originals:
            try:
                self.originals[real] = read_bytes(real, limit=MAX_FILE) if os.path.exists(real) else None
            except UnreadableError as error:
                raise RefusedError(error.message, error.hint) from None
        return self.edited.get(real, self.originals[real])

    def _write(self, path: str, content: bytes, title: str) -> None:
        self._content(path)
        real = os.path.realpath(path)
        self.edited[real] = content
        self._overlays.clear()
        self.titles[real] = tuple(dict.fromkeys((*self.titles.get(real, ()), title)))

    # --------------------------------------------------------------------------------- the providers

    def _overlaid(self, project: Path) -> Providers:
        if project not in self._providers:
            self._providers[project] = providers_in(project, self.request)
        if project not in self._overlays:
            read, folder = self._providers[project], settings_dir(project, self.request.environ)
            stack = tuple(self._overlay(one, folder) for one in read.stack)
            self._overlays[project] = msgspec.structs.replace(read, stack=stack)
        return self._overlays[project]

    def _overlay(self, provider: EnvProvider | TomlProvider, folder: Path) -> EnvProvider | TomlProvider:
        if not isinstance(provider, TomlProvider):
            return provider
        files = [self._reread(file) for file in provider.files]
        own = os.path.realpath(folder / "config.toml")
        if provider.name == "config.toml" and own in self.edited and self.originals.get(own) is None:
            # It comes after the profile's own file and before the global ones.
            at = sum(os.path.realpath(file.path.parent) == os.path.dirname(own) for file in files)
            files.insert(at, _toml(folder / "config.toml", self.edited[own]))
        return TomlProvider(provider.name, tuple(files))

    def _reread(self, file: TomlFile) -> TomlFile:
        content = self.edited.get(os.path.realpath(file.path))
        return file if content is None else _toml(file.path, content)


def _toml(path: Path, content: bytes) -> TomlFile:
    text = content.decode("utf-8").replace("\r\n", "\n")
    return TomlFile(path, text, tomllib.loads(text))


def _place(value: ConfigValue) -> tuple[str, int | None]:
    found = re.fullmatch(r"(?P<path>.*):(?P<line>\d+)", value.location)
    return (found["path"], int(found["line"])) if found else (value.location, None)
