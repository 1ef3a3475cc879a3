"""Rules inside the trainer: what a broken rule does to a trial, and to a run."""

import numpy as np
import pytest
from tests.unit.engines.trainer.memory_rows import MemoryRows, encoding_of, fit_all, some_rows, trial

from filon.engines.base import FitPlan
from filon.rules import RulesSettings


def noise(rows: int, seed: int) -> MemoryRows:
    """Features that say nothing of the label."""
    draw = np.random.default_rng(seed)
    x = draw.standard_normal((rows, 6)).astype(np.float32)
    return MemoryRows(x=x, label=draw.integers(0, 2, rows).astype(np.int32), encoding=encoding_of((0,) * 6))


def plan(**rules: object) -> FitPlan:
    return FitPlan(metric="logLoss", rules=RulesSettings(**rules))


OVERFIT = trial(1, "xgboost", max_depth=8, eta=0.5, num_round=120, early_stopping_rounds=0)


def test_a_fit_that_overfits_is_told_and_goes_on() -> None:
    fitted = fit_all(noise(600, 1), [OVERFIT], noise(300, 2), plan=plan(overfitting="warn"))[1]
    assert [one.rule for one in fitted.broken if one.rule == "overfitting"] == ["overfitting"]
    assert (fitted.rounds, fitted.error) == (120, "")


def test_a_fit_that_overfits_is_stopped_and_kept_as_far_as_it_came() -> None:
    rules = plan(overfitting="stop-trial", loss_not_decreasing="off")
    fitted = fit_all(noise(600, 1), [OVERFIT], noise(300, 2), plan=rules)[1]
    (told,) = fitted.broken
    assert told.rule == "overfitting"
    assert fitted.ensemble is not None
    assert fitted.rounds == told.round < 120


def test_shorter_trials_of_a_shared_fit_are_not_charged_with_what_came_after_them() -> None:
    short = trial(2, "xgboost", max_depth=8, eta=0.5, num_round=5, early_stopping_rounds=0)
    found = fit_all(noise(600, 1), [OVERFIT, short], noise(300, 2), plan=plan(overfitting="stop-trial", loss_not_decreasing="off"))
    assert [len(found[number].broken) for number in (1, 2)] == [1, 0]
    assert found[2].rounds == 5


def test_trees_without_splits_vanish() -> None:
    still = trial(1, "xgboost", gamma=1e9, num_round=40, early_stopping_rounds=0)
    fitted = fit_all(some_rows(500), [still], some_rows(200, seed=3), plan=plan(vanishing_gain="stop-trial"))[1]
    assert "vanishing-gain" in {one.rule for one in fitted.broken}
    assert fitted.rounds < 40


def test_an_exploding_fit_fails_with_its_reason_and_its_curve() -> None:
    wild = trial(1, "xgboost", eta=3.0, num_round=60, early_stopping_rounds=0, max_depth=5)
    fitted = fit_all(noise(400, 1), [wild], noise(300, 2), plan=plan())[1]
    assert fitted.ensemble is None
    assert fitted.error.startswith("stopped by a rule: the train loss was")
    assert fitted.curve


def test_an_ignored_class_is_told() -> None:
    draw = np.random.default_rng(5)
    x = draw.standard_normal((2000, 3)).astype(np.float32)
    rare = MemoryRows(x=x, label=(draw.random(2000) < 0.03).astype(np.int32), encoding=encoding_of((0, 0, 0)))
    few = trial(1, "xgboost", max_depth=2, num_round=5, early_stopping_rounds=0)
    fitted = fit_all(rare, [few], rare, plan=plan(loss_not_decreasing="off"))[1]
    assert [one.rule for one in fitted.broken] == ["class-ignored"]


@pytest.mark.parametrize("family", ["xgboost", "random_forest", "logistic_regression"])
def test_watching_changes_no_model(family: str) -> None:
    one = trial(1, family)
    watched = fit_all(some_rows(400), [one], some_rows(200, seed=3), plan=plan())[1]
    alone = fit_all(some_rows(400), [one], some_rows(200, seed=3), plan=FitPlan(metric="logLoss"))[1]
    assert watched.ensemble == alone.ensemble
