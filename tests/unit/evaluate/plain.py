"""Spark's definitions, written as its source reads and nothing more: row by row, no cleverness."""

import math
from collections.abc import Sequence
from itertools import pairwise


def thresholds(scores: Sequence[float], label: Sequence[int], weight: Sequence[float]) -> list[tuple[float, float]]:
    """Cumulative (true positives, false positives) by distinct score, highest first (BinaryClassificationMetrics, numBins = 0)."""
    counts: dict[float, list[float]] = {}
    for score, positive, w in zip(scores, label, weight, strict=True):
        counts.setdefault(float(score), [0.0, 0.0])[0 if positive else 1] += w
    true = false = 0.0
    found = []
    for score in sorted(counts, reverse=True):
        true, false = true + counts[score][0], false + counts[score][1]
        found.append((true, false))
    return found


def area(points: list[tuple[float, float]]) -> float:
    """AreaUnderCurve.of: trapezoids between consecutive points."""
    return sum((x2 - x1) * (y1 + y2) / 2 for (x1, y1), (x2, y2) in pairwise(points))


def area_under_roc(scores: Sequence[float], label: Sequence[int], weight: Sequence[float]) -> float:
    steps = thresholds(scores, label, weight)
    positives, negatives = steps[-1]
    return area([(0.0, 0.0), *((false / negatives, true / positives) for true, false in steps), (1.0, 1.0)])


def area_under_pr(scores: Sequence[float], label: Sequence[int], weight: Sequence[float]) -> float:
    steps = thresholds(scores, label, weight)
    positives = steps[-1][0]
    curve = [(true / positives, true / (true + false)) for true, false in steps]
    return area([(0.0, curve[0][1]), *curve])


def by_class(label: Sequence[int], predicted: Sequence[int], weight: Sequence[float]) -> dict[str, float]:
    """MulticlassMetrics: weightedPrecision, weightedRecall, weightedFMeasure, accuracy."""
    total = sum(weight)
    rows: dict[int, float] = {}
    true: dict[int, float] = {}
    false: dict[int, float] = {}
    for y, p, w in zip(label, predicted, weight, strict=True):
        rows[y] = rows.get(y, 0.0) + w
        counted = true if y == p else false
        counted[p] = counted.get(p, 0.0) + w
    precision, recall, f1 = {}, {}, {}
    for y, count in rows.items():
        hit, called = true.get(y, 0.0), true.get(y, 0.0) + false.get(y, 0.0)
        precision[y] = hit / called if called else 0.0
        recall[y] = hit / count
        f1[y] = 2 * precision[y] * recall[y] / (precision[y] + recall[y]) if precision[y] + recall[y] else 0.0
    return {
        "weightedPrecision": sum(precision[y] * rows[y] / total for y in rows),
        "weightedRecall": sum(recall[y] * rows[y] / total for y in rows),
        "f1": sum(f1[y] * rows[y] / total for y in rows),
        "accuracy": sum(true.values()) / total,
    }


def log_loss(probability: Sequence[Sequence[float]], label: Sequence[int], weight: Sequence[float], eps: float = 1e-15) -> float:
    """MulticlassMetrics.logLoss."""
    losses = [-w * math.log(min(1 - eps, max(eps, float(p[y])))) for p, y, w in zip(probability, label, weight, strict=True)]
    return sum(losses) / sum(weight)
