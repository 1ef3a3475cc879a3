"""What programs read: summary.json, metrics.json and the importances. The names are a contract with existing dashboards."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from filon.engines.base import Value
from filon.evaluate import curves
from filon.evaluate.bootstrap import worth_of
from filon.evaluate.cells import cells_of
from filon.evaluate.records import Context, Exam, Interval

FAMILY_NAMES = {"xgboost": "XGBoost", "random_forest": "RandomForest", "gbt": "GBT", "logistic_regression": "LogisticRegression"}
"""What families are called in summary.json and in reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyResult:
    """The best trial of one family: its settings and metrics on the validation fold, and on the test fold where it was scored there."""

    settings: Mapping[str, Value]
    valid: Mapping[str, float | None]
    test: Mapping[str, float | None] = field(default_factory=dict)


def summary(exam: Exam, context: Context, families: Mapping[str, FamilyResult], features: Sequence[str]) -> dict[str, Any]:
    """metrics/summary.json.

    `confusion_matrix` is of the predicted class that `accuracy` and `f1` are of (a probability of 0.5 and more is positive; many
    classes: the matrix, true by predicted), so that the numbers agree with each other; `decision` has what the bundle's threshold does.
    `importance` is the share of total gain. A metric that is not defined is null.
    """
    folds = context.folds
    winner = FAMILY_NAMES.get(context.family, context.family)
    values = {name: interval.value for name, interval in exam.metrics.items()}
    return {
        "metric_used": context.metric,
        "train_samples": folds["train"].rows if "train" in folds else None,
        "val_samples": folds["valid"].rows if "valid" in folds else None,
        "test_samples": folds["test"].rows if "test" in folds else exam.tally.rows,
        "n_features": len(features),
        "classes": list(exam.classes),
        "class_weights": dict(zip(exam.classes, context.class_weights, strict=False)),
        "models": {
            FAMILY_NAMES.get(name, name): {
                "val_metrics": dict(found.valid),
                "test_metrics": dict(found.test),
                "best_params": dict(found.settings),
            }
            for name, found in families.items()
        },
        "winner": {
            "name": winner,
            "val_metrics": dict(context.valid),
            "test_metrics_retrained": values,
            "test_intervals": _bounds(exam.metrics),
            "best_params": dict(context.settings),
            "rounds": context.rounds,
        },
        "confusion_matrix": _confusion(exam.tally.confusion, exam.classes),
        "decision": _decision(exam),
        "feature_importances": importances(exam),
    }


def evaluation(exam: Exam, context: Context) -> dict[str, Any]:
    """metrics.json of `filon evaluate`."""
    found: dict[str, Any] = {
        "bundle": context.run,
        "data": context.source,
        "rows": exam.tally.rows,
        "unlabelled": exam.tally.unlabelled,
        "classes": list(exam.classes),
        "confidence": exam.confidence,
        "metrics": {name: interval.value for name, interval in exam.metrics.items()},
        "intervals": _bounds(exam.metrics),
        "not_defined": {name: interval.why for name, interval in exam.metrics.items() if interval.value is None},
        "by_class": {name: dict(row) for name, row in exam.by_class.items()},
        "confusion_matrix": _confusion(exam.tally.confusion, exam.classes),
        "decision": _decision(exam),
        "score_resolution": exam.tally.resolution,
        "slices": [
            {
                "column": one.column,
                "value": one.value,
                "rows": one.rows,
                "metrics": dict(one.metrics),
                "interval": [one.interval.lower, one.interval.upper],
                "below": one.below,
            }
            for one in exam.slices
        ],
    }
    if len(exam.classes) == 2:
        cells = cells_of(exam.tally.curves[0])
        bins = curves.calibration(cells, float((cells.positives + cells.negatives).sum()) * worth_of(exam.tally))
        found["calibration"] = [{"score": b.score, "share": b.share, "lower": b.lower, "upper": b.upper, "rows": b.rows} for b in bins]
        found["calibration_error"] = curves.calibration_error(bins)
        found["lift"] = [{"share": r.share, "found": r.found, "precision": r.precision, "lift": r.lift} for r in curves.lift(cells)]
    return found


def importances(exam: Exam) -> list[dict[str, Any]]:
    """`feature`, `importance` (share of total gain, largest first) and `shap` (mean |TreeSHAP|, null when not measured)."""
    ordered = sorted(exam.importances, key=lambda one: (-one.gain, one.feature))
    return [{"feature": one.feature, "importance": one.gain, "shap": one.shap} for one in ordered]


def importances_csv(exam: Exam) -> str:
    """metrics/feature_importances.csv: feature,importance,shap."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["feature", "importance", "shap"])
    for row in importances(exam):
        writer.writerow([row["feature"], repr(row["importance"]), "" if row["shap"] is None else repr(row["shap"])])
    return out.getvalue()


def _bounds(found: Mapping[str, Interval]) -> dict[str, list[float | None]]:
    return {name: [interval.lower, interval.upper] for name, interval in found.items() if interval.value is not None}


def _confusion(matrix: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    if len(classes) == 2:
        (tn, fp), (fn, tp) = matrix.tolist()
        return {"TN": _count(tn), "FP": _count(fp), "FN": _count(fn), "TP": _count(tp)}
    return {"labels": list(classes), "matrix": [[_count(cell) for cell in row] for row in matrix.tolist()]}


def _decision(exam: Exam) -> dict[str, Any] | None:
    if exam.threshold is None:
        return None
    at = exam.at_threshold
    kept = {name: value for name, value in at.items() if name not in ("tn", "fp", "fn", "tp")}
    counts = {name.upper(): _count(at[name]) for name in ("tn", "fp", "fn", "tp")}
    return {"threshold": exam.threshold, "metrics": kept, "intervals": _bounds(exam.at_threshold_intervals), "confusion_matrix": counts}


def _count(value: float | None) -> float | int | None:
    """Whole numbers of rows as integers; sums of weights as they are."""
    return int(value) if value is not None and float(value).is_integer() else value
