"""What the fits are doing, for the sign of life every few seconds."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from filon.engines.trainer.sharing import Group
from filon.events import Event


@dataclass(slots=True)
class _Running:
    round: int = 0
    value: float | None = None


class Progress:
    """Written by the threads that fit, read by the one that speaks."""

    def __init__(self, groups: Sequence[Group], stage: str) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._running: dict[int, tuple[Group, _Running]] = {}
        self._whole = sum(group.cost for group in groups) or 1.0
        self._spent, self._ended, self._groups, self._stage = 0.0, 0, len(groups), stage

    def begin(self, group: Group) -> None:
        """A fit starts, or one more piece of it."""
        with self._lock:
            self._running.setdefault(group.longest.number, (group, _Running()))

    def step(self, group: Group, value: float | None) -> None:
        """A round of it is done."""
        with self._lock:
            state = self._running[group.longest.number][1]
            state.round, state.value = state.round + 1, value

    def end(self, group: Group) -> None:
        """It is done, well or not."""
        with self._lock:
            self._running.pop(group.longest.number, None)
            self._spent += group.cost
            self._ended += 1

    def event(self) -> Event:
        """What is being fitted now: the largest of the fits under way."""
        with self._lock:
            running = list(self._running.values())
            ended = self._ended
        left = self._left_s()
        if not running:
            return Event(stage=self._stage, text="preparing the rows", left_s=left)
        group, state = max(running, key=lambda pair: pair[0].cost)
        value = f", validation {state.value:.5f}" if state.value is not None else ""
        many = f" (and {len(running) - 1} beside it)" if len(running) > 1 else ""
        text = f"fit {ended + 1} of {self._groups}: {group.work.family}, round {state.round} of {group.rounds}{value}{many}"
        fields: dict[str, object] = {"trial": group.longest.number, "round": state.round, "rounds": group.rounds, "valid": state.value}
        return Event(stage=self._stage, text=text, left_s=left, fields=fields)

    def _left_s(self) -> float | None:
        with self._lock:
            part = sum(group.cost * min(1.0, state.round / group.rounds) for group, state in self._running.values())
        share = (self._spent + part) / self._whole
        passed = time.monotonic() - self._began
        return passed * max(0.0, 1 - share) / share if share > 0.01 else None
