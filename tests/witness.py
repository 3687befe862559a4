"""What a test that names a check has to have seen: `fires` its finding in a diagnosis, `quiet` a diagnosis without it."""

from collections.abc import Iterator

import pytest

from dltdoctor import doctor, treatment
from dltdoctor.examine import examine

seen: set[str] = set()
looks: list[str] = []


def saw(codes: set[str]) -> None:
    """Note the findings of one diagnosis, e.g. one that another process printed."""
    looks.append("")
    seen.update(codes)


def witness(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Watch the diagnoses of a test that is marked with `fires` or `quiet`, and hold it to its word."""
    fires, quiet = (_codes(request, name) for name in ("fires", "quiet"))
    if not fires and not quiet:
        yield
        return
    seen.clear()
    looks.clear()

    def watched(*arguments):
        found = examine(*arguments)
        saw({finding.code for finding in found[0]})
        return found

    for room in (doctor, treatment):
        monkeypatch.setattr(room, "examine", watched)
    yield
    assert looks, "the test is marked with a check and has not diagnosed anything"
    assert not fires - seen, f"the test is marked as one in which {sorted(fires - seen)} fires"
    assert not quiet & seen, f"the test is marked as one in which {sorted(quiet & seen)} is quiet"


def _codes(request: pytest.FixtureRequest, marker: str) -> set[str]:
    return {code for mark in request.node.iter_markers(marker) for code in mark.args}
