"""Rows through the ensemble, block by block: scores that are never held all at once."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from filon.engines.answering import Model, answered, answers, decide, slices
from filon.engines.base import Source
from filon.engines.embedded.folds import EmbeddedFold
from filon.engines.embedded.pulse import Pulse
from filon.engines.tally import Tallier, Tally
from filon.events import Listen
from filon.rows.cells import column, column_missing, numbers64
from filon.rows.encode import Encoding, encode, label_number
from filon.trees import Ensemble, predict

SCORE_ROWS = 1 << 16
"""Rows scored at a time."""


class Streamed(Protocol):
    """What scoring asks of a table that the engine reads."""

    @property
    def source(self) -> Source: ...
    def batches(self, columns: Sequence[str], rows_per_batch: int) -> Iterator[pa.RecordBatch]: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """Some scored rows.

    probability : (n, classes) float32
    label : (n,) int32 true class numbers, -1 where unknown
    weight : (n,) float64 row weights, or None for 1 each
    x : (n, features) float32, the encoded features (of a model of another maker: no columns, as in `probability`)
    batch : the columns asked for, or None (rows of a fold)
    """

    probability: np.ndarray
    label: np.ndarray
    weight: np.ndarray | None
    x: np.ndarray
    batch: pa.RecordBatch | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredTable:
    """Lazy: scores are computed while they are tallied or written."""

    rows: "Streamed | EmbeddedFold"
    ensemble: "Ensemble | Model"
    encoding: Encoding
    threshold: float | None
    threads: int

    @property
    def source(self) -> Source:
        """The table's columns (a fold has its features only)."""
        if isinstance(self.rows, EmbeddedFold):
            return Source(format="parquet", files=(), dialect=None, columns=(), origin="+".join(self.rows.names))
        return self.rows.source

    def blocks(self, keep: Iterable[str] = ()) -> Iterator[Scored]:
        """Scored rows in the order of the table (a fold: in canonical order)."""
        if isinstance(self.rows, EmbeddedFold):
            yield from self._of_fold(self.rows)
        else:
            yield from self._of_table(self.rows, keep)

    def _of_fold(self, fold: EmbeddedFold) -> Iterator[Scored]:
        for rows in fold.each():
            weight = None if rows.weight is None else rows.weight.astype(np.float64)
            yield Scored(probability=self.predict(rows.x), label=rows.label, weight=weight, x=rows.x, batch=None)

    def _of_table(self, table: Streamed, keep: Iterable[str]) -> Iterator[Scored]:
        labels, weights = table.source.names("label"), table.source.names("weight")
        names = tuple(dict.fromkeys((*self.encoding.names, *labels, *weights, *keep)))
        there = {one.name for one in table.source.columns}
        for name in self.encoding.names:
            if name not in there:
                raise column_missing(name, [one.name for one in table.source.columns])
        for batch in table.batches(names, SCORE_ROWS):
            x = encode(batch, self.encoding) if isinstance(self.ensemble, Ensemble) else np.empty((batch.num_rows, 0), np.float32)
            label = label_number(column(batch, labels[0]), self.encoding.classes) if labels else np.full(len(x), -1, np.int32)
            weight = numbers64(column(batch, weights[0])) if weights else None
            yield Scored(probability=self.predict(x), label=label, weight=weight, x=x, batch=batch)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Probability by class: (rows, classes) float32; no columns for a model of another maker, which answers by itself."""
        return predict(self.ensemble, x, self.threads) if isinstance(self.ensemble, Ensemble) else x

    def decide(self, probability: np.ndarray) -> np.ndarray:
        """Class numbers: by the threshold for two classes (0.5 without one), else the likeliest. (rows,) int64."""
        return decide(probability, self.threshold)

    @property
    def answers(self) -> pa.Schema:
        """The columns that rows are answered with."""
        return answers(self.encoding) if isinstance(self.ensemble, Ensemble) else self.ensemble.answers

    def answer(self, block: Scored) -> tuple[pa.RecordBatch, pa.Array | None]:
        """Answers of the rows, and why some have none (see `engines.answering.Model`)."""
        if not isinstance(self.ensemble, Ensemble):
            assert block.batch is not None, "a model of another maker scores tables, not folds"
            return self.ensemble.answer(block.batch, self.threads)
        return pa.RecordBatch.from_arrays(answered(block.probability, self.encoding, self.threshold), schema=self.answers), None


def tally(scored: ScoredTable, by: Sequence[str], listen: Listen) -> Mapping[tuple[str, ...], Tally]:
    """Tallies of the whole, (), and of slices, (column, value), in one pass.

    Raises
    ------
    RecipeError : `engines.slice-unknown` when `by` names a column that is not a category or boolean feature
    """
    total = scored.rows.rows if isinstance(scored.rows, EmbeddedFold) else 0
    return {
        key: one.result()
        for key, one in counted(scored.blocks(), scored.encoding, by, Pulse(listen, "score", "scored and counted", total)).items()
    }


def counted(
    blocks: Iterable[Scored], encoding: Encoding, by: Sequence[str], heard: Callable[[int], None]
) -> dict[tuple[str, ...], Tallier]:
    """Talliers of the whole, (), and of slices; `heard` is told the rows of each block."""
    chosen_by = slices(encoding, by)
    talliers = {key: Tallier(encoding.classes) for key in [(), *chosen_by]}
    for block in blocks:
        heard(len(block.label))
        talliers[()].add(block.probability, block.label, block.weight)
        for key, (place, code) in chosen_by.items():
            chosen = block.x[:, place] == code
            if chosen.any():
                talliers[key].add(block.probability[chosen], block.label[chosen], None if block.weight is None else block.weight[chosen])
    return talliers
