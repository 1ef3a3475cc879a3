"""How many distinct values a column has, in bounded memory."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.rows.hash import mix, text_hashes

MOST = 100_000
"""Smallest hashes kept: exact up to here, above it the k-th smallest estimates the rest within about 1 / sqrt(k) = 0.3 %."""

FULL = 2.0**64
FEW = 0.25
"""A batch with a smaller share of distinct values is made unique before it is hashed: cheaper than hashing every cell."""


class Distinct:
    """The k smallest hashes of the values seen. It can be merged, and does not depend on order.

    Source: Bar-Yossef et al. (2002), "Counting distinct elements in a data stream", doi:10.1007/3-540-45726-7_1
    """

    __slots__ = ("_few", "_kept", "_limit", "_waiting", "_waiting_size")

    def __init__(self) -> None:
        self._kept = np.empty(0, np.uint64)
        self._waiting: list[np.ndarray] = []
        self._waiting_size = 0
        self._limit: np.uint64 | None = None
        self._few = True

    def add_numbers(self, values: np.ndarray) -> None:
        """(n,) float64 without NaN."""
        values = values + 0.0  # -0.0 is 0.0
        if self._few and len(values):
            unique = pc.unique(pa.array(values)).to_numpy(zero_copy_only=False)
            self._few = len(unique) < FEW * len(values)
            values = unique
        self._add(mix(values.view(np.uint64)))

    def add_texts(self, uniques: pa.Array) -> None:
        """(n,) strings without nulls, best unique within the batch."""
        self._add(text_hashes(uniques.cast(pa.large_string())))

    def merge(self, other: "Distinct") -> None:
        """Take in what another part of the table saw."""
        self._add(other._settled())

    def count(self) -> int:
        """Distinct values seen."""
        kept = self._settled()
        if len(kept) < MOST:
            return len(kept)
        return round((MOST - 1) / (float(kept[MOST - 1]) / FULL))

    def _add(self, hashes: np.ndarray) -> None:
        if self._limit is not None:
            hashes = hashes[hashes < self._limit]
        if not len(hashes):
            return
        self._waiting.append(hashes)
        self._waiting_size += len(hashes)
        if self._waiting_size > MOST:
            self._settled()

    def _settled(self) -> np.ndarray:
        if self._waiting:
            self._kept = np.unique(np.concatenate([self._kept, *self._waiting]))[:MOST]
            self._waiting, self._waiting_size = [], 0
            if len(self._kept) == MOST:
                self._limit = self._kept[-1]
        return self._kept
