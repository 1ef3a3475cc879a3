"""What a long step says while it works: one small record, heard by a terminal, a log or `--json`."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One sign of life.

    `stage` is the step of the story ("read" ... "package"), `text` one line for a person, `done` of `total`
    the steps counted so far (0 when not known), `left_s` the seconds left as estimated (None when not known),
    `fields` what a program may want (trial, round, metric name and value).
    """

    stage: str
    text: str
    done: int = 0
    total: int = 0
    left_s: float | None = None
    fields: dict[str, object] = field(default_factory=dict)


Listen = Callable[[Event], None]


def silence(event: Event) -> None:
    """Hear nothing (the default of the Python API)."""
