"""One family, one set of settings: the winner refitted on train + validation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from filon.engines.base import Engine, FitPlan, Fitted, Folds, Trial
from filon.errors import EngineError
from filon.events import Event, Listen, silence

if TYPE_CHECKING:  # the record's home is above this room
    from filon.search.records import Choice

__all__ = ["fit"]

COUNTS = {"xgboost": "num_round", "random_forest": "numTrees", "gbt": "maxIter"}


def fit(folds: Folds, choice: Choice, engine: Engine, listen: Listen = silence) -> Fitted:
    """Refit the winner on train + validation with the rounds found and the same seed.

    Raises
    ------
    EngineError : `fit.failed` when the trainer fails on what it fitted before
    """
    winner = fixed(choice.winner, choice.rounds)
    listen(Event(stage="fit", text=f"refit of {winner.family} on train + validation", total=1))
    plan = FitPlan(train=("train", "valid"), valid=False, metric=choice.metric)
    fitted = next(iter(engine.fit(folds, [winner], plan)), None)
    if fitted is None or fitted.ensemble is None:
        raise EngineError(
            "fit.failed",
            f"the refit of {winner.family} on train + validation failed",
            (fitted.error if fitted else "") or "no reason given",
            "run again with --resume; if it is memory, use a machine with more or name fewer rows",
        )
    listen(Event(stage="fit", text=f"{winner.family} refitted in {fitted.seconds:.1f} s", done=1, total=1))
    return fitted


def fixed(trial: Trial, rounds: int) -> Trial:
    """The trial with the rounds found, and no early stopping."""
    settings = dict(trial.settings)
    if trial.family in COUNTS and trial.family != "random_forest":
        settings[COUNTS[trial.family]] = rounds
    if "early_stopping_rounds" in settings:
        settings["early_stopping_rounds"] = 0
    return replace(trial, settings=settings)
