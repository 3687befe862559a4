"""One measured figure, the bounds it is to keep, and the Markdown table of all."""

from collections.abc import Iterable

import msgspec

from benchmarks.measure import Cost

HEAD = ("what", "dltdoctor", "rival", "ratio", "target", "peak memory: dltdoctor", "rival")


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """What dltdoctor costs and, where there is one, what a rival does; bounds are None where none is set.

    `ratio` is that of the medians of the wall seconds, unless another one is meant and given.
    """

    what: str
    ours: Cost
    rival: Cost | None = None
    rival_name: str = ""
    given_ratio: float | None = None
    most_ratio: float | None = None
    most_seconds: float | None = None
    most_memory: float | None = None

    @property
    def ratio(self) -> float | None:
        if self.given_ratio is not None or self.rival is None:
            return self.given_ratio
        return self.ours.seconds / self.rival.seconds

    @property
    def is_met(self) -> bool:
        bounds = (
            (self.ratio, self.most_ratio),
            (self.ours.seconds, self.most_seconds),
            (self.ours.peak, self.most_memory),
        )
        return all(value is None or most is None or value <= most for value, most in bounds)

    @property
    def target(self) -> str:
        """The bounds in words, with a mark."""
        bounds = [
            f"≤ {bound:g}{unit}"
            for bound, unit in ((self.most_ratio, ""), (self.most_seconds, " s"), (self.most_memory, " MB"))
            if bound is not None
        ]
        return f"{', '.join(bounds)} {'✓' if self.is_met else '✗ missed'}" if bounds else ""

    @property
    def cells(self) -> tuple[str, ...]:
        """The figure as a row under `HEAD`."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        if self.rival is None:
            return self.what, _seconds(self.ours), self.rival_name, ratio, self.target, _memory(self.ours), ""
        rival = f"{_seconds(self.rival)} ({self.rival_name})"
        return self.what, _seconds(self.ours), rival, ratio, self.target, _memory(self.ours), _memory(self.rival)


def table(figures: Iterable[Figure]) -> str:
    """The figures as one Markdown table."""
    rows = [HEAD, ("---",) * len(HEAD), *(figure.cells for figure in figures)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def _seconds(cost: Cost) -> str:
    return f"{cost.seconds * 1000:.0f} ms" if cost.seconds < 1 else f"{cost.seconds:.2f} s"


def _memory(cost: Cost) -> str:
    return f"{cost.peak:.0f} MB"
