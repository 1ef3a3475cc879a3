"""Every rule that is on, asked after each round; each speaks once a fit."""

from collections.abc import Sequence

import numpy as np

from filon.rules.curve import CURVE_RULES, Point
from filon.rules.records import Broken
from filon.rules.settings import RulesSettings


class Watcher:
    """The rules over one curve. It is plain data and decides by the points alone, so that peers of a cluster decide alike."""

    def __init__(self, settings: RulesSettings | None, rising: bool) -> None:
        self.settings, self.rising = settings, rising
        self.broken: list[Broken] = []

    def __call__(self, points: Sequence[Point]) -> None:
        """One more round is in `points`."""
        if self.settings is None or not points:
            return
        said = {one.rule for one in self.broken}
        for name, rule in CURVE_RULES.items():
            action = getattr(self.settings, name)
            dashed = name.replace("_", "-")
            if action == "off" or dashed in said:
                continue
            why = rule(points, self.rising, self.settings)
            if why:
                useless = name == "exploding_loss" and action != "warn"
                self.broken.append(Broken(rule=dashed, round=points[-1].round, action=action, why=why, useless=useless))

    @property
    def stopped(self) -> bool:
        """Whether a rule ends the fit."""
        return any(one.stops for one in self.broken)


def outcome(confusion: np.ndarray, classes: Sequence[str], rounds: int, settings: RulesSettings | None) -> tuple[Broken, ...]:
    """The rule over the outcome: is a class with rows never predicted?

    Parameters
    ----------
    confusion : (classes, classes), true by predicted, of the validation fold
    """
    if settings is None or settings.class_ignored == "off":
        return ()
    rows, called = confusion.sum(axis=1), confusion.sum(axis=0)
    ignored = [name for name, have, said in zip(classes, rows, called, strict=True) if have >= settings.least_rows and not said]
    if not ignored:
        return ()
    named = ", ".join(f"{name!r} ({rows[list(classes).index(name)]:,.0f} rows)" for name in ignored[:5])
    action = settings.class_ignored
    why = f"never predicted on validation: {named}"
    return (Broken(rule="class-ignored", round=rounds, action=action, why=why, useless=action != "warn"),)
