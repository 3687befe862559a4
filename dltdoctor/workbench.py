"""Where the use cases carry a plan out: the receipts of this user, the way into a database, and dlt itself."""

from collections.abc import Mapping

from dltdoctor.errors import CouldNotLookError
from dltdoctor.receipt import Receipt
from dltdoctor.steps.step import FinishLoad
from dltdoctor.workshop import Workshop
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.directory_steps import drop_archives
from dltdoctor.world.finish_load import credentials_environ, finish
from dltdoctor.world.postgres.session import open_session
from dltdoctor.world.postgres.writing import drop_captures
from dltdoctor.world.receipts import Receipts, state_dir
from dltdoctor.world.survey import Progress, Request, take


def bench(
    request: Request, way_in: Credentials | None, progress: Progress, *, fallback_home: str = "public"
) -> Workshop:
    """Receipts, the way into the database, and dlt itself."""

    def run(step: FinishLoad, say: Progress) -> str:
        return finish(step, _secrets(step, way_in, request), say).line

    return Workshop(
        receipts=receipts(request), way_in=way_in, finish=run, progress=progress, fallback_home=fallback_home
    )


def _secrets(step: FinishLoad, way_in: Credentials | None, request: Request) -> Mapping[str, str]:
    """What leads dlt to the database that was examined; for its environment only."""
    if way_in is None:
        return {}
    with open_session(way_in) as session:
        target = session.target
    return credentials_environ(step.pipeline, step.destination_name, way_in, target, request.environ)


def receipts(request: Request) -> Receipts:
    """The receipts of this user."""
    return Receipts(state_dir(request.environ, request.home))


def way_into(request: Request, receipt: Receipt, *, progress: Progress) -> Credentials | None:
    """The way into a receipt's database, as the project or --dsn gives it. Raises `CouldNotLookError`."""
    if receipt.target is None or not (receipt.has_changed_database or receipt.is_unfinished):
        return None
    found: Mapping[str, Credentials] = take(request, progress).ways_in
    way_in = found.get(receipt.target)
    if way_in is None and request.dsn is not None and len(found) == 1:
        way_in = next(iter(found.values()))  # the same database under another host name: its receipts decide
    if way_in is None:
        raise CouldNotLookError(
            f"the database of receipt {receipt.id}, {receipt.target}, was not reached",
            "Run it in the project, or pass --dsn.",
        )
    return way_in


def forget(receipt: Receipt, request: Request, *, progress: Progress) -> None:
    """Remove a receipt and what its captures keep in the database."""
    way_in = way_into(request, receipt, progress=progress) if receipt.has_changed_database else None
    if way_in:
        drop_captures(way_in, receipt)
    drop_archives(receipt.archives)
    receipts(request).remove(receipt)
