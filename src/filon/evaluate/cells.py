"""One class against the rest by ascending score, and what a sweep of the threshold over it gives.

The last axis of every array is the score; axes before it are resamples of the bootstrap, so one formula gives a metric and its interval.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from filon.engines.tally import Curve

EPSILON = 1e-15
"""Probabilities are kept this far from 0 and 1 in logLoss: the default of Spark's MulticlassClassificationEvaluator."""


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """Loss of a positive and of a negative row at each score: (m,) float64 each."""

    log_positive: np.ndarray
    log_negative: np.ndarray
    square_positive: np.ndarray
    square_negative: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Weight of positives and negatives by score.

    scores : (m,) float32 or float64, ascending; positives, negatives : (..., m) float64
    """

    scores: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray

    def losses(self) -> Losses:
        """Losses at the scores themselves."""
        scores = self.scores.astype(np.float64)
        kept, left = (np.clip(each, EPSILON, 1 - EPSILON) for each in (scores, 1 - scores))  # 1 - kept would be 9.99e-16 at its end
        return Losses(-np.log(kept), -np.log(left), (1 - scores) ** 2, scores**2)


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """True and false positives when rows with at least each score are called positive: scores ascending, so counts fall.

    true, false : (..., m); positives, negatives : (..., 1)
    """

    cells: Cells
    true: np.ndarray
    false: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


def cells_of(curve: Curve) -> Cells:
    """The cells of a curve, its arrays as they are."""
    return Cells(curve.scores, curve.positives, curve.negatives)


def sweep(cells: Cells) -> Sweep:
    """Cumulative counts from the highest score down."""
    true = np.flip(np.cumsum(np.flip(cells.positives, -1), axis=-1), -1)
    false = np.flip(np.cumsum(np.flip(cells.negatives, -1), axis=-1), -1)
    if not true.shape[-1]:
        zero = np.zeros((*true.shape[:-1], 1))
        return Sweep(cells, true, false, zero, zero)
    return Sweep(cells, true, false, true[..., :1], false[..., :1])


def group(cells: Cells, most: int, keep: Sequence[float] = ()) -> Cells:
    """Neighbouring cells put together, at most `most` groups (and one more for each kept threshold) of about equal weight.

    Parameters
    ----------
    keep : thresholds that no group straddles

    Returns
    -------
    cells at the mean score of each group
    """
    if len(cells.scores) <= most:
        return cells
    weight = cells.positives + cells.negatives
    upto = np.cumsum(weight)
    cuts = np.searchsorted(upto, np.arange(most) / most * upto[-1], side="right")
    starts = np.unique(np.concatenate((cuts, [at_least(cells, threshold) for threshold in keep], [0]))).astype(np.int64)
    starts = starts[starts < len(cells.scores)]
    positives, negatives = np.add.reduceat(cells.positives, starts), np.add.reduceat(cells.negatives, starts)
    rows = positives + negatives
    weight *= cells.scores
    return Cells(np.add.reduceat(weight, starts) / np.where(rows > 0, rows, 1), positives, negatives)


def at_least(cells: Cells, threshold: float) -> int:
    """Number of the first cell whose score is at least the threshold, both as the cells hold them (float32 in a tally)."""
    return int(np.searchsorted(cells.scores, np.asarray(threshold, cells.scores.dtype)))


def roc_area(swept: Sweep) -> np.ndarray:
    """areaUnderROC: the chance that a positive row scores above a negative one, ties half. NaN without both classes. Shape (...,)."""
    cells = swept.cells
    below = np.cumsum(cells.negatives, axis=-1) - cells.negatives / 2
    positives, negatives = cells.positives.sum(-1), cells.negatives.sum(-1)
    return _ratio((cells.positives * below).sum(-1), positives * negatives)


def pr_area(swept: Sweep) -> np.ndarray:
    """areaUnderPR as Spark computes it: trapezoids over recall, the first point carried to recall 0. NaN without positives."""
    called = swept.true + swept.false
    precision = _ratio(swept.true, called)
    # the highest scores may hold no row of a resample: there the curve has not begun, and precision is that of its first point
    filled = called > 0
    begin = filled.shape[-1] - 1 - np.argmax(np.flip(filled, -1), axis=-1) if filled.shape[-1] else np.zeros(filled.shape[:-1], int)
    if filled.shape[-1] and not filled.all():
        precision = np.where(filled, precision, np.take_along_axis(precision, np.expand_dims(begin, -1), -1))
    recall = _ratio(swept.true, swept.positives)
    if not recall.shape[-1]:
        return np.full(recall.shape[:-1], np.nan)
    steps = (recall[..., :-1] - recall[..., 1:]) * (precision[..., :-1] + precision[..., 1:]) / 2
    return np.asarray(steps.sum(-1) + recall[..., -1] * precision[..., -1])


def average_precision(swept: Sweep) -> np.ndarray:
    """scikit-learn's average_precision_score: precision weighted by the steps of recall. NaN without positives."""
    precision = np.nan_to_num(_ratio(swept.true, swept.true + swept.false))
    recall = _ratio(swept.true, swept.positives)
    if not recall.shape[-1]:
        return np.full(recall.shape[:-1], np.nan)
    return np.asarray((-np.diff(recall, axis=-1) * precision[..., :-1]).sum(-1) + recall[..., -1] * precision[..., -1])


def kolmogorov_smirnov(swept: Sweep) -> np.ndarray:
    """Largest distance between the two classes' shares above a threshold. NaN without both classes."""
    if not swept.true.shape[-1]:
        return np.full(swept.true.shape[:-1], np.nan)
    return np.asarray(np.abs(_ratio(swept.true, swept.positives) - _ratio(swept.false, swept.negatives)).max(-1))


def mean_loss(cells: Cells, positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Mean of a loss over all rows. NaN without rows."""
    return _ratio(cells.positives @ positive + cells.negatives @ negative, cells.positives.sum(-1) + cells.negatives.sum(-1))


def confusion_at(cells: Cells, threshold: float) -> np.ndarray:
    """True by predicted when rows with score >= threshold are called positive: (..., 2, 2), [[TN, FP], [FN, TP]]."""
    called = at_least(cells, threshold)
    return np.stack(
        [
            np.stack([cells.negatives[..., :called].sum(-1), cells.negatives[..., called:].sum(-1)], -1),
            np.stack([cells.positives[..., :called].sum(-1), cells.positives[..., called:].sum(-1)], -1),
        ],
        -2,
    )


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Division that gives NaN, not a warning, over zero."""
    bottom = np.asarray(bottom, dtype=np.float64)
    return np.asarray(top / np.where(bottom > 0, bottom, np.nan))
