"""One pass over typed batches to a profile: bounded memory, mergeable, the same on every engine."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa

from filon.engines.base import Column, ColumnProfile, LabelPlan, Profile
from filon.engines.profiling.content import Content
from filon.engines.profiling.labels import MOST_CLASSES, Labels
from filon.engines.profiling.misfits import Misfits
from filon.engines.profiling.numbers import Numbers, Sorted
from filon.engines.profiling.sample import Sample
from filon.engines.profiling.texts import Texts
from filon.rows.cells import numbers64
from filon.rows.hash import row_hash

SHOWN_CLASSES = 20
"""Classes told apart in a profile: the most frequent ones."""

SHOWN_LABELS = 1000


class Profiler:
    """Takes batches in the table's order.

    `misfits` names, by column, the batch column that holds the texts which do not fit it; `first` is the place of this part's first row in
    the table (parts are merged in order).
    """

    def __init__(
        self, columns: Sequence[Column], label: LabelPlan, *, misfits: Mapping[str, str] | None = None, first: int = 0, threads: int = 1
    ) -> None:
        self.columns = [column for column in columns if column.role != "dropped"]
        self.label = label.column
        self.features = [
            column.name for column in self.columns if column.role == "feature" and column.kind in ("number", "boolean", "category")
        ]
        # Of the rows of the last batch, for whoever wants the lowest: hashes, and labels as texts
        self.hashes: np.ndarray = np.empty(0, np.uint64)
        self.classes: pa.DictionaryArray | None = None
        self.rows = self.bytes = 0
        self.first = first
        self.labels, self.content = Labels(), Content()
        self.sample = Sample(sum(column.kind in ("number", "date") for column in self.columns))
        self.numbers = {
            one.name: Numbers(wide=one.kind == "date", columns=len(self.columns)) for one in self.columns if one.kind in ("number", "date")
        }
        self.texts = {one.name: Texts(len(self.columns)) for one in self.columns if one.kind in ("category", "boolean", "text")}
        self.others = {one.name: 0 for one in self.columns if one.kind == "other"}
        self.misfits = {name: Misfits() for name in misfits or {}}
        self._misfit_columns = dict(misfits or {})
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def add(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        codes = self.labels.add(batch.column(self.label))
        self.classes = self.labels.texts(codes)
        classes = np.minimum(codes, MOST_CLASSES)
        halves, fresh, still = self.sample.take(self.first + self.rows, classes)
        width = self._width
        cell = halves * width + classes
        work: list[Callable[[], None]] = [partial(self._content, batch, codes)] if self.features else []
        work += [partial(self._number, batch, name, fresh, still) for name in self.numbers]
        work += [partial(one.add, batch.column(name), cell, width) for name, one in self.texts.items()]
        for name in self.others:
            self.others[name] += batch.column(name).null_count
        for name, place in self._misfit_columns.items():
            self.misfits[name].add(batch.column(place), self.first + self.rows)
        if self._pool is None:
            for job in work:
                job()
        else:
            for done in [self._pool.submit(job) for job in work]:
                done.result()
        self.rows += batch.num_rows
        self.bytes += batch.nbytes

    def _content(self, batch: pa.RecordBatch, codes: np.ndarray) -> None:
        self.hashes = row_hash(batch, self.features)
        self.content.add(self.hashes, codes)

    def _number(self, batch: pa.RecordBatch, name: str, fresh: np.ndarray | None, still: np.ndarray | None) -> None:
        self.numbers[name].add(floats(batch.column(name)), fresh, still)

    @property
    def _width(self) -> int:
        """Classes told apart while counting, and one place for "no label"."""
        return min(len(self.labels.numbers), MOST_CLASSES) + 1

    def merge(self, other: "Profiler") -> None:
        """Take in the part of the table that comes next."""
        lookup = self.labels.merge(other.labels)
        other.sample.classes = np.minimum(lookup[other.sample.classes], MOST_CLASSES).astype(np.int32)
        ours, theirs, still = self.sample.merge(other.sample)
        for name, numbers in self.numbers.items():
            numbers.merge(other.numbers[name], ours, theirs, still)
        for name, texts in self.texts.items():
            texts.merge(other.texts[name], lookup, self._width)
        for name in self.others:
            self.others[name] += other.others[name]
        for name in self.misfits:
            self.misfits[name].merge(other.misfits[name])
        other.content.renumber(lookup)
        self.content.merge(other.content)
        self.rows += other.rows
        self.bytes += other.bytes

    def finish(self) -> Profile:
        """The profile of everything taken in."""
        ranked = self.labels.ranked()
        duplicates, conflicts = self.content.count()
        view = _View(self, ranked)
        jobs = [(column, view) for column in self.columns]
        done = [_column(self, *job) for job in jobs] if self._pool is None else list(self._pool.map(lambda job: _column(self, *job), jobs))
        if self._pool is not None:
            self._pool.shutdown()
        return Profile(
            rows=self.rows,
            columns=tuple(done),
            labels=tuple(ranked[:SHOWN_LABELS]),
            label_missing=self.labels.missing,
            duplicates=duplicates,
            conflicts=conflicts,
            bytes_in_memory=self.bytes,
        )


class _View:
    """What every column's summary needs of the whole: the classes' order, the positive one, the sample's share of the rows."""

    __slots__ = ("cells", "order", "positive", "share", "width")

    def __init__(self, of: Profiler, ranked: list[tuple[str, int]]) -> None:
        numbers = [of.labels.numbers[text] for text, _ in ranked]
        self.order = np.array([number for number in numbers if number <= MOST_CLASSES][:SHOWN_CLASSES], np.int64)
        self.width = of._width
        # One class against the rest needs few classes, all told apart; of two either will do, of many the largest has most to say
        self.positive = numbers[0] if 2 <= len(numbers) <= MOST_CLASSES else 0
        self.cells = of.sample.halves * self.width + of.sample.classes
        self.share = len(of.sample.classes) / of.rows if of.rows else 1.0


def floats(cells: pa.Array) -> np.ndarray:
    """Numbers as float64, dates as seconds since 1970 UTC; missing as NaN."""
    kind = cells.type
    if pa.types.is_date(kind):
        cells = cells.cast(pa.timestamp("ms"), safe=False)
        kind = cells.type
    if pa.types.is_timestamp(kind):
        per_second = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[kind.unit]
        return numbers64(cells.cast(pa.int64(), safe=False)) / per_second
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return numbers64(cells.cast(pa.int64() if kind.bit_width == 64 else pa.int32(), safe=False))
    return numbers64(cells)


def _column(of: Profiler, column: Column, view: _View) -> ColumnProfile:
    if column.name in of.numbers:
        found = _number(of, column, of.numbers[column.name], view)
    elif column.name in of.texts:
        found = _text(of, column, of.texts[column.name], view)
    else:
        found = ColumnProfile(name=column.name, kind=column.kind, rows=of.rows, missing=of.others[column.name], distinct=0)
    misfits = of.misfits.get(column.name)
    if misfits is None or not misfits.count:
        return found
    return replace(found, not_numeric=misfits.count, not_numeric_examples=tuple(misfits.examples))


def _number(of: Profiler, column: Column, numbers: Numbers, view: _View) -> ColumnProfile:
    ranks = Sorted(numbers.sample(), view.cells, view.width)
    numbers.kept = []
    some = numbers.finite > 0
    auc, told = ranks.ranking(view.positive) if view.positive and column.role != "label" else (None, None)
    quantiles = ranks.quantiles()
    if quantiles:
        quantiles = (numbers.minimum, *quantiles[1:-1], numbers.maximum)
    return ColumnProfile(
        name=column.name,
        kind=column.kind,
        rows=of.rows,
        missing=numbers.missing,
        distinct=numbers.values(),
        minimum=numbers.minimum if some else None,
        maximum=numbers.maximum if some else None,
        mean=numbers.average,
        std=numbers.std,
        quantiles=quantiles,
        infinite=numbers.infinite,
        integer=some and numbers.integer,
        increasing=some and numbers.increasing,
        top=ranks.top(view.order, view.share),
        histogram=ranks.histogram(numbers.minimum, numbers.maximum, view.order, view.share, integer=numbers.integer) if some else None,
        auc=auc,
        accuracy=told,
    )


def _text(of: Profiler, column: Column, texts: Texts, view: _View) -> ColumnProfile:
    auc, told = texts.ranking(view.positive) if view.positive and column.role != "label" else (None, None)
    return ColumnProfile(
        name=column.name,
        kind=column.kind,
        rows=of.rows,
        missing=texts.missing,
        distinct=texts.distinct.count(),
        longest=texts.longest,
        numeric_text=0 if column.kind == "boolean" else texts.numeric_text,
        date_text=0 if column.kind == "boolean" else texts.date_text,
        top=texts.top(view.order),
        auc=auc,
        accuracy=told,
    )
