"""What searching may cost: trials, minutes, and dollars on the places that charge."""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from filon.engines.base import Trial
from filon.errors import RecipeError
from filon.search.settings import Budget
from filon.search.spending import SEARCH_SHARE, meter


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A deadline on the monotonic clock; None for no limit."""

    ends_at: float | None

    def left_s(self) -> float | None:
        """Seconds left, never below zero; None for no limit."""
        return None if self.ends_at is None else max(0.0, self.ends_at - time.monotonic())

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.ends_at is not None and time.monotonic() >= self.ends_at


def start(budget: Budget) -> Clock:
    """The clock of this search.

    Raises
    ------
    RecipeError : `search.dollars-without-minutes` when money is the only limit; a place that charges turns it into minutes
    """
    running = meter()
    ends = [60.0 * budget.minutes] if budget.minutes is not None else []
    if budget.dollars is not None and running is not None:
        ends.append(running.left_s(SEARCH_SHARE * budget.dollars))
    elif budget.dollars is not None and budget.minutes is None:
        raise RecipeError(
            "search.dollars-without-minutes",
            "the search is limited by money, and nothing here has a price",
            f"search.budget.dollars = {budget.dollars:g}, but only a place that charges knows what a minute costs",
            "set search.budget.minutes or search.budget.trials instead, or run it --on a place that charges",
        )
    return Clock(ends_at=time.monotonic() + min(ends) if ends else None)


def thinned(trials: Sequence[Trial], most: int | None, seed: int) -> list[Trial]:
    """At most so many trials, spread over the whole grid by the seed, in their order.

    Cutting the grid's end off instead would never try the last families.
    """
    if most is None or len(trials) <= most:
        return list(trials)
    drawn = random.Random(seed).sample(range(len(trials)), most)
    return [trials[place] for place in sorted(drawn)]
