"""`[search.budget] dollars`: a place that charges says what an hour costs, and the run is stopped at the sum."""

import os
import time
from dataclasses import dataclass

from filon.errors import EngineError
from filon.events import Event, Listen
from filon.search.settings import Budget

RATE, BEFORE = "FILON_DOLLARS_AN_HOUR", "FILON_PAID_HOURS_BEFORE"
"""Variables by which a place tells the job what an hour costs, and how long was paid for before it began (the cluster's start)."""

SEARCH_SHARE = 0.7
"""Of the sum that the search may use: the refit on all rows, the evaluation and the bundle come after it."""

_BEGAN = time.time()


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What an hour costs in dollars, and since when (seconds since 1970) it does."""

    dollars_an_hour: float
    since: float

    def spent(self, now: float | None = None) -> float:
        """Dollars so far."""
        return max(0.0, ((time.time() if now is None else now) - self.since) / 3600 * self.dollars_an_hour)

    def left_s(self, dollars: float, now: float | None = None) -> float:
        """Seconds until a sum is spent, never below zero."""
        return max(0.0, (dollars - self.spent(now)) / self.dollars_an_hour * 3600)


def meter() -> Meter | None:
    """The meter of the place that runs this process; None where nothing has a price."""
    try:
        rate, before = float(os.environ.get(RATE, "")), float(os.environ.get(BEFORE) or 0)
    except ValueError:
        return None
    return Meter(dollars_an_hour=rate, since=_BEGAN - before * 3600) if rate > 0 else None


def metered(listen: Listen, budget: Budget) -> Listen:
    """The same listener, which ends the run when the sum is spent: every stage speaks at least every five seconds (law 8).

    Raises
    ------
    EngineError : `search.dollars-spent`, from within the stage that spoke
    """
    running, most = meter(), budget.dollars
    if running is None or most is None:
        return listen

    def hear(event: Event) -> None:
        spent = running.spent()
        listen(Event(**{**_fields(event), "fields": {**event.fields, "dollars": round(spent, 4)}}))  # type: ignore[arg-type]
        if spent >= most and event.stage not in LAST:
            raise EngineError(
                "search.dollars-spent",
                f"the run was stopped at {spent:.2f} dollars, in {event.stage}",
                f"search.budget.dollars = {most:g}, and an hour here costs {running.dollars_an_hour:.2f}",
                "raise search.budget.dollars, or make the search smaller (search.budget.trials, search.rows), and send it again",
            )

    return hear


LAST = ("package",)
"""Stages that are let end: the work is done, and to throw the bundle away would cost more."""


def _fields(event: Event) -> dict[str, object]:
    return {name: getattr(event, name) for name in ("stage", "text", "done", "total", "left_s", "fields")}
