"""Two models on the same rows: the difference of every metric with its interval, and McNemar's test of their decisions.

The bootstrap draws rows, and both models are asked on the rows drawn: what the two have in common does not widen the interval of their
difference. Drawing rows again is drawing a Poisson number with mean 1 for each (Hanley and MacGibbon 2006, doi:10.1016/j.cmpb.2006.04.006).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from filon.engines import tally
from filon.evaluate import cells as over
from filon.evaluate import metrics

CELLS = 2048
"""Scores of one curve while rows are drawn again; neighbours are put together above. What a metric loses by that is taken back."""

TINY = 1e-15
"""Probabilities are kept so far from 0 and 1 in the log loss, as `evaluate.metrics` does."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What one model said. probability : (rows, classes) float32; chosen : (rows,) int, the class it would answer (by its threshold)."""

    probability: np.ndarray
    chosen: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One metric of both, and right minus left with its interval. None where it is not defined."""

    left: float | None
    right: float | None
    value: float | None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class McNemar:
    """Rows by who was right, and the exact two-sided chance of so uneven a split of the rows in which only one was.

    Notes
    -----
    Source: McNemar (1947), Psychometrika 12, 153-157, doi:10.1007/BF02295996
    """

    both: int
    only_left: int
    only_right: int
    neither: int
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Two models on the same rows. `confidence` is that of every interval."""

    rows: int
    confidence: float
    metrics: Mapping[str, Difference]
    mcnemar: McNemar


def compare(
    left: Answers,
    right: Answers,
    label: np.ndarray,
    classes: tuple[str, ...],
    *,
    weight: np.ndarray | None = None,
    resamples: int = 400,
    confidence: float = 0.95,
    seed: int = 42,
) -> Paired:
    """Every metric of both and of their difference.

    Parameters
    ----------
    label : (rows,) int class numbers, >= 0; weight : (rows,) float64, None for 1 each
    seed : the same seed gives the same intervals
    """
    exact = [metrics.values(tally.count(one.probability, label.astype(np.int32), classes, weight)) for one in (left, right)]
    draws = [_Draws(one, label, len(classes)) for one in (left, right)]
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        drawn = rng.poisson(1.0, len(label)).astype(np.float64)
        if weight is not None:
            drawn *= weight
        for one in draws:
            one.add(drawn)
    plain = [_Draws(one, label, len(classes)) for one in (left, right)]
    for one in plain:
        one.add(np.ones(len(label)) if weight is None else weight.astype(np.float64))
    found = {}
    for name in metrics.names(len(classes)):
        before, after = exact[0][name], exact[1][name]
        if before is None or after is None:
            found[name] = Difference(left=before, right=after, value=None)
            continue
        samples = draws[1].values(name) - draws[0].values(name)
        shift = (after - before) - float((plain[1].values(name) - plain[0].values(name))[0])
        bounds = _bounds(samples, confidence, shift)
        found[name] = Difference(left=before, right=after, value=after - before, lower=bounds[0], upper=bounds[1])
    return Paired(rows=len(label), confidence=confidence, metrics=found, mcnemar=mcnemar(left.chosen == label, right.chosen == label))


def mcnemar(left: np.ndarray, right: np.ndarray) -> McNemar:
    """McNemar's exact test. left, right : (rows,) bool, whether the model was right.

    >>> mcnemar(np.array([True, True, False]), np.array([True, False, False])).p
    1.0
    """
    from scipy.stats import binomtest

    only_left, only_right = int((left & ~right).sum()), int((~left & right).sum())
    apart = only_left + only_right
    p = float(binomtest(min(only_left, only_right), apart, 0.5).pvalue) if apart else 1.0
    return McNemar(both=int((left & right).sum()), only_left=only_left, only_right=only_right, neither=int((~left & ~right).sum()), p=p)


class _Draws:
    """Metrics of one model over resamples: per resample, counts by cell of each curve, the confusion matrix and two mean losses."""

    def __init__(self, answers: Answers, label: np.ndarray, classes: int) -> None:
        shares = answers.probability
        self.classes, self.two = classes, classes == 2
        curves = [1] if self.two else list(range(classes))
        placed = [_cells(shares[:, number]) for number in curves]
        self._places = [place * 2 + (label == number) for number, (place, _) in zip(curves, placed, strict=True)]
        self._scores = [scores for _, scores in placed]
        predicted = (shares[:, 1] >= np.float32(0.5)).astype(np.int64) if self.two else np.argmax(shares, axis=1)
        self._cell = label.astype(np.int64) * classes + predicted
        wide = shares.astype(np.float64)
        truth = np.eye(classes)[label]
        self._log = -np.log(np.clip(wide[np.arange(len(label)), label], TINY, 1 - TINY))
        self._square = (wide[:, 1] - truth[:, 1]) ** 2 if self.two else ((wide - truth) ** 2).sum(axis=1)
        self._curves: list[list[np.ndarray]] = [[] for _ in curves]
        self._matrices: list[np.ndarray] = []
        self._losses: list[tuple[float, float]] = []

    def add(self, drawn: np.ndarray) -> None:
        """Count one resample. drawn : (rows,) float64"""
        for kept, places, scores in zip(self._curves, self._places, self._scores, strict=True):
            kept.append(np.bincount(places, weights=drawn, minlength=2 * len(scores)).reshape(-1, 2))
        self._matrices.append(np.bincount(self._cell, weights=drawn, minlength=self.classes**2).reshape(self.classes, self.classes))
        total = drawn.sum() or np.nan
        self._losses.append((float(drawn @ self._log / total), float(drawn @ self._square / total)))

    def values(self, name: str) -> np.ndarray:
        """The metric in each resample: (resamples,) float64, NaN where it is not defined."""
        source = metrics.DEFINITIONS[name].source
        if source == "confusion":
            return metrics.from_confusion(np.stack(self._matrices), name)
        if source == "loss":
            return np.array(self._losses)[:, 0 if name == "logLoss" else 1]
        each = []
        for counts, scores in zip(self._curves, self._scores, strict=True):
            both = np.stack(counts)
            each.append(metrics.CURVE[name](over.sweep(over.Cells(scores, both[..., 1], both[..., 0]))))
        return np.asarray(np.mean(each, axis=0))


def _cells(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number of each row's cell by ascending score, and the cells' scores: equal scores together, at most `CELLS` cells of like size."""
    unique, places, counts = np.unique(scores, return_inverse=True, return_counts=True)
    if len(unique) > CELLS:
        groups = np.minimum((np.cumsum(counts) - counts) * CELLS // len(scores), CELLS - 1)
        _, groups = np.unique(groups, return_inverse=True)
        sums = np.bincount(groups, weights=unique.astype(np.float64) * counts)
        unique, places = (sums / np.bincount(groups, weights=counts)).astype(np.float32), groups[places]
    return places.astype(np.int64), unique


def _bounds(samples: np.ndarray, confidence: float, shift: float) -> tuple[float | None, float | None]:
    defined = samples[np.isfinite(samples)]
    if len(defined) < len(samples) / 2:
        return None, None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low) + shift, float(high) + shift
