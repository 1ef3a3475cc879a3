"""The label's values as they come: numbered in order of appearance, counted."""

import numpy as np
import pyarrow as pa

from filon.rows.encode import label_text

MOST_LABELS = 100_000
"""Distinct labels counted one by one; a label with more is a number or an id, and only its distinct count matters."""

MOST_CLASSES = 64
"""Classes kept apart in counts by class, in order of appearance; later ones share the last place."""


class Labels:
    """Texts of the label, numbered from 1 in order of appearance; 0 is missing."""

    __slots__ = ("counts", "numbers")

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}
        self.counts = np.zeros(1, np.int64)

    def add(self, cells: pa.Array) -> np.ndarray:
        """Number each cell and count it: (rows,) int32."""
        if pa.types.is_floating(cells.type) or pa.types.is_decimal(cells.type):
            cells = pa.array(np.asarray(cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)), from_pandas=True)
        if pa.types.is_null(cells.type):
            cells = cells.cast(pa.string())
        coded = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
        texts = label_text(coded.dictionary).to_pylist()
        lookup = np.zeros(len(texts) + 1, np.int32)
        for place, text in enumerate(texts):
            if text is not None:
                lookup[place] = self._number(text)
        indices = coded.indices.fill_null(len(texts)) if coded.indices.null_count else coded.indices
        codes: np.ndarray = lookup[indices.to_numpy(zero_copy_only=False)]
        found = np.bincount(codes, minlength=len(self.counts))
        found[: len(self.counts)] += self.counts
        self.counts = found
        return codes

    def texts(self, codes: np.ndarray) -> pa.DictionaryArray:
        """The texts of cells that `add` has just numbered (missing: null, as those beyond `MOST_LABELS`); only texts that are there."""
        there = np.flatnonzero(np.bincount(codes))
        place = np.zeros(int(there[-1]) + 1 if len(there) else 1, np.int32)
        place[there] = np.arange(len(there))
        known = dict(zip(self.numbers.values(), self.numbers, strict=True))
        # Not pa.array of numpy, which would import pandas
        cells = pa.Array.from_buffers(pa.int32(), len(codes), [None, pa.py_buffer(np.ascontiguousarray(place[codes]))])
        return pa.DictionaryArray.from_arrays(cells, pa.array([known.get(int(number)) for number in there], pa.string()))

    def _number(self, text: str) -> int:
        number = self.numbers.get(text)
        if number is None:
            number = min(len(self.numbers), MOST_LABELS) + 1
            if number <= MOST_LABELS:
                self.numbers[text] = number
        return number

    def merge(self, other: "Labels") -> np.ndarray:
        """Take in another part's labels; returns this part's number for each of its numbers."""
        lookup = np.zeros(MOST_LABELS + 2, np.int32)
        lookup[-1] = MOST_LABELS + 1
        for text, number in other.numbers.items():
            lookup[number] = self._number(text)
        lookup = lookup[: len(other.counts)]
        total = np.zeros(max(len(self.counts), int(lookup.max(initial=0)) + 1), np.int64)
        total[: len(self.counts)] = self.counts
        np.add.at(total, lookup, other.counts)
        self.counts = total
        return lookup

    @property
    def missing(self) -> int:
        """Rows without a label."""
        return int(self.counts[0])

    def ranked(self) -> list[tuple[str, int]]:
        """Texts with their rows, most frequent first, ties by text."""
        pairs = [(text, int(self.counts[number]) if number < len(self.counts) else 0) for text, number in self.numbers.items()]
        return sorted(pairs, key=lambda pair: (-pair[1], pair[0]))
