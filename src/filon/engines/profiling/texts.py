"""One column of texts or booleans: rows by value and class, bounded."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.engines.base import TopValue
from filon.engines.profiling.distinct import Distinct
from filon.engines.profiling.ranking import cross_fitted

MOST_VALUES = 100_000
"""Values counted one by one; past it only values already seen are counted (frequent ones are seen early)."""

MOST_CELLS = 1_000_000
"""Values times classes counted one by one (16 MB a column)."""

MOST_BYTES = 64 << 20
CUT = 200
"""Characters kept of a long text; a hash of the whole tells it from its neighbours."""

TOP = 50
NUMBER = r"^\s*[-+]?[$€£]?\s*(\d+([.,' ]\d{3})*([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*[%€$£]?\s*$"
DATE = (
    r"^\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](\d{4}|\d{2})"
    r"|\d{1,2}[-/ ][A-Za-z]{3,9}\.?[-/ ]\d{2,4}|[A-Za-z]{3,9}\.? \d{1,2},? \d{4})"
    r"([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*([AaPp][Mm]|Z|[-+]\d{2}:?\d{2})?)?\s*$"
)


class Texts:
    """Everything about one text column that can be merged."""

    __slots__ = ("bytes", "counts", "date_text", "distinct", "longest", "missing", "numeric_text", "places", "rest")

    def __init__(self, columns: int = 1) -> None:
        self.places: dict[str, int] = {}
        self.counts = np.zeros((0, 2, 1), np.int64)
        self.rest = np.zeros((2, 2, 1), np.int64)  # missing, and values not counted one by one
        self.missing = self.longest = self.numeric_text = self.date_text = self.bytes = 0
        self.distinct = Distinct(columns)

    def add(self, cells: pa.Array, cell: np.ndarray, width: int) -> None:
        """Cells of any text or boolean type; `cell` (rows,) is half * width + class."""
        if pa.types.is_boolean(cells.type) or pa.types.is_null(cells.type):
            cells = cells.cast(pa.string())
        coded = cells if pa.types.is_dictionary(cells.type) else cells.dictionary_encode()
        uniques = coded.dictionary.cast(pa.large_string())
        missing = len(uniques)
        indices = coded.indices.cast(pa.int64())
        index = (indices.fill_null(missing) if indices.null_count else indices).to_numpy(zero_copy_only=False)
        rows = np.bincount(index, minlength=missing + 1)
        self.missing += int(rows[missing])
        if missing:
            self.longest = max(self.longest, pc.max(pc.utf8_length(uniques)).as_py() or 0)
            self.distinct.add_texts(uniques)
            self.numeric_text += int(rows[:missing][_matches(uniques, NUMBER)].sum())
            self.date_text += int(rows[:missing][_matches(uniques, DATE)].sum())
        self._count(uniques, index, cell, width)

    def _count(self, uniques: pa.Array, index: np.ndarray, cell: np.ndarray, width: int) -> None:
        self._widen(width)
        place = np.array([self._place(text, width) for text in uniques.to_pylist()], np.int64)
        known = np.flatnonzero(place >= 0)
        slot = np.ones(len(uniques) + 1, np.int64)  # 0 missing, 1 not counted one by one, then the known values of this batch
        slot[len(uniques)] = 0
        slot[known] = np.arange(len(known)) + 2
        found = np.bincount(slot[index] * (2 * width) + cell, minlength=(len(known) + 2) * 2 * width).reshape(-1, 2, width)
        self._grow()
        self.rest += found[:2]
        np.add.at(self.counts, place[known], found[2:])

    def _grow(self) -> None:
        if len(self.counts) < len(self.places):
            room = max(len(self.places), 2 * len(self.counts), 16)
            self.counts = np.concatenate([self.counts, np.zeros((room - len(self.counts), *self.counts.shape[1:]), np.int64)])

    def _place(self, text: str, width: int) -> int:
        key = text if len(text) <= CUT else text[:CUT] + "…" + hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
        place = self.places.get(key)
        if place is None:
            if len(self.places) >= min(MOST_VALUES, MOST_CELLS // width) or self.bytes > MOST_BYTES:
                return -1
            place = self.places[key] = len(self.places)
            self.bytes += len(key)
        return place

    def _widen(self, width: int) -> None:
        """Make room for classes that appeared since."""
        more = width - self.rest.shape[2]
        if more > 0:
            self.counts = np.pad(self.counts, ((0, 0), (0, 0), (0, more)))
            self.rest = np.pad(self.rest, ((0, 0), (0, 0), (0, more)))

    def merge(self, other: "Texts", lookup: np.ndarray, width: int) -> None:
        """Take in another part; `lookup` gives our class number for each of its numbers."""
        self._widen(width)
        ours = np.minimum(lookup[: other.rest.shape[2]], width - 1)
        for theirs, number in enumerate(ours):
            self.rest[:, :, number] += other.rest[:, :, theirs]
        where = np.array([self._place(text, width) for text in other.places], np.int64)
        self._grow()
        for theirs, number in enumerate(ours):
            counts = other.counts[: len(where), :, theirs]
            np.add.at(self.counts[:, :, number], where[where >= 0], counts[where >= 0])
            self.rest[1, :, number] += counts[where < 0].sum(axis=0)
        self.missing, self.longest = self.missing + other.missing, max(self.longest, other.longest)
        self.numeric_text, self.date_text = self.numeric_text + other.numeric_text, self.date_text + other.date_text
        self.distinct.merge(other.distinct)

    def top(self, order: np.ndarray) -> tuple[TopValue, ...]:
        """Most frequent values with their rows by class, ties by text."""
        keys = list(self.places)
        counts = self.counts[: len(keys)]
        rows = counts.sum(axis=(1, 2))
        if len(rows) > TOP:
            cut = np.partition(rows, len(rows) - TOP)[len(rows) - TOP]
            chosen = [int(place) for place in np.flatnonzero(rows >= cut)]
        else:
            chosen = list(range(len(rows)))
        chosen = sorted(chosen, key=lambda place: (-int(rows[place]), keys[place]))[:TOP]
        by_class = counts.sum(axis=1)
        return tuple(
            TopValue(value=keys[place], rows=int(rows[place]), by_class=tuple(int(n) for n in by_class[place][order])) for place in chosen
        )

    def ranking(self, positive: int) -> tuple[float | None, float | None]:
        """Area of the column alone and the share of rows whose class it tells (see `ColumnProfile`)."""
        counts = np.concatenate([self.counts[: len(self.places)], self.rest])[:, :, 1:]
        return cross_fitted(counts, positive - 1) if counts.shape[2] > 1 else (None, None)


def _matches(uniques: pa.Array, pattern: str) -> np.ndarray:
    return np.asarray(pc.match_substring_regex(uniques, pattern).to_numpy(zero_copy_only=False), bool)
