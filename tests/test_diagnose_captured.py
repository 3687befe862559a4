"""The diagnosis of every captured world: sick ones by their code, healthy ones in peace (laws 3 and 11)."""

import pytest

from tests.captured import CapturedWorld, worlds
from tests.examining import diagnose
from tests.worlds import digest_database, digest_tree


@pytest.mark.parametrize("world", worlds(), ids=lambda w: w.id)
def test_captured_world(world: CapturedWorld, tmp_path, database):
    unpacked = world.unpack(tmp_path / "world")
    world.restore(database)
    before = digest_tree(unpacked.root), digest_database(database)

    diagnosis = diagnose(unpacked.project, unpacked.pipelines_dir, dsn=database)

    found = [(f.code, f.severity.value) for f in diagnosis.findings]
    assert world.faults(found) == [], [f.message for f in diagnosis.findings]
    assert not [s for s in diagnosis.skipped if "crashed" in s.reason]
    assert not diagnosis.blind
    for row in diagnosis.ledger:
        known = world.rows.get(row.table)
        if known and row.final.dataset == world.dataset:
            assert (row.final.rows if row.final.exists else None) == known.final, row
            if known.staging is not None and world.staging != world.dataset:
                assert row.staging.rows == known.staging, row
    assert (digest_tree(unpacked.root), digest_database(database)) == before
