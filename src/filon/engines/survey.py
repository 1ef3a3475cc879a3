"""The survey: how often each feature falls in which cell, how the model answers it, and its tallies, by period of time.

All counts of a period are one flat vector of integers, so that a survey of a month is the sum of its parts', on every engine.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa

from filon.engines.tally import Tallier, Tally, merge
from filon.rows.cells import column, numbers64
from filon.rows.encode import FeatureKind, label_number
from filon.rows.hash import key_hash

Unit = Literal["hour", "day", "week", "month"]
UNITS: tuple[Unit, ...] = ("hour", "day", "week", "month")

MOST_PERIODS = 72
"""Beyond these the unit of time becomes the next larger one: three days by hours, ten weeks by days."""

MOST_MONTHS = 1200
"""Dates that are no dates (year 9999) would make periods without end: beyond these they are counted as without a time."""

MOST_WINNERS = 50
"""With more classes than these, the scores of predicted classes are not counted."""

NO_TIME = -(1 << 40)
"""The period of rows without a time."""

TALLY_SCORES = 1 << 17
"""Distinct scores kept by period: areas are exact to a few parts in a hundred thousand."""

TALLY_BUFFER = 1 << 17
HOURS_OF_WEEK = 168
MONDAY = 96
"""1970-01-05, a Monday, in hours since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """What is counted of one feature.

    Numbers: `edges` rise, the first is the least and the last the greatest value of training; cells are: below, one between two edges each,
    above, missing. Categories and booleans: `values` are the most frequent codes' texts in order; cells are: one each, every other known
    one, unseen, missing.
    """

    name: str
    kind: FeatureKind
    edges: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return len(self.edges) + 2 if self.kind == "number" else len(self.values) + 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelIndex:
    """Labels that arrived later, found by the hash of what names a row.

    keys : (n,) uint64, ascending, each once; labels : (n,) int32 class numbers. Twelve bytes a label.
    """

    keys: np.ndarray
    labels: np.ndarray

    def find(self, hashes: np.ndarray) -> np.ndarray:
        """Class numbers: (rows,) int32, -1 where no label has come."""
        if not len(self.keys):
            return np.full(len(hashes), -1, np.int32)
        place = np.minimum(np.searchsorted(self.keys, hashes), len(self.keys) - 1)
        return np.where(self.keys[place] == hashes, self.labels[place], np.int32(-1)).astype(np.int32)


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyPlan:
    """What a survey counts.

    gauges : in the order of the features; scores : edges of the score's cells, from 0 to 1; classes : in order
    time : a column of dates, "" for none; since : seconds since 1970 UTC, earlier rows are left out
    join : columns of the rows that name a row in the table of labels, which calls them `named`
    """

    gauges: tuple[Gauge, ...]
    scores: tuple[float, ...]
    classes: tuple[str, ...]
    time: str = ""
    since: float | None = None
    join: tuple[str, ...] = ()
    named: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that are looked at beside the features."""
        asked = (self.time, *self.join)
        return tuple(dict.fromkeys(name for name in asked if name))

    @property
    def curves(self) -> int:
        """Scores that are counted: that of the second of two classes, or of every one."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def winners(self) -> bool:
        """Whether the score of the predicted class is counted by class: of many classes, but not of very many."""
        return 2 < len(self.classes) <= MOST_WINNERS

    @property
    def places(self) -> tuple[int, ...]:
        """Where in the vector each feature's cells begin, then each score's, then the winners' (one after the other by class), then the
        predicted classes, then the end."""
        cells = len(self.scores) - 1
        widths = [gauge.cells for gauge in self.gauges] + [cells] * self.curves
        widths += [cells * len(self.classes)] if self.winners else []
        widths.append(len(self.classes))
        return tuple(int(place) for place in np.concatenate([[0], np.cumsum(widths)]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """What was counted. `counts[period]` is the flat vector of `SurveyPlan.places` and `tallies[period]` what labels say of it; a period is
    the hour (since 1970 UTC) at which it begins, or NO_TIME."""

    unit: Unit = "hour"
    rows: int = 0
    late: int = 0
    """rows left out, older than `since`"""
    counts: Mapping[int, np.ndarray] = field(default_factory=dict)
    tallies: Mapping[int, Tally] = field(default_factory=dict)

    def total(self, plan: SurveyPlan) -> np.ndarray:
        """The vector of all periods together."""
        return sum(self.counts.values(), np.zeros(plan.places[-1], np.int64))

    def tally(self) -> Tally | None:
        """All periods together; None when there is no label."""
        return merge(self.tallies.values(), TALLY_SCORES) if self.tallies else None


def joined(parts: Sequence[Survey]) -> Survey:
    """One survey of several, in the largest unit among them."""
    unit: Unit = max((part.unit for part in parts), key=UNITS.index, default="hour")
    counts: dict[int, np.ndarray] = {}
    tallies: dict[int, list[Tally]] = {}
    for part in parts:
        for period, vector in part.counts.items():
            at = begin_of(period, unit)
            counts[at] = counts[at] + vector if at in counts else vector
        for period, tally in part.tallies.items():
            tallies.setdefault(begin_of(period, unit), []).append(tally)
    whole = Survey(
        unit=unit,
        rows=sum(part.rows for part in parts),
        late=sum(part.late for part in parts),
        counts=dict(sorted(counts.items())),
        tallies={period: merge(some, TALLY_SCORES) if len(some) > 1 else some[0] for period, some in sorted(tallies.items())},
    )
    dated = sum(period != NO_TIME for period in whole.counts)
    if dated > MOST_PERIODS and unit != "month":
        return joined([Survey(unit=UNITS[UNITS.index(unit) + 1]), whole])
    return whole


def begin_of(hour: int, unit: Unit) -> int:
    """The hour at which the period of an hour begins."""
    if hour == NO_TIME or unit == "hour":
        return hour
    if unit == "day":
        return hour - hour % 24
    if unit == "week":
        return hour - (hour - MONDAY) % HOURS_OF_WEEK
    month = np.datetime64(hour, "h").astype("datetime64[M]")
    return int(month.astype("datetime64[h]").astype(np.int64))


def indexed(batches: Iterable[pa.RecordBatch], plan: SurveyPlan, label: str) -> LabelIndex:
    """The labels of a table, by the hash of what names a row; of several labels of one row the last one holds.

    Parameters
    ----------
    batches : the columns `plan.named` and the label, typed
    """
    keys, labels = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
    for batch in batches:
        numbers = label_number(column(batch, label), plan.classes)
        named = pa.RecordBatch.from_arrays([column(batch, name) for name in plan.named], names=list(plan.join))
        known = numbers >= 0
        keys.append(key_hash(named, plan.join)[known])
        labels.append(numbers[known])
    every, numbers = np.concatenate(keys), np.concatenate(labels)
    order = np.argsort(every, kind="stable")
    every, numbers = every[order], numbers[order]
    last = np.append(every[1:] != every[:-1], True) if len(every) else np.empty(0, bool)
    return LabelIndex(keys=every[last], labels=numbers[last])


class Surveyor:
    """Counts batches as they come, in memory that does not grow with rows."""

    def __init__(self, plan: SurveyPlan, labels: LabelIndex | None = None) -> None:
        self.plan, self.labels = plan, labels
        self.unit: Unit = "hour"
        self.rows = self.late = 0
        self._counts: dict[int, np.ndarray] = {}
        self._talliers: dict[int, Tallier] = {}
        with np.errstate(over="ignore"):  # after the largest float32 comes infinity
            self._edges = [np.append(gauge.edges[:-1], np.nextafter(np.float32(gauge.edges[-1]), np.inf)).astype(np.float32)
                           if gauge.kind == "number" else None for gauge in plan.gauges]  # fmt: skip
        self._scores = np.asarray(plan.scores[1:-1], np.float32)

    def add(self, x: np.ndarray, probability: np.ndarray, chosen: np.ndarray, label: np.ndarray, batch: pa.RecordBatch | None) -> None:
        """Count some scored rows.

        Parameters
        ----------
        x : (n, features) float32 as encoded; probability : (n, classes) float32; chosen, label : (n,) class numbers, -1 for no label
        batch : the same rows typed (`plan.columns` and category features), or None when there are no columns to look at
        """
        hours = self._hours(batch, len(x))
        if self.labels is not None and batch is not None:
            label = self.labels.find(key_hash(batch, self.plan.join))
        kept = self._recent(batch)
        if kept is not None:
            self.late += int(len(x) - np.count_nonzero(kept))
            x, probability, chosen, label, hours = x[kept], probability[kept], chosen[kept], label[kept], hours[kept]
            batch = None if batch is None else batch.filter(pa.array(kept))
        if not len(x):
            return
        self.rows += len(x)
        periods, which = self._periods(hours)
        parts = self._vectors(x, probability, chosen, batch, which, len(periods))
        for place, period in enumerate(periods):
            self._counts[period] = self._counts[period] + parts[place] if period in self._counts else parts[place].copy()
        self._tally(probability, label, periods, which)
        self._settle()

    def result(self) -> Survey:
        """What was counted so far."""
        tallies = {period: tallier.result() for period, tallier in sorted(self._talliers.items())}
        return joined([Survey(unit=self.unit, rows=self.rows, late=self.late, counts=self._counts, tallies=tallies)])

    def _seconds(self, batch: pa.RecordBatch | None) -> np.ndarray | None:
        if batch is None or not self.plan.time:
            return None
        return _seconds(batch.column(batch.schema.get_field_index(self.plan.time)))

    def _hours(self, batch: pa.RecordBatch | None, rows: int) -> np.ndarray:
        seconds = self._seconds(batch)
        if seconds is None:
            return np.full(rows, NO_TIME, np.int64)
        known = np.isfinite(seconds) & (np.abs(seconds) < MOST_MONTHS * 31 * 86400.0)
        hours = np.full(rows, NO_TIME, np.int64)
        hours[known] = np.floor(seconds[known] / 3600).astype(np.int64)
        return hours

    def _recent(self, batch: pa.RecordBatch | None) -> np.ndarray | None:
        seconds = self._seconds(batch) if self.plan.since is not None else None
        if seconds is None or self.plan.since is None:
            return None
        kept = ~(seconds < self.plan.since)
        return None if kept.all() else kept

    def _periods(self, hours: np.ndarray) -> tuple[list[int], np.ndarray]:
        """The periods of some rows, and which of them each row is in."""
        if hours[0] == hours[-1] and (hours == hours[0]).all():
            return [begin_of(int(hours[0]), self.unit)], np.zeros(len(hours), np.int64)
        distinct, which = np.unique(hours, return_inverse=True)
        begins = np.array([begin_of(int(hour), self.unit) for hour in distinct], np.int64)
        periods, groups = np.unique(begins, return_inverse=True)
        return [int(period) for period in periods], groups[which]

    def _vectors(
        self, x: np.ndarray, probability: np.ndarray, chosen: np.ndarray, batch: pa.RecordBatch | None, which: np.ndarray, periods: int
    ) -> np.ndarray:
        """Counts of some rows by period: (periods, cells) int64."""
        found = np.zeros((periods, self.plan.places[-1]), np.int64)
        places = self.plan.places
        for number, gauge in enumerate(self.plan.gauges):
            cells = self._cells_of(number, gauge, np.ascontiguousarray(x[:, number]), batch)
            _count(found, cells, which, places[number], gauge.cells)
        first, width = len(self.plan.gauges), len(self.plan.scores) - 1
        for curve in range(self.plan.curves):
            score = probability[:, 1] if self.plan.curves == 1 else probability[:, curve]
            cells = np.searchsorted(self._scores, np.ascontiguousarray(score, np.float32), side="right")
            _count(found, cells, which, places[first + curve], width)
        if self.plan.winners:
            won = np.take_along_axis(probability, chosen[:, None].astype(np.int64), axis=1)[:, 0]
            cells = chosen * width + np.searchsorted(self._scores, np.ascontiguousarray(won, np.float32), side="right")
            _count(found, cells, which, places[-3], width * len(self.plan.classes))
        _count(found, chosen, which, places[-2], len(self.plan.classes))
        return found

    def _cells_of(self, number: int, gauge: Gauge, values: np.ndarray, batch: pa.RecordBatch | None) -> np.ndarray:
        missing = np.isnan(values)
        some = bool(missing.any())
        edges = self._edges[number]
        if edges is not None:
            cells = np.searchsorted(edges, values, side="right")
            if some:
                cells[missing] = gauge.cells - 1
            return cells
        known = len(gauge.values)
        cells = np.minimum(np.where(missing, 0, values) if some else values, known).astype(np.int64)
        if some:
            cells[missing] = known + 2
            place = -1 if batch is None else batch.schema.get_field_index(gauge.name)
            if batch is not None and place >= 0:
                there = ~np.asarray(batch.column(place).is_null())
                cells[missing & there] = known + 1
        return cells

    def _tally(self, probability: np.ndarray, label: np.ndarray, periods: Sequence[int], which: np.ndarray) -> None:
        if not len(label) or int(label.max()) < 0:
            return
        for place, period in enumerate(periods):
            chosen = slice(None) if len(periods) == 1 else which == place
            if int(label[chosen].max()) < 0:
                continue
            if period not in self._talliers:
                self._talliers[period] = Tallier(self.plan.classes, TALLY_SCORES, TALLY_BUFFER)
            self._talliers[period].add(probability[chosen], label[chosen].astype(np.int32))

    def _settle(self) -> None:
        """A larger unit of time when there are too many periods."""
        while len(self._counts) > MOST_PERIODS + 1 and self.unit != "month":
            self.unit = UNITS[UNITS.index(self.unit) + 1]
            counts: dict[int, np.ndarray] = {}
            talliers: dict[int, Tallier] = {}
            for period, vector in self._counts.items():
                at = begin_of(period, self.unit)
                counts[at] = counts[at] + vector if at in counts else vector
            for period, tallier in self._talliers.items():
                at = begin_of(period, self.unit)
                if at in talliers:
                    talliers[at].include(tallier.result())
                else:
                    talliers[at] = tallier
            self._counts, self._talliers = counts, talliers


def _seconds(cells: pa.Array) -> np.ndarray:
    """Moments as seconds since 1970 UTC, NaN where there is none; cells that are no dates count as none. (rows,) float64."""
    if not pa.types.is_date(cells.type) and not pa.types.is_timestamp(cells.type):
        return np.full(len(cells), np.nan)
    zone = cells.type.tz if pa.types.is_timestamp(cells.type) else None
    return np.asarray(numbers64(cells.cast(pa.timestamp("us", zone), safe=False).cast(pa.int64())) / 1e6)


def _count(found: np.ndarray, cells: np.ndarray, which: np.ndarray, place: int, width: int) -> None:
    """Rows by period and cell, into their place of the vectors."""
    if len(found) == 1:
        found[0, place : place + width] = np.bincount(cells, minlength=width)
        return
    found[:, place : place + width] = np.bincount(which * width + cells, minlength=len(found) * width).reshape(len(found), width)
