"""A sample of rows by their place in the table: every row of a small table, an even share of a large one."""

import numpy as np

from filon.rows.hash import mix

MOST_ROWS = 1_000_000
"""Rows kept at most: quantiles, histograms and the ranking of numbers are exact up to here."""

MOST_CELLS = 48_000_000
"""Number cells kept at most (192 MB): very wide tables keep fewer rows."""

FEWEST_ROWS = 10_000


class Sample:
    """Places kept so far, by a hash that halves the share kept whenever there are too many.

    Places and not contents are hashed: a table of two distinct rows still gives an even sample.
    """

    __slots__ = ("classes", "hashes", "level", "most")

    def __init__(self, columns: int) -> None:
        self.most = max(FEWEST_ROWS, min(MOST_ROWS, MOST_CELLS // max(1, columns)))
        self.level = 0
        self.hashes = np.empty(0, np.uint64)
        self.classes = np.empty(0, np.int32)

    def take(self, first: int, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
        """Take from the next rows.

        Parameters
        ----------
        first : place of the first row in the table
        classes : (rows,) int32 label numbers

        Returns
        -------
        half of each row (rows,) int64, 0 or 1; which of these rows are kept (None: all); which of all the rows kept
        until now, these included, still are (None: all)
        """
        hashes = mix(np.arange(first, first + len(classes), dtype=np.uint64))
        halves = (hashes & np.uint64(1)).astype(np.int64)
        fresh = self._below(hashes) if self.level else None
        self.hashes = np.concatenate([self.hashes, hashes if fresh is None else hashes[fresh]])
        self.classes = np.concatenate([self.classes, classes if fresh is None else classes[fresh]])
        return halves, fresh, self._shrink()

    def merge(self, other: "Sample") -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Take in another part's sample (its classes already renumbered).

        Returns
        -------
        which of our rows stay, which of theirs are kept, and which of both together still are after that (None: all)
        """
        self.level = max(self.level, other.level)
        ours, theirs = self._below(self.hashes), self._below(other.hashes)
        self.hashes = np.concatenate([self.hashes[ours], other.hashes[theirs]])
        self.classes = np.concatenate([self.classes[ours], other.classes[theirs]])
        return ours, theirs, self._shrink()

    @property
    def halves(self) -> np.ndarray:
        """Half of each row kept: (rows,) int64, 0 or 1."""
        return (self.hashes & np.uint64(1)).astype(np.int64)

    def _below(self, hashes: np.ndarray) -> np.ndarray:
        return hashes < np.uint64((1 << (64 - self.level)) - 1)

    def _shrink(self) -> np.ndarray | None:
        if len(self.hashes) <= self.most:
            return None
        still = np.ones(len(self.hashes), bool)
        while int(still.sum()) > self.most:
            self.level += 1
            still = self._below(self.hashes)
        self.hashes, self.classes = self.hashes[still], self.classes[still]
        return still
