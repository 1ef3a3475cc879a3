"""In a task: typed rows to rows of a fold in the making, by the embedded engine's own rules."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from filon.engines.base import SplitPlan
from filon.engines.embedded.encoding import left_out, weights_of
from filon.engines.folding import time_number
from filon.engines.spark.reader import Located
from filon.rows.cells import as_float32, column, is_text
from filon.rows.encode import Encoding, encode, label_number, label_text, ranks
from filon.rows.hash import buckets, key_hash, row_hash

MISSING, UNKNOWN = -1, -2
"""Labels of the rows that count what is left out: their `hash` is a number of rows."""

OUTSIDE = -1
"""`part` of those rows: no key is negative."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRows:
    """Hash, label, weight, member and features of each row; categories stay texts until they are ranked.

    `keys` sends a row to the shuffle partition of its hash: partitions follow each other as unsigned hashes do."""

    plan: SplitPlan
    keys: tuple[int, ...]
    encoding: Encoding | None = None

    @property
    def by(self) -> str:
        """What membership is decided by; a publisher's test table has none."""
        return "row" if self.encoding else self.plan.by

    def columns(self) -> tuple[str, ...]:
        """What is read of the table."""
        plan = self.plan
        extra = plan.key if self.by == "key" else (plan.time,) if self.by == "time" else ()
        names = tuple(feature.name for feature in plan.features)
        return tuple(dict.fromkeys((*names, plan.label.column, *extra, *((plan.weight,) if plan.weight else ()))))

    def schema(self) -> pa.Schema:
        """Of the rows made."""
        fields: list[tuple[str, pa.DataType]] = [("part", pa.int32()), ("hash", pa.int64()), ("label", pa.int32()), ("bucket", pa.int32())]
        fields += [("member", pa.int64())] if self.by != "row" else []
        fields += [("weight", pa.float32())] if self.plan.weight else []
        textual = {place for place, one in enumerate(self.plan.features) if one.kind == "category" and self.encoding is None}
        fields += [(f"x{place}", pa.string() if place in textual else pa.float32()) for place in range(len(self.plan.features))]
        return pa.schema(fields)

    def __call__(self, located: Located) -> Iterator[pa.RecordBatch]:
        """The work of a task."""
        schema = self.schema()
        for _place, batch in located:
            yield from self._batch(batch, schema)

    def _batch(self, batch: pa.RecordBatch, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        plan = self.plan
        cells = column(batch, plan.label.column)
        labels = label_number(cells, plan.label.classes)
        missing, unknown = left_out(cells, labels)
        if missing or unknown:
            yield _count(schema, {MISSING: missing, UNKNOWN: unknown})
            batch = batch.filter(pa.array(labels >= 0))
            labels = labels[labels >= 0]
        if not batch.num_rows:
            return
        names = [feature.name for feature in plan.features]
        hashes = row_hash(batch, names)
        part = np.array(self.keys, np.int32)[(hashes >> np.uint64(48)).astype(np.int64) * len(self.keys) >> 16]
        made: dict[str, pa.Array] = {"part": pa.array(part), "hash": pa.array(hashes.view(np.int64)), "label": pa.array(labels)}
        members = hashes
        if self.by == "key":
            members = key_hash(batch, plan.key)
        elif self.by == "time":
            members = time_number(column(batch, plan.time), plan.time).view(np.uint64)
        made["bucket"] = pa.array(buckets(members, plan.seed).astype(np.int32))
        if self.by != "row":
            made["member"] = pa.array(members.view(np.int64))
        if plan.weight:
            made["weight"] = pa.array(weights_of(column(batch, plan.weight), plan.weight))
        yield pa.RecordBatch.from_arrays([*made.values(), *self._features(batch)], schema=schema)

    def _features(self, batch: pa.RecordBatch) -> list[pa.Array]:
        if self.encoding is not None:
            x = encode(batch, self.encoding)
            return [pa.array(np.ascontiguousarray(x[:, place])) for place in range(x.shape[1])]
        made = []
        for feature in self.plan.features:
            cells = column(batch, feature.name)
            if feature.kind == "category":
                made.append(_plain_texts(cells if is_text(cells.type) else label_text(cells)))
                continue
            values = as_float32(cells)
            made.append(pa.array(np.where(np.isinf(values), np.float32(np.nan), values)))  # as `rows.encode` does
        return made


def _plain_texts(cells: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    return cells if cells.type == pa.string() else cells.cast(pa.string())


def _count(schema: pa.Schema, counts: dict[int, int]) -> pa.RecordBatch:
    """One row by reason: its `hash` is a number of rows."""
    rows = len(counts)
    known = {"part": [OUTSIDE] * rows, "label": list(counts), "hash": list(counts.values()), "bucket": [0] * rows}
    cells = [pa.array(known[one.name], one.type) if one.name in known else pa.nulls(rows, one.type) for one in schema]
    return pa.RecordBatch.from_arrays(cells, schema=schema)


WORDS = pa.schema([("place", pa.int32()), ("text", pa.string()), ("rows", pa.int64()), ("train", pa.int64())])

HELD = 100_000
"""Counts of texts that a task holds before it hands them on: they are added up again after the shuffle."""


@dataclass(slots=True)
class CountWords:
    """Rows by text of each category column, of all folds and of the training fold. Reads `fold` and the columns x of `places`."""

    places: tuple[int, ...]
    _held: dict[tuple[int, str], list[int]] = field(default_factory=dict)

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The work of a task."""
        for batch in batches:
            train = column(batch, "fold").to_numpy() == 0
            for place in self.places:
                self._add(place, column(batch, f"x{place}"), train)
            if len(self._held) > HELD:
                yield self._flush()
        if self._held:
            yield self._flush()

    def _add(self, place: int, cells: pa.Array, train: np.ndarray) -> None:
        coded = cells.dictionary_encode()
        texts = coded.dictionary.to_pylist()
        codes = coded.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
        rows, taught = np.bincount(codes, minlength=len(texts) + 1), np.bincount(codes[train], minlength=len(texts) + 1)
        for code, text in enumerate(texts):
            if text is not None:
                held = self._held.setdefault((place, text), [0, 0])
                held[0] += int(rows[code])
                held[1] += int(taught[code])

    def _flush(self) -> pa.RecordBatch:
        keys, counts = list(self._held), list(self._held.values())
        self._held = {}
        columns = [[key[0] for key in keys], [key[1] for key in keys], [one[0] for one in counts], [one[1] for one in counts]]
        return pa.RecordBatch.from_arrays([pa.array(cells, kind.type) for cells, kind in zip(columns, WORDS, strict=True)], schema=WORDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToRanks:
    """Texts of categories to their ranks in the training fold; all other columns pass."""

    categories: dict[str, tuple[str, ...]]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The work of a task."""
        for batch in batches:
            cells = [
                pa.array(ranks(batch.column(place), self.categories[name]).astype(np.float32))
                if name in self.categories
                else batch.column(place)
                for place, name in enumerate(batch.schema.names)
            ]
            yield pa.RecordBatch.from_arrays(cells, names=batch.schema.names)
