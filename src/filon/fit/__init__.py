"""One family, one set of settings: the winner refitted on train + validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from filon.engines.base import Engine, FitPlan, Fitted, Folds, Trial
from filon.errors import EngineError
from filon.events import Event, Listen, silence
from filon.trees import blend

if TYPE_CHECKING:  # the record's home is above this room
    from filon.search.records import Choice

__all__ = ["fit"]

COUNTS = {"xgboost": "num_round", "random_forest": "numTrees", "gbt": "maxIter"}


def fit(folds: Folds, choice: Choice, engine: Engine, listen: Listen = silence) -> Fitted:
    """Refit the winner on train + validation with the rounds found and the same seed; the members of an average one by one, then joined.

    Raises
    ------
    EngineError : `fit.failed` when the trainer fails on what it fitted before
    """
    members = [fixed(member.trial, member.rounds) for member in choice.members] or [fixed(choice.winner, choice.rounds)]
    said = f"{choice.winner.family} (average of {len(members)})" if len(members) > 1 else choice.winner.family
    listen(Event(stage="fit", text=f"refit of {said} on train + validation", total=len(members)))
    plan = FitPlan(train=("train", "valid"), valid=False, metric=choice.metric)
    found: dict[int, Fitted] = {}
    for fitted in engine.fit(folds, members, plan):
        if fitted.ensemble is None:
            raise _failed(fitted.trial.family, fitted.error)
        found[fitted.trial.number] = fitted
        listen(Event(stage="fit", text=f"{fitted.trial.family} refitted in {fitted.seconds:.1f} s", done=len(found), total=len(members)))
    if len(found) < len(members):
        raise _failed(choice.winner.family, "")
    return replace(averaged([found[member.number] for member in members]), trial=choice.winner)


def averaged(fits: Sequence[Fitted]) -> Fitted:
    """Fitted boosted trees as one model: the mean of their margins (one alone stays itself)."""
    if len(fits) == 1:  # of any family: forests and linear models cannot be averaged, and need not be
        return fits[0]
    whole = blend([fitted.ensemble for fitted in fits if fitted.ensemble is not None])
    return replace(fits[0], ensemble=whole, tally=None, rounds=whole.rounds, curve=(), seconds=sum(fitted.seconds for fitted in fits))


def _failed(family: str, error: str) -> EngineError:
    return EngineError(
        "fit.failed",
        f"the refit of {family} on train + validation failed",
        error or "no reason given",
        "run again with --resume; if it is memory, use a machine with more or name fewer rows",
    )


def fixed(trial: Trial, rounds: int) -> Trial:
    """The trial with the rounds found, and no early stopping."""
    settings = dict(trial.settings)
    if trial.family in COUNTS and trial.family != "random_forest":
        settings[COUNTS[trial.family]] = rounds
    if "early_stopping_rounds" in settings:
        settings["early_stopping_rounds"] = 0
    return replace(trial, settings=settings)
