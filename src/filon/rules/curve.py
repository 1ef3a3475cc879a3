"""The rules over the curve of one fit. A loss falls as the fit gets better: 1 - value for metrics that rise."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from filon.rules.settings import RulesSettings

NOTHING_LEFT = 1e-6
"""A loss so small has nothing left to lose: a table that is easy breaks no rule."""

FLAT = 1e-9
RISE = 0.005
"""Losses that move by less than this say nothing, whatever share of a small loss it is."""

LEAP = 0.1
FEW_ROUNDS = 10
"""Rounds since the best one before a rise counts as overfitting."""


class Point(Protocol):
    """One round, as `engines.base.CurvePoint` has it."""

    @property
    def round(self) -> int: ...
    @property
    def train(self) -> float | None: ...
    @property
    def valid(self) -> float | None: ...


Rule = Callable[[Sequence[Point], bool, RulesSettings], str]
"""Points in the order of the rounds, whether the metric rises, and the settings; the figures when the rule is broken, else ""."""


def loss_not_decreasing(points: Sequence[Point], rising: bool, settings: RulesSettings) -> str:
    """After so many rounds the loss has not fallen by a thousandth."""
    if points[-1].round < settings.patience:
        return ""
    losses = _losses(points, rising)
    if len(losses) < 2 or losses[0] <= NOTHING_LEFT or min(losses) <= losses[0] * (1 - settings.least_gain):
        return ""
    return f"loss {losses[0]:.5g} after the first round, {min(losses):.5g} at best in {points[-1].round} rounds"


def overfitting(points: Sequence[Point], rising: bool, settings: RulesSettings) -> str:
    """Validation has got much worse since its best round, training better."""
    last = points[-1]
    if last.valid is None or last.train is None:
        return ""
    known = [point for point in points if point.valid is not None and point.train is not None and math.isfinite(_loss(point.valid, rising))]
    if not known:
        return ""
    best = min(known, key=lambda point: _loss(point.valid, rising))
    least, now = _loss(best.valid, rising), _loss(last.valid, rising)
    apart = last.round - best.round >= FEW_ROUNDS and now - least >= max(RISE, settings.overfit * least)
    if not apart or _loss(last.train, rising) >= _loss(best.train, rising):
        return ""
    return f"validation loss {least:.5g} at round {best.round}, {now:.5g} at round {last.round}, while the training loss fell"


def vanishing_gain(points: Sequence[Point], rising: bool, settings: RulesSettings) -> str:
    """So many rounds changed neither the training nor the validation metric: trees without splits."""
    last = points[-1]
    window = [point for point in points if point.round >= last.round - settings.flat]
    if len(window) < 3 or last.round - window[0].round < settings.flat:
        return ""
    for side in ("train", "valid"):
        values = [getattr(point, side) for point in window]
        if None in values:
            continue
        losses = [_loss(value, rising) for value in values]
        if not all(map(math.isfinite, losses)) or max(losses) - min(losses) > FLAT or losses[-1] <= NOTHING_LEFT:
            return ""
    if window[-1].train is None and window[-1].valid is None:
        return ""
    return f"rounds {window[0].round} to {last.round} changed nothing"


def exploding_loss(points: Sequence[Point], rising: bool, settings: RulesSettings) -> str:
    """The loss has become no number, or a multiple of what it was after the first round."""
    for side in ("train", "valid"):
        values = [getattr(point, side) for point in points]
        first = next((_loss(value, rising) for value in values if value is not None and math.isfinite(value)), None)
        if first is None or values[-1] is None:
            continue
        now = _loss(values[-1], rising)
        if not math.isfinite(now):
            return f"the {side} loss was {first:.5g} and is no number at round {points[-1].round}"
        if now > settings.explosion * first and now - first > LEAP:
            return f"the {side} loss was {first:.5g} after the first round and is {now:.5g} at round {points[-1].round}"
    return ""


CURVE_RULES: Mapping[str, Rule] = {
    "loss_not_decreasing": loss_not_decreasing,
    "overfitting": overfitting,
    "vanishing_gain": vanishing_gain,
    "exploding_loss": exploding_loss,
}


def _losses(points: Sequence[Point], rising: bool) -> list[float]:
    """Losses on validation where there is one, else on the training rows; what is no number is left out."""
    values = [point.train if point.valid is None else point.valid for point in points]
    return [_loss(value, rising) for value in values if value is not None and math.isfinite(value)]


def _loss(value: float | None, rising: bool) -> float:
    if value is None:
        return math.nan
    return 1 - value if rising else value
