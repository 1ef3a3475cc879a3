"""Scored rows to a file; rows that cannot be scored are set aside with their reason."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from filon.engines.answering import REASON, reasons, refuse_unkept
from filon.engines.base import Sink, Source, Written
from filon.engines.embedded.deriving import mentions
from filon.engines.embedded.pulse import Pulse
from filon.engines.embedded.reader import misfit_of, stored_of
from filon.engines.embedded.scoring import Scored, ScoredTable
from filon.engines.embedded.target import Target, forget
from filon.events import Listen
from filon.trees import Ensemble


def write(scored: ScoredTable, sink: Sink, scratch: Path, listen: Listen) -> Written:
    """Write the kept columns as they stand in the source, then the answers: `label`, then `probability_<class>` by class.

    A row with a cell that does not fit the kind of its feature (text in a number column) is not scored, nor is one that a model of another
    maker cannot answer: it is counted by reason, and goes to `sink.rejects` (where given) as it stands in the source, with the column
    `reason`.

    Parameters
    ----------
    scratch : where an S3 object is made before it is sent

    Raises
    ------
    RecipeError : `engines.keep-unknown`, `engines.keep-clash`
    SetupError : `engines.output-unusable`, `engines.output-disk-full`
    """
    keep = kept(scored.source, sink.keep, scored.answers.names)
    judge = Judge(scored, everything=bool(sink.rejects))
    counts: Counter[str] = Counter()
    pulse = Pulse(listen, "score", "scored")
    rows = good_rows = 0
    form: Literal["csv", "parquet"] = "csv" if sink.rejects.lower().endswith(".csv") else "parquet"
    with Target(sink.path, sink.format, scratch) as good, Target(sink.rejects, form, scratch) as bad:
        for table, aside in parted(scored, keep, judge):
            seen = table.num_rows
            if aside is not None:
                seen += aside.num_rows
                counts.update(aside.column(REASON).to_pylist())
                bad.add(aside)
            good.add(table)
            rows, good_rows = rows + seen, good_rows + table.num_rows
            pulse(seen)
        if not good.begun:
            good.add(nothing(keep, scored.answers))
    if not bad.begun:
        forget(sink.rejects)
    return Written(rows=rows, scored=good_rows, rejected=rows - good_rows, reasons=dict(counts.most_common()))


def kept(source: Source, wanted: Sequence[str], answers: Sequence[str]) -> dict[str, str]:
    """Columns to carry along, by the name under which the reader gives them as they stand.

    Raises
    ------
    RecipeError : `engines.keep-unknown`, `engines.keep-clash`
    """
    columns = {column.name: column for column in source.columns}
    refuse_unkept(wanted, list(columns), answers)
    return {name: name if columns[name].sql else stored_of(name) for name in wanted}


def parted(scored: ScoredTable, keep: Mapping[str, str], judge: "Judge") -> Iterator[tuple[pa.Table, pa.Table | None]]:
    """Block by block, the rows that were scored, and those set aside (None when all were scored)."""
    for block in scored.blocks(dict.fromkeys((*keep.values(), *judge.columns))):
        answers, said = scored.answer(block)
        said = judge.reasons(block, said)
        yield _answered(block, answers, keep, said), None if said is None else judge.aside(block, said)


def nothing(keep: Iterable[str], answers: pa.Schema) -> pa.Table:
    """The columns of a table without rows."""
    return pa.schema([*(pa.field(name, pa.string()) for name in keep), *answers]).empty_table()


class Judge:
    """Which rows cannot be scored, and why."""

    def __init__(self, scored: ScoredTable, *, everything: bool) -> None:
        source = scored.source
        needed = set(scored.encoding.names) | {
            column.name for column in source.columns if not column.sql and column.role != "label" and mentions(column.name, source)
        }
        self._kinds: dict[str, str] = {column.name: column.kind for column in source.columns}
        self._watched = tuple(name for name in getattr(scored.rows, "misfits", ()) if name in needed)
        may_refuse = bool(self._watched) or not isinstance(scored.ensemble, Ensemble)
        self._stored = tuple(column.name for column in source.columns if not column.sql) if everything and may_refuse else ()
        self.columns = (*map(misfit_of, self._watched), *map(stored_of, self._stored))
        """What it asks of the reader."""

    def reasons(self, block: Scored, said: pa.Array | None) -> pa.Array | None:
        """Why a row cannot be scored, null where it can; None when all can. `said` is what the model itself says of that."""
        misfits = {name: block.batch.column(misfit_of(name)) for name in self._watched} if block.batch is not None else {}
        unfit = reasons(misfits, self._kinds)
        return said if unfit is None else unfit if said is None else pc.coalesce(unfit, said)

    def aside(self, block: Scored, said: pa.Array) -> pa.Table:
        """The rows that cannot be scored, as they stand, with the reason: the first cell that does not fit."""
        assert block.batch is not None
        unfit = said.is_valid()
        batch = block.batch.filter(unfit)
        columns: dict[str, pa.Array] = {name: batch.column(stored_of(name)) for name in self._stored}
        return pa.table({**columns, REASON: said.filter(unfit)})


def _answered(block: Scored, answers: pa.RecordBatch, keep: Mapping[str, str], said: pa.Array | None) -> pa.Table:
    """Kept columns and answers of the rows that fit."""
    kept = {name: block.batch.column(given) for name, given in keep.items()} if block.batch is not None else {}
    table = pa.table({**kept, **dict(zip(answers.schema.names, answers.columns, strict=True))})
    return table if said is None else table.filter(said.is_null())
