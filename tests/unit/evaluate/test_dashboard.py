"""What programs read: the names are a contract, and the numbers agree with each other."""

import csv
import io
import json

import pytest
from tests.unit.evaluate.examples import context, exam_many, exam_two, exam_undefined

from filon.evaluate import FamilyResult, evaluation, importances_csv, summary

FAMILIES = {"xgboost": FamilyResult(settings={"max_depth": 5}, valid={"areaUnderPR": 0.6}, test={"areaUnderPR": 0.5})}


def test_summary_has_the_names_of_the_contract():
    exam = exam_two()
    found = summary(exam, context(exam), FAMILIES, ("age", "job", "day"))
    names = "metric_used train_samples val_samples test_samples n_features class_weights models winner confusion_matrix feature_importances"
    assert set(names.split()) <= set(found)
    assert set(found["models"]["XGBoost"]) == {"val_metrics", "test_metrics", "best_params"}
    assert {"name", "val_metrics", "test_metrics_retrained"} <= set(found["winner"])
    assert set(found["confusion_matrix"]) == {"TN", "FP", "FN", "TP"}
    assert found["winner"]["name"] == "XGBoost"
    assert found["class_weights"] == {"no": 0.5, "yes": 1.5}
    assert found["n_features"] == 3
    assert found["feature_importances"][0] == {"feature": "age", "importance": 0.5, "shap": 0.4}


def test_the_confusion_matrix_is_that_of_the_accuracy_beside_it():
    exam = exam_two()
    found = summary(exam, context(exam), FAMILIES, ())
    counts = found["confusion_matrix"]
    assert sum(counts.values()) == found["test_samples"]
    assert (counts["TN"] + counts["TP"]) / sum(counts.values()) == pytest.approx(found["winner"]["test_metrics_retrained"]["accuracy"])
    at = found["decision"]
    assert at["confusion_matrix"]["TP"] / (at["confusion_matrix"]["TP"] + at["confusion_matrix"]["FN"]) == pytest.approx(
        at["metrics"]["recall"]
    )


def test_many_classes_have_a_matrix_with_labels():
    exam = exam_many()
    found = summary(exam, context(exam), {}, ())
    assert found["confusion_matrix"]["labels"] == ["soil", "crop", "water"]
    assert found["decision"] is None


@pytest.mark.parametrize("make", [exam_two, exam_many, exam_undefined])
def test_everything_is_json_without_nan(make):
    exam = make()
    for record in (summary(exam, context(exam), FAMILIES, ()), evaluation(exam, context(exam))):
        assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_evaluation_says_why_a_metric_is_not_defined():
    exam = exam_undefined()
    found = evaluation(exam, context(exam))
    assert found["metrics"]["areaUnderROC"] is None
    assert found["not_defined"]["areaUnderROC"] == "no-positive-rows"


def test_evaluation_tells_slices_calibration_and_lift():
    exam = exam_two()
    found = evaluation(exam, context(exam))
    assert [one["value"] for one in found["slices"]] == ["clerk", "smith", "none"]
    assert [one["below"] for one in found["slices"]] == [False, True, False]
    assert found["lift"][-1]["lift"] == pytest.approx(1)
    assert sum(one["rows"] for one in found["calibration"]) == exam.tally.rows


def test_importances_are_a_table_by_gain():
    rows = list(csv.DictReader(io.StringIO(importances_csv(exam_two()))))
    assert [row["feature"] for row in rows] == ["age", "job", "day"]
    assert [float(row["importance"]) for row in rows] == [0.5, 0.375, 0.125]
