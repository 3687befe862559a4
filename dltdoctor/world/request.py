"""What to look at, and on what machine."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from dltdoctor.errors import CouldNotLookError
from dltdoctor.snapshot import Contract, Value
from dltdoctor.world.live import LivePipeline
from dltdoctor.world.providers import Providers, active_profile, read_providers

Progress = Callable[[str], None]


class Request(Value):
    """What to look at, and on what machine. `names` are the pipelines asked for; none means all.

    `live` is a pipeline object of this process: then nothing is looked for, and no source is read.
    Without `local_state` no working dir is read, as if the container were fresh. `contracts` are the
    declared readers.
    """

    environ: Mapping[str, str]
    cwd: Path
    home: Path
    is_root: bool
    names: tuple[str, ...] = ()
    dsn: str | None = None
    pipelines_dir: Path | None = None
    project: Path | None = None
    offline: bool = False
    deep: bool = False
    live: LivePipeline | None = None
    local_state: bool = True
    contracts: tuple[Contract, ...] = ()


def this_machine() -> Request:
    """A request with the facts of this process, to be narrowed by `msgspec.structs.replace`.

    Raises `CouldNotLookError` when the current directory is gone.
    """
    try:
        cwd = Path.cwd()
    except OSError:
        raise CouldNotLookError("the current directory does not exist any more", "Change to one that does.") from None
    return Request(
        environ=dict(os.environ),
        cwd=cwd,
        home=Path(os.path.expanduser("~")),
        is_root=os.geteuid() == 0,
    )


def project_of(request: Request) -> Path:
    """The project's directory, as dlt would find it by `os.getcwd()` there."""
    return Path(os.path.realpath(request.cwd / (request.project or "")))


def providers_in(project: Path, request: Request) -> Providers:
    """What dlt's providers say in a project, on the machine of the request."""
    return read_providers(
        project,
        environ=request.environ,
        home=request.home,
        is_root=request.is_root,
        profile=active_profile(project, request.environ),
    )
