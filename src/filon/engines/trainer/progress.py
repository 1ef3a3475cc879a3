"""What the fits are doing, for the sign of life every few seconds."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from filon.engines.base import Fitted
from filon.engines.trainer.sharing import Group
from filon.events import Event


@dataclass(slots=True)
class _Running:
    round: int = 0
    value: float | None = None


class Progress:
    """Written by the threads that fit, read by the one that speaks."""

    def __init__(self, groups: Sequence[Group], trials: int, done: int) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._running: dict[int, tuple[Group, _Running]] = {}
        self._whole = sum(group.cost for group in groups) or 1.0
        self._spent = 0.0
        self._trials, self._done = trials, done

    def begin(self, group: Group) -> None:
        """A fit starts."""
        with self._lock:
            self._running[group.longest.number] = (group, _Running())

    def round(self, group: Group, number: int, value: float | None) -> None:
        """A round of it is done."""
        state = self._running[group.longest.number][1]
        state.round, state.value = number, value

    def end(self, group: Group) -> None:
        """It is done, well or not."""
        with self._lock:
            if self._running.pop(group.longest.number, None):
                self._spent += group.cost

    def count(self, fitted: Fitted) -> None:  # noqa: ARG002 -- counted whatever came of it
        """A trial has an outcome."""
        self._done += 1

    def event(self, fitted: Fitted | None = None) -> Event:
        """One line: the outcome of a trial, or what is being fitted now."""
        left = self._left_s()
        if fitted is not None:
            trial, what = fitted.trial, fitted.error or f"{fitted.rounds} rounds in {fitted.seconds:.1f} s"
            text = f"trial {self._done} of {self._trials}: {trial.family} {what}" + (f" ({fitted.shared})" if fitted.shared else "")
            return Event(
                stage="search",
                text=text,
                done=self._done,
                total=self._trials,
                left_s=left,
                fields={"trial": trial.number, "rounds": fitted.rounds},
            )
        with self._lock:
            running = list(self._running.values())
        if not running:
            return Event(stage="search", text="preparing the rows", done=self._done, total=self._trials, left_s=left)
        group, state = max(running, key=lambda pair: pair[0].cost)
        value = f", validation {state.value:.5f}" if state.value is not None else ""
        many = f" (and {len(running) - 1} beside it)" if len(running) > 1 else ""
        text = f"trial {self._done + 1} of {self._trials}: {group.work.family}, round {state.round} of {group.rounds}{value}{many}"
        fields: dict[str, object] = {"trial": group.longest.number, "round": state.round, "rounds": group.rounds, "valid": state.value}
        return Event(stage="search", text=text, done=self._done, total=self._trials, left_s=left, fields=fields)

    def _left_s(self) -> float | None:
        with self._lock:
            part = sum(group.cost * min(1.0, state.round / group.rounds) for group, state in self._running.values())
        share = (self._spent + part) / self._whole
        passed = time.monotonic() - self._began
        return passed * (1 - share) / share if share > 0.01 else None
