"""Each rule on curves drawn by hand, and in the trainer."""

import pickle

import numpy as np
import pytest

from filon.engines.base import CurvePoint
from filon.rules import CURVE_RULES, RulesSettings, Watcher, outcome
from filon.rules.curve import exploding_loss, loss_not_decreasing, overfitting, vanishing_gain

SETTINGS = RulesSettings()


def curve(valid: list[float], train: list[float] | None = None) -> list[CurvePoint]:
    sides = zip(valid, train or [None] * len(valid), strict=True)
    return [CurvePoint(round=number, train=left, valid=right) for number, (right, left) in enumerate(sides, 1)]


GOOD = curve([0.7 * 0.97**k + 0.1 for k in range(60)], [0.7 * 0.95**k + 0.05 for k in range(60)])


@pytest.mark.parametrize("rule", CURVE_RULES.values(), ids=CURVE_RULES)
def test_a_good_fit_breaks_no_rule_at_any_round(rule) -> None:
    assert [rule(GOOD[:seen], False, SETTINGS) for seen in range(1, 61)] == [""] * 60


def test_a_loss_that_does_not_fall_is_told_after_patience_rounds() -> None:
    still = curve([0.693] * 40)
    assert not loss_not_decreasing(still[:19], False, SETTINGS)
    assert "0.693" in loss_not_decreasing(still[:20], False, SETTINGS)


def test_a_metric_that_rises_is_read_the_other_way_round() -> None:
    rising = curve([0.5 + 0.01 * k for k in range(30)])
    assert not loss_not_decreasing(rising, True, SETTINGS)
    assert loss_not_decreasing(rising, False, SETTINGS)


def test_a_table_that_is_easy_from_the_first_round_breaks_nothing() -> None:
    perfect = curve([1.0] * 40, [1.0] * 40)
    assert [rule(perfect, True, SETTINGS) for rule in CURVE_RULES.values()] == [""] * len(CURVE_RULES)


def test_overfitting_needs_validation_worse_and_training_better() -> None:
    down = [0.6 - 0.005 * k for k in range(60)]
    worse = [0.6 - 0.02 * k if k < 10 else 0.42 + 0.004 * (k - 9) for k in range(60)]
    assert "while the training loss fell" in overfitting(curve(worse, down), False, SETTINGS)
    assert not overfitting(curve(worse, [0.5 + 0.001 * k for k in range(60)]), False, SETTINGS)
    assert not overfitting(curve(down, down), False, SETTINGS)


def test_rounds_that_change_nothing_are_told_and_a_plateau_of_one_side_is_not() -> None:
    flat = curve([0.5] * 15, [0.5] * 15)
    assert "changed nothing" in vanishing_gain(flat, False, SETTINGS)
    assert not vanishing_gain(flat[:10], False, SETTINGS)
    assert not vanishing_gain(curve([0.5] * 15, [0.5 - 0.001 * k for k in range(15)]), False, SETTINGS)


def test_a_loss_that_explodes_or_is_no_number_is_told() -> None:
    assert "is 1.6" in exploding_loss(curve([0.7, 0.9, 1.6]), False, SETTINGS)
    assert "no number" in exploding_loss(curve([0.7, float("nan")]), False, SETTINGS)
    assert not exploding_loss(curve([0.001, 0.01]), False, SETTINGS)
    assert not exploding_loss(curve([float("nan"), float("nan")]), False, SETTINGS)


def test_a_rule_speaks_once_and_stops_only_if_asked_to() -> None:
    still = curve([0.693] * 60)
    heard = {}
    for action in ("off", "warn", "stop-trial", "stop-run"):
        watcher = Watcher(RulesSettings(loss_not_decreasing=action, vanishing_gain="off"), rising=False)
        for seen in range(1, 61):
            watcher(still[:seen])
        heard[action] = (len(watcher.broken), watcher.stopped)
    assert heard == {"off": (0, False), "warn": (1, False), "stop-trial": (1, True), "stop-run": (1, True)}


def test_a_class_that_is_never_predicted_is_told_unless_it_is_tiny() -> None:
    ignored = np.array([[900.0, 0.0], [40.0, 0.0]])
    (told,) = outcome(ignored, ("no", "yes"), 7, SETTINGS)
    assert (told.rule, told.round, told.useless) == ("class-ignored", 7, False)
    assert "'yes' (40 rows)" in told.why
    assert outcome(ignored, ("no", "yes"), 7, RulesSettings(class_ignored="stop-trial"))[0].useless
    assert not outcome(np.array([[900.0, 0.0], [19.0, 0.0]]), ("no", "yes"), 7, SETTINGS)
    assert not outcome(np.array([[900.0, 0.0], [39.0, 1.0]]), ("no", "yes"), 7, SETTINGS)


def test_settings_travel_to_the_tasks_of_a_cluster() -> None:
    assert pickle.loads(pickle.dumps(SETTINGS)) == SETTINGS
