"""The exam: every metric, the decision, the classes, and slices that are told apart from chance."""

import numpy as np
import pytest
from tests.unit.evaluate.examples import SETTINGS, exam_empty, exam_many, exam_two, exam_undefined, tally_two

from filon.evaluate import examine, metrics


def test_two_classes_are_judged_at_the_threshold():
    exam = exam_two()
    (tn, fp), (fn, tp) = exam.confusion
    at = exam.at_threshold
    assert (tn, fp, fn, tp) == (at["tn"], at["fp"], at["fn"], at["tp"])
    assert tn + fp + fn + tp == exam.tally.rows
    assert exam.by_class["yes"]["recall"] == pytest.approx(at["recall"])
    assert set(exam.metrics) == set(metrics.names(2))
    assert exam.at_threshold_intervals["recall"].value == at["recall"]


def test_many_classes_are_judged_by_the_most_probable():
    exam = exam_many()
    assert exam.threshold is None
    assert exam.at_threshold == {}
    assert exam.confusion == tuple(tuple(row) for row in exam.tally.confusion.tolist())
    assert set(exam.metrics) == set(metrics.names(3))


def test_slices_come_by_column_largest_first_with_their_rows():
    tallies = {(): tally_two(500, 0), ("b", "x"): tally_two(50, 1), ("b", "y"): tally_two(90, 2), ("a", "z"): tally_two(70, 3)}
    exam = examine(tallies, SETTINGS, 0.5)
    assert [(one.column, one.value, one.rows) for one in exam.slices] == [("b", "y", 90), ("b", "x", 50), ("a", "z", 70)]
    assert exam.slices[0].metrics["areaUnderROC"] == metrics.value(tallies[("b", "y")], "areaUnderROC")
    assert exam.slices[0].metrics["positives"] == pytest.approx(tallies[("b", "y")].confusion[1].sum() / 90)


def test_a_planted_bad_slice_is_pointed_at_and_ordinary_ones_are_not():
    tallies = {(): tally_two(5_000, 0)}
    tallies.update({("zone", str(n)): tally_two(300, 10 + n) for n in range(12)})
    tallies[("zone", "bad")] = tally_two(300, 50, shift=-0.3)
    exam = examine(tallies, SETTINGS, 0.5)
    assert [one.value for one in exam.slices if one.below] == ["bad"]


def test_the_more_slices_the_wider_their_intervals():
    few = examine({(): tally_two(900, 0), ("a", "x"): tally_two(300, 1)}, SETTINGS, 0.5).slices[0].interval
    many = {("a", str(n)): tally_two(300, n) for n in range(1, 20)}
    wide = examine({(): tally_two(900, 0), **many}, SETTINGS, 0.5).slices[0].interval
    assert few.upper - few.lower < wide.upper - wide.lower


def test_a_slice_of_one_class_has_no_area_and_says_why():
    one = next(one for one in exam_two().slices if one.value == "none")
    assert (one.interval.value, one.interval.why, one.below) == (None, "no-positive-rows", False)


def test_rows_that_tell_nothing_make_an_exam_of_reasons():
    assert exam_undefined().metrics["areaUnderROC"].why == "no-positive-rows"
    empty = exam_empty()
    assert all(interval.value is None and interval.why for interval in empty.metrics.values())
    assert empty.tally.unlabelled == 1
    assert np.sum(empty.confusion) == 0
