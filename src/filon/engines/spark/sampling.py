"""A few rows of a table or a fold, those with the lowest hashes: the same ones as on the embedded engine."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from filon.engines.embedded.sampling import LowestRows
from filon.engines.spark import merging
from filon.engines.spark.fetching import table as fetched
from filon.engines.spark.folds import SparkFold
from filon.engines.spark.reader import Located, SparkTable
from filon.rows.cells import column
from filon.rows.encode import label_text
from filon.rows.hash import row_hash


def sample(rows: Any, most: int, per_class: int = 0) -> pa.Table:
    """At most `most` rows with the lowest hashes, and at least `per_class` of each class where there are that many."""
    return sample_fold(rows, most, per_class) if isinstance(rows, SparkFold) else sample_table(rows, most, per_class)


def sample_table(table: SparkTable, most: int, per_class: int) -> pa.Table:
    """All columns typed, in the order of the hashes."""
    kept = table.lowest
    if kept is None or most > kept.most or per_class > kept.per_class:
        kept = _lowest(table, most, per_class)
    found = None if kept is None else kept.table(most, per_class)
    return pa.table({name: pa.nulls(0) for name in table.names}) if found is None else found.select(table.names)


def _lowest(table: SparkTable, most: int, per_class: int) -> LowestRows | None:
    columns = table.source.columns
    features = tuple(one.name for one in columns if one.role == "feature" and one.kind in ("number", "boolean", "category"))
    work = Lowest(features=features, label=next(iter(table.source.names("label")), ""), most=most, per_class=per_class)
    outcome = merging.merged(table.map(work, merging.STATE), 1, table.session, _joined, _joined, table.source.origin)
    found: LowestRows | None = None if outcome is None else pickle.loads(outcome)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowest:
    """The work of a task: the lowest rows of its piece."""

    features: tuple[str, ...]
    label: str
    most: int
    per_class: int

    def __call__(self, located: Located) -> Iterator[pa.RecordBatch]:
        """Rows to one state."""
        kept = LowestRows(self.most, self.per_class)
        for _place, batch in located:
            kept.add(batch, row_hash(batch, self.features), label_text(column(batch, self.label)) if self.label else None)
        yield merging.state(0, pickle.dumps(kept, protocol=5))


def _joined(states: list[bytes]) -> bytes:
    first: LowestRows = pickle.loads(states[0])
    for one in states[1:]:
        first.merge(pickle.loads(one))
    return pickle.dumps(first, protocol=5)


def sample_fold(fold: SparkFold, most: int, per_class: int = 0) -> pa.Table:
    """Features under their names (float32, missing as NaN), "label" int32, "weight" float32; in canonical order."""
    if fold.pieces:
        return _of_files(fold, most, per_class)
    classes = len(fold.encoding.classes)
    found = fetched(fold.plain.orderBy(*fold.canonical).limit(most), fold.session) if most else None
    labels = np.empty(0, np.int64) if found is None else found.column("label").to_numpy()
    parts = [] if found is None else [found]
    for number in range(classes) if per_class else ():
        # Of a class the lowest rows come first in the whole, too: only those beyond what is there are lacking
        there = int((labels == number).sum())
        by_class = sum(fold.info[name].by_class[number] for name in fold.names)
        if there < min(per_class, by_class):
            some = fold.plain.where(f"label = {number}").orderBy(*fold.canonical).limit(per_class)
            parts.append(fetched(some, fold.session).slice(there))
    return _named(pa.concat_tables(parts) if parts else fetched(fold.plain.limit(0), fold.session), fold)


def _of_files(fold: SparkFold, most: int, per_class: int) -> pa.Table:
    """The same from the files of the fold: their rows are in canonical order already."""
    seen = dict.fromkeys(range(len(fold.encoding.classes)), 0)
    blocks, before = [], 0
    for block in fold.blocks():
        chosen = np.arange(before, before + len(block.label)) < most
        for number in seen:
            mine = np.flatnonzero(block.label == number)
            chosen[mine[: max(0, per_class - seen[number])]] = True
            seen[number] += len(mine)
        before += len(block.label)
        if chosen.any():
            blocks.append((block.x[chosen], block.label[chosen], block.weight[chosen]))
        if before >= most and all(there >= per_class for there in seen.values()):
            break
    x, label, weight = (
        [np.concatenate(parts) for parts in zip(*blocks, strict=True)]
        if blocks
        else (np.empty((0, len(fold.encoding.names)), np.float32), np.empty(0, np.int32), np.empty(0, np.float32))
    )
    cells = [*(pa.array(np.ascontiguousarray(column)) for column in x.T), pa.array(label), pa.array(weight)]
    return pa.Table.from_arrays(cells, names=[*fold.encoding.names, "label", "weight"])


def _named(rows: pa.Table, fold: SparkFold) -> pa.Table:
    weight = rows.column("weight").to_numpy() if fold.plan.weight else np.ones(rows.num_rows, np.float32)
    label = rows.column("label").to_numpy()
    order = np.lexsort((weight, label, rows.column("hash").to_numpy().view(np.uint64)))
    features = [pa.array(rows.column(name).to_numpy()[order].astype(np.float32)) for name in fold.features]
    cells = [*features, pa.array(label[order].astype(np.int32)), pa.array(weight[order].astype(np.float32))]
    return pa.Table.from_arrays(cells, names=[*fold.encoding.names, "label", "weight"])
