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
    """One tally under several metrics: cumulative counts are made once."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.cells = tuple(over.cells_of(curve) for curve in tally.curves)

    @cached_property
    def sweeps(self) -> tuple[over.Sweep, ...]:
        return tuple(over.sweep(cells) for cells in self.cells)

    @cached_property
    def sums(self) -> tuple[tuple[float, float], ...]:
        """Positives and negatives of each curve."""
        return tuple((float(cells.positives.sum()), float(cells.negatives.sum())) for cells in self.cells)

    def value(self, name: str) -> float | None:
        definition = DEFINITIONS[name]
        if definition.source == "confusion":
            return None if self.why(name) else _finite(from_confusion(self.tally.confusion, name))
        if definition.source == "loss":
            return self._loss(name)
        found = [_finite(CURVE[name](swept)) for swept in self.sweeps]
        defined = [each for each in found if each is not None]
        return float(np.mean(defined)) if defined else None

    def why(self, name: str) -> Why:
        definition = DEFINITIONS[name]
        if definition.binary and len(self.tally.classes) > 2:
            return "two-classes-only"
        if not any(positives + negatives for positives, negatives in self.sums):
            return "no-rows"
        if definition.source == "confusion":
            return _undefined_decision(self.tally.confusion, name)
        if definition.source == "loss":
            return ""
        missing = [_missing(positives, negatives, definition.needs) for positives, negatives in self.sums]
        if all(missing):
            return missing[0]
        return "classes-left-out" if any(missing) else ""

    def _loss(self, name: str) -> float | None:
        if self.why(name):
            return None
        many = len(self.cells) > 1
        total = 0.0
        for cells in self.cells:
            losses = cells.losses()
            if name == "brier":
                total += float(over.mean_loss(cells, losses.square_positive, losses.square_negative))
            else:  # of many classes, each row counts in the curve of its own class only
                total += float(over.mean_loss(cells, losses.log_positive, losses.log_negative * (not many)))
        return total


CURVE: Mapping[str, Callable[[over.Sweep], np.ndarray]] = {
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
    hit = np.diagonal(confusion, axis1=-2, axis2=-1)
    rows, called = confusion.sum(-1), confusion.sum(-2)
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


def by_class(tally: Tally, confusion: np.ndarray) -> dict[str, dict[str, float | None]]:
    """Precision, recall, F1, rows and predicted rows of each class by a confusion matrix, and its one-vs-rest areas."""
    table: dict[str, dict[str, float | None]] = {}
    hit, rows, called = np.diagonal(confusion), confusion.sum(1), confusion.sum(0)
    reading = Reading(tally)
    for number, name in enumerate(tally.classes):
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
    if len(reading.cells) > 1:
        return _finite(CURVE[name](reading.sweeps[number]))
    cells = reading.cells[0]
    if number == 0:
        cells = over.Cells(1 - cells.scores[::-1], cells.negatives[::-1], cells.positives[::-1])
        return _finite(CURVE[name](over.sweep(cells)))
    return _finite(CURVE[name](reading.sweeps[0]))


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
