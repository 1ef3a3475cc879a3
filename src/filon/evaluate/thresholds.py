"""The decision threshold of two classes: chosen on the validation fold, judged on the test fold."""

from dataclasses import dataclass

import numpy as np

from filon.engines.tally import Tally
from filon.evaluate.cells import Cells, Sweep, at_least, cells_of, confusion_at, sweep
from filon.evaluate.settings import EvaluateSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Rows by outcome when scores of at least `threshold` are called positive."""

    threshold: float
    tn: float
    fp: float
    fn: float
    tp: float

    def metrics(self) -> dict[str, float | None]:
        """Precision, recall, specificity, F1 of the positive class, accuracy, balanced accuracy, and the share of rows called positive."""
        rows, called, positives, negatives = self.tn + self.fp + self.fn + self.tp, self.tp + self.fp, self.tp + self.fn, self.tn + self.fp
        recall, specificity = _over(self.tp, positives), _over(self.tn, negatives)
        return {
            "precision": _over(self.tp, called),
            "recall": recall,
            "specificity": specificity,
            "f1": _over(2 * self.tp, called + positives),
            "accuracy": _over(self.tp + self.tn, rows),
            "balanced_accuracy": None if recall is None or specificity is None else (recall + specificity) / 2,
            "called": _over(called, rows),
        }


def choose_threshold(tally: Tally, settings: EvaluateSettings) -> float | None:
    """The threshold that the settings ask for.

    `f1` maximises the F1 of the positive class, `accuracy` the accuracy, `balanced` the mean of the two classes' recalls; `half` is 0.5; a
    number is itself. Of equally good ones the nearest to 0.5 is taken, and it is put midway between two scores that occur, so that a
    difference of rounding between two scorers calls no row otherwise.

    Parameters
    ----------
    tally : of the validation fold

    Returns
    -------
    a score exactly representable as float32; 0.5 when the fold has no rows of a class; None for more than two classes
    """
    if len(tally.classes) > 2:
        return None
    if isinstance(settings.threshold, float):
        return settings.threshold
    cells = cells_of(tally.curves[0])
    if settings.threshold == "half" or not cells.positives.sum() or not cells.negatives.sum():
        return 0.5
    swept = sweep(cells)
    quality = _quality(swept, settings.threshold)
    best = np.flatnonzero(quality >= quality.max() - 1e-12)
    number = int(best[np.argmin(np.abs(cells.scores[best] - 0.5))])
    return _between(cells.scores, number)


def decide(tally: Tally, threshold: float) -> Decision:
    """What a threshold does to the rows of a tally of two classes."""
    matrix = confusion_at(cells_of(tally.curves[0]), threshold)
    return Decision(threshold=threshold, tn=float(matrix[0, 0]), fp=float(matrix[0, 1]), fn=float(matrix[1, 0]), tp=float(matrix[1, 1]))


def decisions(cells: Cells, chosen: float, most: int = 100) -> tuple[Decision, ...]:
    """Decisions at about `most` thresholds, ascending: half of them evenly spaced, half at quantiles of the scores, and the chosen one."""
    if not len(cells.scores):
        return ()
    weight = np.cumsum(cells.positives + cells.negatives)
    at = np.searchsorted(weight, np.linspace(0, 1, most // 2) * weight[-1])
    quantiles = cells.scores[np.minimum(at, len(weight) - 1)]
    even = np.linspace(0, 1, most // 2 + 1)
    even = even[(even >= cells.scores[0]) & (even <= cells.scores[-1])]
    thresholds = np.unique(np.round(np.concatenate((quantiles.astype(np.float64), even, [chosen])), 6))
    swept = sweep(cells)
    true, false = np.append(swept.true, 0.0), np.append(swept.false, 0.0)
    table = []
    for threshold in thresholds.tolist():
        exact = chosen if abs(threshold - chosen) < 1e-6 else threshold
        number = at_least(cells, exact)
        tp, fp = float(true[number]), float(false[number])
        table.append(Decision(threshold=exact, tn=float(false[0]) - fp, fp=fp, fn=float(true[0]) - tp, tp=tp))
    return tuple(table)


def _quality(swept: Sweep, goal: str) -> np.ndarray:
    """How good each occurring score would be as the threshold."""
    if goal == "f1":
        return np.asarray(2 * swept.true / (swept.true + swept.false + swept.positives))
    if goal == "accuracy":
        return np.asarray((swept.true + swept.negatives - swept.false) / (swept.positives + swept.negatives))
    return np.asarray(swept.true / swept.positives - swept.false / swept.negatives)


def _between(scores: np.ndarray, number: int) -> float:
    """A float32 midway between a score and the one below it."""
    above = np.float32(scores[number])
    below = np.float32(scores[number - 1]) if number else np.float32(0)
    middle = np.float32((float(above) + float(below)) / 2)
    return float(middle if below < middle <= above else above)


def _over(top: float, bottom: float) -> float | None:
    return top / bottom if bottom else None
