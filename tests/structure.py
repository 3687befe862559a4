"""How the tests mend tables: planned, proved, undone and redone, and what the database looks like meanwhile."""

from dltdoctor import treatment
from dltdoctor.receipt import Receipt
from dltdoctor.treatment import Prepared, Wish
from tests.real import RealWorld
from tests.repairing import Patient, silent
from tests.worlds import digest_database


def plan(patient: Patient, *codes: str, resume: bool = False, migrate: bool = False, unsafe: bool = False) -> Prepared:
    wish = Wish(codes=codes, resume=resume, migrate=migrate, unsafe=unsafe)
    return treatment.prepare(patient.request(), wish, progress=silent)


def patient_of(world: RealWorld) -> Patient:
    return Patient(root=world.root, project=world.project, pipelines_dir=world.pipelines_dir, dsn=world.dsn)


def cured_and_undone(world: RealWorld, code: str) -> Receipt:
    """Fix, prove, undo, undo the undo; the world is cured at the end."""
    patient = patient_of(world)
    sick = world.found()
    before = structure(world)
    prepared = plan(patient, code)
    assert {c.code for c in prepared.plan.cures} == {code}, prepared.plan.held_back
    assert all(c.safety == "safe" for c in prepared.plan.cures)
    patient.preview(prepared)
    assert structure(world) == before
    receipt = patient.apply(prepared)
    proof = patient.prove(prepared, receipt)
    assert {f.code for f in proof.gone} == {code}
    assert not proof.remaining
    assert not proof.new
    assert plan(patient, code).plan.is_empty
    cured = structure(world)
    back = patient.undo(receipt)
    assert structure(world) == before
    assert world.found() == sick
    patient.undo(back)
    assert structure(world) == cured
    assert code not in patient.codes()
    return patient.receipts[0]


def structure(world: RealWorld) -> dict[str, list[str]]:
    """The database but for what is ours; columns without their numbers, which count dropped ones."""
    digest = digest_database(world.dsn)
    ours = {k: [line for line in v if "_dltdoctor" not in line] for k, v in digest.items() if "_dltdoctor" not in k}
    columns = [line.split(", ") for line in ours["columns"]]
    return {**ours, "columns": sorted(", ".join([line[0], *line[2:]]) for line in columns)}
