"""The places dlt takes configuration from, in dlt's order, without dlt.

Source: dlt/common/runtime/run_context.py, dlt/_workspace/providers.py and
dlt/common/configuration/providers/ of dlt 1.31.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from dltdoctor.snapshot import Unread
from dltdoctor.world.toml import TomlFile, read_toml

ProviderName = Literal["argument", "env", "secrets.toml", "config.toml"]
Sections = tuple[str, ...]

ROOT_DIR = Path("/var/dlt")
MOUNTED_SECRETS = Path("/run/secrets")
DEFAULT_PROFILE = "dev"


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A raw value where dlt would find it. It may be a secret, so its repr shows only the place."""

    raw: object
    provider: ProviderName
    location: str
    sections: Sections = ()
    pipeline_scoped: bool = False

    def __repr__(self) -> str:
        return f"Found({self.location!r})"


class Provider(Protocol):
    """One of dlt's providers; `find` gives the value it would answer with, then those it hides."""

    name: ProviderName

    def find(self, sections: Sections, key: str, *, secret: bool = False) -> Iterator[Found]: ...


class EnvProvider:
    """Environment variables, and for secrets also files mounted under /run/secrets."""

    name: ProviderName = "env"

    def __init__(self, environ: Mapping[str, str], mounted: Path = MOUNTED_SECRETS) -> None:
        self.environ = environ
        self._mounted = mounted if mounted.is_dir() else None

    def find(self, sections: Sections, key: str, *, secret: bool = False) -> Iterator[Found]:
        name = variable(sections, key)
        file = self._mounted_file(name) if secret and self._mounted else None
        if file is not None:
            yield Found(raw=file[1], provider=self.name, location=str(file[0]), sections=sections)
        if name in self.environ:
            yield Found(raw=self.environ[name], provider=self.name, location=name, sections=sections)

    def _mounted_file(self, name: str) -> tuple[Path, str] | None:
        label = name.lower().replace("_", "-")
        path = (self._mounted or MOUNTED_SECRETS) / label
        try:
            path = path / label if path.is_dir() else path
            return path, path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return None


class TomlProvider:
    """secrets.toml or config.toml: the files that dlt merges into one, the strongest first."""

    def __init__(self, name: ProviderName, files: tuple[TomlFile, ...]) -> None:
        self.name: ProviderName = name
        self.files = files

    def find(self, sections: Sections, key: str, *, secret: bool = False) -> Iterator[Found]:
        del secret  # a secret is looked up like anything else
        path = (*sections, key)
        tables = 0
        for file in self.files:
            depth, node = _descend(file.values, path)
            if depth == len(path):
                place = file.location(path)
                yield Found(raw=node, provider=self.name, location=place, sections=sections)
            elif not isinstance(node, dict) and depth > tables:
                # When dlt merges the files, a value hides what weaker files have as a table, unless a
                # stronger file has a table there too.
                return
            tables = max(tables, depth if isinstance(node, dict) else depth - 1)


class Providers(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of one project's configuration.

    `files` are those that exist and were read, the strongest first. `vaults` name the providers
    that the configuration switches on and that were not read: what they hold is unknown.
    """

    stack: tuple[EnvProvider | TomlProvider, ...]
    home: Path
    files: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
    vaults: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Providers(files={self.files!r})"

    @property
    def environ(self) -> Mapping[str, str]:
        return next((p.environ for p in self.stack if isinstance(p, EnvProvider)), {})

    @property
    def toml(self) -> tuple[TomlProvider, ...]:
        return tuple(p for p in self.stack if isinstance(p, TomlProvider))

    def lookup(
        self, key: str, sections: Sections, *, pipeline: str = "", below: Sections = (), secret: bool = False
    ) -> Iterator[Found]:
        """Every place that dlt would look in, in its order: the first one found is the winner.

        `sections` are popped from the right; `below` stays, e.g. ("credentials",).
        """
        seen: set[tuple[str, str]] = set()
        for scope in ((pipeline,), ()) if pipeline else ((),):
            for provider in self.stack:
                for depth in range(len(sections), -1, -1):
                    at = (*scope, *sections[:depth], *below)
                    for found in provider.find(at, key, secret=secret):
                        if (found.location, variable(at, key)) not in seen:
                            seen.add((found.location, variable(at, key)))
                            yield msgspec.structs.replace(found, pipeline_scoped=bool(scope))


def read_providers(
    project: Path, *, environ: Mapping[str, str], home: Path, is_root: bool, profile: str | None
) -> Providers:
    """Everything dlt would read when it runs in `project`; `profile` is None outside a workspace."""
    dirs = (
        settings_dir(project, environ),
        global_dir(environ, home=home, is_root=is_root),
    )
    read: list[TomlFile] = []
    unread: list[Unread] = []
    stack: list[EnvProvider | TomlProvider] = [EnvProvider(environ)]
    names: tuple[ProviderName, ...] = ("secrets.toml", "config.toml")
    for name in names:
        outcomes = [read_toml(path) for path in _paths(dirs, name, profile)]
        files = tuple(o for o in outcomes if isinstance(o, TomlFile))
        unread.extend(o for o in outcomes if isinstance(o, Unread))
        read.extend(files)
        stack.append(TomlProvider(name, files))
    return Providers(
        stack=tuple(stack),
        home=home,
        files=tuple(str(f.path) for f in read),
        unread=tuple(unread),
        vaults=_vaults(Providers(stack=tuple(stack), home=home)),
    )


def run_dir(project: Path, environ: Mapping[str, str]) -> Path:
    """The directory dlt takes for the project: DLT_PROJECT_DIR when it is set."""
    return project / environ["DLT_PROJECT_DIR"] if "DLT_PROJECT_DIR" in environ else project


def settings_dir(project: Path, environ: Mapping[str, str]) -> Path:
    return run_dir(project, environ) / _folder(environ)


def global_dir(environ: Mapping[str, str], *, home: Path, is_root: bool) -> Path:
    """Where dlt's global config.toml and secrets.toml stand; DLT_DATA_DIR does not move them."""
    if is_root:
        return ROOT_DIR
    if not os.access(home, os.W_OK):
        return Path(environ.get("TMPDIR") or environ.get("TEMP") or environ.get("TMP") or "/tmp") / "dlt"  # noqa: S108
    in_home = home / _folder(environ)
    if "XDG_DATA_HOME" in environ and not in_home.is_dir():
        return Path(environ["XDG_DATA_HOME"]) / "dlt"
    return in_home


def active_profile(project: Path, environ: Mapping[str, str]) -> str | None:
    """The profile dlt would run a workspace with; None when `project` is not a workspace.

    dlt 1.21 does not know WORKSPACE__PROFILE yet.
    """
    if not (project / _folder(environ) / ".workspace").is_file():
        return None
    return environ.get("WORKSPACE__PROFILE") or _pinned_profile(project, environ) or DEFAULT_PROFILE


def variable(sections: Sections, key: str) -> str:
    """The environment variable that dlt asks for, e.g. DESTINATION__POSTGRES__CREDENTIALS."""
    return "__".join(part for part in (*sections, key) if part).upper()


def _pinned_profile(project: Path, environ: Mapping[str, str]) -> str:
    try:
        pin = (settings_dir(project, environ) / "profile-name").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return pin.split("\n", 1)[0].strip()


def _folder(environ: Mapping[str, str]) -> str:
    return environ.get("DLT_CONFIG_FOLDER", ".dlt")


def _paths(dirs: tuple[Path, ...], name: str, profile: str | None) -> list[Path]:
    names = (f"{profile}.{name}", name) if profile else (name,)
    paths: dict[str, Path] = {}
    for path in (folder / file for folder in dirs for file in names):
        paths.setdefault(os.path.abspath(path), path)
    return list(paths.values())


def _descend(values: dict[str, object], path: Sections) -> tuple[int, object]:
    """How many keys of the path are there, and what stands under the last of them."""
    node: object = values
    for depth, key in enumerate(path):
        if not isinstance(node, dict) or key not in node:
            return depth, node
        node = node[key]
    return len(path), node


def _vaults(providers: Providers) -> tuple[str, ...]:
    enabled = []
    for vault in ("google_secrets", "aws_secrets", "airflow_secrets"):
        winner = next(providers.lookup(f"enable_{vault}", (), below=("providers",)), None)
        if winner and str(winner.raw).lower() in {"true", "yes", "t", "y", "1"}:
            enabled.append(f"{vault} (switched on by {winner.location})")
    return tuple(enabled)
