"""How a command speaks while it works: a live line on a terminal, a plain log elsewhere, JSON lines with --json."""

import dataclasses
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import click

from filon.events import Event
from filon.variables import covered

LOG_EVERY_S = 4.0
"""Law 8 allows no silence over five seconds: a plain log says something a little more often."""

Later = Callable[[float, Callable[[], None]], Callable[[], None]]
"""Calls a function in so many seconds; gives what takes that back."""


def _by_timer(seconds: float, call: Callable[[], None]) -> Callable[[], None]:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()
    return timer.cancel


class Terminal:
    """Listens to events; `say` prints a result line; `result` the command's answer."""

    def __init__(self, as_json: bool, clock: Callable[[], float] = time.monotonic, later: Later = _by_timer) -> None:
        self.as_json = as_json
        self.live = not as_json and sys.stderr.isatty()
        self._clock, self._later = clock, later
        self._last = ("", 0.0)
        self._held: Event | None = None
        self._take_back: Callable[[], None] | None = None
        self._lock = threading.RLock()
        self._width = 0
        self._began = clock()
        context = click.get_current_context(silent=True)
        if context is not None:
            context.call_on_close(self.close)  # what is held must not be told after the command's error

    def __call__(self, event: Event) -> None:
        """Hear one event."""
        with self._lock:
            self._hear(dataclasses.replace(event, text=covered(event.text)))

    def _hear(self, event: Event) -> None:
        if self.as_json:
            step = {
                "stage": event.stage,
                "text": event.text,
                "done": event.done,
                "total": event.total,
                "left_s": event.left_s,
                **event.fields,
            }
            click.echo(json.dumps({"event": _plain(step)}, ensure_ascii=False))
        elif "request" in event.fields:  # of a dry run, whose result they are: none is overtaken by the next, or cut to the line
            self.close()
            click.echo(event.text)
        elif self.live:
            line = _line(event)[: shutil.get_terminal_size().columns - 1]
            if event.stage != self._last[0] and self._last[0]:
                click.echo(err=True)
            click.echo(f"\r{line.ljust(self._width)}", nl=False, err=True)
            self._width, self._last = len(line), (event.stage, self._clock())
        elif event.stage != self._last[0] or self._clock() - self._last[1] >= LOG_EVERY_S:
            self._log(event)
        else:
            self._held = event  # told in time, unless a newer one comes before: an event may be the last one for a while
            if self._take_back is None:
                self._take_back = self._later(self._last[1] + LOG_EVERY_S - self._clock(), self._tell_held)

    def _log(self, event: Event) -> None:
        self._drop()
        click.echo(f"{self._clock() - self._began:7.1f}s {_line(event)}", err=True)
        self._last = (event.stage, self._clock())

    def _tell_held(self) -> None:
        with self._lock:
            if self._held is not None:
                self._log(self._held)

    def _drop(self) -> None:
        if self._take_back is not None:
            self._take_back()
        self._held = self._take_back = None

    def say(self, text: str = "", **style: Any) -> None:
        """One line of a result for a person; silent with --json."""
        self.close()
        if not self.as_json:
            click.secho(text, **style)

    def result(self, value: Any) -> None:
        """The answer as the last JSON line; silent without --json."""
        if self.as_json:
            click.echo(json.dumps({"result": _plain(value)}, ensure_ascii=False))

    def close(self) -> None:
        """End the live line; what was held back is overtaken."""
        with self._lock:
            self._drop()
            if self.live and self._width:
                click.echo(err=True)
                self._width = 0


def _plain(value: Any) -> Any:
    from filon.runs import to_plain

    return to_plain(value)


def _line(event: Event) -> str:
    count = f" {event.done}/{event.total}" if event.total else ""
    left = f" · {_duration(event.left_s)} left" if event.left_s is not None else ""
    return f"{event.stage:>8}{count} · {event.text}{left}"


def _duration(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 90 else f"{whole // 60} min {whole % 60:02d} s" if whole < 5400 else f"{whole / 3600:.1f} h"
