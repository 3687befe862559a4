"""Where dlt keeps the working dirs of pipelines, by the rules of every dlt since 1.0.

The rules are those of dlt's `get_dlt_pipelines_dir` and `global_dir`, which cannot be asked: in a
workspace dlt's run context creates folders, and it probes the home directory by writing into it.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dltdoctor.snapshot import Value
from dltdoctor.world.files import entries
from dltdoctor.world.unreadable import UnreadableError
from dltdoctor.world.workspace import FOLDERS, Workspace, config_folder, is_workspace

PIPELINES = "pipelines"
ROOT_DIR = Path("/var/dlt")


class PipelinesDir(Value, frozen=True):
    """A directory of working dirs, and the rule that chose it.

    `required` is true when the user named it: then it must exist. `profile` is the workspace
    profile whose pipelines it holds.
    """

    path: Path
    origin: str
    profile: str | None = None
    required: bool = False


def find_pipelines_dirs(
    explicit: Path | None,
    *,
    environ: Mapping[str, str],
    cwd: Path,
    home: Path,
    is_root: bool,
    configured: tuple[str, str] | None = None,
    profile: str | None = None,
) -> tuple[PipelinesDir, ...]:
    """The directory dlt would use, then others in which dlt has left pipelines of this project.

    The first is returned whether or not it exists. `configured` is the `pipelines_dir` setting and
    where it stands; without it the environment variables that dlt reads for it count.
    """
    if explicit is not None:
        return (PipelinesDir(path=cwd / explicit, origin="--pipelines-dir", required=True),)
    configured = configured or _from_environment(environ)
    if configured:
        path, origin = configured
        return (PipelinesDir(path=cwd / path, origin=origin),)
    found = dict[str, PipelinesDir]()
    for place in _candidates(environ, cwd, home, is_root=is_root, profile=profile):
        if not found or place.path.is_dir():
            found.setdefault(os.path.normpath(place.path), place)
    return tuple(found.values())


def _from_environment(environ: Mapping[str, str]) -> tuple[str, str] | None:
    names = ("PIPELINES__PIPELINES_DIR", "PIPELINES_DIR")
    return next(((environ[name], name) for name in names if environ.get(name)), None)


def _candidates(
    environ: Mapping[str, str], cwd: Path, home: Path, *, is_root: bool, profile: str | None
) -> Iterator[PipelinesDir]:
    plain = list(_global_dirs(environ, cwd, home, is_root=is_root))
    workspace = None
    if is_workspace(cwd, environ):
        workspace = Workspace(environ=environ, cwd=cwd, global_dir=plain[0][0], profile=profile)
    if "DLT_DATA_DIR" in environ:
        path = cwd / environ["DLT_DATA_DIR"] / PIPELINES
        used = workspace.profile if workspace else None
        yield PipelinesDir(path=path, origin="DLT_DATA_DIR", profile=used)
    elif workspace:
        yield from _workspace_dirs(workspace, environ)
    else:
        for path, origin in plain:
            yield PipelinesDir(path=path / PIPELINES, origin=origin)


def _global_dirs(environ: Mapping[str, str], cwd: Path, home: Path, *, is_root: bool) -> Iterator[tuple[Path, str]]:
    """The global dir of dlt first, then the one it has forgotten when both that and XDG's exist."""
    if is_root:
        yield ROOT_DIR, "the place for root"
        return
    if not os.access(home, os.W_OK | os.X_OK):
        yield _temp_dir(environ) / "dlt", "the temporary place: the home directory is not writable"
        return
    in_home = home / config_folder(environ)
    if "XDG_DATA_HOME" not in environ:
        yield in_home, "the default place"
        return
    by_xdg = cwd / environ["XDG_DATA_HOME"] / "dlt"
    if in_home.is_dir():
        yield in_home, f"{in_home} exists, so dlt ignores XDG_DATA_HOME"
        yield by_xdg, f"XDG_DATA_HOME, which dlt ignores because {in_home} exists"
    else:
        yield by_xdg, "XDG_DATA_HOME"


def _temp_dir(environ: Mapping[str, str]) -> Path:
    """The temporary directory as `tempfile` finds it, without writing a probe into it."""
    named = (environ[name] for name in ("TMPDIR", "TEMP", "TMP") if environ.get(name))
    usable = (Path(name) for name in named if os.access(name, os.W_OK | os.X_OK))
    return next(usable, Path("/tmp"))  # noqa: S108


def _workspace_dirs(workspace: Workspace, environ: Mapping[str, str]) -> Iterator[PipelinesDir]:
    mine = list(_of_profile(workspace, environ))
    existing = [place for place in mine if place.path.is_dir()]
    yield from existing or mine[:1]
    for folder in FOLDERS:
        try:
            profiles = [entry.name for entry in entries(str(workspace.settings_dir / folder))]
        except UnreadableError:
            continue
        for name in profiles:
            path = workspace.settings_dir / folder / name / PIPELINES
            yield PipelinesDir(path=path, origin=f"another profile: {name}", profile=name)


def _of_profile(workspace: Workspace, environ: Mapping[str, str]) -> Iterator[PipelinesDir]:
    """The places of the profile in use, newest dlt first."""
    profile, chosen_by = workspace.profile, workspace.profile_origin
    if configured := workspace.setting("working_dir"):
        path = workspace.run_dir / configured[0] / PIPELINES
        yield PipelinesDir(path=path, origin=configured[1], profile=profile)
        return
    origin = f"workspace profile {profile} ({chosen_by})"
    if os.access(workspace.settings_dir, os.W_OK | os.X_OK):
        parents = [workspace.settings_dir / folder for folder in FOLDERS]
        parents.append(workspace.run_dir / ".var")
    else:
        name = (workspace.setting("name") or (workspace.name, ""))[0]
        parents = [_temp_dir(environ) / "dlt" / folder / name for folder in FOLDERS]
        origin += "; the project is not writable"
    for parent in parents:
        yield PipelinesDir(path=parent / profile / PIPELINES, origin=origin, profile=profile)
