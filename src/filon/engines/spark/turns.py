"""A process has one Spark: while a thread uses the one that Filon started, other threads wait for theirs until it has stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable

ASK_S = 1.0
"""Seconds between two words of who waits."""


class Turn:
    """Whose turn it is to have a Spark of Filon's own. Work of the same thread shares it."""

    def __init__(self) -> None:
        self._lock, self._holder = threading.Lock(), 0

    @property
    def elsewhere(self) -> bool:
        """Whether another thread has it."""
        return self._lock.locked() and self._holder != threading.get_ident()

    def take(self, tell: Callable[[], None]) -> None:
        """Wait until it is ours; `tell` is called now and then."""
        while not self._lock.acquire(timeout=ASK_S):
            tell()
        self._holder = threading.get_ident()

    def give_back(self) -> None:
        """The Spark has stopped, or has not come up."""
        if self._lock.locked():
            self._holder = 0
            self._lock.release()


TURN = Turn()
