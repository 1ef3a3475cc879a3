"""The decision threshold: the best there is, and not on the edge of a score."""

import numpy as np
import pytest
from sklearn import metrics as sk
from tests.unit.evaluate.examples import tally_many, tally_two

from filon.engines.tally import count
from filon.evaluate.cells import cells_of
from filon.evaluate.settings import EvaluateSettings
from filon.evaluate.thresholds import choose_threshold, decide, decisions

TWO = ("no", "yes")


def rows(seed: int = 0, number: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = (np.round(rng.random(number) * 50) / 50).astype(np.float32)
    return scores, (rng.random(number) < scores**2).astype(np.int32)


def tally_of(scores, label):
    positive = np.asarray(scores, np.float32)
    return count(np.stack([1 - positive, positive], 1), np.asarray(label, np.int32), TWO)


@pytest.mark.parametrize(
    ("goal", "measure"), [("f1", sk.f1_score), ("accuracy", sk.accuracy_score), ("balanced", sk.balanced_accuracy_score)]
)
def test_no_other_threshold_does_better(goal, measure):
    scores, label = rows()
    threshold = choose_threshold(tally_of(scores, label), EvaluateSettings(threshold=goal))
    best = max(measure(label, scores >= t) for t in np.unique(scores))
    assert measure(label, scores >= threshold) == pytest.approx(best)


def test_the_threshold_stands_between_two_scores():
    threshold = choose_threshold(tally_of([0.2, 0.2, 0.6, 0.8], [0, 0, 1, 1]), EvaluateSettings())
    assert threshold == pytest.approx(0.4)
    assert threshold == float(np.float32(threshold))


def test_rounding_of_another_scorer_changes_no_call():
    scores, label = rows(3)
    threshold = choose_threshold(tally_of(scores, label), EvaluateSettings())
    assert np.array_equal(scores >= threshold, scores + np.float32(1e-6) >= threshold)
    assert np.array_equal(scores >= threshold, scores - np.float32(1e-6) >= threshold)


def test_of_equally_good_thresholds_the_nearest_to_a_half_is_taken():
    # every threshold from 0.1 to 0.9 calls the same rows
    assert choose_threshold(tally_of([0.1, 0.9], [0, 1]), EvaluateSettings()) == pytest.approx(0.5)
    assert choose_threshold(tally_of([0.1, 0.5, 0.9], [0, 0, 0]), EvaluateSettings()) == 0.5


def test_a_number_is_itself_and_half_is_half():
    tally = tally_two(100, 0)
    assert choose_threshold(tally, EvaluateSettings(threshold=0.3)) == 0.3
    assert choose_threshold(tally, EvaluateSettings(threshold="half")) == 0.5


def test_many_classes_have_no_threshold():
    assert choose_threshold(tally_many(50, 0), EvaluateSettings()) is None


def test_decide_counts_the_confusion_and_its_metrics():
    scores, label = rows(1)
    found = decide(tally_of(scores, label), 0.3)
    tn, fp, fn, tp = sk.confusion_matrix(label, scores >= np.float32(0.3)).ravel()
    assert (found.tn, found.fp, found.fn, found.tp) == (tn, fp, fn, tp)
    metrics = found.metrics()
    assert metrics["f1"] == pytest.approx(sk.f1_score(label, scores >= np.float32(0.3)))
    assert metrics["specificity"] == pytest.approx(tn / (tn + fp))
    assert decide(tally_of(scores, label), 2.0).metrics()["precision"] is None


def test_decisions_cover_the_scores_and_hold_the_chosen_one_exactly():
    tally = tally_two(500, 2)
    chosen = 0.123456789
    table = decisions(cells_of(tally.curves[0]), chosen)
    assert len(table) <= 103
    assert chosen in [each.threshold for each in table]
    assert [each.threshold for each in table] == sorted(each.threshold for each in table)
    for each in table:
        assert each == decide(tally, each.threshold)
