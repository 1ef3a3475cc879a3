"""Duplicate rows, and rows that differ only in the label, by the hash of the row's content."""

import numpy as np

LABEL_BITS = 8
"""Low bits of the hash given to the label's number (more when there are more classes): 56 bits of content are left, so that ten
million rows have one false pair in a thousand tables."""


class Content:
    """Nine bytes a labelled row, sorted once at the end."""

    __slots__ = ("_codes", "_hashes")

    def __init__(self) -> None:
        self._hashes: list[np.ndarray] = []
        self._codes: list[np.ndarray] = []

    def add(self, hashes: np.ndarray, codes: np.ndarray) -> None:
        """Content hashes (rows,) uint64 and label numbers (rows,) int32, 0 for a missing label (not counted)."""
        known = codes > 0
        if not known.all():
            hashes, codes = hashes[known], codes[known]
        if len(codes):
            self._hashes.append(hashes)
            self._codes.append(codes.astype(np.uint8) if int(codes.max()) < 256 else codes)

    def renumber(self, lookup: np.ndarray) -> None:
        """Change label numbers into those of another part."""
        self._codes = [lookup[codes] for codes in self._codes]

    def merge(self, other: "Content") -> None:
        """Take in what another part of the table saw (under the same label numbers)."""
        self._hashes += other._hashes
        self._codes += other._codes

    def count(self) -> tuple[int, int]:
        """Rows beyond the first of equal rows, and rows that share their content with a row of another label."""
        if not self._hashes:
            return 0, 0
        most = max(int(codes.max()) for codes in self._codes)
        bits = max(LABEL_BITS, most.bit_length())
        keys = np.concatenate(self._hashes)
        self._hashes = []
        keys >>= np.uint64(bits)
        keys <<= np.uint64(bits)
        start = 0
        for codes in self._codes:
            keys[start : start + len(codes)] |= codes.astype(np.uint64)
            start += len(codes)
        self._codes = []
        keys.sort()
        same_row = keys[1:] == keys[:-1]
        duplicates = int(same_row.sum())
        keys >>= np.uint64(bits)
        same_content = keys[1:] == keys[:-1]
        return duplicates, _conflicts(same_row, same_content)


def _conflicts(same_row: np.ndarray, same_content: np.ndarray) -> int:
    """Rows of the runs of equal content in which the label changes somewhere."""
    changes = np.flatnonzero(same_content & ~same_row)
    if not len(changes):
        return 0
    ends = np.append(np.flatnonzero(~same_content), len(same_content))  # the last row of each run
    run = np.unique(np.searchsorted(ends, changes))
    first = np.where(run > 0, ends[run - 1] + 1, 0)
    return int((ends[run] - first + 1).sum())
