"""Signs of life of a step that streams rows: often enough for a person who waits, not one a batch."""

import time

from filon.events import Event, Listen

QUIET_S = 2.0
"""Seconds between two signs (law 8 asks for one in five, and a batch takes less than one)."""


class Pulse:
    """Says how many rows are done, when the last sign is long ago; a step that is quick says nothing."""

    def __init__(self, listen: Listen, stage: str, doing: str, total: int = 0) -> None:
        self._listen, self._stage, self._doing, self._total = listen, stage, doing, total
        self._began = self._spoken = time.monotonic()
        self.rows = 0

    def __call__(self, rows: int) -> None:
        """So many rows more are done."""
        self.rows += rows
        now = time.monotonic()
        if now - self._spoken < QUIET_S:
            return
        self._spoken = now
        left = (now - self._began) * (self._total - self.rows) / self.rows if self._total and self.rows else None
        of = f" of {self._total:,}" if self._total else ""
        text = f"{self.rows:,}{of} rows {self._doing}"
        self._listen(Event(stage=self._stage, text=text, done=self.rows, total=self._total, left_s=left))
