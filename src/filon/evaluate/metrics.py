"""Every metric, from the tally alone.

Definitions agree with Spark's evaluators (numBins = 0) and with scikit-learn:

- `accuracy`, `f1`, `weightedPrecision`, `weightedRecall` and the macro means are of the predicted class: the most probable one, for two
  classes the positive one from a probability of 0.5. `f1` is Spark's and scikit-learn's `average="weighted"`: the mean of the classes' F1
  by their true rows. The positive class alone is `f1_positive`, `precision_positive`, `recall_positive`.
- `macroRecall` (the mean over classes that have rows) is scikit-learn's balanced accuracy.
- `areaUnderPR` is Spark's trapezoid; `average_precision` is scikit-learn's sum of steps; `ks` is Kolmogorov and Smirnov's distance.
- `logLoss` keeps probabilities 1e-15 from 0 and 1, as Spark does. `brier` is in [0, 1] for two classes and, as in scikit-learn, in [0, 2]
  for many.
- Many classes: the areas, `average_precision` and `ks` are means over one-vs-rest curves, each class counting the same (macro); a class
  without rows is left out and `why_not` says so. In the weighted and macro means a class that is never predicted has precision 0, as in
  both libraries.

A metric that is not defined is None, and `why_not` says why.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from filon.engines.tally import Tally
from filon.evaluate import cells as over
from filon.evaluate.measures import Measures, measure, pr_area_of_negatives

Needs = Literal["rows", "positives", "both"]
Why = Literal[
    "", "no-rows", "no-positive-rows", "no-negative-rows", "two-classes-only", "never-predicted", "classes-left-out", "too-few-rows"
]


@dataclass(frozen=True, slots=True)
class Definition:
    """How a metric is read: from the curve (ranking), the losses of probabilities, or the confusion matrix."""

    source: Literal["curve", "loss", "confusion"]
    better: Literal["higher", "lower"]
    needs: Needs
    binary: bool = False


DEFINITIONS: Mapping[str, Definition] = {
    "areaUnderROC": Definition("curve", "higher", "both"),
    "areaUnderPR": Definition("curve", "higher", "positives"),
    "average_precision": Definition("curve", "higher", "positives"),
    "ks": Definition("curve", "higher", "both"),
    "logLoss": Definition("loss", "lower", "rows"),
    "brier": Definition("loss", "lower", "rows"),
    "accuracy": Definition("confusion", "higher", "rows"),
    "f1": Definition("confusion", "higher", "rows"),
    "weightedPrecision": Definition("confusion", "higher", "rows"),
    "weightedRecall": Definition("confusion", "higher", "rows"),
    "macroPrecision": Definition("confusion", "higher", "rows"),
    "macroRecall": Definition("confusion", "higher", "rows"),
    "macroF1": Definition("confusion", "higher", "rows"),
    "precision_positive": Definition("confusion", "higher", "rows", binary=True),
    "recall_positive": Definition("confusion", "higher", "rows", binary=True),
    "f1_positive": Definition("confusion", "higher", "rows", binary=True),
}
NAMES = tuple(DEFINITIONS)


def better(name: str) -> Literal["higher", "lower"]:
    """Which way a metric improves."""
    return DEFINITIONS[name].better


def value(tally: Tally, name: str) -> float | None:
    """One metric; None where it is not defined."""
    return Reading(tally).value(name)


def values(tally: Tally) -> dict[str, float | None]:
    """Every metric that there is for so many classes."""
    reading = Reading(tally)
    return {name: reading.value(name) for name in names(len(tally.classes))}


def names(classes: int) -> tuple[str, ...]:
    """Names of the metrics that exist for two or for many classes."""
    return tuple(name for name, definition in DEFINITIONS.items() if classes == 2 or not definition.binary)


def why_not(tally: Tally, name: str) -> Why:
    """Why a metric is not defined, or what it left out; "" when there is nothing to say."""
    return Reading(tally).why(name)


class Reading:
    """One tally under several metrics: every curve is gone through once."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    @cached_property
    def measures(self) -> tuple[Measures, ...]:
        return tuple(measure(over.cells_of(curve)) for curve in self.tally.curves)

    def value(self, name: str) -> float | None:
        definition = DEFINITIONS[name]
        if definition.source == "confusion":
            return None if self.why(name) else _finite(from_confusion(self.tally.confusion, name))
        if definition.source == "loss":
            return None if self.why(name) else self._loss(name)
        found = [_finite(getattr(each, name)) for each in self.measures]
        defined = [each for each in found if each is not None]
        return float(np.mean(defined)) if defined else None

    def why(self, name: str) -> Why:
        definition = DEFINITIONS[name]
        if definition.binary and len(self.tally.classes) > 2:
            return "two-classes-only"
        if not self.tally.confusion.sum():
            return "no-rows"
        if definition.source == "confusion":
            return _undefined_decision(self.tally.confusion, name)
        if definition.source == "loss":
            return ""
        missing = [_missing(each.positives, each.negatives, definition.needs) for each in self.measures]
        if all(missing):
            return missing[0]
        return "classes-left-out" if any(missing) else ""

    def _loss(self, name: str) -> float:
        rows = self.measures[0].positives + self.measures[0].negatives
        if name == "brier":
            return sum(each.squares for each in self.measures) / rows
        if len(self.measures) == 1:
            return (self.measures[0].log_positives + self.measures[0].log_negatives) / rows
        return sum(each.log_positives for each in self.measures) / rows  # each row counts in the curve of its own class only


CURVE: Mapping[str, Callable[[over.Sweep], np.ndarray]] = {  # for many resamples at once; one curve has its `Measures`
    "areaUnderROC": over.roc_area,
    "areaUnderPR": over.pr_area,
    "average_precision": over.average_precision,
    "ks": over.kolmogorov_smirnov,
}


def from_confusion(confusion: np.ndarray, name: str) -> np.ndarray:
    """A metric of the predicted class.

    Parameters
    ----------
    confusion : (..., classes, classes) float64, true by predicted

    Returns
    -------
    (...,) float64, NaN where it is not defined
    """
    return from_margins(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(-1), confusion.sum(-2), name)


def from_margins(hit: np.ndarray, rows: np.ndarray, called: np.ndarray, name: str) -> np.ndarray:
    """The same of what is enough for it: rows by class that were rightly predicted, that were of it, and that were taken for it.

    Parameters
    ----------
    hit, rows, called : (..., classes) float64
    """
    total = rows.sum(-1)
    if name == "accuracy":
        return _over(hit.sum(-1), total)
    precision, recall, f1 = _over(hit, called), _over(hit, rows), _over(2 * hit, rows + called)
    if name.endswith("_positive"):
        return np.asarray({"precision": precision, "recall": recall, "f1": f1}[name.removesuffix("_positive")][..., 1])
    kind = {
        "f1": f1,
        "weightedPrecision": precision,
        "weightedRecall": recall,
        "macroPrecision": precision,
        "macroRecall": recall,
        "macroF1": f1,
    }[name]
    if not name.startswith("macro"):
        return _over((np.nan_to_num(kind) * rows).sum(-1), total)
    seen = rows > 0 if name == "macroRecall" else (rows > 0) | (called > 0)
    return _over((np.nan_to_num(kind) * seen).sum(-1), seen.sum(-1))


def by_class(reading: Reading, confusion: np.ndarray) -> dict[str, dict[str, float | None]]:
    """Precision, recall, F1, rows and predicted rows of each class by a confusion matrix, and its one-vs-rest areas."""
    table: dict[str, dict[str, float | None]] = {}
    hit, rows, called = np.diagonal(confusion), confusion.sum(1), confusion.sum(0)
    for number, name in enumerate(reading.tally.classes):
        table[name] = {
            "precision": _finite(_over(hit[number], called[number])),
            "recall": _finite(_over(hit[number], rows[number])),
            "f1": _finite(_over(2 * hit[number], rows[number] + called[number])),
            "rows": float(rows[number]),
            "predicted": float(called[number]),
            "areaUnderROC": _of_class(reading, number, "areaUnderROC"),
            "areaUnderPR": _of_class(reading, number, "areaUnderPR"),
        }
    return table


def _of_class(reading: Reading, number: int, name: str) -> float | None:
    """An area of one class against the rest; the negative class of two is the positive one seen from the other side."""
    if len(reading.measures) > 1:
        return _finite(getattr(reading.measures[number], name))
    if number == 0 and name == "areaUnderPR":
        return _finite(pr_area_of_negatives(over.cells_of(reading.tally.curves[0])))
    return _finite(getattr(reading.measures[0], name))


def _missing(positives: float, negatives: float, needs: Needs) -> Why:
    if not positives + negatives:
        return "no-rows"
    if needs != "rows" and not positives:
        return "no-positive-rows"
    return "no-negative-rows" if needs == "both" and not negatives else ""


def _undefined_decision(confusion: np.ndarray, name: str) -> Why:
    rows, called = confusion.sum(1), confusion.sum(0)
    if name == "precision_positive" and not called[1]:
        return "never-predicted"
    if name == "recall_positive" and not rows[1]:
        return "no-positive-rows"
    return "no-positive-rows" if name == "f1_positive" and not rows[1] + called[1] else ""


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    bottom = np.asarray(bottom, dtype=np.float64)
    return np.asarray(top / np.where(bottom > 0, bottom, np.nan))


def _finite(number: np.ndarray | float) -> float | None:
    return float(number) if np.isfinite(number) else None
