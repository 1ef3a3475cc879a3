"""Metrics agree with scikit-learn and with Spark's definitions to 1e-9, and say so when they are not defined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk
from tests.unit.evaluate import plain

from filon.engines.tally import count
from filon.evaluate import metrics
from filon.search.settings import METRICS

TWO = ("no", "yes")
FOUR = ("a", "b", "c", "d")
CLOSE = {"rel": 0, "abs": 1e-9}


def two(scores) -> np.ndarray:
    positive = np.asarray(scores, np.float32)
    return np.stack([1 - positive, positive], axis=1)


def binary(rows: int = 4_000, levels: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = (np.round(rng.beta(2, 5, rows) * levels) / levels).astype(np.float32)
    label = (rng.random(rows) < 0.6 * scores).astype(np.int32)
    return scores, label, rng.exponential(size=rows) + 0.01


def many(rows: int = 3_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities that sum to one in float32 exactly (multiples of 1/256), so that both sides see the same numbers."""
    rng = np.random.default_rng(seed)
    label = rng.choice(4, rows, p=[0.5, 0.3, 0.15, 0.05]).astype(np.int32)
    counts = np.stack([rng.multinomial(252, p) for p in rng.dirichlet(np.ones(4), rows)]) + 1
    counts[np.arange(rows), label] += 60
    counts = np.floor(counts * (256 / counts.sum(1, keepdims=True))).astype(int)
    counts[:, 0] += 256 - counts.sum(1)
    return (counts / 256).astype(np.float32), label, rng.exponential(size=rows) + 0.01


@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_agree_with_scikit_learn(weighted):
    scores, label, weight = binary()
    sample = weight if weighted else None
    found = metrics.values(count(two(scores), label, TWO, sample))
    exact, predicted = scores.astype(np.float64), (scores >= 0.5).astype(int)
    fpr, tpr, _ = sk.roc_curve(label, exact, sample_weight=sample, drop_intermediate=False)
    expected = {
        "areaUnderROC": sk.roc_auc_score(label, exact, sample_weight=sample),
        "average_precision": sk.average_precision_score(label, exact, sample_weight=sample),
        "ks": np.abs(tpr - fpr).max(),
        "logLoss": sk.log_loss(label, np.clip(exact, 1e-15, 1 - 1e-15), sample_weight=sample),
        "brier": sk.brier_score_loss(label, exact, sample_weight=sample),
        "accuracy": sk.accuracy_score(label, predicted, sample_weight=sample),
        "f1": sk.f1_score(label, predicted, average="weighted", sample_weight=sample),
        "weightedPrecision": sk.precision_score(label, predicted, average="weighted", sample_weight=sample),
        "weightedRecall": sk.recall_score(label, predicted, average="weighted", sample_weight=sample),
        "macroPrecision": sk.precision_score(label, predicted, average="macro", sample_weight=sample),
        "macroRecall": sk.balanced_accuracy_score(label, predicted, sample_weight=sample),
        "macroF1": sk.f1_score(label, predicted, average="macro", sample_weight=sample),
        "precision_positive": sk.precision_score(label, predicted, sample_weight=sample),
        "recall_positive": sk.recall_score(label, predicted, sample_weight=sample),
        "f1_positive": sk.f1_score(label, predicted, sample_weight=sample),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, **CLOSE)


@pytest.mark.parametrize("weighted", [False, True])
def test_two_classes_agree_with_spark(weighted):
    scores, label, weight = binary(levels=60)
    weights = weight if weighted else np.ones(len(label))
    found = metrics.values(count(two(scores), label, TWO, weight if weighted else None))
    expected = {
        "areaUnderROC": plain.area_under_roc(scores, label, weights),
        "areaUnderPR": plain.area_under_pr(scores, label, weights),
        "logLoss": plain.log_loss(np.stack([1 - scores.astype(float), scores.astype(float)], 1), label, weights),
        **plain.by_class(label, (scores >= 0.5).astype(int), weights),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, **CLOSE)


@pytest.mark.parametrize("weighted", [False, True])
def test_many_classes_agree_with_scikit_learn_and_spark(weighted):
    probability, label, weight = many()
    sample = weight if weighted else None
    found = metrics.values(count(probability, label, FOUR, sample))
    exact, predicted = probability.astype(np.float64), probability.argmax(1)
    one_hot = np.eye(4)[label]
    expected = {
        "average_precision": sk.average_precision_score(one_hot, exact, average="macro", sample_weight=sample),
        "logLoss": sk.log_loss(label, exact, sample_weight=sample),
        "brier": sk.brier_score_loss(label, exact, sample_weight=sample),
        "areaUnderROC": sk.roc_auc_score(one_hot, exact, average="macro", sample_weight=sample),
        "areaUnderPR": np.mean(
            [plain.area_under_pr(exact[:, c], label == c, weight if weighted else np.ones(len(label))) for c in range(4)]
        ),
        "macroF1": sk.f1_score(label, predicted, average="macro", sample_weight=sample),
        "macroRecall": sk.balanced_accuracy_score(label, predicted, sample_weight=sample),
        **plain.by_class(label, predicted, weight if weighted else np.ones(len(label))),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, **CLOSE)
    assert "f1_positive" not in found


def test_worked_by_hand():
    # scores 0.9+ 0.8- 0.7+ 0.7- 0.3-: three pairs won, two of them by half
    tally = count(two([0.9, 0.8, 0.7, 0.7, 0.3]), np.array([1, 0, 1, 0, 0], np.int32), TWO)
    assert metrics.value(tally, "areaUnderROC") == pytest.approx((3 + 1 + 0.5) / 6)
    # recall 1/2 at precision 1, then 1/2 at 1/2, then 1 at 2/4
    assert metrics.value(tally, "areaUnderPR") == pytest.approx(0.5 * 1 + 0.5 * (0.5 + 0.5) / 2)
    assert metrics.value(tally, "average_precision") == pytest.approx(0.5 * 1 + 0.5 * 0.5)
    assert metrics.value(tally, "accuracy") == pytest.approx(3 / 5)


def test_a_certain_mistake_costs_what_spark_says():
    tally = count(two([0.0, 1.0]), np.array([1, 1], np.int32), TWO)
    assert metrics.value(tally, "logLoss") == pytest.approx(-np.log(1e-15) / 2)
    other = count(two([0.0, 1.0]), np.array([0, 0], np.int32), TWO)
    assert metrics.value(other, "logLoss") == pytest.approx(-np.log(1e-15) / 2, rel=1e-9)


@pytest.mark.parametrize(
    ("label", "name", "why"),
    [
        ([1, 1], "areaUnderROC", "no-negative-rows"),
        ([0, 0], "areaUnderROC", "no-positive-rows"),
        ([0, 0], "areaUnderPR", "no-positive-rows"),
        ([0, 0], "recall_positive", "no-positive-rows"),
        ([0, 1], "precision_positive", "never-predicted"),
        ([-1, -1], "accuracy", "no-rows"),
        ([-1, -1], "logLoss", "no-rows"),
        ([-1, -1], "areaUnderROC", "no-rows"),
    ],
)
def test_an_undefined_metric_is_none_and_says_why(label, name, why):
    tally = count(two([0.1, 0.2]), np.array(label, np.int32), TWO)
    assert metrics.value(tally, name) is None
    assert metrics.why_not(tally, name) == why


def test_absent_classes_are_left_out_of_means_and_named():
    probability = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.4, 0.1]], np.float32)
    tally = count(probability, np.array([0, 1, 1], np.int32), ("a", "b", "c"))
    assert metrics.value(tally, "areaUnderROC") == pytest.approx(1.0)
    assert metrics.why_not(tally, "areaUnderROC") == "classes-left-out"


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.5, 0.9, 1.0]), st.integers(-1, 1), st.sampled_from([0.0, 1.0, 2.5])), max_size=12)
)
def test_no_pattern_of_rows_crashes_and_none_has_a_reason(rows):
    scores, label, weight = (np.array([row[i] for row in rows], kind) for i, kind in ((0, np.float32), (1, np.int32), (2, np.float64)))
    tally = count(two(scores), label, TWO, weight)
    for name, value in metrics.values(tally).items():
        assert (value is None) == (metrics.why_not(tally, name) not in ("", "classes-left-out")), name
        assert value is None or np.isfinite(value)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3)), max_size=12))
def test_no_pattern_of_many_classes_crashes(rows):
    probability = np.full((len(rows), 4), 0.1, np.float32)
    probability[np.arange(len(rows)), [row[0] for row in rows]] = 0.7
    tally = count(probability, np.array([row[1] for row in rows], np.int32), FOUR)
    for name, value in metrics.values(tally).items():
        assert (value is None) == (metrics.why_not(tally, name) not in ("", "classes-left-out")), name


@given(st.floats(0.01, 0.99), st.integers(1, 20), st.integers(1, 20))
def test_equal_scores_rank_as_chance(score, positives, negatives):
    label = np.array([1] * positives + [0] * negatives, np.int32)
    tally = count(two(np.full(len(label), score)), label, TWO)
    assert metrics.value(tally, "areaUnderROC") == pytest.approx(0.5)
    assert metrics.value(tally, "areaUnderPR") == pytest.approx(positives / (positives + negatives))


def test_by_class_tells_each_class_and_undefined_precision_is_none():
    scores, label, _ = binary()
    tally = count(two(scores), label, TWO)
    table = metrics.by_class(metrics.Reading(tally), tally.confusion)
    assert table["no"]["areaUnderROC"] == pytest.approx(table["yes"]["areaUnderROC"])
    assert table["no"]["areaUnderPR"] == pytest.approx(plain.area_under_pr(1 - scores.astype(float), label == 0, np.ones(len(label))))
    assert table["yes"]["rows"] == label.sum()
    never = count(two([0.1, 0.2]), np.array([0, 1], np.int32), TWO)
    assert metrics.by_class(metrics.Reading(never), never.confusion)["yes"]["precision"] is None


def test_every_metric_of_the_recipe_exists_and_knows_its_direction():
    assert set(METRICS) <= set(metrics.NAMES)
    assert {name for name in metrics.NAMES if metrics.better(name) == "lower"} == {"logLoss", "brier"}
