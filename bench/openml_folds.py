"""The ten folds that OpenML gives out for a table, which published references were measured on.

OpenML draws them with Weka's shuffle and stratification from `java.util.Random` with seed 0 (github.com/openml/EvaluationEngine,
`foldgenerators` and `TestSplitGenerationConstant`); this follows the same steps, so the folds are the same where the rows are in
OpenML's order.
"""

from collections.abc import Sequence

import numpy as np

FOLDS = 10
_MULTIPLIER, _INCREMENT, _BITS = 0x5DEECE66D, 0xB, (1 << 48) - 1


class _JavaRandom:
    """The linear congruential generator that the documentation of `java.util.Random` specifies."""

    def __init__(self, seed: int) -> None:
        self._state = (seed ^ _MULTIPLIER) & _BITS

    def below(self, bound: int) -> int:
        """A number from 0 to `bound` - 1."""
        while True:
            bits = self._next()
            if bound & -bound == bound:
                return (bound * bits) >> 31
            if bits - bits % bound + bound - 1 < 1 << 31:
                return bits % bound

    def _next(self) -> int:
        self._state = (self._state * _MULTIPLIER + _INCREMENT) & _BITS
        return self._state >> 17


def outer(labels: Sequence[str]) -> np.ndarray:
    """Fold of each row: (rows,) int64, by its place in the file."""
    order = _shuffled(len(labels))
    _bring_equal_together(order, labels)
    dealt = [row for start in range(FOLDS) for row in order[start::FOLDS]]
    found, place = np.empty(len(labels), np.int64), 0
    for fold in range(FOLDS):
        size = len(labels) // FOLDS + (fold < len(labels) % FOLDS)
        found[dealt[place : place + size]] = fold
        place += size
    return found


def _shuffled(rows: int) -> list[int]:
    random, order = _JavaRandom(0), list(range(rows))
    for last in range(rows - 1, 0, -1):
        other = random.below(last + 1)
        order[last], order[other] = order[other], order[last]
    return order


def _bring_equal_together(order: list[int], labels: Sequence[str]) -> None:
    """Weka's grouping by class, whose swaps leave an order of their own."""
    index = 1
    while index < len(order):
        label = labels[order[index - 1]]
        for place in range(index, len(order)):
            if labels[order[place]] == label:
                order[index], order[place] = order[place], order[index]
                index += 1
        index += 1
