"""The refit: train + validation, the rounds found, the same seeds; the members of an average joined."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.search.arithmetic_engine import FakeEngine, FakeFolds, merit_of

from filon.engines.base import Trial
from filon.errors import EngineError
from filon.events import Event
from filon.fit import fit
from filon.search.records import Choice, Member


def trial_of(number: int, family: str = "xgboost", **settings: Any) -> Trial:
    return Trial(
        number=number, family=family, settings={"max_depth": 6, "num_round": 500, "early_stopping_rounds": 50, **settings}, seed=number
    )


def choice_of(winner: Trial, rounds: int, *members: Member) -> Choice:
    return Choice(metric="areaUnderROC", winner=winner, rounds=rounds, best={}, records=(), members=members)


def test_the_refit_sees_train_and_validation_and_stops_at_the_rounds_found() -> None:
    engine = FakeEngine()
    fitted = fit(FakeFolds(), choice_of(trial_of(3), 120), engine)
    assert (engine.plans[0].train, engine.plans[0].valid, engine.plans[0].rows) == (("train", "valid"), False, 0)
    assert engine.fitted[0].settings["num_round"] == 120
    assert engine.fitted[0].settings["early_stopping_rounds"] == 0
    assert engine.fitted[0].seed == 3
    assert fitted.ensemble is not None
    assert fitted.tally is None


@pytest.mark.parametrize(("family", "name"), [("random_forest", "numTrees"), ("gbt", "maxIter"), ("logistic_regression", "maxIter")])
def test_counts_of_other_families_stand(family: str, name: str) -> None:
    engine = FakeEngine()
    settings = {name: 40, "maxDepth": 5}
    fit(FakeFolds(), choice_of(Trial(number=1, family=family, settings=settings, seed=1), 40), engine)
    assert engine.fitted[0].settings == settings


def test_members_are_fitted_each_and_joined_under_the_winner() -> None:
    engine = FakeEngine(merit=lambda trial, _: float(trial.number))
    winner = trial_of(9)
    fitted = fit(FakeFolds(), choice_of(winner, 300, Member(trial=trial_of(2), rounds=100), Member(trial=trial_of(5), rounds=200)), engine)
    assert [trial.settings["num_round"] for trial in engine.fitted] == [100, 200]
    assert fitted.ensemble is not None
    assert merit_of(fitted.ensemble) == pytest.approx(3.5)
    assert fitted.trial == winner
    assert fitted.rounds == 300


def test_the_order_in_which_an_engine_answers_does_not_matter() -> None:
    class Backwards(FakeEngine):
        def fit(self, folds: Any, trials: Any, plan: Any) -> Any:
            return iter(list(super().fit(folds, list(trials), plan))[::-1])

    members = (Member(trial=trial_of(2), rounds=100), Member(trial=trial_of(5, max_depth=3), rounds=200))
    one = fit(FakeFolds(), choice_of(trial_of(9), 300, *members), FakeEngine())
    other = fit(FakeFolds(), choice_of(trial_of(9), 300, *members), Backwards())
    assert one.ensemble == other.ensemble


def test_a_refit_that_fails_says_why() -> None:
    with pytest.raises(EngineError, match="out of memory") as caught:
        fit(FakeFolds(), choice_of(trial_of(1), 10), FakeEngine(fails=lambda _: "out of memory"))
    assert caught.value.code == "fit.failed"
    with pytest.raises(EngineError):
        fit(FakeFolds(), choice_of(trial_of(1), 10), FakeEngine(begins=0))


def test_the_refit_is_heard() -> None:
    heard: list[Event] = []
    fit(FakeFolds(), choice_of(trial_of(1), 10), FakeEngine(), heard.append)
    assert [event.stage for event in heard] == ["fit", "fit"]
    assert replace(heard[-1], text="").done == 1
