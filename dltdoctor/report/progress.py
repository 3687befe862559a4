"""What is being done, on stderr, for whatever takes longer than a second; never on stdout.

On a terminal a spinner with the current step, which vanishes at the end; elsewhere a line now and then.
"""

import sys
import threading
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.status import Status

    from dltdoctor.report.style import Page

DELAY = 1.0
EVERY = 10.0


class Progress:
    """Shows the current step while its block runs.

    Nothing appears in the first `delay` seconds; without a terminal at most a line every `every`
    seconds. Rich is imported only when there is something to show. `step` may be called from any thread.
    """

    def __init__(self, file: IO[str] | None = None, *, delay: float = DELAY, every: float = EVERY) -> None:
        self._file = sys.stderr if file is None else file
        self._delay = delay
        self._every = every
        self._step = ""
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._status: Status | None = None
        self._page: Page | None = None
        self._thread = threading.Thread(target=self._run, name="dltdoctor-progress", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def step(self, text: str) -> None:
        """Say what is being done now, e.g. "reading the catalog of db:5432/warehouse"."""
        with self._lock:
            self._step = text
            if self._status and self._page:
                self._status.update(self._page.cut(text, self._page.width - 4))

    @property
    def is_over(self) -> bool:
        """True when nothing more will be shown."""
        return self._ended.is_set() and not self._thread.is_alive()

    def _run(self) -> None:
        if self._ended.wait(self._delay):
            return
        if self._file.isatty():
            self._spin()
        else:
            self._tell()

    def _spin(self) -> None:
        from rich.status import Status  # noqa: PLC0415 - most runs are over before it is needed

        from dltdoctor.report.style import Page  # noqa: PLC0415

        with self._lock:
            self._page = Page(self._file)
            spinner = "dots" if self._page.glyphs.unicode else "line"
            text = self._page.cut(self._step or "working", self._page.width - 4)
            self._status = Status(text, console=self._page.console, spinner=spinner)
        with self._status:
            self._ended.wait()
        with self._lock:
            self._status = None

    def _tell(self) -> None:
        from dltdoctor.report.safe import safe  # noqa: PLC0415

        encoding = getattr(self._file, "encoding", None) or "utf-8"
        while True:
            with self._lock:
                step = self._step or "working"
            self._file.write(f"dltdoctor: {safe(step, encoding)} ...\n")
            self._file.flush()
            if self._ended.wait(self._every):
                return
