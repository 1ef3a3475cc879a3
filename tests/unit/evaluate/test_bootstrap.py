"""Intervals: seeded, honest about weights, and true as often as they say."""

import numpy as np
import pytest
from tests.unit.evaluate.examples import tally_many, tally_two

from filon.engines.tally import Tally, count
from filon.evaluate import bootstrap, metrics
from filon.evaluate.settings import EvaluateSettings
from filon.evaluate.thresholds import decide

SETTINGS = EvaluateSettings(resamples=400)


def drawn(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = (rng.random(rows) < 0.3).astype(np.int32)
    positive = (1 / (1 + np.exp(-(rng.normal(size=rows) + label - 0.5)))).astype(np.float32)
    return np.stack([1 - positive, positive], 1), label


def width(tally: Tally, name: str) -> float:
    found = bootstrap.intervals(metrics.Reading(tally), SETTINGS, 0)[name]
    return found.upper - found.lower


def test_the_same_seed_gives_the_same_interval_and_another_another():
    tally = tally_two(300, 0)
    first, again, other = (bootstrap.intervals(metrics.Reading(tally), SETTINGS, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_values_are_exact_and_inside_their_intervals():
    for tally in (tally_two(300, 0), tally_many(300, 0)):
        for name, found in bootstrap.intervals(metrics.Reading(tally), SETTINGS, 0).items():
            assert found.value == metrics.value(tally, name)
            assert found.lower <= found.value <= found.upper


def test_an_interval_holds_the_truth_as_often_as_it_says():
    """True areaUnderROC of two normals a unit apart is the normal distribution at 1 / sqrt 2: 0.7602."""
    settings = EvaluateSettings(resamples=150)
    hits = {"areaUnderROC": 0, "accuracy": 0}
    truth = {"areaUnderROC": 0.76025, "accuracy": 0.0}
    probability, label = drawn(400_000, 99)
    truth["accuracy"] = metrics.value(count(probability, label, ("no", "yes")), "accuracy")
    trials = 120
    for seed in range(trials):
        probability, label = drawn(250, seed)
        found = bootstrap.intervals(metrics.Reading(count(probability, label, ("no", "yes"))), settings, seed)
        for name in hits:
            hits[name] += found[name].lower <= truth[name] <= found[name].upper
    assert 0.90 <= hits["areaUnderROC"] / trials <= 0.985
    assert 0.90 <= hits["accuracy"] / trials <= 0.985


def test_four_times_the_rows_halve_the_interval():
    ratio = width(tally_two(4_000, 0), "areaUnderROC") / width(tally_two(1_000, 0), "areaUnderROC")
    assert 0.35 < ratio < 0.7


def test_doubling_every_weight_tells_nothing_new():
    probability, label = drawn(500, 0)
    plain = count(probability, label, ("no", "yes"))
    doubled = count(probability, label, ("no", "yes"), np.full(500, 2.0))
    assert bootstrap.worth_of(doubled) == pytest.approx(0.5)
    assert width(doubled, "areaUnderROC") == pytest.approx(width(plain, "areaUnderROC"), rel=1e-9)


def test_uneven_weights_widen_the_interval():
    probability, label = drawn(1_000, 0)
    weight = np.where(np.arange(1_000) % 10 == 0, 10.0, 0.1)
    assert width(count(probability, label, ("no", "yes"), weight), "accuracy") > 1.8 * width(
        count(probability, label, ("no", "yes")), "accuracy"
    )


def test_grouping_many_scores_moves_no_bound_that_matters(monkeypatch):
    probability, label = drawn(6_000, 0)
    tally = count(probability, label, ("no", "yes"))
    grouped = bootstrap.intervals(metrics.Reading(tally), SETTINGS, 0)
    monkeypatch.setattr(bootstrap, "CELLS", 1 << 20)
    whole = bootstrap.intervals(metrics.Reading(tally), SETTINGS, 0)
    for name in metrics.names(2):
        spread = whole[name].upper - whole[name].lower
        assert abs(grouped[name].lower - whole[name].lower) < 0.2 * spread, name
        assert abs(grouped[name].upper - whole[name].upper) < 0.2 * spread, name


def test_an_undefined_metric_has_no_interval_but_a_reason():
    tally = count(np.array([[0.9, 0.1]], np.float32), np.array([0], np.int32), ("no", "yes"))
    found = bootstrap.intervals(metrics.Reading(tally), SETTINGS, 0)
    assert (found["areaUnderROC"].value, found["areaUnderROC"].lower, found["areaUnderROC"].why) == (None, None, "no-positive-rows")
    assert found["accuracy"].value == 1.0


def test_decision_intervals_hold_their_values():
    tally = tally_two(400, 1)
    exact = decide(tally, 0.3).metrics()
    found = bootstrap.decision_intervals(tally, 0.3, exact, SETTINGS, 0)
    assert set(found) == set(exact)
    for name, interval in found.items():
        assert interval.lower <= exact[name] <= interval.upper


@pytest.mark.parametrize("classes", [3, 50])
def test_the_brier_score_of_many_classes_is_as_sure_as_its_rows_make_it(classes):
    rng = np.random.default_rng(5)
    probability = rng.dirichlet(np.full(classes, 0.3), 900).astype(np.float32)
    label = np.array([rng.choice(classes, p=row / row.sum()) for row in probability.astype(float)], np.int32)
    rows = ((probability - np.eye(classes)[label]) ** 2).sum(1)
    wide = 2 * 1.96 * rows.std() / np.sqrt(len(rows))
    assert 0.9 * wide < width(count(probability, label, tuple(map(str, range(classes)))), "brier") < 1.4 * wide
