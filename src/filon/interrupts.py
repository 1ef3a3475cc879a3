"""Ctrl-C: heeded where Python can be stopped, and never taken for a fault of ours.

An interpreter that is stopped within an import may keep the lock of all imports, for which every other thread then waits for ever, or
leave an extension module that was half made; and a library that is stopped may raise an error of its own (DuckDB: RuntimeError) in the
place of KeyboardInterrupt.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

AGAIN_S = 0.02
"""Seconds until an interrupt that came within an import is tried again."""

PATIENCE_S = 5.0
"""Seconds that an import may take before it is stopped all the same: a module of the user's may do anything while it is imported."""


class _Heeder:
    """The handler of SIGINT: lets an import end first, then does what the handler that it found does."""

    def __init__(self, found: Any) -> None:
        self.found = found
        self.pressed = False
        self.since = 0.0
        self.again = False
        self.held: Callable[[], bool] | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        again, self.again = self.again, False
        if again and not self.since:
            return  # heeded by the time it was tried again
        self.pressed = True
        now = time.monotonic()
        if (self.held is not None and self.held()) or (_importing(frame) and now - (self.since or now) < PATIENCE_S):
            if not self.since:
                self.since = now
                threading.Thread(target=self._press, args=(number,), daemon=True, name="filon-interrupt").start()
            return
        self.since = 0.0
        self.found(number, frame)

    def _press(self, number: int) -> None:
        """Press again until it is heeded: a signal that comes just before the main thread falls asleep does not wake it."""
        main = threading.main_thread().ident
        while main is not None:
            time.sleep(AGAIN_S)
            if not self.since:
                return
            self.again = True
            signal.pthread_kill(main, number)


_heeder: _Heeder | None = None


def heed() -> None:
    """Take SIGINT over, as the first act of a command; not where it is ignored (a job of the background), nor outside the main thread."""
    global _heeder
    found = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is threading.main_thread() and callable(found):
        _heeder = _Heeder(found)
        signal.signal(signal.SIGINT, _heeder)


def renew() -> None:
    """Take SIGINT over again from a library that has set a handler of its own (PySpark's cancels its jobs), called from then on."""
    found = signal.getsignal(signal.SIGINT)
    if _heeder is not None and found is not _heeder and callable(found) and threading.current_thread() is threading.main_thread():
        _heeder.found = found
        signal.signal(signal.SIGINT, _heeder)


def leave(code: int) -> None:
    """From now on Ctrl-C ends the process at once with this code: the command has told its result, and only its end is left."""
    if _heeder is not None:
        signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(code))


@contextmanager
def held(busy: Callable[[], bool]) -> Iterator[None]:
    """Ctrl-C waits within, as long as `busy` says so: what is being made then would outlive us, and be nobody's."""
    if _heeder is not None:
        _heeder.held = busy
    try:
        yield
    finally:
        if _heeder is not None:
            _heeder.held = None


@contextmanager
def by(stop: Callable[[], object]) -> Iterator[None]:
    """What runs within is ended by `stop`, not by an exception in the middle of it (DuckDB may then wait for itself for ever).

    Raises
    ------
    KeyboardInterrupt : in the place of whatever came of it
    """
    found = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(found):
        yield
        return
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:  # in vain, it seems
            found(number, frame)
        asked = True
        stop()

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, found)
        if asked:
            if _heeder is not None:
                _heeder.pressed = True
            raise KeyboardInterrupt


def pressed() -> bool:
    """Whether Ctrl-C was pressed since `heed`."""
    return _heeder is not None and _heeder.pressed


def caused(exc: BaseException) -> bool:
    """Whether an error is Ctrl-C itself, or what a library made of it."""
    if isinstance(exc, KeyboardInterrupt):
        return True
    below = exc.__cause__ or exc.__context__
    said = type(exc).__name__ == "InterruptException" or "interrupted" in str(exc).lower()
    return pressed() and (said or (below is not None and caused(below)))


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


__all__ = ["by", "caused", "heed", "held", "leave", "pressed", "renew"]
