"""Intervals by bootstrap over the tally: its cells are resampled, not the rows, so the cost does not grow with rows.

A row falls in one cell (score, label). Drawing the rows again is drawing a Poisson number for each cell with the cell's count as its mean
(the Poisson bootstrap, Hanley and MacGibbon 2006, doi:10.1016/j.cmpb.2006.04.006). Weights count as the rows they are worth (Kish).
Above `CELLS` scores, neighbours are put together; what a metric loses by that is taken back from its interval.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from filon.engines.tally import Tally
from filon.evaluate import cells as over
from filon.evaluate import metrics
from filon.evaluate.measures import measure
from filon.evaluate.records import Interval
from filon.evaluate.settings import EvaluateSettings

CELLS = 2048
"""Cells resampled, over all curves: an area is moved by less than one part in a million of its interval by more."""

ENOUGH = 0.5
"""Share of resamples in which a metric must be defined for an interval to be given."""


def worth_of(tally: Tally) -> float:
    """How many rows a unit of weight is worth: 1 without weights, else Kish's effective number of rows by the sum of weights."""
    return float(tally.confusion.sum()) / tally.weight_squares if tally.weight_squares > 0 else 1.0


def intervals(reading: metrics.Reading, settings: EvaluateSettings, seed: int) -> dict[str, Interval]:
    """Every metric with its interval; the same seed gives the same interval.

    Many classes: a mean over one-vs-rest curves gets the mean of the curves' bounds, which is never too narrow.
    """
    tally = reading.tally
    draws = _Draws(tally, settings, seed)
    found: dict[str, Interval] = {}
    for name in metrics.names(len(tally.classes)):
        exact, why = reading.value(name), reading.why(name)
        if exact is None:
            found[name] = Interval(value=None, why=why)
        else:
            found[name] = _interval(exact, draws.bounds(name, reading), why)
    return found


def decision_intervals(
    tally: Tally, threshold: float, exact: Mapping[str, float | None], settings: EvaluateSettings, seed: int
) -> dict[str, Interval]:
    """Intervals of the decision metrics (`thresholds.Decision.metrics`) of two classes."""
    rng = np.random.default_rng(seed)
    matrix = over.confusion_at(over.cells_of(tally.curves[0]), threshold)
    drawn = _poisson(rng, matrix, worth_of(tally), settings.resamples)
    tn, fp, fn, tp = drawn[:, 0, 0], drawn[:, 0, 1], drawn[:, 1, 0], drawn[:, 1, 1]
    with np.errstate(invalid="ignore", divide="ignore"):
        samples = {
            "precision": tp / (tp + fp),
            "recall": tp / (tp + fn),
            "specificity": tn / (tn + fp),
            "f1": 2 * tp / (2 * tp + fp + fn),
            "accuracy": (tp + tn) / drawn.sum((1, 2)),
            "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
            "called": (tp + fp) / drawn.sum((1, 2)),
        }
    found = {}
    for name, value in exact.items():
        bounds = _quantiles(samples[name], settings.confidence)
        found[name] = Interval(value=None, why="never-predicted") if value is None else _interval(value, bounds, "")
    return found


class _Draws:
    """Resampled cells of one tally, drawn once for all metrics."""

    def __init__(self, tally: Tally, settings: EvaluateSettings, seed: int) -> None:
        self.confidence = settings.confidence
        rng = np.random.default_rng(seed)
        worth, each = worth_of(tally), settings.resamples
        most = max(64, CELLS // len(tally.curves))
        self.plain = [over.group(over.cells_of(curve), most, keep=(0.5,)) for curve in tally.curves]
        self.drawn = [
            over.sweep(over.Cells(cells.scores, _poisson(rng, cells.positives, worth, each), _poisson(rng, cells.negatives, worth, each)))
            for cells in self.plain
        ]
        two = len(tally.classes) == 2
        self.confusion = over.confusion_at(self.drawn[0].cells, 0.5) if two else _poisson(rng, tally.confusion, worth, each)

    def bounds(self, name: str, reading: metrics.Reading) -> tuple[float, float] | None:
        """Lower and upper bound of a metric."""
        source = metrics.DEFINITIONS[name].source
        if source == "confusion":
            return _quantiles(metrics.from_confusion(self.confusion, name), self.confidence)
        if source == "curve":
            return _mean([self._curve(number, name, reading) for number in range(len(self.drawn))])
        return self._loss(name, reading)

    def _curve(self, number: int, name: str, reading: metrics.Reading) -> tuple[float, float] | None:
        exact = getattr(reading.measures[number], name)
        plain = getattr(measure(self.plain[number]), name)
        return _shifted(_quantiles(metrics.CURVE[name](self.drawn[number]), self.confidence), exact - plain)

    def _loss(self, name: str, reading: metrics.Reading) -> tuple[float, float] | None:
        losses = [cells.losses() for cells in self.plain]
        drawn = [swept.cells for swept in self.drawn]
        if name == "brier":
            return _shifted(*self._brier(drawn, losses, reading.value(name) or 0.0))
        many = len(drawn) > 1  # a row of many classes is a positive of one curve only: the positives of all curves are the rows
        samples, plain = _log_loss(drawn, losses, many), float(_log_loss(self.plain, losses, many))
        return _shifted(_quantiles(samples, self.confidence), (reading.value(name) or 0.0) - plain)

    def _brier(self, drawn: Sequence[over.Cells], losses: Sequence[over.Losses], exact: float) -> tuple[tuple[float, float] | None, float]:
        """Bounds of the Brier score, and what the grouping of cells took from it.

        A row of many classes is a positive of one curve and a negative of all others: each kind is drawn as one, and their bounds are added
        as if both went astray together. Bounds added over the curves were ten times too wide for fifty classes.
        """
        if len(drawn) == 1:
            (loss,) = losses
            plain = float(over.mean_loss(self.plain[0], loss.square_positive, loss.square_negative))
            return _quantiles(over.mean_loss(drawn[0], loss.square_positive, loss.square_negative), self.confidence), exact - plain
        low = high = plain = 0.0
        for kind, square, times in (("positives", "square_positive", 1), ("negatives", "square_negative", len(drawn) - 1)):
            means = [
                times * _mean_square([getattr(one, kind) for one in cells], [getattr(one, square) for one in losses])
                for cells in (drawn, self.plain)
            ]
            bounds = _quantiles(means[0], self.confidence)
            if bounds is None:
                return None, 0.0
            low, high, plain = low + bounds[0], high + bounds[1], plain + float(means[1])
        return (low, high), exact - plain


def _mean_square(rows: Sequence[np.ndarray], squares: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of a square over the cells of all curves: (...,)."""
    total = sum(one @ square for one, square in zip(rows, squares, strict=True))
    count = np.asarray(sum(one.sum(-1) for one in rows))
    return np.asarray(total / np.where(count > 0, count, np.nan))


def _log_loss(cells: Sequence[over.Cells], losses: Sequence[over.Losses], many: bool) -> np.ndarray:
    """Mean log loss; of many classes over the positives of every curve."""
    if not many:
        return over.mean_loss(cells[0], losses[0].log_positive, losses[0].log_negative)
    total = sum(one.positives @ loss.log_positive for one, loss in zip(cells, losses, strict=True))
    rows = np.asarray(sum(one.positives.sum(-1) for one in cells))
    return np.asarray(total / np.where(rows > 0, rows, np.nan))


def _shifted(bounds: tuple[float, float] | None, by: float) -> tuple[float, float] | None:
    return None if bounds is None else (bounds[0] + by, bounds[1] + by)


def _poisson(rng: np.random.Generator, weights: np.ndarray, worth: float, resamples: int) -> np.ndarray:
    """Drawn rows of each cell, (resamples, *shape) float64: a metric is a ratio, so weights need not be turned back from rows."""
    return rng.poisson(weights * worth, size=(resamples, *weights.shape)).astype(np.float64)


def _quantiles(samples: np.ndarray, confidence: float) -> tuple[float, float] | None:
    """The middle share of the samples in which the metric is defined; None when that is too few of them."""
    defined = samples[np.isfinite(samples)]
    if len(defined) < ENOUGH * len(samples):
        return None
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _mean(bounds: list[tuple[float, float] | None]) -> tuple[float, float] | None:
    defined = [pair for pair in bounds if pair is not None]
    if not defined:
        return None
    return sum(low for low, _ in defined) / len(defined), sum(high for _, high in defined) / len(defined)


def _interval(value: float, bounds: tuple[float, float] | None, why: metrics.Why) -> Interval:
    """A value inside its bounds: a percentile interval of a few rows may miss it, which helps nobody."""
    if bounds is None:
        return Interval(value=value, why=why or "too-few-rows")
    return Interval(value=value, lower=min(bounds[0], value), upper=max(bounds[1], value), why=why)
