"""A plan as a file, for `--plan-out` and `--plan`: sealed with a digest, and refused when it is another's."""

import hashlib
from pathlib import Path

import msgspec

from dltdoctor import __version__
from dltdoctor.errors import RefusedError, UsageError
from dltdoctor.plan import Plan


def sealed(plan: Plan) -> Plan:
    """The plan with a digest of itself, so that an edited or truncated file is noticed."""
    return msgspec.structs.replace(plan, digest=_digest(plan))


def _digest(plan: Plan) -> str:
    return hashlib.sha256(msgspec.json.encode(msgspec.structs.replace(plan, digest=""))).hexdigest()


def write_plan(plan: Plan, path: Path) -> None:
    """The plan as a file for `--plan`. Raises `UsageError`."""
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(plan), indent=1))
    except OSError as error:
        raise UsageError(f"the plan cannot be written to {path}: {error.strerror}", "Name another file.") from None


def read_plan(path: Path) -> Plan:
    """A plan that was written by this version. Raises `RefusedError` for one that is edited or not whole."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"the plan {path} cannot be read: {error.strerror}", "Name a file that --plan-out wrote."
        ) from None
    try:
        plan = msgspec.json.decode(content, type=Plan)
    except msgspec.DecodeError:
        raise RefusedError(f"{path} is not a whole plan of this version", "Make it again with --plan-out.") from None
    if plan.digest != _digest(plan):
        raise RefusedError(f"{path} has been edited since it was written", "Make it again with --plan-out.")
    if plan.tool != __version__:
        raise RefusedError(f"{path} was made by dltdoctor {plan.tool}", "Make it again with this version.")
    return plan
