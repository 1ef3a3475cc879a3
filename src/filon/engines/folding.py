"""Where folds begin and end: the split's arithmetic on counts, the same on every engine (law 1).

An engine counts rows by hash bucket and class, or by bins of time; the cuts come from those counts alone, so they
cannot depend on row order, partitions, files or formats.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filon.engines.base import FoldInfo, FoldName, SplitPlan
from filon.errors import DataError
from filon.rows.hash import BUCKETS

FOLDS: tuple[FoldName, ...] = ("train", "valid", "test")
"""Folds by their number."""

PART_SALT = 0x66_69_6C_6F_6E
"""Added to the split's seed for parts (cross-validation), so that a part is not a slice of the fold's own buckets."""

TIME_BINS = 1 << 16
"""Bins of one look at the times: four looks settle any 64-bit range to the microsecond."""

Histogram = Callable[[int, int, int], np.ndarray]
"""(first, width, bins) -> (bins,) int64: rows with first + i * width <= time < first + (i + 1) * width."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cuts:
    """First bucket of each piece after the first. `edges` : (classes, pieces - 1) int64, ascending along a row, 0 to `BUCKETS`."""

    edges: np.ndarray

    def piece(self, buckets: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Number of the piece of each row.

        Parameters
        ----------
        buckets : (rows,) uint16
        classes : (rows,) int, each >= 0: the lowest class of all rows with the same content, so that equal rows which
            differ in their label stay together

        Returns
        -------
        (rows,) uint8
        """
        out = np.zeros(len(buckets), np.uint8)
        if (self.edges == self.edges[0]).all():
            for edge in self.edges[0]:
                out += buckets >= edge
            return out
        for place in range(self.edges.shape[1]):
            out += buckets >= self.edges[classes, place]
        return out


def trainable(names: Sequence[str]) -> tuple[FoldName, ...]:
    """The folds asked for, in order.

    Raises
    ------
    ValueError : the test fold, or none, was asked for: `open_test` is its only door (law 3)
    """
    if not names or any(name not in ("train", "valid") for name in names) or len(set(names)) != len(names):
        raise ValueError(f"fold() gives train and valid, not {tuple(names)}: the test fold is opened by open_test, which records it")
    return tuple(sorted(names))  # type: ignore[arg-type]  # looked at above


def count_buckets(buckets: np.ndarray, classes: np.ndarray, most: int) -> np.ndarray:
    """Rows by bucket and class: (BUCKETS, most) int64."""
    place = buckets.astype(np.int64) * most + classes
    return np.bincount(place, minlength=BUCKETS * most).reshape(BUCKETS, most)


def cut(counts: np.ndarray, shares: Sequence[float], *, stratify: bool) -> Cuts:
    """Cuts nearest to the shares, to one bucket, by class where `stratify`.

    A class with enough distinct buckets has at least one in each piece with a share, so that rare classes are not lost to rounding.

    Parameters
    ----------
    counts : (BUCKETS, classes) int64 rows
    shares : of each piece, summing to 1

    Examples
    --------
    >>> counts = np.ones((BUCKETS, 1), np.int64)
    >>> cut(counts, (0.5, 0.25, 0.25), stratify=True).edges.tolist()
    [[32768, 49152]]
    """
    classes = counts.shape[1]
    if not stratify:
        counts = counts.sum(axis=1, keepdims=True)
    edges = np.stack([_edges(counts[:, place], shares) for place in range(counts.shape[1])])
    return Cuts(edges=np.repeat(edges, classes, axis=0) if len(edges) < classes else edges)


def _edges(counts: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """Cuts of one class: (pieces - 1,) int64 buckets."""
    used = np.flatnonzero(counts)
    rows = np.concatenate(([0], np.cumsum(counts[used])))  # rows before the i-th used bucket
    places: list[int] = []
    before = 0.0
    wanted = [share > 0 for share in shares]
    for piece in range(len(shares) - 1):
        before += shares[piece]
        place = _nearest(rows, before * float(rows[-1]))
        floor = (places[-1] if places else 0) + int(wanted[piece])
        ceiling = len(used) - sum(wanted[piece + 1 :])
        places.append(max(min(place, ceiling), min(floor, len(used))))
    # A cut stands on the first bucket of the next piece; past the last used bucket, at the end of all
    starts = np.append(used, BUCKETS)
    return starts[np.array(places, np.int64)].astype(np.int64)


def _nearest(rows: np.ndarray, target: float) -> int:
    """Place in ascending `rows` nearest to the target; the earlier of two."""
    place = int(np.searchsorted(rows, target))
    if place == 0:
        return 0
    if place == len(rows) or target - float(rows[place - 1]) <= float(rows[place]) - target:
        return place - 1
    return place


def time_cuts(histogram: Histogram, first: int, last: int, rows: int, shares: Sequence[float]) -> tuple[int, ...]:
    """First time (microseconds since 1970) of each piece after the first: exact, equal times together.

    Each cut is found by looking closer at the bin that holds it, never by sorting.

    Parameters
    ----------
    histogram : counts rows by bin; one pass over the times each
    first, last : the earliest and the latest time
    rows : rows with a time
    """
    cuts: list[int] = []
    before = 0.0
    for share in shares[:-1]:
        before += share
        cuts.append(_time_cut(histogram, first, last, before * rows))
    return tuple(cuts)


def _time_cut(histogram: Histogram, first: int, last: int, target: float) -> int:
    """The time t at which rows earlier than t come nearest to the target (the earlier of two)."""
    low, span, earlier = first, last - first + 1, 0
    best = (target, first)  # distance to the target, and the cut: nothing is earlier than the first time
    while True:
        width = -(-span // TIME_BINS)
        bins = -(-span // width)
        ends = earlier + np.cumsum(histogram(low, width, bins))
        place = min(int(np.searchsorted(ends, target)), bins - 1)  # the bin in which the target is reached
        start = earlier if place == 0 else int(ends[place - 1])
        for reached, time in ((start, low + place * width), (int(ends[place]), low + (place + 1) * width)):
            best = min(best, (abs(reached - target), time))
        if width == 1:
            return best[1]
        low, span, earlier = low + place * width, width, start


def time_number(cells: pa.Array, name: str) -> np.ndarray:
    """Times as (rows,) int64: microseconds since 1970 UTC of dates and timestamps, whole numbers as they are.

    Raises
    ------
    DataError : `split.time-unusable`
    """
    kind = cells.type
    missing = cells.null_count
    if missing:
        raise DataError(
            "split.time-missing",
            f'the time column "{name}" has missing values',
            f"{missing} of {len(cells)} rows looked at have none, so they are neither before nor after the others",
            f'keep only rows with a time: where = "{name} IS NOT NULL"',
        )
    if pa.types.is_date(kind):
        cells = cells.cast(pa.timestamp("ms"), safe=False)
    if pa.types.is_temporal(kind) and not pa.types.is_time(kind):
        return np.asarray(cells.cast(pa.timestamp("us"), safe=False).cast(pa.int64()).to_numpy())
    numbers = cells.to_numpy(zero_copy_only=False) if pa.types.is_integer(kind) or pa.types.is_floating(kind) else None
    if numbers is None or not (np.isfinite(numbers) & (np.floor(numbers) == numbers) & (np.abs(numbers) < 2.0**62)).all():
        raise DataError(
            "split.time-unusable",
            f'the time column "{name}" is neither a date nor a whole number',
            f"its cells are {kind}",
            f'declare it, columns = {{ "{name}" = "date" }}, or derive a date from it in [data.derive]',
        )
    return np.asarray(numbers.astype(np.int64))


def balanced(by_class: Sequence[int]) -> tuple[float, ...]:
    """Class weights n / (k * n_c) of a training fold.

    >>> balanced((90, 10))
    (0.5555555555555556, 5.0)
    """
    total = sum(by_class)
    return tuple(total / (len(by_class) * rows) if rows else 0.0 for rows in by_class)


def refuse_no_rows(plan: SplitPlan, rows: int, left_out: Mapping[str, int]) -> None:
    """Raise `split.no-rows` unless there is a row with a label."""
    if not rows:
        raise DataError(
            "split.no-rows",
            f'no row has a usable label in "{plan.label.column}"',
            f"{left_out['label-missing']} rows have none, {left_out['label-unknown']} have one that is not among the classes",
            "set data.label to the column to predict, and data.classes (or positive) to its values",
        )


def refuse_unusable(plan: SplitPlan, info: Mapping[FoldName, FoldInfo]) -> None:
    """Raise `split.fold-empty` or `split.class-missing` where training or validation could not work."""
    for number, name in enumerate(FOLDS):
        wanted = plan.shares[number] > 0 or (name == "test" and plan.test_source is not None)
        if wanted and not info[name].rows:
            raise DataError(
                "split.fold-empty",
                f"the {name} fold has no rows",
                f"shares {plan.shares} of {sum(fold.rows for fold in info.values())} rows, split by {plan.by}",
                _other_split(plan),
            )
    for name in FOLDS[:2]:
        lost = [label for label, rows in zip(plan.label.classes, info[name].by_class, strict=True) if not rows]
        if lost and info[name].rows:
            place = plan.label.classes.index(lost[0])
            raise DataError(
                "split.class-missing",
                f'the class "{lost[0]}" has no rows in the {name} fold',
                f"it has {sum(fold.by_class[place] for fold in info.values())} rows in all, split by {plan.by}",
                _other_split(plan, lost[0]),
            )


def _other_split(plan: SplitPlan, label: str = "") -> str:
    if plan.by == "key":
        return "try another split.seed, or larger shares of the small folds: few keys cannot be shared out finely"
    if plan.by == "time":
        return 'move the shares so that each fold covers a time in which every class happens, or set split.by = "row"'
    if label:
        return f"leave the class out: where = \"{plan.label.column} <> '{label}'\", or join it with another in [data.derive]"
    return "use more rows, or larger shares of the small folds"
