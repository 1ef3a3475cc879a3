"""What a metric may be before any label has come: each score stands for the share of positives it had on the test fold.

This is an estimate. It sees that scores have moved, not that the same score has come to mean something else (concept drift).
"""

from collections.abc import Sequence

import numpy as np

from filon.engines.tally import Curve, Tally
from filon.evaluate import Interval
from filon.evaluate.metrics import DEFINITIONS, from_margins, values
from filon.watch.baseline import Baseline

DRAWS = 100
"""Of the bootstrap: enough for the ends of a 95 % interval to be known to a tenth of its width."""

ESTIMATED = ("areaUnderROC", "areaUnderPR", "accuracy", "f1", "logLoss", "brier", "precision_positive", "recall_positive", "f1_positive")
"""Metrics that are estimated for two classes; for many, those of the curves here, and those of the predicted class from `OF_WINNERS`."""

OF_WINNERS = ("accuracy", "f1", "weightedPrecision", "weightedRecall", "macroPrecision", "macroRecall", "macroF1")


def estimates(baseline: Baseline, live: Sequence[np.ndarray], winners: np.ndarray | None = None, seed: int = 42) -> dict[str, Interval]:
    """Each metric as the live scores let expect it; its change against the same reckoning on the test fold is added to the test's value.

    Of many classes, metrics of the predicted class are what the calibrated scores of the predicted classes themselves let expect (the test
    fold's counts do not say which class won at which score).

    Parameters
    ----------
    live : by curve, (cells,) counts of live scores over `baseline.scores`
    winners : (classes, cells) counts of the predicted class's score, by predicted class; None where they were not counted

    Notes
    -----
    Source: performance by calibrated confidence, after Garg et al. (2022), arXiv:2201.04234, and Guillory et al. (2021), arXiv:2107.03315
    """
    if not all(part.sum() and cells.sum() for part, cells in zip(live, baseline.by_class, strict=True)):
        return {}
    rng = np.random.default_rng(seed)
    exact = {name: one[0] for name, one in baseline.metrics.items() if name in _names(baseline)}
    middle = _change(baseline, list(baseline.by_class), [part.astype(np.float64) for part in live])
    drawn = [
        _change(
            baseline,
            [rng.poisson(part).astype(np.float64) for part in baseline.by_class],
            [rng.poisson(part).astype(np.float64) for part in live],
        )
        for _ in range(DRAWS)
    ]
    found: dict[str, Interval] = {}
    for name, test in exact.items():
        change, draws = middle.get(name), [each[name] for each in drawn if each.get(name) is not None]
        if test is None or change is None or len(draws) < DRAWS / 2:
            continue
        low, high = np.quantile(np.asarray(draws, np.float64), [0.025, 0.975])
        value, lower, upper = (_kept(name, test + one) for one in (change, min(low, change), max(high, change)))
        found[name] = Interval(value=value, lower=lower, upper=upper)
    return found if winners is None else found | _of_winners(baseline, live, winners, rng)


def _of_winners(baseline: Baseline, live: Sequence[np.ndarray], winners: np.ndarray, rng: np.random.Generator) -> dict[str, Interval]:
    """Metrics of the predicted class, of many classes: each predicted row is right as often as its class was at that score."""

    def reckoned(test: Sequence[np.ndarray], scores: Sequence[np.ndarray], won: np.ndarray) -> dict[str, float]:
        shares = np.stack([calibrated(part) for part in test])
        rows = np.array([part @ share for part, share in zip(scores, shares, strict=True)])
        called, hit = won.sum(axis=1), (won * shares).sum(axis=1)
        rows = np.maximum(rows * called.sum() / max(rows.sum(), 1e-9), hit)  # what is right is there
        return {name: float(from_margins(hit, rows, called, name)) for name in OF_WINNERS}

    middle = reckoned(baseline.by_class, live, winners)
    draws = [
        reckoned([rng.poisson(part) for part in baseline.by_class], [rng.poisson(part) for part in live], rng.poisson(winners))
        for _ in range(DRAWS)
    ]
    found: dict[str, Interval] = {}
    for name in OF_WINNERS:
        drawn = np.array([one[name] for one in draws])
        if np.isfinite(middle[name]) and np.isfinite(drawn).all() and baseline.metrics.get(name, (None,))[0] is not None:
            low, high = np.quantile(drawn, [0.025, 0.975])
            value = _kept(name, middle[name])
            found[name] = Interval(value=value, lower=min(_kept(name, low), value), upper=max(_kept(name, high), value))
    return found


def calibrated(by_class: np.ndarray) -> np.ndarray:
    """Share of positives by score cell, never falling (isotonic regression by pooling neighbours): (cells,) in [0, 1].

    Notes
    -----
    Source: Ayer et al. (1955), Annals of Mathematical Statistics 26(4), 641-647, doi:10.1214/aoms/1177728423
    """
    rows = by_class.sum(axis=1)
    blocks: list[list[float]] = []  # positives, rows, cells
    for positives, total in zip(by_class[:, 1], rows, strict=True):
        blocks.append([float(positives), float(total), 1])
        while len(blocks) > 1 and _falls(blocks[-2], blocks[-1]):
            positives_, total_, cells_ = blocks.pop()
            blocks[-1] = [blocks[-1][0] + positives_, blocks[-1][1] + total_, blocks[-1][2] + cells_]
    shares = [(block[0] / block[1] if block[1] else np.nan, int(block[2])) for block in blocks]
    stairs = np.concatenate([np.full(cells, share) for share, cells in shares])
    known = ~np.isnan(stairs)
    return np.asarray(np.interp(np.arange(len(stairs)), np.flatnonzero(known), stairs[known])) if known.any() else np.zeros(len(stairs))


def _falls(before: list[float], after: list[float]) -> bool:
    """Whether the share falls from one block to the next; a block without rows goes with the one before it."""
    return not after[1] or not before[1] or before[0] * after[1] >= after[0] * before[1]


def _change(baseline: Baseline, test: Sequence[np.ndarray], live: Sequence[np.ndarray]) -> dict[str, float | None]:
    """Metrics expected of the live scores minus those expected of the test fold's, both by the test fold's calibration."""
    shares = [calibrated(part) for part in test]
    now = values(_tally(baseline, shares, live))
    before = values(_tally(baseline, shares, [part.sum(axis=1) for part in test]))
    return {name: _minus(now[name], before[name]) for name in _names(baseline) if name in now}


def _tally(baseline: Baseline, shares: Sequence[np.ndarray], live: Sequence[np.ndarray]) -> Tally:
    """A tally of expected counts."""
    edges = np.asarray(baseline.scores, np.float32)
    middles = (edges[:-1] + edges[1:]) / 2
    curves = tuple(
        Curve(scores=middles, positives=rows * share, negatives=rows * (1 - share)) for rows, share in zip(live, shares, strict=True)
    )
    confusion = np.zeros((len(baseline.classes), len(baseline.classes)))
    if len(baseline.classes) == 2:
        called = edges[:-1] >= np.float32(0.5)
        for column, chosen in ((0, ~called), (1, called)):
            confusion[:, column] = curves[0].negatives[chosen].sum(), curves[0].positives[chosen].sum()
    else:
        confusion += 1.0  # who is taken for whom cannot be told from the curves; nothing read from here is shown
    rows = int(live[0].sum())
    return Tally(classes=baseline.classes, curves=curves, confusion=confusion, rows=rows, weight_squares=float(rows))


def _names(baseline: Baseline) -> tuple[str, ...]:
    two = len(baseline.classes) == 2
    return tuple(name for name in ESTIMATED if two or DEFINITIONS[name].source != "confusion")


def _minus(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other


def _kept(name: str, value: float) -> float:
    """Inside what the metric can be."""
    return max(0.0, value) if name == "logLoss" else min(1.0, max(0.0, value))
