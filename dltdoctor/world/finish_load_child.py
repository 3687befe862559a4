"""Loads what is pending, in a process of its own that the project's Python runs: an order on stdin, reports on stdout.

Needs nothing but the standard library and a dlt from 0.4 on. Its text is passed with `-c`: were it run
as a file, the modules beside it would hide those of the standard library.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

REPORT = "\x1edltdoctor "


class RefusedError(Exception):
    """Nothing was begun."""


def main() -> None:
    _import_from_project_last()
    order = json.load(sys.stdin)
    try:
        loaded = finish(order)
    except RefusedError as refusal:
        report(outcome="refused", text=str(refusal))
    except BaseException as error:  # noqa: BLE001 - dlt may raise anything; the caller tells its reader
        report(outcome="failed", text=text_of(error))
    else:
        report(outcome="finished", **loaded)


def finish(order: dict[str, Any]) -> dict[str, Any]:
    """Normalizes and loads whatever is pending; what was loaded, and the version of dlt."""
    working_dir = os.path.join(order["pipelines_dir"], order["pipeline"])
    state_file = os.path.join(working_dir, "state.json")
    if not os.path.isfile(state_file):
        # dlt.attach would fetch a state from the destination, or wipe the working dir
        raise RefusedError("there is no state.json in " + working_dir)
    import dlt  # noqa: PLC0415 - it would read the configuration before the path is right
    from dlt.common.storages.load_storage import LoadStorage  # noqa: PLC0415

    refuse_older(os.path.join(working_dir, "load", ".version"), LoadStorage.STORAGE_VERSION, dlt.__version__)
    with open(state_file, "rb") as file:
        state = file.read()
    try:
        pipeline = dlt.attach(pipeline_name=order["pipeline"], pipelines_dir=order["pipelines_dir"])
        refuse_elsewhere(pipeline, order["expected"])
    except BaseException:
        # attach writes what the configuration says into the state
        with open(state_file, "wb") as file:
            file.write(state)
        raise
    if _packages(working_dir, "normalize", "extracted"):
        report(progress="dlt " + dlt.__version__ + " normalizes")
        pipeline.normalize()
    report(progress="dlt " + dlt.__version__ + " loads")
    info = pipeline.load(raise_on_failed_jobs=True)
    left = _packages(working_dir, "load", "normalized")
    if left:
        raise RuntimeError("dlt stopped before package " + left[0] + " was loaded")
    return {"load_ids": list(info.loads_ids) if info else [], "dlt_version": dlt.__version__}


def refuse_older(marker: str, own: object, version: str) -> None:
    """Refuses a working dir that a newer dlt has written."""
    if not os.path.isfile(marker):
        return
    with open(marker, encoding="utf-8") as file:
        written = file.read().strip()
    if tuple(map(int, written.split("."))) > tuple(map(int, str(own).split("."))):
        raise RefusedError("the working dir was written by a newer dlt than " + version)


def refuse_elsewhere(pipeline: Any, expected: dict[str, str | None]) -> None:
    """Refuses when dlt would load somewhere else than where the rows were looked at."""
    destination = getattr(pipeline.destination, "destination_type", "")
    if destination.split(".")[-1] != "postgres":
        raise RefusedError("dlt would load to " + destination)
    client = pipeline.sql_client(schema_name=expected["schema"])
    names = [("dataset", client.dataset_name, expected["final"])]
    staging = getattr(client, "staging_dataset_name", None)
    if staging and expected["staging"]:
        names.append(("staging dataset", staging, expected["staging"]))
    for what, name, wanted in names:
        if as_postgres(name) != as_postgres(wanted):
            raise RefusedError("dlt would use the " + what + " " + str(name) + ", and not " + str(wanted))


def as_postgres(name: str | None) -> bytes:
    """The name as far as Postgres tells names apart, letters of either case being one."""
    return (name or "").lower().encode("utf-8")[:63]


def text_of(error: BaseException) -> str:
    """The innermost message: dlt wraps what the database said several times."""
    for _ in range(10):
        inner = getattr(error, "failed_message", None)
        if isinstance(inner, str) and inner.strip():
            return inner
        below = getattr(error, "exception", None) or getattr(error, "client_exception", None)
        if not isinstance(below, BaseException):
            break
        error = below
    return str(error) or type(error).__name__


def report(**facts: object) -> None:
    """One line for dltdoctor among whatever else is printed."""
    sys.stderr.flush()
    sys.stdout.write("\n" + REPORT + json.dumps(facts) + "\n")
    sys.stdout.flush()


def _packages(working_dir: str, *folders: str) -> list[str]:
    place = os.path.join(working_dir, *folders)
    return sorted(n for n in os.listdir(place) if not n.startswith(".")) if os.path.isdir(place) else []


def _import_from_project_last() -> None:
    """A module of the project named like one of the standard library must not hide it from dlt."""
    if sys.path and sys.path[0] == "":
        del sys.path[0]
    sys.path.append(os.getcwd())


if __name__ == "__main__":
    main()
