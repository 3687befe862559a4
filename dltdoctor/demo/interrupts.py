"""Signals that end a process, turned into exceptions, so that what was begun is cleaned up."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


class Terminated(SystemExit):
    """SIGTERM or SIGHUP came; the exit code is the shell's, 128 and the signal's number."""


@contextlib.contextmanager
def terminations_raised() -> Iterator[None]:
    """The first ending signal of the block raises KeyboardInterrupt or Terminated; later ones are ignored.

    Signals that the caller handles or ignores are left to the caller.
    """
    with contextlib.ExitStack() as undo:
        ours = [number for number in ENDING if _may_handle() and signal.getsignal(number) in DEFAULTS]

        def end(number: int, _: FrameType | None) -> None:
            for each in ours:
                signal.signal(each, signal.SIG_IGN)
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(128 + number)

        for number in ours:
            undo.callback(signal.signal, number, signal.getsignal(number))
            signal.signal(number, end)
        yield


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Signals that come during the block are delivered after it: cleaning up is not to be interrupted."""
    came: list[int] = []
    with contextlib.ExitStack() as undo:
        for number in ENDING if _may_handle() else ():
            undo.callback(signal.signal, number, signal.getsignal(number))
            signal.signal(number, lambda number, _: came.append(number))
        yield
    for signal_number in came[:1]:
        signal.raise_signal(signal_number)


def _may_handle() -> bool:
    return threading.current_thread() is threading.main_thread()
