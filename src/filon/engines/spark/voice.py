"""Law 8 for whatever Spark does: when nobody has spoken for a while, what is under way is said from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from filon.events import Event, Listen

SILENCE_S = 3.5
"""Longest silence. The law says five seconds; the rest is for a machine whose cores are all taken."""


class Voice:
    """A `Listen` that passes events on, and between `start` and `stop` speaks itself when none has come for `SILENCE_S`.

    `now` says what is under way, on one line; until it is set, Spark is on its way up.
    """

    def __init__(self, listen: Listen, said: str) -> None:
        self.now: Callable[[], str] = lambda: said
        self._listen, self._stage, self._lock = listen, "read", threading.Lock()
        self._spoken = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="filon-voice", daemon=True)

    def __call__(self, event: Event) -> None:
        """Somebody speaks."""
        self._stage, self._spoken = event.stage, time.monotonic()
        with self._lock:
            self._listen(event)

    def start(self) -> None:
        """From now on there is no long silence."""
        self._spoken = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """Whatever is under way is over."""
        self._ended.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=2 * SILENCE_S)

    def _watch(self) -> None:
        silent_since = self._spoken
        while not self._ended.wait(max(0.05, self._spoken + SILENCE_S - time.monotonic())):
            if time.monotonic() < self._spoken + SILENCE_S:
                silent_since = self._spoken
                continue
            with suppress(Exception):  # the session may end, or be broken, while we ask it: somebody else will say so
                self(Event(stage=self._stage, text=f"{self.now()}, {time.monotonic() - silent_since:.0f} s"))
            self._spoken = time.monotonic()
