"""How the tests repair a world: plan, rehearse, apply, undo, and look again, as the command line does."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from dltdoctor import repair, treatment, workbench
from dltdoctor.plan import Plan
from dltdoctor.receipt import Capture, Receipt
from dltdoctor.treatment import Prepared, Proof, Wish
from dltdoctor.workshop import Workshop
from tests.captured import CapturedWorld
from tests.examining import codes, diagnose, request
from tests.worlds import digest_database, digest_tree


def silent(_: str) -> None:
    """No progress."""


class Patient(msgspec.Struct, frozen=True):
    """A project, dlt's pipelines dir and the database; receipts are kept in the home beside them."""

    root: Path
    project: Path
    pipelines_dir: Path
    dsn: str

    def request(self, **changes: Any):
        return request(self.project, self.pipelines_dir, **{"dsn": self.dsn, **changes})

    def prepare(self, *, unsafe: bool = True, **changes: Any) -> Prepared:
        return treatment.prepare(self.request(**changes), Wish(migrate=True, unsafe=unsafe), progress=silent)

    def workshop(self, prepared: Prepared) -> Workshop:
        return treatment.workshop(prepared, silent)

    def preview(self, prepared: Prepared) -> tuple[Capture, ...]:
        return repair.preview(prepared.plan, self.workshop(prepared))

    def apply(self, prepared: Prepared, *, keep_undo: bool = True) -> Receipt:
        return repair.apply(prepared.plan, self.workshop(prepared), title="a repair", keep_undo=keep_undo)

    def migrate(self, **changes: Any) -> Receipt:
        prepared = self.prepare(**changes)
        assert prepared.plan.cures, prepared.plan.held_back
        return self.apply(prepared)

    def prove(self, prepared: Prepared, receipt: Receipt) -> Proof:
        return treatment.prove(prepared, receipt, progress=silent)

    def bench(self, receipt: Receipt, **changes: Any) -> Workshop:
        asked = self.request(**changes)
        way_in = workbench.way_into(asked, receipt, progress=silent)
        return workbench.bench(asked, way_in, silent)

    def undo(self, receipt: Receipt, **changes: Any) -> Receipt:
        return repair.undo(receipt, self.bench(receipt, **changes))

    def resume(self, receipt: Receipt) -> Receipt:
        return repair.resume(receipt, self.bench(receipt))

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        return workbench.receipts(self.request()).all()

    def codes(self, *severities: str) -> set[str]:
        found = diagnose(self.project, self.pipelines_dir, dsn=self.dsn)
        return codes(found) if not severities else {f.code for f in found.findings if f.severity.value in severities}

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def fetch(self, query: str) -> list[tuple]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query.encode()).fetchall()

    def count(self, table: str) -> int:
        return int(self.fetch(f"SELECT count(*) FROM {table}")[0][0])

    def age(self) -> None:
        """Make every file of dlt an hour old: what was touched a moment ago looks as if it were at work."""
        then = time.time() - 3600
        for path in self.pipelines_dir.rglob("*"):
            os.utime(path, (then, then))

    def rows(self) -> Mapping[str, list[str]]:
        """Every row of every table that is not ours, by table."""
        return {k: v for k, v in digest_database(self.dsn).items() if k.startswith("rows of") and not is_ours(k)}

    def files(self) -> Mapping[str, tuple[int, str]]:
        """Mode and content of every file of dlt and of the project; without mtimes, which a rename may change."""
        trees = digest_tree(self.pipelines_dir) | {f"project/{k}": v for k, v in digest_tree(self.project).items()}
        return {name: (mode, content) for name, (mode, _, content) in trees.items()}

    def everything(self) -> tuple[Any, ...]:
        """The database with its catalog, and every file with its mtime: for what must change nothing at all."""
        return digest_database(self.dsn), digest_tree(self.pipelines_dir), digest_tree(self.project)

    @contextmanager
    def as_role(self, *grants: str) -> "Iterator[Patient]":
        """The same world for an ordinary role that has these privileges only; `{role}` stands for its name."""
        name = f"{conninfo_to_dict(self.dsn)['dbname']}_role"
        self.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'of-the-role'")
        try:
            self.execute(*(grant.format(role=f'"{name}"') for grant in grants))
            yield msgspec.structs.replace(self, dsn=make_conninfo(self.dsn, user=name, password="of-the-role"))
        finally:
            self.execute(f'DROP OWNED BY "{name}"', f'DROP ROLE "{name}"')


def is_ours(name: str) -> bool:
    return "_dltdoctor" in name


def patient(captured: CapturedWorld, place: Path, dsn: str) -> Patient:
    """A captured world, unpacked and restored."""
    root = place / "world"
    root.mkdir()
    unpacked = captured.unpack(root)
    captured.restore(dsn)
    return Patient(root=root, project=unpacked.project, pipelines_dir=unpacked.pipelines_dir, dsn=dsn)


def clone(admin: str, source: str, name: str) -> str:
    """A copy of a database; the DSN of the copy."""
    with psycopg.connect(admin, autocommit=True) as connection:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(source)))
    return make_conninfo(admin, dbname=name)


def steps_without_files(plan: Plan) -> list[str]:
    return [step.title for step in plan.steps if hasattr(step, "statements")]
