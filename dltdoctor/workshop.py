"""The workshop: what a plan is carried out with."""

from collections.abc import Callable

from dltdoctor.plan import Plan
from dltdoctor.snapshot import Value
from dltdoctor.steps.step import FinishLoad, RunSql
from dltdoctor.world.credentials import Credentials
from dltdoctor.world.receipts import Receipts

Progress = Callable[[str], None]
Finish = Callable[[FinishLoad, Progress], str]


class Workshop(Value):
    """Where a plan is carried out: receipts on disk, the way into its database, and how dlt is run."""

    receipts: Receipts
    way_in: Credentials | None
    finish: Finish
    progress: Progress
    fallback_home: str = "public"

    def home_beside(self, plan: Plan) -> str:
        """The staging dataset: the plan locks its tables without changing them."""
        changed = {t.schema for step in plan.sql for t in step.touches}
        moving = [step for step in plan.sql if not (isinstance(step, RunSql) and step.inverse)]
        return next((s for step in moving for s, _ in step.locks if s not in changed), self.fallback_home)
