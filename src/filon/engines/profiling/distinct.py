"""How many distinct values a column has, in bounded memory."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.rows.hash import mix, text_hashes

EXACT = 100_000
"""Distinct values counted exactly in a table of up to 160 columns; above, the smallest hashes estimate within 2 % (0.4 % is usual)."""

HASHES = 16_000_000
"""Hashes kept over all columns (128 MB): wide tables count fewer values exactly."""

FEWEST = 4096
PART = 0.6
"""Share of the hashes that stays when there are too many."""

FULL = 2.0**64
FEW = 0.25
"""A batch with a smaller share of distinct values is made unique before it is hashed: cheaper than hashing every cell."""


class Distinct:
    """The hashes of the values seen, or the smallest ones of them. It can be merged, and does not depend on order.

    Source: Bar-Yossef et al. (2002), "Counting distinct elements in a data stream", doi:10.1007/3-540-45726-7_1
    """

    __slots__ = ("_few", "_kept", "_limit", "_most", "_waiting", "_waiting_size")

    def __init__(self, columns: int = 1) -> None:
        """`columns` are those of the table, which share the memory."""
        self._most = max(FEWEST, min(EXACT, HASHES // max(1, columns)))
        self._kept = np.empty(0, np.uint64)
        self._waiting: list[np.ndarray] = []
        self._waiting_size = 0
        self._limit: np.uint64 | None = None
        self._few = True

    def add_numbers(self, values: np.ndarray) -> None:
        """(n,) float64 without NaN."""
        values = values + 0.0  # -0.0 is 0.0
        if self._few and len(values):
            # Not pa.array, which would import pandas
            cells = pa.Array.from_buffers(pa.float64(), len(values), [None, pa.py_buffer(values)])
            unique = pc.unique(cells).to_numpy(zero_copy_only=False)
            self._few = len(unique) < FEW * len(values)
            values = unique
        self._add(mix(values.view(np.uint64)))

    def add_texts(self, uniques: pa.Array) -> None:
        """(n,) strings without nulls, best unique within the batch."""
        self._add(text_hashes(uniques.cast(pa.large_string())))

    def merge(self, other: "Distinct") -> None:
        """Take in what another part of the table saw."""
        theirs = other._settled()
        if other._limit is not None and (self._limit is None or other._limit < self._limit):
            self._settled()
            self._limit = other._limit
            self._kept = self._kept[self._kept < self._limit]
        self._add(theirs)

    def count(self) -> int:
        """Distinct values seen."""
        kept = self._settled()
        return len(kept) if self._limit is None else round(len(kept) / (float(self._limit) / FULL))

    def _add(self, hashes: np.ndarray) -> None:
        if self._limit is not None:
            hashes = hashes[hashes < self._limit]
        if not len(hashes):
            return
        self._waiting.append(hashes)
        self._waiting_size += len(hashes)
        if self._waiting_size > (self._most if self._limit is None else (1 - PART) * self._most):
            self._settled()

    def _settled(self) -> np.ndarray:
        if self._waiting:
            every = np.sort(np.concatenate([self._kept, *self._waiting]))  # np.unique hashes, which takes ten times as long here
            self._kept = every[np.append(True, every[1:] != every[:-1])]
            self._waiting, self._waiting_size = [], 0
            if len(self._kept) > self._most:
                stay = int(PART * self._most)
                self._limit = self._kept[stay]
                self._kept = self._kept[:stay].copy()  # not a view, which would hold the rest
        return self._kept
