"""Remedies that several checks offer, with the command that carries each out."""

from collections.abc import Sequence

from dltdoctor.finding import Remedy, Safety
from dltdoctor.snapshot import ConfigValue
from dltdoctor.words import command


def migrate(pipeline: str, *, safety: Safety, because: str = "") -> Remedy:
    """Move staged rows to the final table as dlt's own merge would have."""
    title = "Let the staged rows reach the final table exactly as dlt's merge would have moved them"
    flags = ("--unsafe",) if safety == "unsafe" else ()
    return Remedy(
        title=f"{title}{f' ({because})' if because else ''}. Until then do not run the pipeline: "
        "its next load truncates the staging table.",
        safety=safety,
        command=command("dltdoctor", "fix", pipeline, "--migrate", *flags),
    )


def resume(pipeline: str, title: str = "Let dlt finish the pending load") -> Remedy:
    """Finish a pending package with dlt itself."""
    return Remedy(title=title, safety="safe", command=command("dltdoctor", "fix", pipeline, "--resume"))


def recover(pipelines: str | Sequence[str], title: str, *, is_certain: bool = True) -> Remedy:
    """Bring back what dlt's load packages of these pipelines on this machine still hold."""
    names = (pipelines,) if isinstance(pipelines, str) else pipelines
    flags = () if is_certain else ("--unsafe",)
    doubt = "" if is_certain else ". Some of its loads left no package here: the plan says what that may cost"
    safety: Safety = "safe" if is_certain else "unsafe"
    return Remedy(
        title=f"{title}{doubt}", safety=safety, command=command("dltdoctor", "fix", *names, "--recover", *flags)
    )


def rewrite(pipeline: str, value: ConfigValue | None, instead: str) -> Remedy:
    """Take a value out of the configuration or the source, or replace it."""
    if value is not None and value.provider == "env":
        return Remedy(title=f"{instead} in every place that sets it", safety="safe", command=f"unset {value.location}")
    where = f" ({value.location})" if value is not None else ""
    return Remedy(title=f"{instead}{where}", safety="safe", command=command("dltdoctor", "fix", pipeline, "--config"))


def wipe(pipeline: str) -> Remedy:
    """Archive and remove the working dir, so that dlt restores the committed state."""
    return Remedy(
        title="Archive and remove the working dir before the next run: it then restores the committed state and reads "
        "the rows again",
        safety="safe",
        command=command("dltdoctor", "fix", pipeline),
    )
