"""Rows through the one scorer in the tasks of Spark, by the very code of the embedded engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from filon.engines.answering import Model, answers
from filon.engines.base import Source
from filon.engines.embedded.scoring import Scored, ScoredTable
from filon.engines.spark.folds import SparkFold
from filon.engines.spark.reader import Located, SparkTable
from filon.rows.cells import column_missing
from filon.rows.encode import Encoding
from filon.trees import Ensemble, predict


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scorer:
    """What scores rows, as it travels to the workers. `misfits` are the table's columns in which a cell may not fit its kind."""

    ensemble: Ensemble | Model
    encoding: Encoding
    threshold: float | None
    source: Source
    misfits: tuple[str, ...] = ()

    def columns(self) -> tuple[str, ...]:
        """What is read of a table: features, label and weight.

        Raises
        ------
        DataError : `rows.column-missing`
        """
        there = [column.name for column in self.source.columns]
        for name in self.encoding.names:
            if name not in there:
                raise column_missing(name, there)
        return tuple(dict.fromkeys((*self.encoding.names, *self.source.names("label"), *self.source.names("weight"))))

    def over(self, batches: Iterable[pa.RecordBatch]) -> ScoredTable:
        """The embedded engine's scored table, of rows that are read here."""
        rows = Rows(source=self.source, misfits=self.misfits, given=batches)
        return ScoredTable(rows=rows, ensemble=self.ensemble, encoding=self.encoding, threshold=self.threshold, threads=cpus())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Rows that a task was given, as a table that is read once."""

    source: Source
    misfits: tuple[str, ...]
    given: Iterable[pa.RecordBatch]

    def batches(self, columns: Sequence[str], rows_per_batch: int) -> Iterator[pa.RecordBatch]:  # noqa: ARG002 (they were asked for when the task was made)
        """The batches as they come."""
        yield from self.given


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SparkScored:
    """Lazy: scores are computed while they are tallied or written."""

    rows: SparkTable | SparkFold
    scorer: Scorer

    @property
    def source(self) -> Source:
        """The table's columns (a fold has its features only)."""
        return self.scorer.source

    @property
    def answers(self) -> pa.Schema:
        """The columns that rows are answered with."""
        model = self.scorer.ensemble
        return answers(self.scorer.encoding) if isinstance(model, Ensemble) else model.answers


def score(rows: SparkTable | SparkFold, ensemble: Ensemble | Model, encoding: Encoding, threshold: float | None) -> SparkScored:
    """Lazy scores of a table or a fold."""
    if isinstance(rows, SparkFold):
        source = Source(format="parquet", files=(), dialect=None, columns=(), origin="+".join(rows.names))
        scorer = Scorer(ensemble=ensemble, encoding=encoding, threshold=threshold, source=source)
    else:
        scorer = Scorer(ensemble=ensemble, encoding=encoding, threshold=threshold, source=rows.source, misfits=rows.misfits)
    return SparkScored(rows=rows, scorer=scorer)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldRows:
    """Scored rows of a fold, from its encoded batches: columns `label`, perhaps `weight`, and x0 ... xN."""

    scorer: Scorer
    weighted: bool

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[Scored]:
        """Batch by batch."""
        model = self.scorer.ensemble
        assert isinstance(model, Ensemble), "a model of another maker scores tables, not folds"
        names = [f"x{place}" for place in range(len(self.scorer.encoding.features))]
        for batch in batches:
            x = np.column_stack([batch.column(name).to_numpy(zero_copy_only=False) for name in names]).astype(np.float32, copy=False)
            label = batch.column("label").to_numpy(zero_copy_only=False).astype(np.int32, copy=False)
            weight = batch.column("weight").to_numpy(zero_copy_only=False).astype(np.float64) if self.weighted else None
            yield Scored(probability=predict(model, x, cpus()), label=label, weight=weight, x=x, batch=None)


def batches_of(located: Located) -> Iterator[pa.RecordBatch]:
    """The rows of a piece without their places."""
    return (batch for _place, batch in located)


def cpus() -> int:
    """Cores of a task (spark.task.cpus)."""
    context = task()
    return int(context.cpus()) if context is not None else 1


def task() -> Any:
    """The task that runs, None outside of one."""
    from pyspark import TaskContext

    return TaskContext.get()
