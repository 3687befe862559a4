"""How the tests purge: judged and carried out as the command does, with a state dir of the test's own."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from dltdoctor import cleaning, repair
from dltdoctor.cleaning import Outcome, Prepared, Wish
from dltdoctor.purge.judgement import Purge
from dltdoctor.receipt import Receipt
from dltdoctor.workbench import bench, receipts
from tests.examining import request
from tests.worlds import TreeDigest, digest_tree


class Cache(msgspec.Struct, frozen=True):
    """A project, dlt's pipelines dir and the database they load to."""

    project: Path
    pipelines_dir: Path
    dsn: str | None = None

    def request(self, *names: str, **changes: Any):
        facts = {"pipelines_dir": self.pipelines_dir, "dsn": self.dsn, "names": names}
        return msgspec.structs.replace(request(self.project), **{**facts, **changes})

    def prepare(self, *names: str, wish: Wish | None = None, **changes: Any) -> Prepared:
        return cleaning.prepare(self.request(*names, **changes), wish or Wish(everyone=not names), progress=silent)

    def judge(self, name: str, **changes: Any) -> Purge:
        (job,) = self.prepare(name, **changes).jobs
        return job.purge

    def refused(self, name: str, **changes: Any) -> set[str]:
        """The kinds of refusals."""
        (job,) = self.prepare(name, **changes).jobs
        assert (job.step is None) == bool(job.refusals)
        return {o.kind for o in job.refusals}

    def purge(self, *names: str, wish: Wish | None = None, **changes: Any) -> list[Outcome]:
        return list(cleaning.carry_out(self.prepare(*names, wish=wish, **changes), progress=silent))

    def purged(self, name: str, wish: Wish | None = None) -> Receipt:
        """Purge one that is expected to be purged; its receipt."""
        (outcome,) = self.purge(name, wish=wish)
        assert outcome.receipt, outcome
        return outcome.receipt

    def undo(self, receipt: Receipt) -> Receipt:
        return repair.undo(receipt, bench(self.request(), None, silent))

    def resume(self, receipt: Receipt) -> Receipt:
        return repair.resume(receipt, bench(self.request(), None, silent))

    def digest(self, name: str) -> TreeDigest:
        return digest_tree(self.pipelines_dir / name)

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        return receipts(self.request()).all()

    @property
    def archives(self) -> list[Path]:
        folder = receipts(self.request()).archives
        return sorted(folder.iterdir()) if folder.exists() else []


def silent(_: str) -> None:
    """No progress."""


def words(purge: Purge) -> str:
    """Everything that is said against it."""
    return "\n".join(o.reason for o in purge.objections)


def commands(purge: Purge) -> set[str]:
    return {o.command for o in purge.objections if o.command}


def kinds(purges: Iterable[Purge]) -> set[str]:
    return {o.kind for p in purges for o in p.objections}
