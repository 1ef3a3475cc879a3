"""Curves and tables for the eye: thinned to a few hundred points, whatever the number of scores."""

import math
from dataclasses import dataclass

import numpy as np

from filon.evaluate.cells import Cells, Sweep, at_least, group, sweep

POINTS = 250
"""Steps of a drawn curve along each axis: finer than a pixel of the page."""

LIFT_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
LEAST_ROWS = 10
"""A share of the highest scores with fewer rows than this says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """A curve to draw: x and y of equal length, ascending x."""

    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Rows of like score: their mean score, the share of positives and its Wilson interval."""

    score: float
    share: float
    lower: float
    upper: float
    rows: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftRow:
    """The rows with the highest scores, by share of all rows: positives found (recall), their share (precision), and lift over chance."""

    share: float
    rows: float
    found: float
    precision: float
    lift: float


def roc_points(swept: Sweep) -> Points:
    """False-positive rate by true-positive rate, from (0, 0) to (1, 1)."""
    fpr, tpr = _shares(swept.false, swept.negatives), _shares(swept.true, swept.positives)
    x, y = np.concatenate(([0.0], fpr[::-1])), np.concatenate(([0.0], tpr[::-1]))
    keep = _thin(x, y)
    return Points(x=tuple(x[keep].tolist()), y=tuple(y[keep].tolist()))


def pr_points(swept: Sweep) -> Points:
    """Precision by recall, the first point carried to recall 0 (as areaUnderPR counts it)."""
    recall = _shares(swept.true, swept.positives)[::-1]
    precision = _shares(swept.true, swept.true + swept.false)[::-1]
    x, y = np.concatenate(([0.0], recall)), np.concatenate((precision[:1], precision))
    keep = _thin(x, y)
    return Points(x=tuple(x[keep].tolist()), y=tuple(y[keep].tolist()))


def gain_points(swept: Sweep) -> Points:
    """Share of rows taken, highest scores first, by share of positives found."""
    taken = _shares(swept.true + swept.false, swept.positives + swept.negatives)[::-1]
    found = _shares(swept.true, swept.positives)[::-1]
    x, y = np.concatenate(([0.0], taken)), np.concatenate(([0.0], found))
    keep = _thin(x, y)
    return Points(x=tuple(x[keep].tolist()), y=tuple(y[keep].tolist()))


def lift(cells: Cells, shares: tuple[float, ...] = LIFT_SHARES) -> tuple[LiftRow, ...]:
    """What is found by taking the highest scores first; rows of equal score are taken in proportion. Empty without positives."""
    swept = sweep(cells)
    positives = float(swept.positives[0])
    rows = positives + float(swept.negatives[0])
    if not positives:
        return ()
    taken = np.concatenate(([0.0], (swept.true + swept.false)[::-1]))
    found = np.concatenate(([0.0], swept.true[::-1]))
    table = []
    for share in shares:
        if share * rows < LEAST_ROWS and share < 1:
            continue
        hits = float(np.interp(share * rows, taken, found))
        precision = hits / (share * rows)
        table.append(
            LiftRow(share=share, rows=share * rows, found=hits / positives, precision=precision, lift=precision / (positives / rows))
        )
    return tuple(table)


def calibration(cells: Cells, effective: float, bins: int = 10) -> tuple[CalibrationBin, ...]:
    """Does a score of 0.3 happen three times in ten? Bins of about equal weight, each with 20 rows or more where there are as many.

    Parameters
    ----------
    effective : how many rows the weights are worth (the rows themselves when there are no weights)
    """
    total = float((cells.positives + cells.negatives).sum())
    if not total:
        return ()
    grouped = group(cells, max(1, min(bins, int(effective // 20))))
    return _bins(grouped, effective / total)


def calibration_of_many(cells: Cells, effective: float, bins: int = 10) -> tuple[CalibrationBin, ...]:
    """The same for the pooled curves of many classes, where most scores are near 0: bins of equal width."""
    total = float((cells.positives + cells.negatives).sum())
    if not total:
        return ()
    starts = np.unique([at_least(cells, step / bins) for step in range(bins)])
    starts = starts[starts < len(cells.scores)]
    positives, negatives = np.add.reduceat(cells.positives, starts), np.add.reduceat(cells.negatives, starts)
    scores = np.add.reduceat(cells.scores * (cells.positives + cells.negatives), starts) / (positives + negatives)
    return _bins(Cells(scores, positives, negatives), effective / total)


def _bins(grouped: Cells, worth: float) -> tuple[CalibrationBin, ...]:
    table = []
    for score, positives, negatives in zip(grouped.scores, grouped.positives, grouped.negatives, strict=True):
        rows = float(positives + negatives)
        if rows:
            low, high = wilson(float(positives) * worth, rows * worth)
            table.append(CalibrationBin(score=float(score), share=float(positives) / rows, lower=low, upper=high, rows=rows))
    return tuple(table)


def calibration_error(bins: tuple[CalibrationBin, ...]) -> float | None:
    """Mean distance of score and share over the bins, weighted by rows (expected calibration error). None without rows."""
    rows = sum(each.rows for each in bins)
    return sum(each.rows * abs(each.score - each.share) for each in bins) / rows if rows else None


def histogram(cells: Cells, effective: float) -> tuple[tuple[float, ...], tuple[tuple[float, ...], tuple[float, ...]]]:
    """Score distribution of each class: bin edges, and the share of the negatives and of the positives in each bin.

    Parameters
    ----------
    effective : rows of the rarer class, as many as the weights are worth: few rows get few bins (twice Rice's rule, 10 to 40)
    """
    bins = int(min(40, max(10, 4 * effective ** (1 / 3))))
    top = float(cells.scores[-1]) if len(cells.scores) else 1.0
    high = 1.0 if top > 0.5 else min(1.0, math.ceil(top * 20 + 1e-9) / 20) or 1.0
    edges = np.linspace(0, high, bins + 1)
    shares = []
    for weights in (cells.negatives, cells.positives):
        counts, _ = np.histogram(cells.scores, edges, weights=weights)
        shares.append(tuple((counts / (weights.sum() or 1)).tolist()))
    return tuple(edges.tolist()), (shares[0], shares[1])


def wilson(hits: float, rows: float, z: float = 1.959964) -> tuple[float, float]:
    """Interval for a proportion that stays inside [0, 1] on small counts (95 % by default).

    Notes
    -----
    Source: Wilson (1927), JASA 22(158), 209-212, doi:10.1080/01621459.1927.10502953
    """
    if rows <= 0:
        return 0.0, 1.0
    share = hits / rows
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * math.sqrt(max(0.0, share * (1 - share)) / rows + z * z / (4 * rows * rows)) / (1 + z * z / rows)
    return max(0.0, middle - half), min(1.0, middle + half)


def roc_interval(swept: Sweep, z: float, worth: float = 1.0) -> tuple[float, float] | None:
    """Interval of areaUnderROC by DeLong's variance on the logit scale: cheap enough for every slice. None without both classes.

    Parameters
    ----------
    worth : rows per unit of weight

    Notes
    -----
    Source: DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44(3), 837-845. At an area of 0 or 1 the variance is nil, and the bound is
    that of Clopper and Pearson for as many pairs as the rarer class has rows.
    """
    cells = swept.cells
    positives, negatives = float(cells.positives.sum()), float(cells.negatives.sum())
    if not positives or not negatives:
        return None
    below = (np.cumsum(cells.negatives) - cells.negatives / 2) / negatives
    above = (swept.true - cells.positives / 2) / positives
    area = float(cells.positives @ below) / positives
    fewest = min(positives, negatives) * worth
    if not 1e-12 < area < 1 - 1e-12:
        bound = math.erfc(z / math.sqrt(2)) / 2
        return (bound ** (1 / fewest), 1.0) if area > 0.5 else (0.0, 1 - bound ** (1 / fewest))
    spread = float(cells.positives @ (below - area) ** 2) / positives / max(1.0, positives * worth - 1)
    spread += float(cells.negatives @ (above - area) ** 2) / negatives / max(1.0, negatives * worth - 1)
    half = z * math.sqrt(spread) / (area * (1 - area))
    logit = math.log(area / (1 - area))
    return _logistic(logit - half), _logistic(logit + half)


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value > -700 else 0.0


def _shares(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(part / np.where(whole > 0, whole, 1))


def _thin(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Numbers of the points that a drawing needs: the first and last in each cell of a fine grid."""
    if len(x) <= POINTS:
        return np.arange(len(x))
    cell = np.floor(x * POINTS).astype(np.int64) * (POINTS + 1) + np.floor(y * POINTS).astype(np.int64)
    change = np.flatnonzero(np.diff(cell))
    return np.unique(np.concatenate(([0], change, change + 1, [len(x) - 1])))
