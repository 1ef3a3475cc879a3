"""Two models on the same rows."""

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import average_precision_score, brier_score_loss, f1_score, log_loss, roc_auc_score

from filon.registry.paired import Answers, compare, mcnemar

CLASSES = ("no", "yes")


def answers(scores: np.ndarray) -> Answers:
    shares = np.stack([1 - scores, scores], axis=1).astype(np.float32)
    return Answers(probability=shares, chosen=(shares[:, 1] >= np.float32(0.5)).astype(np.int64))


def two(rows: int = 3000, seed: int = 1, worse: float = 0.6) -> tuple[np.ndarray, Answers, Answers]:
    draw = np.random.default_rng(seed)
    pull = draw.normal(size=rows)
    label = (draw.random(rows) < 1 / (1 + np.exp(-2 * pull))).astype(np.int64)
    good = 1 / (1 + np.exp(-(2 * pull + draw.normal(0, 0.3, rows))))
    bad = 1 / (1 + np.exp(-(2 * pull + draw.normal(0, 0.3 + worse * 3, rows))))
    return label, answers(good), answers(bad)


def test_values_are_those_of_scikit_learn() -> None:
    label, good, bad = two()
    found = compare(bad, good, label, CLASSES, resamples=50).metrics
    for side, one in (("left", bad), ("right", good)):
        scores = one.probability[:, 1].astype(np.float64)
        assert getattr(found["areaUnderROC"], side) == pytest.approx(roc_auc_score(label, scores), abs=1e-9)
        assert getattr(found["average_precision"], side) == pytest.approx(average_precision_score(label, scores), abs=1e-9)
        assert getattr(found["logLoss"], side) == pytest.approx(log_loss(label, scores), abs=1e-6)
        assert getattr(found["brier"], side) == pytest.approx(brier_score_loss(label, scores), abs=1e-9)
        assert getattr(found["f1"], side) == pytest.approx(f1_score(label, one.chosen, average="weighted"), abs=1e-9)


def test_a_better_model_is_told_from_a_worse_one_and_not_from_itself() -> None:
    label, good, bad = two()
    apart = compare(bad, good, label, CLASSES, resamples=200).metrics["areaUnderROC"]
    assert apart.lower is not None
    assert 0 < apart.lower < apart.value < apart.upper
    same = compare(good, good, label, CLASSES, resamples=200).metrics["areaUnderROC"]
    assert (same.lower, same.value, same.upper) == (0, 0, 0)


def test_the_interval_is_that_of_a_plain_paired_bootstrap() -> None:
    label, good, bad = two(rows=800)
    found = compare(bad, good, label, CLASSES, resamples=1500).metrics["areaUnderROC"]
    draw = np.random.default_rng(9)
    plain = []
    for _ in range(1500):
        rows = draw.integers(0, len(label), len(label))
        plain.append(roc_auc_score(label[rows], good.probability[rows, 1]) - roc_auc_score(label[rows], bad.probability[rows, 1]))
    low, high = np.quantile(plain, [0.025, 0.975])
    assert found.lower == pytest.approx(low, abs=0.1 * (high - low))
    assert found.upper == pytest.approx(high, abs=0.1 * (high - low))


def test_under_no_difference_the_interval_misses_zero_about_as_often_as_it_says() -> None:
    missed = 0
    for seed in range(120):
        draw = np.random.default_rng(seed)
        label = (draw.random(400) < 0.4).astype(np.int64)
        base = label + draw.normal(0, 1.2, 400)
        one, other = (answers(1 / (1 + np.exp(-(base + draw.normal(0, 0.8, 400))))) for _ in range(2))
        found = compare(one, other, label, CLASSES, resamples=150, seed=seed).metrics["areaUnderROC"]
        missed += not found.lower <= 0 <= found.upper
    assert missed <= 14  # of 120 at 95 %: 6 expected, 14 and fewer in 999 of 1,000 worlds


def test_grouped_scores_change_nothing_but_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    label, good, bad = two(rows=6000)
    fine = compare(bad, good, label, CLASSES, resamples=60).metrics
    monkeypatch.setattr("filon.registry.paired.CELLS", 256)
    coarse = compare(bad, good, label, CLASSES, resamples=60).metrics
    for name in ("areaUnderROC", "areaUnderPR", "ks"):
        assert coarse[name].value == fine[name].value
        width = fine[name].upper - fine[name].lower
        assert coarse[name].lower == pytest.approx(fine[name].lower, abs=0.15 * width)


def test_weights_count_as_rows_do_in_the_value() -> None:
    label, good, bad = two(rows=500)
    weight = np.random.default_rng(3).integers(1, 4, 500).astype(np.float64)
    weighted = compare(bad, good, label, CLASSES, weight=weight, resamples=50).metrics["areaUnderROC"]
    many = np.repeat(np.arange(500), weight.astype(int))
    repeated = compare(answers(bad.probability[many, 1]), answers(good.probability[many, 1]), label[many], CLASSES, resamples=50)
    assert weighted.value == pytest.approx(repeated.metrics["areaUnderROC"].value, abs=1e-9)


def test_many_classes_have_the_metrics_that_exist_for_them() -> None:
    draw = np.random.default_rng(2)
    label = draw.integers(0, 3, 900)
    both = []
    for noise in (2.0, 0.7):
        margin = np.eye(3)[label] * 2 + draw.normal(0, noise, (900, 3))
        shares = (np.exp(margin) / np.exp(margin).sum(1, keepdims=True)).astype(np.float32)
        both.append(Answers(probability=shares, chosen=shares.argmax(1)))
    found = compare(both[0], both[1], label, ("a", "b", "c"), resamples=100)
    assert "f1_positive" not in found.metrics
    for name in ("areaUnderROC", "accuracy", "macroF1"):
        assert found.metrics[name].lower > 0
    assert found.metrics["logLoss"].upper < 0


def test_mcnemar_is_the_binomial_of_the_rows_that_tell() -> None:
    left = np.array([True] * 10 + [False] * 2 + [True] * 5 + [False])
    right = np.array([False] * 10 + [True] * 2 + [True] * 5 + [False])
    found = mcnemar(left, right)
    assert (found.both, found.only_left, found.only_right, found.neither) == (5, 10, 2, 1)
    assert found.p == pytest.approx(2 * binom.cdf(2, 12, 0.5))
