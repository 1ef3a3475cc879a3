"""Exact measures of one curve in one pass from the highest score down, block by block: fast in the cache, in memory that does not grow."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from filon.evaluate.cells import Cells

BLOCK = 1 << 16
"""Cells of one step: a dozen arrays of them fit in a core's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What a curve says. NaN where it is not defined; the losses are sums over the rows of each kind."""

    positives: float
    negatives: float
    areaUnderROC: float  # noqa: N815 (metrics keep the names of Spark)
    areaUnderPR: float  # noqa: N815
    average_precision: float
    ks: float
    log_positives: float
    log_negatives: float
    squares: float


@dataclass(frozen=True, slots=True)
class _Step:
    """A block of cells, scores falling, with what was counted up to each; `precision` begins with that of the cell before."""

    part: slice
    positives: np.ndarray
    negatives: np.ndarray
    true: np.ndarray
    false: np.ndarray
    precision: np.ndarray


def measure(cells: Cells) -> Measures:
    """Every measure of one curve; definitions as in `cells`."""
    positives, negatives = float(cells.positives.sum()), float(cells.negatives.sum())
    won = pr = ap = ks = log_positives = log_negatives = squares = 0.0
    for step in _steps(cells.positives, cells.negatives):
        won += _dot(step.negatives, step.true - step.positives / 2)
        pr += _dot(step.positives, step.precision[1:] + step.precision[:-1]) / 2
        ap += _dot(step.positives, step.precision[1:])
        if positives and negatives:
            ks = max(ks, float(np.abs(step.true / positives - step.false / negatives).max()))
        part = Cells(cells.scores[step.part][::-1], step.positives, step.negatives)
        losses = part.losses()
        log_positives += _dot(part.positives, losses.log_positive)
        log_negatives += _dot(part.negatives, losses.log_negative)
        squares += _dot(part.positives, losses.square_positive) + _dot(part.negatives, losses.square_negative)
    return Measures(
        positives=positives,
        negatives=negatives,
        areaUnderROC=_over(won, positives * negatives),
        areaUnderPR=_over(pr, positives),
        average_precision=_over(ap, positives),
        ks=ks if positives and negatives else float("nan"),
        log_positives=log_positives,
        log_negatives=log_negatives,
        squares=squares,
    )


def pr_area_of_negatives(cells: Cells) -> float:
    """areaUnderPR of the negative class: the same curve seen from the other side."""
    steps = _steps(cells.negatives[::-1], cells.positives[::-1])
    return _over(sum(_dot(step.positives, step.precision[1:] + step.precision[:-1]) / 2 for step in steps), float(cells.negatives.sum()))


def _steps(positives: np.ndarray, negatives: np.ndarray) -> Iterator[_Step]:
    true = false = 0.0
    before: float | None = None
    for end in range(len(positives), 0, -BLOCK):
        part = slice(max(0, end - BLOCK), end)
        pos, neg = positives[part][::-1], negatives[part][::-1]
        upto, upto_false = np.cumsum(pos), np.cumsum(neg)
        upto += true
        upto_false += false
        called = upto + upto_false
        precision = np.divide(upto, called, out=np.ones_like(called), where=called > 0)
        # the first point is carried to recall 0; scores of no weight above it stand where it stands
        first = float(precision[np.argmax(called > 0)]) if before is None else before
        if not called[0]:
            precision = np.where(called > 0, precision, first)
        yield _Step(part, pos, neg, upto, upto_false, np.concatenate(([first], precision)))
        true, false, before = float(upto[-1]), float(upto_false[-1]), float(precision[-1]) if called[-1] > 0 else None


def _dot(one: np.ndarray, other: np.ndarray) -> float:
    """Sum of products, pairwise and in this thread: BLAS would wake threads for every block, and wait for them on a busy machine."""
    return float((one * other).sum())


def _over(top: float, bottom: float) -> float:
    return top / bottom if bottom > 0 else float("nan")
