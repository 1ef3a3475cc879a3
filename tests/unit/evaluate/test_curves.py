"""What is drawn: thin, true to the metric, and worked by hand."""

import numpy as np
import pytest
from scipy.stats import norm
from tests.unit.evaluate.examples import tally_two

from filon.engines.tally import count
from filon.evaluate import curves
from filon.evaluate.cells import Cells, cells_of, pr_area, roc_area, sweep


def cells(rows: int = 30_000, seed: int = 0) -> Cells:
    rng = np.random.default_rng(seed)
    scores = rng.random(rows, dtype=np.float32)
    label = (rng.random(rows) < scores * 0.4).astype(np.int32)
    return cells_of(count(np.stack([1 - scores, scores], 1), label, ("no", "yes")).curves[0])


def test_drawn_curves_are_thin_and_have_the_area_of_the_metric():
    swept = sweep(cells())
    for points, area in ((curves.roc_points(swept), roc_area(swept)), (curves.pr_points(swept), pr_area(swept))):
        assert len(points.x) < 2_500
        assert list(points.x) == sorted(points.x)
        assert np.trapezoid(points.y, points.x) == pytest.approx(float(area), abs=2e-3)
    roc = curves.roc_points(swept)
    assert (roc.x[0], roc.y[0], roc.x[-1], roc.y[-1]) == (0, 0, 1, 1)


def test_lift_by_hand():
    # 40 rows, 10 positive; the best 10 scores hold 8 of them, and ties are taken in proportion
    some = Cells(np.array([0.1, 0.9]), np.array([2.0, 8.0]), np.array([28.0, 2.0]))
    quarter, half = curves.lift(some, (0.25, 0.5))
    assert (quarter.rows, quarter.found, quarter.precision, quarter.lift) == pytest.approx((10, 0.8, 0.8, 3.2))
    assert half.found == pytest.approx((8 + 2 / 3) / 10)
    assert curves.lift(Cells(np.array([0.1]), np.array([0.0]), np.array([3.0]))) == ()


def test_shares_of_a_few_rows_are_not_told():
    assert [row.share for row in curves.lift(cells_of(tally_two(200, 0).curves[0]))] == [0.05, 0.1, 0.2, 0.3, 0.5, 1.0]


def test_true_probabilities_are_calibrated_and_squares_are_not():
    honest = cells(60_000)
    honest = Cells(honest.scores * 0.4, honest.positives, honest.negatives)
    assert curves.calibration_error(curves.calibration(honest, 60_000)) < 0.01
    squared = Cells(honest.scores**2, honest.positives, honest.negatives)
    assert curves.calibration_error(curves.calibration(squared, 60_000)) > 0.05


def test_calibration_bins_hold_all_rows_and_are_few_for_few_rows():
    some = cells(100)
    bins = curves.calibration(some, 100)
    assert len(bins) <= 5
    assert sum(each.rows for each in bins) == 100
    many = curves.calibration_of_many(some, 100)
    assert len(many) <= 10
    assert sum(each.rows for each in many) == 100
    assert curves.calibration(Cells(np.empty(0), np.empty(0), np.empty(0)), 0) == ()


def test_wilson_is_the_published_interval():
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3
    assert curves.wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert curves.wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert curves.wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_delong_is_the_variance_of_its_definition():
    some = cells_of(tally_two(150, 3).curves[0])
    positives = np.repeat(some.scores, some.positives.astype(int))
    negatives = np.repeat(some.scores, some.negatives.astype(int))
    wins = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    area = wins.mean()
    error = np.sqrt(wins.mean(1).var(ddof=1) / len(positives) + wins.mean(0).var(ddof=1) / len(negatives))
    z = float(norm.ppf(0.975))
    half = z * error / (area * (1 - area))
    logit = np.log(area / (1 - area))
    expected = 1 / (1 + np.exp(-(logit - half))), 1 / (1 + np.exp(-(logit + half)))
    assert curves.roc_interval(sweep(some), z) == pytest.approx(expected)


def test_a_perfect_area_on_few_rows_is_not_certain():
    few = Cells(np.array([0.1, 0.9]), np.array([0.0, 3.0]), np.array([40.0, 0.0]))
    low, high = curves.roc_interval(sweep(few), 1.96)
    assert high == 1.0
    assert 0.2 < low < 0.4
    assert curves.roc_interval(sweep(Cells(np.array([0.5]), np.array([2.0]), np.array([0.0]))), 1.96) is None


def test_histogram_shares_sum_to_one_and_zoom_on_low_scores():
    some = cells()
    edges, (negative, positive) = curves.histogram(some, 5_000)
    assert (sum(negative), sum(positive)) == pytest.approx((1, 1))
    assert (len(edges), edges[-1]) == (41, 1.0)
    low = Cells(some.scores * 0.12, some.positives, some.negatives)
    assert curves.histogram(low, 20)[0][-1] == pytest.approx(0.15)
    assert len(curves.histogram(low, 20)[0]) == 11
