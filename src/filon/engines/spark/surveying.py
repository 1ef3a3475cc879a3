"""The survey on a cluster: counted in the tasks that score, merged in a tree on the executors; the driver gets the last counts alone."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from filon.engines.embedded.scoring import SCORE_ROWS
from filon.engines.spark.folds import SparkFold
from filon.engines.spark.listener import watched
from filon.engines.spark.merging import STATE, merged, state
from filon.engines.spark.scoring import Scorer, SparkScored, batches_of, task
from filon.engines.spark.tallying import packed, unpacked
from filon.engines.survey import LabelIndex, Survey, Surveyor, SurveyPlan, indexed, joined
from filon.events import Event, Listen

if TYPE_CHECKING:
    from filon.engines.spark.reader import Located, SparkTable


def survey(scored: SparkScored, plan: SurveyPlan, labels: SparkTable | None, listen: Listen) -> Survey:
    """One pass over the rows, each piece counted in the task that reads and scores it."""
    rows, origin = scored.rows, scored.source.origin
    assert not isinstance(rows, SparkFold), "folds are encoded: there are no columns to look at"
    index = _index(labels, plan, listen) if labels is not None else None
    listen(Event(stage="watch", text=f"scoring and counting on Spark: {origin}"))
    wanted = tuple(dict.fromkeys((*scored.scorer.columns(), *plan.columns)))
    states = rows.map(OfPiece(scored.scorer, plan, index), STATE, wanted)
    count = len(rows.cut.pieces)
    found = watched(rows.session, "watch", "scoring and counting", lambda: merged(states, count, rows.session, join, join, origin), listen)
    return opened(found) if found is not None else Survey()


def _index(labels: SparkTable, plan: SurveyPlan, listen: Listen) -> LabelIndex:
    """Twelve bytes a label: on the driver, and with every task."""
    listen(Event(stage="watch", text=f"labels of {labels.source.origin}"))
    label = labels.source.names("label")[0]
    states = labels.map(OfLabels(plan, label), STATE, tuple(dict.fromkeys((*plan.named, label))))
    found = merged(states, len(labels.cut.pieces), labels.session, join_labels, join_labels, labels.source.origin)
    return _labels(found) if found is not None else indexed((), plan, label)


@dataclass(frozen=True, slots=True)
class OfPiece:
    """The work of a task on a piece of a table: its rows to one state."""

    scorer: Scorer
    plan: SurveyPlan
    labels: LabelIndex | None

    def __call__(self, located: Located) -> Iterator[pa.RecordBatch]:
        """Score and count."""
        scored = self.scorer.over(_small(batches_of(located)))
        surveyor = Surveyor(self.plan, self.labels)
        for block in scored.blocks(self.plan.columns):
            surveyor.add(block.x, block.probability, scored.decide(block.probability), block.label, block.batch)
        yield state(_number(), closed(surveyor.result()))


@dataclass(frozen=True, slots=True)
class OfLabels:
    """The work of a task on a piece of the table of labels: to the hashes of what names a row, with its label."""

    plan: SurveyPlan
    label: str

    def __call__(self, located: Located) -> Iterator[pa.RecordBatch]:
        """Hash and keep the last label of each."""
        yield state(_number(), _closed_labels(indexed(batches_of(located), self.plan, self.label)))


def _small(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for start in range(0, batch.num_rows, SCORE_ROWS):
            yield batch.slice(start, SCORE_ROWS)


def _number() -> int:
    context = task()
    return 0 if context is None else int(context.partitionId())


def join(states: list[bytes]) -> bytes:
    """Some states as one."""
    return closed(joined([opened(one) for one in states]))


def closed(one: Survey) -> bytes:
    """A survey as bytes."""
    tallies = packed({(str(period),): tally for period, tally in one.tallies.items()})
    counts = np.stack(list(one.counts.values())) if one.counts else np.zeros((0, 0), np.int64)
    head = {
        "unit": one.unit,
        "rows": one.rows,
        "late": one.late,
        "periods": list(one.counts),
        "shape": counts.shape,
        "tallies": len(tallies),
    }
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + tallies + counts.astype(np.int64).tobytes()


def opened(content: bytes) -> Survey:
    """What `closed` made."""
    start = 8 + int.from_bytes(content[:8], "little")
    head = json.loads(content[8:start])
    end = start + head["tallies"]
    counts = np.frombuffer(content, np.int64, offset=end).reshape(head["shape"])
    tallies = {int(key[0]): tally for key, tally in unpacked(content[start:end]).items()}
    vectors = {int(period): vector.copy() for period, vector in zip(head["periods"], counts, strict=True)}
    return Survey(unit=head["unit"], rows=head["rows"], late=head["late"], counts=vectors, tallies=tallies)


def join_labels(states: list[bytes]) -> bytes:
    """Labels of several pieces, in their order: of several labels of one row the last one holds."""
    parts = [_labels(one) for one in states]
    keys, labels = (np.concatenate([getattr(part, name) for part in parts]) for name in ("keys", "labels"))
    order = np.argsort(keys, kind="stable")
    keys, labels = keys[order], labels[order]
    last = np.append(keys[1:] != keys[:-1], True) if len(keys) else np.empty(0, bool)
    return _closed_labels(LabelIndex(keys=keys[last], labels=labels[last]))


def _closed_labels(index: LabelIndex) -> bytes:
    out = io.BytesIO()
    np.savez(out, keys=index.keys, labels=index.labels)
    return out.getvalue()


def _labels(content: bytes) -> LabelIndex:
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return LabelIndex(keys=found["keys"], labels=found["labels"])
