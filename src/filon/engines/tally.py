"""The tally: counts of label by score, from which every metric and curve is computed.

A float32 score in [0, 1] has bits below 2^30, and the bits are in the order of the scores. So a row is one integer, `bits << 1 | label`,
and counting is one SIMD sort of integers and one pass over the runs. Above `most` distinct scores the lowest bits are dropped, as few
as will do: which bits is a function of all the scores, so a tally does not depend on batches or on the order in which they were merged.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from filon.engines.piles import ONE, Pile, Run, distinct
from filon.errors import EngineError

MOST = 1 << 24
"""Distinct scores kept exactly, over all curves; above, the lowest bits of the scores are dropped and `resolution` says so."""

BUFFER = 1 << 23
"""Rows (times curves) that wait as plain integers before they are counted: 32 MiB, and long enough that few merges are needed."""

_HALF = np.float32(0.5)


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
    `rows` counts rows, `unlabelled` those without a usable label (not in any other count); `resolution` is 0.0 when exact, else the
    width of a bin of scores relative to the score (a power of two); `weight_squares` is the sum of squared row weights, from which
    the bootstrap knows how many rows the weights are worth.
    """

    classes: tuple[str, ...]
    curves: tuple[Curve, ...]
    confusion: np.ndarray
    rows: int
    unlabelled: int = 0
    resolution: float = 0.0
    weight_squares: float = 0.0


def count(
    probability: np.ndarray, label: np.ndarray, classes: tuple[str, ...], weight: np.ndarray | None = None, most: int = MOST
) -> Tally:
    """Tally of one batch.

    Parameters
    ----------
    probability : (rows, classes) float32 in [0, 1]
    label : (rows,) int32 class numbers, -1 for unlabelled
    weight : (rows,) float64 >= 0, or None for 1 each
    most : distinct scores kept exactly, shared evenly by the curves

    Raises
    ------
    EngineError : `engines.score-not-a-number` when a probability is NaN
    """
    tallier = Tallier(classes, most)
    tallier.add(probability, label, weight)
    return tallier.result()


def merge(tallies: Iterable[Tally], most: int = MOST) -> Tally:
    """One tally of many, of bounded size: never more than `most` distinct scores over all curves.

    Raises
    ------
    ValueError : there is no tally, or they are of different classes
    """
    tallier: Tallier | None = None
    for tally in tallies:
        tallier = tallier or Tallier(tally.classes, most)
        tallier.include(tally)
    if tallier is None:
        raise ValueError("nothing to merge: no tally was given")
    return tallier.result()


class Tallier:
    """Counts batches as they come, in memory that does not grow with rows.

    Rows wait in a buffer; a full buffer becomes a run of distinct scores; runs are merged when they are of like size, so that each
    row is merged a logarithmic number of times.
    """

    def __init__(self, classes: tuple[str, ...], most: int = MOST, buffer: int = BUFFER) -> None:
        if len(classes) < 2:
            raise ValueError("a tally needs two classes or more")
        curves = 1 if len(classes) == 2 else len(classes)
        self.classes = classes
        self._most = max(1, most // curves)
        self._buffer = max(1, buffer // curves)
        self._piles = tuple(Pile() for _ in range(curves))
        self._confusion = np.zeros((len(classes), len(classes)))
        self._rows = self._unlabelled = self._waiting = self._drop = 0
        self._squares = 0.0

    def add(self, probability: np.ndarray, label: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Count one batch (shapes as in `count`)."""
        self._rows += len(label)
        if len(label) and int(label.min()) < 0:
            usable = label >= 0
            self._unlabelled += int(len(label) - np.count_nonzero(usable))
            probability, label = probability[usable], label[usable]
            weight = None if weight is None else weight[usable]
        for start in range(0, len(label), self._buffer):
            part = slice(start, start + self._buffer)
            self._add(probability[part], label[part], None if weight is None else np.asarray(weight[part], dtype=np.float64))

    def include(self, tally: Tally) -> None:
        """Count what another tally has counted."""
        if tally.classes != self.classes:
            raise ValueError(f"tallies of different classes: {self.classes} and {tally.classes}")
        self._rows += tally.rows
        self._unlabelled += tally.unlabelled
        self._squares += tally.weight_squares
        self._confusion += tally.confusion
        self._drop = max(self._drop, _dropped(tally.resolution))
        for pile, curve in zip(self._piles, tally.curves, strict=True):
            pile.push(Run(curve.scores.view(np.uint32), curve.positives, curve.negatives, _dropped(tally.resolution)))
        self._settle()

    def result(self) -> Tally:
        """The tally of everything counted so far; more may be added afterwards."""
        self._flush()
        for pile in self._piles:
            pile.join(self._drop)
        self._bound()
        runs = [pile.join(self._drop) for pile in self._piles]
        curves = tuple(
            Curve(
                scores=run.bits.view(np.float32),
                positives=run.positives.astype(np.float64, copy=False),
                negatives=run.negatives.astype(np.float64, copy=False),
            )
            for run in runs
        )
        return Tally(
            classes=self.classes,
            curves=curves,
            confusion=self._confusion.copy(),
            rows=self._rows,
            unlabelled=self._unlabelled,
            resolution=_width(self._drop),
            weight_squares=self._squares,
        )

    def _add(self, probability: np.ndarray, label: np.ndarray, weight: np.ndarray | None) -> None:
        """Queue rows that all have a label, at most a buffer of them."""
        self._squares += float(len(label)) if weight is None else float(np.dot(weight, weight))
        two = len(self.classes) == 2
        if two:
            bits = _bits(probability[:, 1])
            predicted = bits.view(np.float32) >= _HALF
            self._piles[0].wait(bits, label == 1, weight)
        else:
            predicted = np.argmax(probability, axis=1)
            for number, pile in enumerate(self._piles):
                pile.wait(_bits(probability[:, number]), label == number, weight)
        cell = label.astype(np.intp) * len(self.classes) + predicted
        counts = np.bincount(cell, weights=weight, minlength=self._confusion.size)
        if len(counts) > self._confusion.size:
            raise ValueError("a label number is beyond the classes")
        self._confusion += counts.reshape(self._confusion.shape)
        self._waiting += len(label)
        if self._waiting >= self._buffer:
            self._flush()
            self._settle()

    def _flush(self) -> None:
        kind = np.uint32 if self._rows < 1 << 32 else np.float64  # half the memory, as long as no count can be beyond it
        for pile in self._piles:
            pile.flush(self._drop, kind)
        self._waiting = 0

    def _settle(self) -> None:
        """Merge runs of like size; drop bits when a run is too long."""
        for pile in self._piles:
            pile.settle(self._drop)
        self._bound()

    def _bound(self) -> None:
        """Drop as many of the lowest bits as every curve needs: the same for all curves, so that the outcome has one resolution."""
        for pile in self._piles:
            for run in pile.runs:
                while distinct(run.bits, self._drop) > self._most:
                    self._drop += 1


def _bits(scores: np.ndarray) -> np.ndarray:
    """The bits of scores: (rows,) uint32, at most those of 1.0. A score that rounding has pushed outside [0, 1] is brought back."""
    bits = np.ascontiguousarray(scores, dtype=np.float32).view(np.uint32)
    if len(bits) and int(bits.max()) > ONE:
        if np.isnan(scores).any():
            raise EngineError(
                "engines.score-not-a-number",
                "the model gave a probability that is not a number",
                f"{int(np.isnan(scores).sum())} of {len(scores)} scored rows of a batch are NaN",
                "train again; if it happens again, report it with the recipe (filon check prints it)",
            )
        bits = (np.clip(scores, 0, 1).astype(np.float32) + np.float32(0)).view(np.uint32)  # + 0 turns -0.0 into 0.0
    return bits


def _width(drop: int) -> float:
    """Width of a bin relative to the score, when `drop` bits of a 23-bit mantissa are gone."""
    return 0.0 if drop == 0 else float(2.0 ** (drop - 23))


def _dropped(resolution: float) -> int:
    return 0 if resolution == 0 else round(float(np.log2(resolution))) + 23
