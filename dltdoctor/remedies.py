"""Remedies that several checks offer, with the command that carries each out."""

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


def rewrite(pipeline: str, value: ConfigValue | None, instead: str) -> Remedy:
    """Take a value out of the configuration or the source, or replace it."""
    if value is not None and value.provider == "env":
        return Remedy(title=f"{instead} in every place that sets it", safety="safe", command=f"unset {value.location}")
    where = f" ({value.location})" if value is not None else ""
    return Remedy(title=f"{instead}{where}", safety="safe", command=command("dltdoctor", "fix", pipeline, "--config"))
