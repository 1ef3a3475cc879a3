"""The tally: counts of label by score, from which every metric and curve is computed."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

MOST = 1 << 24
"""Distinct scores kept exactly per curve; above, scores are binned to 2^-24 of the range and `resolution` says so."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """One class against the rest, by distinct score in ascending order.

    scores : (m,) float32; positives, negatives : (m,) float64 sums of row weights (counts when there are none)
    """

    scores: np.ndarray
    positives: np.ndarray
    negatives: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """Two classes: one curve, of the positive (second) class. Many: one curve by class, in order.

    confusion : (classes, classes) float64, true by predicted, predicted as argmax (two classes: score >= 0.5);
    `rows` counts rows, `unlabelled` those without a usable label (not in any other count); `resolution` is 0.0 when exact.
    """

    classes: tuple[str, ...]
    curves: tuple[Curve, ...]
    confusion: np.ndarray
    rows: int
    unlabelled: int = 0
    resolution: float = 0.0


def count(probability: np.ndarray, label: np.ndarray, classes: tuple[str, ...], weight: np.ndarray | None = None, most: int = MOST) -> Tally:
    """Tally of one batch.

    Parameters
    ----------
    probability : (rows, classes) float32 in [0, 1]
    label : (rows,) int32 class numbers, -1 for unlabelled
    weight : (rows,) float64 >= 0, or None for 1 each
    """
    raise NotImplementedError


def merge(tallies: Iterable[Tally], most: int = MOST) -> Tally:
    """One tally of many, of bounded size: never more than `most` distinct scores a curve."""
    raise NotImplementedError
