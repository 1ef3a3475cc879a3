"""The tally: counts of label by score, from which every metric and curve is computed.

A float32 score in [0, 1] has bits below 2^30, and the bits are in the order of the scores. So a row is one integer, `bits << 1 | label`,
and counting is one SIMD sort of integers and one pass over the runs. Above `most` distinct scores the lowest bits are dropped, as few
as will do: which bits is a function of all the scores, so a tally does not depend on batches or on the order in which they were merged.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from filon.errors import EngineError

MOST = 1 << 24
"""Distinct scores kept exactly, over all curves; above, the lowest bits of the scores are dropped and `resolution` says so."""

BUFFER = 1 << 23
"""Rows (times curves) that wait as plain integers before they are counted: 32 MiB, and long enough that few merges are needed."""

_ONE = 0x3F800000  # the bits of 1.0f
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
        self._piles = tuple(_Pile() for _ in range(curves))
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
            pile.push(_Run(curve.scores.view(np.uint32), curve.positives, curve.negatives))
        self._settle()

    def result(self) -> Tally:
        """The tally of everything counted so far; more may be added afterwards."""
        self._flush()
        for pile in self._piles:
            pile.join(self._drop)
        self._bound()
        runs = [pile.join(self._drop) for pile in self._piles]
        curves = tuple(Curve(scores=run.bits.view(np.float32), positives=run.positives, negatives=run.negatives) for run in runs)
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
        for pile in self._piles:
            pile.flush(self._drop)
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
                while _distinct(run.bits, self._drop) > self._most:
                    self._drop += 1


class _Run:
    """Distinct scores as bits in ascending order, with the weight of positives and negatives at each."""

    __slots__ = ("bits", "negatives", "positives")

    def __init__(self, bits: np.ndarray, positives: np.ndarray, negatives: np.ndarray) -> None:
        self.bits, self.positives, self.negatives = bits, positives, negatives


class _Pile:
    """One curve in the making: rows that wait, and runs, the longest first."""

    __slots__ = ("_keys", "_weights", "runs")

    def __init__(self) -> None:
        self._keys: list[np.ndarray] = []
        self._weights: list[np.ndarray | None] = []
        self.runs: list[_Run] = []

    def wait(self, bits: np.ndarray, positive: np.ndarray, weight: np.ndarray | None) -> None:
        key = np.left_shift(bits, 1, dtype=np.uint32)
        key |= positive
        self._keys.append(key)
        self._weights.append(weight)

    def push(self, run: _Run) -> None:
        if len(run.bits):
            self.runs.append(run)

    def flush(self, drop: int) -> None:
        """Turn the waiting rows into runs."""
        plain = [key for key, weight in zip(self._keys, self._weights, strict=True) if weight is None]
        heavy = [(key, weight) for key, weight in zip(self._keys, self._weights, strict=True) if weight is not None]
        self._keys, self._weights = [], []
        if plain:
            self.push(_coarse(_run_of(plain), drop))
        if heavy:
            self.push(_coarse(_run_of_weighted([key for key, _ in heavy], [weight for _, weight in heavy]), drop))

    def settle(self, drop: int) -> None:
        self.runs.sort(key=lambda run: -len(run.bits))
        while len(self.runs) > 1 and len(self.runs[-2].bits) <= 2 * len(self.runs[-1].bits):
            last = [self.runs.pop(), self.runs.pop()]
            self.push(_joined(last, drop))
            self.runs.sort(key=lambda run: -len(run.bits))

    def join(self, drop: int) -> _Run:
        """All runs as one."""
        run = _joined(self.runs, drop)
        self.runs = [run] if len(run.bits) else []
        return run


def _bits(scores: np.ndarray) -> np.ndarray:
    """The bits of scores: (rows,) uint32, at most those of 1.0. A score that rounding has pushed outside [0, 1] is brought back."""
    bits = np.ascontiguousarray(scores, dtype=np.float32).view(np.uint32)
    if len(bits) and int(bits.max()) > _ONE:
        if np.isnan(scores).any():
            raise EngineError(
                "engines.score-not-a-number",
                "the model gave a probability that is not a number",
                f"{int(np.isnan(scores).sum())} of {len(scores)} scored rows of a batch are NaN",
                "train again; if it happens again, report it with the recipe (filon check prints it)",
            )
        bits = (np.clip(scores, 0, 1).astype(np.float32) + np.float32(0)).view(np.uint32)  # + 0 turns -0.0 into 0.0
    return bits


def _run_of(keys: Sequence[np.ndarray]) -> _Run:
    """Count keys of one row each: sort, then the lengths of runs."""
    key = np.concatenate(keys)
    key.sort()
    upto = np.cumsum(key & 1, dtype=np.int32)  # positives up to and with this row
    key >>= 1
    last = np.flatnonzero(np.concatenate((key[1:] != key[:-1], [True])))
    positives = np.diff(upto[last], prepend=0).astype(np.float64)
    return _Run(key[last], positives, np.diff(last, prepend=-1) - positives)


def _run_of_weighted(keys: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> _Run:
    """Count keys with weights: the row's number rides in the low half of a 64-bit key, so the order of sums is that of the rows."""
    key, weight = np.concatenate(keys), np.concatenate(weights)
    pair = (key.astype(np.uint64) << np.uint64(32)) | np.arange(len(key), dtype=np.uint64)
    pair.sort()
    weight = weight[pair & np.uint64(0xFFFFFFFF)]
    pair >>= np.uint64(32)
    positive = (pair & np.uint64(1)).astype(bool)
    bits = (pair >> np.uint64(1)).astype(np.uint32)
    first = np.flatnonzero(np.concatenate(([True], bits[1:] != bits[:-1])))
    return _present(_Run(bits[first], np.add.reduceat(weight * positive, first), np.add.reduceat(weight * ~positive, first)))


def _joined(runs: Sequence[_Run], drop: int) -> _Run:
    """One run of many."""
    if not runs:
        return _Run(np.empty(0, np.uint32), np.empty(0), np.empty(0))
    if len(runs) == 1:
        return _coarse(runs[0], drop)
    runs = [_coarse(run, drop) for run in runs]
    bits = np.concatenate([run.bits for run in runs])
    order = np.argsort(bits, kind="stable")  # runs are sorted already: a stable sort merges them in linear time
    bits = bits[order]
    first = np.flatnonzero(np.concatenate(([True], bits[1:] != bits[:-1])))
    positives = np.concatenate([run.positives for run in runs])[order]
    negatives = np.concatenate([run.negatives for run in runs])[order]
    return _Run(bits[first], np.add.reduceat(positives, first), np.add.reduceat(negatives, first))


def _coarse(run: _Run, drop: int) -> _Run:
    """The run with its lowest `drop` bits dropped: each bin is named by its middle, so dropping twice is dropping once."""
    if not drop or not len(run.bits):
        return run
    bits = np.minimum((run.bits >> np.uint32(drop) << np.uint32(drop)) | np.uint32(1 << (drop - 1)), np.uint32(_ONE))
    first = np.flatnonzero(np.concatenate(([True], bits[1:] != bits[:-1])))
    if len(first) == len(bits):
        return _Run(bits, run.positives, run.negatives)
    return _Run(bits[first], np.add.reduceat(run.positives, first), np.add.reduceat(run.negatives, first))


def _present(run: _Run) -> _Run:
    """Without scores that only rows of no weight have."""
    some = (run.positives > 0) | (run.negatives > 0)
    return run if some.all() else _Run(run.bits[some], run.positives[some], run.negatives[some])


def _distinct(bits: np.ndarray, drop: int) -> int:
    """Distinct values of sorted bits without their lowest `drop`."""
    if not drop or not len(bits):
        return len(bits)
    kept = bits >> np.uint32(drop)
    return 1 + int(np.count_nonzero(kept[1:] != kept[:-1]))


def _width(drop: int) -> float:
    """Width of a bin relative to the score, when `drop` bits of a 23-bit mantissa are gone."""
    return 0.0 if drop == 0 else float(2.0 ** (drop - 23))


def _dropped(resolution: float) -> int:
    return 0 if resolution == 0 else round(float(np.log2(resolution))) + 23
