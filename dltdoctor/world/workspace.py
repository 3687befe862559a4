"""dlt workspaces: projects with the marker `.dlt/.workspace`, that keep their pipelines inside.

The working dirs of a profile stood in `.dlt/.var` until dlt 1.26 and stand in `.dlt/state` since;
`_workspace/_workspace_context.py` of dlt. dlt's own context creates both folders when it is asked.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from dltdoctor.world.documents import Document, mapping, text
from dltdoctor.world.files import MAX_STATE, read_bytes, read_marker
from dltdoctor.world.unreadable import UnreadableError

DEFAULT_PROFILE = "dev"
FOLDERS = ("state", ".var")


class Workspace:
    """A workspace as it stands on disk: its run dir, its settings and the profile in use."""

    def __init__(self, *, environ: Mapping[str, str], cwd: Path, global_dir: Path, profile: str | None) -> None:
        self.name = cwd.name or "_dlt"
        self.run_dir = cwd / environ.get("DLT_PROJECT_DIR", "")
        self.settings_dir = self.run_dir / config_folder(environ)
        self._environ = environ
        self._global_dir = global_dir
        self.profile, self.profile_origin = self._profile(profile)

    def _profile(self, explicit: str | None) -> tuple[str, str]:
        if explicit:
            return explicit, "--profile"
        if from_env := self._environ.get("WORKSPACE__PROFILE"):
            return from_env, "WORKSPACE__PROFILE"
        pin = self.settings_dir / "profile-name"
        try:
            pinned = read_marker(str(pin))
        except UnreadableError:
            pinned = None
        return (pinned, str(pin)) if pinned else (DEFAULT_PROFILE, "the default profile")

    def setting(self, key: str) -> tuple[str, str] | None:
        """A workspace setting and where it stands, looked up in dlt's order."""
        for variable in (f"WORKSPACE__SETTINGS__{key.upper()}", f"SETTINGS__{key.upper()}"):
            if value := self._environ.get(variable):
                return value, variable
        for kind in ("secrets", "config"):
            documents = list(self._documents(kind))
            for sections in (("workspace", "settings"), ("settings",)):
                for path, document in documents:
                    value = text(_section(document, sections).get(key))
                    if value:
                        return value, f"{path} [{'.'.join(sections)}]"
        return None

    def _documents(self, kind: str) -> Iterator[tuple[str, Document]]:
        for folder in (self.settings_dir, self._global_dir):
            for name in (f"{self.profile}.{kind}.toml", f"{kind}.toml"):
                path = str(folder / name)
                try:
                    yield path, tomllib.loads(read_bytes(path, limit=MAX_STATE).decode())
                except (UnreadableError, ValueError):
                    # the room that reads the configuration reports files that cannot be read
                    continue


def config_folder(environ: Mapping[str, str]) -> str:
    """The name of the settings folder, ".dlt" unless DLT_CONFIG_FOLDER says otherwise."""
    return environ.get("DLT_CONFIG_FOLDER", ".dlt")


def is_workspace(cwd: Path, environ: Mapping[str, str]) -> bool:
    """True where dlt takes `cwd` for a workspace; DLT_PROJECT_DIR has no say in it."""
    return os.path.isfile(cwd / config_folder(environ) / ".workspace")


def _section(document: Document, sections: tuple[str, ...]) -> Document:
    for section in sections:
        document = mapping(document.get(section))
    return document
