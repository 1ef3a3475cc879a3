"""One column of numbers or dates: moments over all rows, the rest from the sample."""

import math

import numpy as np

from filon.engines.base import Histogram, TopValue
from filon.engines.profiling.distinct import Distinct
from filon.engines.profiling.ranking import cross_fitted, ordered_area

BINS = 24
"""Bars of a histogram: enough to show two humps in a figure as wide as a thumb."""

TELLING_BINS = 128
"""Groups of values (each value its own when there are fewer) by which a number is asked to tell the label."""

TOP = 50
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


class Numbers:
    """Everything about one number column that can be merged."""

    __slots__ = (
        "distinct",
        "finite",
        "increasing",
        "infinite",
        "integer",
        "kept",
        "last",
        "m2",
        "maximum",
        "mean",
        "minimum",
        "missing",
        "rising",
        "wide",
    )

    def __init__(self, *, wide: bool, columns: int = 1) -> None:
        self.missing = self.infinite = self.finite = 0
        self.mean = self.m2 = 0.0
        self.minimum, self.maximum = math.inf, -math.inf
        self.integer = self.increasing = self.rising = True
        self.last = -math.inf
        self.distinct = Distinct(columns)
        self.wide = wide  # dates need float64 in the sample, numbers are seen by the model as float32
        self.kept: list[np.ndarray] = []

    def add(self, values: np.ndarray, fresh: np.ndarray | None, still: np.ndarray | None) -> None:
        """Cells (rows,) float64, NaN for missing; `fresh` and `still` as `Sample.take` gives them."""
        chosen = values if fresh is None else values[fresh]
        with np.errstate(over="ignore"):
            self.kept.append(np.asarray(chosen, np.float64 if self.wide else np.float32))
        if still is not None:
            self.kept = [np.concatenate(self.kept)[still]]
        here = np.isfinite(values)
        if not here.all():
            missing = int(np.isnan(values).sum())
            self.missing += missing
            self.infinite += int(len(values) - here.sum()) - missing
            values = values[here]
        if len(values):
            self._moments(values)
            self._order(values)
            self.distinct.add_numbers(values)

    def _moments(self, values: np.ndarray) -> None:
        with np.errstate(over="ignore", invalid="ignore"):
            count, mean = len(values), float(values.mean())
        shift = mean - self.mean
        total = self.finite + count
        # Chan, Golub, LeVeque (1983): no cancellation when the mean is far from zero
        with np.errstate(over="ignore", invalid="ignore"):
            self.m2 += float(np.square(values - mean).sum()) + shift * shift * self.finite * count / total
        self.mean += shift * count / total
        self.finite = total
        self.minimum, self.maximum = min(self.minimum, float(values.min())), max(self.maximum, float(values.max()))

    def _order(self, values: np.ndarray) -> None:
        if self.increasing:
            self.increasing = bool(values[0] >= self.last) and bool((values[1:] >= values[:-1]).all())
            self.rising = self.rising and self.increasing and bool(values[0] > self.last) and bool((values[1:] > values[:-1]).all())
            self.last = float(values[-1])
        if self.integer:
            self.integer = bool((values == np.rint(values)).all())

    def merge(self, other: "Numbers", ours: np.ndarray, theirs: np.ndarray, still: np.ndarray | None) -> None:
        """Take in the next part of the table."""
        total = self.finite + other.finite
        if other.finite:
            shift = other.mean - self.mean
            self.m2 += other.m2 + shift * shift * self.finite * other.finite / total
            self.mean += shift * other.finite / total
        self.increasing = self.increasing and other.increasing and (other.finite == 0 or other.minimum >= self.last)
        self.rising = self.rising and self.increasing and other.rising and (other.finite == 0 or other.minimum > self.last)
        self.last = other.last if other.finite else self.last
        self.finite, self.missing, self.infinite = total, self.missing + other.missing, self.infinite + other.infinite
        self.minimum, self.maximum = min(self.minimum, other.minimum), max(self.maximum, other.maximum)
        self.integer = self.integer and other.integer
        self.distinct.merge(other.distinct)
        sample = np.concatenate([self.sample()[ours], other.sample()[theirs]])
        self.kept = [sample if still is None else sample[still]]

    def sample(self) -> np.ndarray:
        """Cells kept, in the order of the sample's rows."""
        return np.concatenate(self.kept) if self.kept else np.empty(0, np.float32)

    def values(self) -> int:
        """Distinct values; exact for values that grow from row to row, whatever their number (row numbers)."""
        return self.finite if self.rising and self.increasing else self.distinct.count()

    @property
    def average(self) -> float | None:
        """Mean; None for no values, or when their sum is beyond float64."""
        return self.mean if self.finite and math.isfinite(self.mean) else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation; None for fewer than two values, or when it is beyond float64."""
        return math.sqrt(self.m2 / (self.finite - 1)) if self.finite > 1 and math.isfinite(self.m2) else None


class Sorted:
    """A column's sample in ascending order, with classes and halves: what quantiles, bars and ranking are made of."""

    __slots__ = ("cells", "counts", "each", "missing", "runs", "starts", "values", "width")

    def __init__(self, values: np.ndarray, cells: np.ndarray, width: int) -> None:
        """Values (n,) float32 or float64, not finite is missing; cells (n,) int64 are half * width + class, class 0 for no label."""
        here = np.isfinite(values)
        self.missing = np.zeros((2, width), np.int64)
        self.width = width
        if not here.all():
            self.missing = np.bincount(cells[~here], minlength=2 * width).reshape(2, width)
            values, cells = values[here], cells[here]
        self.values, self.cells = _ordered(values, cells)
        changes = np.flatnonzero(self.values[1:] != self.values[:-1]) + 1
        self.runs = starts = np.append(0, changes) if len(self.values) else np.empty(0, np.int64)
        self.each = len(starts) <= TELLING_BINS  # whether each group below is one value
        if not self.each:
            wanted = np.arange(TELLING_BINS) * len(self.values) // TELLING_BINS
            chosen = np.searchsorted(starts, wanted, side="right") - 1
            starts = starts[chosen[np.append(True, chosen[1:] != chosen[:-1])]]
        self.starts = starts
        self.counts = self._by_group(starts).reshape(len(starts), 2, width)

    def _by_group(self, starts: np.ndarray) -> np.ndarray:
        """Rows by group of consecutive values and by cell: (groups, 2 * width)."""
        wide = 2 * self.width
        group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(self.values))))
        return np.bincount(group * wide + self.cells, minlength=len(starts) * wide).reshape(len(starts), wide)

    def quantiles(self) -> tuple[float, ...]:
        """At 0, .05, .25, .5, .75, .95 and 1, by linear interpolation."""
        if not len(self.values):
            return ()
        place = np.array(QUANTILES) * (len(self.values) - 1)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, len(self.values) - 1)
        part = place - low
        below, above = self.values[low].astype(np.float64), self.values[high].astype(np.float64)
        return tuple(float(value) for value in below * (1 - part) + above * part)

    def ranking(self, positive: int) -> tuple[float | None, float | None]:
        """Area of the column alone and the share of rows whose class it tells (see `ColumnProfile`)."""
        classes = self.cells % self.width
        rows, positives = self._sums(classes > 0), self._sums(classes == positive)
        missing = self.missing[:, 1:].sum(axis=0).astype(np.float64)
        plain = ordered_area(positives, rows - positives, (missing[positive - 1], missing.sum() - missing[positive - 1]))
        if plain is None:
            return None, None
        binned, told = cross_fitted(np.concatenate([self.counts, self.missing[None]])[:, :, 1:], positive - 1)
        return max(plain, binned or 0.0), told

    def _sums(self, chosen: np.ndarray) -> np.ndarray:
        """Chosen rows by distinct value: (runs,) float64."""
        so_far = np.append(0, np.cumsum(chosen))
        sums: np.ndarray = np.diff(so_far[np.append(self.runs, len(chosen))]).astype(np.float64)
        return sums

    def top(self, order: np.ndarray, share: float) -> tuple[TopValue, ...]:
        """Values with their rows by class, most frequent first; none when there are too many to list."""
        if not self.each or len(self.starts) > TOP:
            return ()
        by_class = self.counts.sum(axis=1)
        found = [
            TopValue(
                value=number_text(float(self.values[start])),
                rows=round(float(row.sum()) / share),
                by_class=tuple(round(float(n) / share) for n in row[order]),
            )
            for start, row in zip(self.starts, by_class, strict=True)
        ]
        return tuple(sorted(found, key=lambda one: -one.rows))

    def histogram(self, minimum: float, maximum: float, order: np.ndarray, share: float, *, integer: bool) -> Histogram | None:
        """Bars by class; where a few far values would squeeze the rest, the first and last bar reach out to them."""
        if not len(self.values):
            return None
        edges = _edges(self.values, minimum, maximum, integer=integer)
        starts = np.append(0, np.searchsorted(self.values, edges[1:-1], side="left"))
        by_cell = self._by_group(starts)
        counts = (by_cell[:, : self.width] + by_cell[:, self.width :])[:, order]
        scaled = np.rint(counts / share).astype(np.int64)
        return Histogram(edges=tuple(float(edge) for edge in edges), counts=tuple(tuple(int(n) for n in row) for row in scaled))


def _ordered(values: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values in ascending order, each with its cell."""
    if values.dtype != np.float32:
        order = np.argsort(values)
        return values[order], cells[order]
    # The float's bits, made to sort as integers, and the cell in one word: sorting words beats sorting places by two
    bits = (values + np.float32(0.0)).view(np.int32)
    words = ((bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64) << 32) | cells
    words.sort()
    bits = (words >> 32).astype(np.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(np.float32), words & 0xFFFFFFFF


def _edges(values: np.ndarray, minimum: float, maximum: float, *, integer: bool) -> np.ndarray:
    """Edges at round numbers; where a few far values would squeeze the rest, the first and last bar reach out to them."""
    if minimum == maximum:
        return np.array([minimum - 0.5, maximum + 0.5])
    if integer and maximum - minimum < 2 * BINS:
        return np.arange(minimum - 0.5, maximum + 1.0)
    low, high = (float(values[int(part * (len(values) - 1))]) for part in (0.005, 0.995))
    spread = high - low
    start = low if low - minimum > 0.5 * spread > 0 else minimum
    stop = high if maximum - high > 0.5 * spread > 0 else maximum
    if values.dtype == np.float64:  # dates: powers of ten of seconds mean nothing to anyone
        even = np.append(np.append(minimum, np.linspace(start, stop, BINS + 1)[1:-1]), maximum)
        return even if np.all(np.diff(even) > 0) else np.array([minimum, maximum])
    if not math.isfinite(stop - start):  # from -1e308 to 1e308
        return np.array([minimum, maximum])
    step = _round_step((stop - start) / BINS, integer=integer)
    first, last = math.floor(start / step), math.ceil(stop / step)
    edges = np.arange(first, max(last, first + 1) + 1) * step
    if not np.all(np.diff(edges) > 0):  # numbers too close together for float64 to tell their steps apart
        return np.array([minimum, maximum])
    edges[0], edges[-1] = min(edges[0], minimum), max(edges[-1], maximum)
    return edges


def _round_step(least: float, *, integer: bool = False) -> float:
    """The next larger of 1, 2, 2.5, 5 and 10 times a power of ten; whole numbers take no 2.5, which would hold two of them, then three.

    >>> _round_step(0.3), _round_step(2.1), _round_step(2.1, integer=True)
    (0.5, 2.5, 5.0)
    """
    power = 10.0 ** math.floor(math.log10(least))
    parts = (1.0, 2.0, 5.0, 10.0) if integer and power < 10 else (1.0, 2.0, 2.5, 5.0, 10.0)
    return next(part * power for part in parts if part * power >= least * 0.999999)


def number_text(value: float) -> str:
    """A number as a person writes it: no ".0", seven digits.

    >>> number_text(3.0), number_text(0.1234567891)
    ('3', '0.1234568')
    """
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:.7g}"
