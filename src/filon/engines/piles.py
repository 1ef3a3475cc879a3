"""One curve of a tally in the making: rows wait as integers, become runs of distinct scores, and runs are merged block by block.

A score is known by its bits (see `tally`). Everything here is bounded by the scores kept, and works on pieces that fit in a core's cache.
"""

from collections.abc import Sequence

import numpy as np

BLOCK = 1 << 16
"""Scores gone through at a time: their arrays fit in a core's cache."""

ONE = 0x3F800000
"""The bits of 1.0."""


class Run:
    """Distinct scores as bits in ascending order, the lowest `drop` of them dropped, with the weight of positives and negatives at each."""

    __slots__ = ("bits", "drop", "negatives", "positives")

    def __init__(self, bits: np.ndarray, positives: np.ndarray, negatives: np.ndarray, drop: int = 0) -> None:
        self.bits, self.positives, self.negatives, self.drop = bits, positives, negatives, drop


class Pile:
    """One curve in the making: rows that wait, and runs, the longest first."""

    __slots__ = ("_keys", "_weights", "runs")

    def __init__(self) -> None:
        self._keys: list[np.ndarray] = []
        self._weights: list[np.ndarray | None] = []
        self.runs: list[Run] = []

    def wait(self, bits: np.ndarray, positive: np.ndarray, weight: np.ndarray | None) -> None:
        key = np.left_shift(bits, 1, dtype=np.uint32)
        key |= positive
        self._keys.append(key)
        self._weights.append(weight)

    def push(self, run: Run) -> None:
        if len(run.bits):
            self.runs.append(run)

    def flush(self, drop: int, kind: type) -> None:
        """Turn the waiting rows into runs; counts are of this kind."""
        plain = [key for key, weight in zip(self._keys, self._weights, strict=True) if weight is None]
        heavy = [(key, weight) for key, weight in zip(self._keys, self._weights, strict=True) if weight is not None]
        self._keys, self._weights = [], []
        if plain:
            self.push(_joined([_run_of(plain, kind)], drop))
        if heavy:
            self.push(_joined([_run_of_weighted([key for key, _ in heavy], [weight for _, weight in heavy])], drop))

    def settle(self, drop: int) -> None:
        self.runs.sort(key=lambda run: -len(run.bits))
        while len(self.runs) > 1 and len(self.runs[-2].bits) <= 2 * len(self.runs[-1].bits):
            last = [self.runs.pop(), self.runs.pop()]
            self.push(_joined(last, drop))
            self.runs.sort(key=lambda run: -len(run.bits))

    def join(self, drop: int) -> Run:
        """All runs as one."""
        run = _joined(self.runs, drop)
        self.runs = [run] if len(run.bits) else []
        return run


class _Column:
    """A run in the writing: room for the longest outcome, of which only the pages written to are ever touched."""

    def __init__(self, most: int, kind: np.dtype) -> None:
        self._bits, self._positives, self._negatives = np.empty(most, np.uint32), np.empty(most, kind), np.empty(most, kind)
        self._filled = 0

    def write(self, run: Run) -> None:
        part = slice(self._filled, self._filled + len(run.bits))
        self._bits[part], self._positives[part], self._negatives[part] = run.bits, run.positives, run.negatives
        self._filled = part.stop

    def run(self, drop: int = 0) -> Run:
        return Run(self._bits[: self._filled], self._positives[: self._filled], self._negatives[: self._filled], drop)


def _run_of(keys: Sequence[np.ndarray], kind: type) -> Run:
    """Count keys of one row each: sort, then the lengths of runs, block by block in the cache."""
    key = np.concatenate(keys)
    key.sort()
    written, start = _Column(len(key), np.dtype(kind)), 0
    while start < len(key):
        end = min(start + BLOCK, len(key))
        end += int(np.searchsorted(key[end:], key[end - 1] | 1, side="right"))  # equal scores stay in one block
        written.write(_lengths(key[start:end]))
        start = end
    return written.run()


def _lengths(key: np.ndarray) -> Run:
    """Distinct scores of sorted keys with the positives and negatives of each."""
    upto = np.cumsum(key & 1, dtype=np.int64)  # positives up to and with this row
    bits = key >> np.uint32(1)
    last = np.flatnonzero(np.concatenate((bits[1:] != bits[:-1], [True])))
    positives = np.diff(upto[last], prepend=0)
    return Run(bits[last], positives, np.diff(last, prepend=-1) - positives)


def _run_of_weighted(keys: Sequence[np.ndarray], weights: Sequence[np.ndarray]) -> Run:
    """Count keys with weights: the row's number rides in the low half of a 64-bit key, so the order of sums is that of the rows."""
    key, weight = np.concatenate(keys), np.concatenate(weights)
    pair = (key.astype(np.uint64) << np.uint64(32)) | np.arange(len(key), dtype=np.uint64)
    pair.sort()
    weight = weight[pair & np.uint64(0xFFFFFFFF)]
    pair >>= np.uint64(32)
    positive = (pair & np.uint64(1)).astype(bool)
    bits = (pair >> np.uint64(1)).astype(np.uint32)
    first = np.flatnonzero(np.concatenate(([True], bits[1:] != bits[:-1])))
    return _present(Run(bits[first], np.add.reduceat(weight * positive, first), np.add.reduceat(weight * ~positive, first)))


def _joined(runs: Sequence[Run], drop: int) -> Run:
    """One run of many, its lowest `drop` bits dropped: cut at the same scores, each piece is merged in the cache."""
    if not runs:
        return Run(np.empty(0, np.uint32), np.empty(0), np.empty(0))
    if len(runs) == 1 and runs[0].drop >= drop:
        return runs[0]
    cuts = max((run.bits for run in runs), key=len)[BLOCK::BLOCK] >> np.uint32(drop) << np.uint32(drop)
    bounds = [[0, *np.searchsorted(run.bits, cuts).tolist(), len(run.bits)] for run in runs]
    written = _Column(sum(len(run.bits) for run in runs), np.result_type(*[run.positives for run in runs]))
    for number in range(len(cuts) + 1):
        parts = [slice(bound[number], bound[number + 1]) for bound in bounds]
        written.write(_merged([Run(run.bits[p], run.positives[p], run.negatives[p]) for run, p in zip(runs, parts, strict=True)], drop))
    return written.run(drop)


def _merged(runs: Sequence[Run], drop: int) -> Run:
    bits = np.concatenate([run.bits for run in runs])
    if not len(bits):
        return runs[0]
    if drop:  # a bin is named by its middle, so dropping twice is dropping once
        bits = np.minimum((bits >> np.uint32(drop) << np.uint32(drop)) | np.uint32(1 << (drop - 1)), np.uint32(ONE))
    order = np.argsort(bits, kind="stable")  # runs are sorted already: a stable sort merges them in linear time
    bits = bits[order]
    first = np.flatnonzero(np.concatenate(([True], bits[1:] != bits[:-1])))
    positives = np.concatenate([run.positives for run in runs])[order]
    negatives = np.concatenate([run.negatives for run in runs])[order]
    return Run(bits[first], np.add.reduceat(positives, first), np.add.reduceat(negatives, first))


def _present(run: Run) -> Run:
    """Without scores that only rows of no weight have."""
    some = (run.positives > 0) | (run.negatives > 0)
    return run if some.all() else Run(run.bits[some], run.positives[some], run.negatives[some])


def distinct(bits: np.ndarray, drop: int) -> int:
    """Distinct values of sorted bits without their lowest `drop`."""
    if not drop or not len(bits):
        return len(bits)
    kept = bits >> np.uint32(drop)
    return 1 + int(np.count_nonzero(kept[1:] != kept[:-1]))
