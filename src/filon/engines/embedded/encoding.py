"""Typed batches to rows of the spool: hash, class number, weight, member and features, with categories as provisional codes."""

import threading
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.engines.base import SplitPlan
from filon.engines.embedded.spool import Layout, by_part
from filon.engines.folding import count_buckets, time_number
from filon.errors import DataError
from filon.rows.cells import as_float32, column, is_text, numbers64
from filon.rows.encode import Encoding, encode, label_number, label_text
from filon.rows.hash import buckets, key_hash, row_hash

MOST_TEXTS = 2_000_000
"""Distinct texts of one category column that are counted before it is refused: about 400 MB of them."""

LAID_ROWS = 4096
"""Rows laid side by side at a time: a block of a hundred features stays in the cache."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """One batch, encoded and arranged by hash part; what it adds to the counts."""

    records: np.ndarray
    sizes: np.ndarray
    counts: np.ndarray | None
    members: np.ndarray | None
    missing: int
    unknown: int


@dataclass(slots=True, eq=False)
class Vocabulary:
    """Codes of a category's texts in the order they are met (so only good until they are ranked)."""

    name: str
    codes: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    counts: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    def code(self, cells: pa.Array) -> np.ndarray:
        """(rows,) float32, NaN for missing."""
        texts = cells if is_text(cells.type) else label_text(cells)
        coded = texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()
        uniques = coded.dictionary.to_pylist()
        with self.lock:
            known = [np.nan if text is None else self.codes.setdefault(text, len(self.codes)) for text in uniques]
        if len(self.codes) > MOST_TEXTS:
            raise DataError(
                "split.too-many-categories",
                f'the category column "{self.name}" has more than {MOST_TEXTS:,} different values',
                "a category is learnt value by value; with so many, hardly one is seen twice",
                f'leave it out: drop = ["{self.name}"], or declare it: columns = {{ "{self.name}" = "text" }}',
            )
        codes = np.array([*known, np.nan], np.float32)
        places = pc.fill_null(coded.indices.cast(pa.int64()), len(uniques))
        return np.asarray(codes[np.asarray(places.to_numpy(zero_copy_only=False))])

    def count(self, codes: np.ndarray) -> None:
        """Add rows of the training fold."""
        there = np.bincount(codes[~np.isnan(codes)].astype(np.int64), minlength=len(self.codes))
        self.counts = there if not len(self.counts) else self.counts + there

    def ranked(self, most: int) -> tuple[tuple[str, ...], np.ndarray]:
        """Categories by training rows, most frequent first, ties by text, `most` at most; and the rank of each code (NaN: none)."""
        texts = list(self.codes)
        seen = np.flatnonzero(self.counts).tolist()
        best = sorted(seen, key=lambda code: (-int(self.counts[code]), texts[code]))[:most]
        ranks = np.full(len(texts) + 1, np.nan, np.float32)
        ranks[best] = np.arange(len(best), dtype=np.float32)
        return tuple(texts[code] for code in best), ranks


class Encoder:
    """Typed batches to rows of the first spool, under a plan. Called by several threads."""

    def __init__(self, plan: SplitPlan, encoding: Encoding | None = None) -> None:
        """With an `encoding`, features come out as it says (a publisher's test table), and nothing is learnt."""
        self.plan, self.encoding = plan, encoding
        self.names = tuple(feature.name for feature in plan.features)
        self.by = "row" if encoding else plan.by
        self.layout = Layout(features=len(self.names), member=self.by != "row", weight=bool(plan.weight))
        self.vocabularies = {
            place: Vocabulary(feature.name)
            for place, feature in enumerate(plan.features)
            if feature.kind == "category" and encoding is None
        }

    def columns(self) -> tuple[str, ...]:
        """What is read of the table."""
        plan = self.plan
        extra = plan.key if self.by == "key" else (plan.time,) if self.by == "time" else ()
        return tuple(dict.fromkeys((*self.names, plan.label.column, *extra, *((plan.weight,) if plan.weight else ()))))

    def __call__(self, batch: pa.RecordBatch) -> Batch:
        """Encode one batch; rows without a label are left out."""
        labels = label_number(column(batch, self.plan.label.column), self.plan.label.classes)
        missing, unknown = left_out(column(batch, self.plan.label.column), labels)
        if missing or unknown:
            batch = batch.filter(pa.array(labels >= 0))
            labels = labels[labels >= 0]
        hashes = row_hash(batch, self.names)
        records = np.empty((batch.num_rows, self.layout.width), np.uint32)
        records[:, 0:2] = hashes.view(np.uint32).reshape(-1, 2)
        self.layout.labels(records)[:] = labels
        weights = self.layout.weights(records)
        if weights is not None:
            weights[:] = weights_of(column(batch, self.plan.weight), self.plan.weight)
        self._features(batch, self.layout.matrix(records))
        members = self._members(batch)
        if members is not None:
            records[:, 2:4] = members.view(np.uint32).reshape(-1, 2)
        bucketed = hashes if members is None else members
        counts = None if self.by == "time" else count_buckets(buckets(bucketed, self.plan.seed), labels, len(self.plan.label.classes))
        arranged, sizes = by_part(records, hashes)
        return Batch(
            records=arranged,
            sizes=sizes,
            counts=counts,
            members=members if self.by == "time" else None,
            missing=missing,
            unknown=unknown,
        )

    def _features(self, batch: pa.RecordBatch, out: np.ndarray) -> None:
        if self.encoding is not None:
            out[:] = encode(batch, self.encoding)
            return
        columns = []
        for place, name in enumerate(self.names):
            cells = column(batch, name)
            columns.append(self.vocabularies[place].code(cells) if place in self.vocabularies else as_float32(cells))
        for start in range(0, len(out), LAID_ROWS):
            block = out[start : start + LAID_ROWS]
            for place, values in enumerate(columns):
                block[:, place] = values[start : start + LAID_ROWS]
            block[np.isinf(block)] = np.nan  # as `rows.encode` does

    def _members(self, batch: pa.RecordBatch) -> np.ndarray | None:
        if self.by == "key":
            return key_hash(batch, self.plan.key)
        if self.by == "time":
            return time_number(column(batch, self.plan.time), self.plan.time).view(np.uint64)
        return None


def left_out(cells: pa.Array, labels: np.ndarray) -> tuple[int, int]:
    """Rows without a label, and rows whose label is none of the classes."""
    out = int((labels < 0).sum())
    missing = int(pc.sum(cells.is_null(nan_is_null=pa.types.is_floating(cells.type))).as_py() or 0) if out else 0
    return missing, out - missing


def weights_of(cells: pa.Array, name: str) -> np.ndarray:
    """Row weights: (rows,) float32.

    Raises
    ------
    DataError : `split.weight-unusable`
    """
    values = numbers64(cells)
    bad = ~(np.isfinite(values) & (values >= 0))
    if bad.any():
        raise DataError(
            "split.weight-unusable",
            f'the weight column "{name}" has a value that is no weight',
            f"{int(bad.sum())} of {len(values)} rows looked at are missing, negative or infinite",
            f'keep only rows with a weight: where = "{name} >= 0", or leave weight out',
        )
    return values.astype(np.float32)
