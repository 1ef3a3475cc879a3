"""Scored rows to a file; rows that cannot be scored are set aside with their reason."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filon.engines.base import Sink, Written
from filon.engines.embedded.deriving import mentions
from filon.engines.embedded.pulse import Pulse
from filon.engines.embedded.reader import EmbeddedTable, misfit_of, stored_of
from filon.engines.embedded.scoring import Scored, ScoredTable
from filon.engines.embedded.target import Target
from filon.errors import RecipeError, some
from filon.events import Listen

SAID = {"number": "not a number", "boolean": "neither true nor false", "date": "not a date"}
REASON = "reason"


def write(scored: ScoredTable, sink: Sink, scratch: Path, listen: Listen) -> Written:
    """Write the kept columns as they stand in the source, then `label`, then `probability_<class>` by class.

    A row with a cell that does not fit the kind of its feature (text in a number column) is not scored: it is counted by reason, and
    goes to `sink.rejects` (where given) as it stands in the source, with the column `reason`.

    Parameters
    ----------
    scratch : where an S3 object is made before it is sent

    Raises
    ------
    RecipeError : `engines.keep-unknown`, `engines.keep-clash`
    SetupError : `engines.output-unusable`, `engines.output-disk-full`
    """
    answers = ("label", *(f"probability_{text}" for text in scored.encoding.classes))
    keep = _kept(scored, sink.keep, answers)
    judge = Judge(scored, everything=bool(sink.rejects))
    reasons: Counter[str] = Counter()
    pulse = Pulse(listen, "score", "scored")
    rows = good_rows = 0
    form: Literal["csv", "parquet"] = "csv" if sink.rejects.lower().endswith(".csv") else "parquet"
    with Target(sink.path, sink.format, scratch) as good, Target(sink.rejects, form, scratch) as bad:
        for block in scored.blocks(dict.fromkeys((*keep.values(), *judge.columns))):
            rows += len(block.label)
            fit = judge.fit(block)
            if fit is not None:
                aside = judge.aside(block, fit)
                reasons.update(aside.column(REASON).to_pylist())
                bad.add(aside)
            table = _answered(scored, block, keep, answers, fit)
            good_rows += table.num_rows
            good.add(table)
            pulse(len(block.label))
        if not good.begun:
            good.add(_nothing(keep, answers))
    return Written(rows=rows, scored=good_rows, rejected=rows - good_rows, reasons=dict(reasons.most_common()))


def _kept(scored: ScoredTable, wanted: Sequence[str], answers: Sequence[str]) -> dict[str, str]:
    """Columns to carry along, by the name under which the reader gives them as they stand."""
    columns = {column.name: column for column in scored.source.columns}
    unknown = [name for name in wanted if name not in columns]
    if unknown:
        raise RecipeError(
            "engines.keep-unknown",
            f"the table has no column {some(unknown)} to keep",
            f"it has {some(columns)}",
            "keep columns of the table, or leave --keep out",
        )
    clash = [name for name in wanted if name in answers]
    if clash:
        raise RecipeError(
            "engines.keep-clash",
            f"the column {some(clash)} cannot be kept beside the answers",
            f"the answers are written as {some(answers)}",
            "leave it out of --keep, or give it another name in the source",
        )
    return {name: name if columns[name].sql else stored_of(name) for name in wanted}


class Judge:
    """Which rows can be scored, and why the others cannot."""

    def __init__(self, scored: ScoredTable, *, everything: bool) -> None:
        table = scored.rows if isinstance(scored.rows, EmbeddedTable) else None
        source = scored.source
        needed = set(scored.encoding.names) | {
            column.name for column in source.columns if not column.sql and column.role == "feature" and mentions(column.name, source)
        }
        self._kinds = {column.name: column.kind for column in source.columns}
        self._watched = tuple(name for name in (table.misfits if table else ()) if name in needed)
        self._stored = tuple(column.name for column in source.columns if not column.sql) if everything and self._watched else ()
        self.columns = (*map(misfit_of, self._watched), *map(stored_of, self._stored))
        """What it asks of the reader."""

    def fit(self, block: Scored) -> np.ndarray | None:
        """Which rows can be scored: (rows,) bool; None when all can."""
        misfits = [block.batch.column(misfit_of(name)) for name in self._watched] if block.batch is not None else []
        if not any(len(cells) - cells.null_count for cells in misfits):
            return None
        fit = np.ones(len(block.label), bool)
        for cells in misfits:
            fit &= np.asarray(cells.is_null().to_numpy(zero_copy_only=False))
        return fit

    def aside(self, block: Scored, fit: np.ndarray) -> pa.Table:
        """The rows that cannot be scored, as they stand, with the reason: the first cell that does not fit."""
        assert block.batch is not None
        batch = block.batch.filter(pa.array(~fit))
        reason = pa.nulls(batch.num_rows, pa.string())
        for name in reversed(self._watched):
            said = f'"{name}" is {SAID.get(self._kinds[name], "not what it should be")}'
            reason = pc.if_else(batch.column(misfit_of(name)).is_valid(), said, reason)
        columns: dict[str, pa.Array] = {name: batch.column(stored_of(name)) for name in self._stored}
        return pa.table({**columns, REASON: reason})


def _answered(scored: ScoredTable, block: Scored, keep: Mapping[str, str], answers: Sequence[str], fit: np.ndarray | None) -> pa.Table:
    """Kept columns and answers of the rows that fit."""
    kept = {name: block.batch.column(given) for name, given in keep.items()} if block.batch is not None else {}
    probability = block.probability
    if fit is not None:
        kept = {name: cells.filter(pa.array(fit)) for name, cells in kept.items()}
        probability = probability[fit]
    labels = pa.array(scored.encoding.classes).take(pa.array(scored.decide(probability)))
    shares = {name: pa.array(np.ascontiguousarray(probability[:, place])) for place, name in enumerate(answers[1:])}
    return pa.table({**kept, answers[0]: labels, **shares})


def _nothing(keep: Mapping[str, str], answers: Sequence[str]) -> pa.Table:
    """The columns of a table without rows."""
    kept = dict.fromkeys(keep, pa.array([], pa.string()))
    shares = dict.fromkeys(answers[1:], pa.array([], pa.float32()))
    return pa.table({**kept, answers[0]: pa.array([], pa.string()), **shares})
