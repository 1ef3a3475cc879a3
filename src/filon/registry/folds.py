"""Which rows of a table are in a run's test fold: computed again from the rows (law 1), so nothing but the source need be kept."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filon.engines.base import SplitPlan
from filon.engines.folding import count_buckets, cut, time_cuts, time_number
from filon.rows.cells import column
from filon.rows.encode import label_number
from filon.rows.hash import BUCKETS, buckets, digest, key_hash, row_hash

SIGMAS = 5
"""Where only a sample of the table is at hand, the cut is known to some buckets: rows nearer to it than this are left out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """Rows of a test fold. rows : (table's rows,) bool; digest : as the manifest has it, of these rows"""

    rows: np.ndarray
    digest: str


def test_fold(table: pa.Table, plan: SplitPlan, *, whole: bool) -> Part:
    """The rows of a table that a split put in its test fold.

    Parameters
    ----------
    table : typed rows with the plan's columns; whole : these are all rows of the source, else those with the lowest hashes
    """
    batch = _batch(table)
    label = label_number(column(batch, plan.label.column), plan.label.classes)
    chosen = np.flatnonzero(label >= 0)
    batch, label = batch.take(pa.array(chosen)), label[chosen]
    hashes = row_hash(batch, [feature.name for feature in plan.features])
    if plan.by == "time":
        inside = _later(time_number(column(batch, plan.time), plan.time), plan, whole=whole)
    else:
        members = key_hash(batch, plan.key) if plan.by == "key" else hashes
        inside = _beyond(members, hashes, label, plan, whole=whole)
    mask = np.zeros(table.num_rows, bool)
    mask[chosen[inside]] = True
    return Part(rows=mask, digest=f"{digest(hashes[inside]):016x}")


def _batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _beyond(members: np.ndarray, hashes: np.ndarray, label: np.ndarray, plan: SplitPlan, *, whole: bool) -> np.ndarray:
    """Rows whose bucket is beyond the last cut of the lowest class that their content has."""
    found = buckets(members, plan.seed)
    counts = count_buckets(found, label, len(plan.label.classes))
    cuts = cut(counts, plan.shares, stratify=plan.stratify and plan.by == "row")
    _, group = np.unique(hashes, return_inverse=True)
    lowest = np.full(int(group.max(initial=-1)) + 1, len(plan.label.classes), np.int64)
    np.minimum.at(lowest, group, label)
    edges = cuts.edges[lowest[group], -1]
    if whole:
        return np.asarray(found >= edges)
    rows = np.maximum(counts.sum(axis=0), 1)[lowest[group]] if plan.stratify and plan.by == "row" else len(label)
    before = plan.shares[0] + plan.shares[1]
    return np.asarray(found >= edges + SIGMAS * BUCKETS * np.sqrt(before * (1 - before) / rows))


def _later(times: np.ndarray, plan: SplitPlan, *, whole: bool) -> np.ndarray:
    """Rows not earlier than the last cut of time."""
    if not len(times):
        return np.zeros(0, bool)

    def histogram(first: int, width: int, bins: int) -> np.ndarray:
        later = times[times >= first].view(np.uint64) - np.uint64(first & 0xFFFFFFFFFFFFFFFF)
        place = later // np.uint64(width)
        return np.bincount(place[place < bins].astype(np.int64), minlength=bins)

    before = plan.shares[0] + plan.shares[1]
    shift = 0.0 if whole else SIGMAS * float(np.sqrt(before * (1 - before) / len(times)))
    shares = (plan.shares[0], min(plan.shares[1] + shift, 1 - plan.shares[0]), max(plan.shares[2] - shift, 0.0))
    return np.asarray(times >= time_cuts(histogram, int(times.min()), int(times.max()), len(times), shares)[-1])
