"""How a command speaks while it works: a live line on a terminal, a plain log elsewhere, JSON lines with --json."""

import json
import shutil
import sys
import time
from typing import Any

import click

from filon.events import Event

LOG_EVERY_S = 4.0
"""Law 8 allows no silence over five seconds: a plain log says something a little more often."""


class Terminal:
    """Listens to events; `say` prints a result line; `result` the command's answer."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.live = not as_json and sys.stderr.isatty()
        self._last = ("", 0.0)
        self._width = 0
        self._began = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Hear one event."""
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
        elif self.live:
            line = _line(event)[: shutil.get_terminal_size().columns - 1]
            if event.stage != self._last[0] and self._last[0]:
                click.echo(err=True)
            click.echo(f"\r{line.ljust(self._width)}", nl=False, err=True)
            self._width, self._last = len(line), (event.stage, time.monotonic())
        elif event.stage != self._last[0] or time.monotonic() - self._last[1] >= LOG_EVERY_S:
            click.echo(f"{time.monotonic() - self._began:7.1f}s {_line(event)}", err=True)
            self._last = (event.stage, time.monotonic())

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
        """End the live line."""
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
