"""Alarms where something moved, and none where nothing did."""

import json

import numpy as np
import pyarrow as pa
import pytest
from tests.unit.watch.trained import COLUMNS, SHAPES, Trained, rows_of, trained

from filon.engines.survey import joined
from filon.evaluate.metrics import values
from filon.watch.estimate import calibrated, estimates


@pytest.fixture(scope="module")
def model() -> Trained:
    return trained()


def alarms(found) -> list[tuple[str, str]]:
    return [(one.code.partition(".")[2], one.column) for one in found.findings if one.level == "warning"]


@pytest.mark.parametrize("place", range(len(SHAPES)), ids=SHAPES)
def test_a_shift_of_a_fifth_of_a_deviation_in_one_of_28_columns_is_caught(model: Trained, place: int) -> None:
    x, _ = rows_of(10_000, seed=77)
    x[:, place + 10] += 0.2 * x[:, place + 10].std()
    found = model.compare(model.survey(x))
    assert ("column-drifted", f"f{place + 10}") in alarms(found)
    assert {column for _, column in alarms(found)} == {f"f{place + 10}"}


def test_resamples_of_the_training_rows_raise_no_alarm(model: Trained) -> None:
    x, _ = rows_of(20_000, seed=1)
    draw = np.random.default_rng(5)
    raised = [alarms(model.compare(model.survey(x[draw.integers(0, len(x), size)]))) for size in (150, 1000, 5000) for _ in range(10)]
    assert [one for one in raised if one] == []


def test_new_rows_of_the_same_source_raise_no_alarm(model: Trained) -> None:
    assert [alarms(model.compare(model.survey(rows_of(3000, seed=seed)[0]))) for seed in range(100, 110)] == [[]] * 10


def test_missing_cells_out_of_range_and_unseen_categories_are_told_apart(model: Trained) -> None:
    x, _ = rows_of(5000, seed=78)
    x[:300, 2] = np.nan
    x[:300, 6] = 55.0
    x[:250, -1] = np.nan
    batch = pa.RecordBatch.from_pydict({"f27": ["new"] * 250 + ["v0"] * 4750, "f26": ["v0"] * 5000})
    found = alarms(model.compare(model.survey(x, batch=batch)))
    assert ("missing-changed", "f2") in found
    assert ("out-of-range", "f6") in found
    assert ("unseen-categories", "f27") in found
    assert {column for _, column in found} <= {"f2", "f6", "f27"}


def test_scores_without_a_column_that_a_capture_hides_are_not_judged(model: Trained) -> None:
    x, label = rows_of(5000, seed=83)
    x[:, 0] = x[:, 5] = np.nan
    survey = model.survey(x, label)
    assert {code for code, _ in alarms(model.compare(survey))} >= {"missing-changed", "score-drifted"}
    found = model.compare(survey, ignore=("f0", "f5"))
    assert alarms(found) == []
    assert [(one.code, one.level) for one in found.findings] == [("watch.scores-unjudged", "info")]
    assert '"f0", "f5"' in found.findings[0].evidence
    assert not any(one.alarm for one in found.metrics)


def test_a_category_that_changes_its_share_is_told_by_its_total_variation(model: Trained) -> None:
    x, _ = rows_of(5000, seed=79)
    x[:600, -2] = 5
    (column,) = [one for one in model.compare(model.survey(x)).columns if one.alarms]
    assert (column.name, column.distance.test) == ("f26", "chi-square")
    assert column.distance.distance == pytest.approx(0.6 * 0.2 * 0.97, abs=0.03)


def test_scores_that_move_are_told_though_no_threshold_of_a_column_is_passed(model: Trained) -> None:
    x, _ = rows_of(20_000, seed=80)
    chosen = x[(x[:, 0] + x[:, 5] > -0.6)]
    found = model.compare(model.survey(chosen))
    assert ("score-drifted", "") in alarms(found)
    assert ("classes-drifted", "") in alarms(found)


def test_labels_that_no_longer_follow_lower_the_metric_and_raise_its_alarm(model: Trained) -> None:
    x, label = rows_of(4000, seed=81)
    same = model.compare(model.survey(x, label))
    assert alarms(same) == []
    turned = np.where(np.random.default_rng(1).random(4000) < 0.3, 1 - label, label).astype(np.int32)
    found = model.compare(model.survey(x, turned))
    assert alarms(found) == [("metric-dropped", "")]
    area = next(one for one in found.metrics if one.name == "areaUnderROC")
    assert area.live is not None
    assert area.live.upper < area.test.lower


def test_few_rows_are_shown_and_not_judged(model: Trained) -> None:
    found = model.compare(model.survey(rows_of(60, seed=82)[0] + 9))
    assert not found.judged
    assert [one.code for one in found.findings] == ["watch.few-live-rows"]


def test_thresholds_and_corrections_are_obeyed(model: Trained) -> None:
    x, _ = rows_of(10_000, seed=77)
    x[:, 10] += 0.2
    survey = model.survey(x)
    assert alarms(model.compare(survey, distance=0.5, psi=9, js=1)) == []
    assert alarms(model.compare(survey, ignore=("f10",))) == []
    assert alarms(model.compare(survey, correction="bh")) == [("column-drifted", "f10")]


def test_a_survey_does_not_depend_on_batches_or_on_the_order_of_its_parts(model: Trained) -> None:
    x, label = rows_of(6000, seed=83)
    whole, parts = model.survey(x, label), [model.survey(x[part], label[part]) for part in (slice(4000, 6000), slice(0, 4000))]
    plan = model.baseline.plan()
    assert (model.survey(x, label, parts=7).total(plan) == whole.total(plan)).all()
    together = joined(parts)
    assert (together.total(plan) == whole.total(plan)).all()
    assert values(together.tally()) == pytest.approx(values(whole.tally()), abs=1e-9)
    assert whole.total(plan)[: plan.places[1]].sum() == 6000


def test_the_estimate_without_labels_is_near_what_labels_say_when_rows_get_harder(model: Trained) -> None:
    x, label = rows_of(20_000, seed=84)
    hard = np.abs(x[:, 0] + x[:, 5]) < 1.2
    survey = model.survey(x[hard], label[hard])
    plan = model.baseline.plan()
    total, first = survey.total(plan), len(plan.gauges)
    found = estimates(model.baseline, [total[plan.places[first] : plan.places[first + 1]]])
    measured = values(survey.tally())
    for name in ("areaUnderROC", "accuracy", "logLoss"):
        test = model.baseline.metrics[name][0]
        assert abs(found[name].value - measured[name]) < 0.35 * abs(test - measured[name])
        assert found[name].lower <= found[name].value <= found[name].upper


def test_calibration_never_falls_and_keeps_the_positives() -> None:
    by_class = np.array([[9.0, 1], [5, 5], [8, 2], [0, 0], [1, 9]])
    stairs = calibrated(by_class)
    assert (np.diff(stairs) >= 0).all()
    assert (stairs * by_class.sum(axis=1)).sum() == pytest.approx(by_class[:, 1].sum())


def test_the_baseline_is_small_and_plain_json(model: Trained) -> None:
    text = json.dumps(model.plain, allow_nan=False)
    assert len(text) < 4000 * COLUMNS
