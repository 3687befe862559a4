"""How a pending load package is put where dlt puts finished ones."""

from collections.abc import Collection

from dltdoctor.snapshot import Package
from dltdoctor.steps.step import Rename, WriteFile


def settle_steps(package: Package | None, arrived: Collection[str]) -> tuple[WriteFile | Rename, ...]:
    """A pending package that this finishes is put where dlt puts finished ones, so that it is not run again."""
    if package is None or not package.is_pending:
        return ()
    done = [j for j in package.jobs if j.is_followup and j.status != "completed" and j.table in arrived]
    moves = tuple(
        Rename(
            title=f"Mark the merge job of {j.table} as completed",
            source=j.path,
            target=f"{package.path}/completed_jobs/{j.path.rsplit('/', 1)[-1]}",
        )
        for j in done
    )
    if any(j.status != "completed" and j not in done for j in package.jobs):
        return moves
    finished = f"{package.path}/package_completed.json"
    folder, _, name = package.path.rpartition("/")
    return (
        *moves,
        WriteFile(title=f"Mark load {package.load_id} as loaded", path=finished, before=None, content=b"loaded"),
        Rename(
            title="Move the finished package to dlt's loaded ones",
            source=package.path,
            target=f"{folder.rpartition('/')[0]}/loaded/{name}",
        ),
    )
