"""The tally: exact, bounded, and free of batches, order and engine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filon.engines.tally import Tallier, Tally, count, merge
from filon.errors import EngineError

TWO = ("no", "yes")
THREE = ("a", "b", "c")


def two(scores: np.ndarray | list[float]) -> np.ndarray:
    positive = np.asarray(scores, np.float32)
    return np.stack([1 - positive, positive], axis=1)


def drawn(rows: int, seed: int = 0, levels: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.random(rows, dtype=np.float32)
    if levels:
        scores = np.round(scores * levels).astype(np.float32) / np.float32(levels)
    return scores, (rng.random(rows) < scores).astype(np.int32)


def same(one: Tally, other: Tally) -> bool:
    return (
        (one.rows, one.unlabelled, one.resolution) == (other.rows, other.unlabelled, other.resolution)
        and np.array_equal(one.confusion, other.confusion)
        and all(
            np.array_equal(a.scores, b.scores) and np.array_equal(a.positives, b.positives) and np.array_equal(a.negatives, b.negatives)
            for a, b in zip(one.curves, other.curves, strict=True)
        )
    )


def test_counts_by_hand():
    tally = count(two([0.2, 0.7, 0.2, 0.5, 0.7]), np.array([0, 1, 1, 0, 1], np.int32), TWO)
    curve = tally.curves[0]
    assert curve.scores.tolist() == pytest.approx([0.2, 0.5, 0.7])
    assert curve.positives.tolist() == [1, 0, 2]
    assert curve.negatives.tolist() == [1, 1, 0]
    assert tally.confusion.tolist() == [[1, 1], [1, 2]]  # 0.5 is called positive
    assert (tally.rows, tally.unlabelled, tally.resolution, tally.weight_squares) == (5, 0, 0.0, 5.0)


def test_counts_what_plain_numpy_counts():
    scores, label = drawn(30_000, levels=997)
    curve = count(two(scores), label, TWO).curves[0]
    values, place = np.unique(scores, return_inverse=True)
    assert np.array_equal(curve.scores, values)
    assert np.array_equal(curve.positives, np.bincount(place, label == 1))
    assert np.array_equal(curve.negatives, np.bincount(place, label == 0))


def test_weighted_counts_what_plain_numpy_sums():
    scores, label = drawn(5_000, levels=97)
    weight = np.random.default_rng(1).exponential(size=5_000)
    tally = count(two(scores), label, TWO, weight)
    _, place = np.unique(scores, return_inverse=True)
    np.testing.assert_allclose(tally.curves[0].positives, np.bincount(place, weight * label), rtol=1e-12)
    np.testing.assert_allclose(tally.curves[0].negatives, np.bincount(place, weight * (1 - label)), rtol=1e-12)
    assert tally.weight_squares == pytest.approx((weight**2).sum())
    assert tally.confusion.sum() == pytest.approx(weight.sum())


def test_weights_of_one_are_no_weights():
    scores, label = drawn(3_000)
    assert same(count(two(scores), label, TWO), count(two(scores), label, TWO, np.ones(3_000)))


def test_rows_of_no_weight_leave_no_score():
    tally = count(two([0.1, 0.9]), np.array([0, 1], np.int32), TWO, np.array([0.0, 2.0]))
    assert tally.curves[0].scores.tolist() == pytest.approx([0.9])
    assert tally.rows == 2


def test_unlabelled_rows_are_counted_apart():
    tally = count(two([0.1, 0.9, 0.4]), np.array([-1, 1, -1], np.int32), TWO, np.array([5.0, 1.0, 5.0]))
    assert (tally.rows, tally.unlabelled) == (3, 2)
    assert tally.confusion.sum() == 1
    assert tally.weight_squares == 1


def test_many_classes_have_one_curve_each_and_the_first_of_equals_is_predicted():
    probability = np.array([[0.4, 0.4, 0.2], [0.1, 0.2, 0.7], [0.3, 0.35, 0.35]], np.float32)
    tally = count(probability, np.array([1, 2, 0], np.int32), THREE)
    assert len(tally.curves) == 3
    assert tally.curves[2].positives.sum() == 1
    assert tally.confusion.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.500001, 0.9, 1.0]), st.integers(-1, 1)), max_size=60),
    st.integers(1, 9),
    st.integers(1, 12),
    st.randoms(use_true_random=False),
)
def test_batches_and_their_order_do_not_matter(rows, batch, buffer, random):
    whole = Tallier(TWO)
    scores, label = np.array([row[0] for row in rows], np.float32), np.array([row[1] for row in rows], np.int32)
    whole.add(two(scores), label)
    parts = [slice(start, start + batch) for start in range(0, len(rows), batch)]
    random.shuffle(parts)
    streamed = Tallier(TWO, buffer=buffer)
    for part in parts:
        streamed.add(two(scores[part]), label[part])
    assert same(whole.result(), streamed.result())
    if parts:
        assert same(whole.result(), merge(count(two(scores[part]), label[part], TWO) for part in parts))


def test_more_may_be_added_after_a_result():
    tallier = Tallier(TWO)
    tallier.add(two([0.3]), np.array([0], np.int32))
    assert tallier.result().rows == 1
    tallier.add(two([0.8]), np.array([1], np.int32))
    assert same(tallier.result(), count(two([0.3, 0.8]), np.array([0, 1], np.int32), TWO))


def test_three_hundred_thousand_distinct_scores_are_kept_exactly():
    scores, label = drawn(300_000)
    tally = count(two(scores), label, TWO)
    assert len(tally.curves[0].scores) == len(np.unique(scores))
    assert tally.resolution == 0.0


def area(tally: Tally) -> float:
    curve = tally.curves[0]
    below = np.cumsum(curve.negatives) - curve.negatives / 2
    return float(curve.positives @ below / curve.positives.sum() / curve.negatives.sum())


def test_too_many_scores_are_binned_finely_and_it_is_said():
    scores, label = drawn(400_000)
    exact, bounded = count(two(scores), label, TWO), count(two(scores), label, TWO, most=1 << 14)
    assert len(bounded.curves[0].scores) <= 1 << 14
    assert bounded.resolution > 0
    scores, bins = exact.curves[0].scores, bounded.curves[0].scores
    right = np.clip(np.searchsorted(bins, scores), 1, len(bins) - 1)
    distance = np.minimum(np.abs(scores - bins[right]), np.abs(scores - bins[right - 1]))
    assert np.all(distance <= bounded.resolution * scores)
    assert bounded.curves[0].positives.sum() == exact.curves[0].positives.sum()
    assert np.array_equal(bounded.confusion, exact.confusion)
    assert abs(area(bounded) - area(exact)) < 1e-6


def test_binning_is_free_of_order():
    scores, label = drawn(60_000)
    parts = [slice(start, start + 7_000) for start in range(0, 60_000, 7_000)]

    def merged(order):
        return merge((count(two(scores[part]), label[part], TWO, most=5_000) for part in order), most=5_000)

    whole = count(two(scores), label, TWO, most=5_000)
    assert same(merged(parts), merged(reversed(parts)))
    assert same(merged(parts), whole)
    assert whole.resolution > 0


def test_a_score_of_one_stays_one_when_binned():
    scores = np.concatenate([np.linspace(0, 1, 5_000, dtype=np.float32), np.ones(10, np.float32)])
    tally = count(two(scores), np.ones(5_010, np.int32), TWO, most=64)
    assert tally.curves[0].scores.max() == 1.0
    assert tally.curves[0].positives.sum() == 5_010


def test_rounding_beyond_the_unit_interval_is_brought_back():
    tally = count(two([-1e-7, -0.0, 1.0000001, 0.5]), np.array([0, 0, 1, 1], np.int32), TWO)
    assert tally.curves[0].scores.tolist() == [0.0, 0.5, 1.0]
    assert tally.curves[0].negatives.tolist() == [2, 0, 0]


def test_a_probability_that_is_no_number_is_refused():
    with pytest.raises(EngineError) as caught:
        count(two([0.2, float("nan")]), np.array([0, 1], np.int32), TWO)
    assert caught.value.code == "engines.score-not-a-number"


def test_no_rows_give_an_empty_tally():
    tally = count(np.empty((0, 2), np.float32), np.empty(0, np.int32), TWO)
    assert tally.rows == 0
    assert len(tally.curves[0].scores) == 0
    assert same(merge([tally, tally]), tally)


def test_nothing_and_strangers_are_not_merged():
    with pytest.raises(ValueError, match="nothing to merge"):
        merge([])
    with pytest.raises(ValueError, match="different classes"):
        merge([count(two([0.1]), np.array([0], np.int32), TWO), count(two([0.1]), np.array([0], np.int32), ("a", "b"))])


def test_a_label_beyond_the_classes_is_refused():
    with pytest.raises(ValueError, match="beyond the classes"):
        count(two([0.1]), np.array([7], np.int32), TWO)
