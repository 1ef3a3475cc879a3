"""The profile of a Spark table: the embedded engine's profiler in each task, its states merged on the executors."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from filon.engines.base import Column, LabelPlan, Profile
from filon.engines.embedded.sampling import LowestRows
from filon.engines.embedded.views import misfit_of
from filon.engines.profiling import Profiler
from filon.engines.profiling.labels import MOST_LABELS
from filon.engines.spark import merging
from filon.engines.spark.fetching import table as fetched
from filon.engines.spark.reader import Located, SparkTable
from filon.events import Event, Listen
from filon.rows.hash import text_hashes

CELLS = 16 << 20
"""Cells of a batch at most, as in the embedded engine."""

MOST_ROWS, FEWEST_ROWS = 1 << 17, 2048
KEPT_ROWS, KEPT_PER_CLASS = 256, 16
"""Rows with the lowest hashes that the pass keeps aside, for the golden rows of the bundle."""

MADE = pa.schema([("hash", pa.int64()), ("label", pa.int64()), ("number", pa.int64()), ("state", pa.binary())])


def profile(table: SparkTable, label: LabelPlan, listen: Listen) -> Profile:
    """Everything `check` wants to know, in one pass (a CSV's rows are counted before, because the sample goes by their place).

    Raises
    ------
    DataError, RecipeError, SetupError : `read.*`, as rows are read
    """
    listen(Event(stage="check", text="profiling the rows"))
    placed = table.located()
    columns = tuple(column for column in table.source.columns if column.role != "dropped")
    names = [column.name for column in columns]
    misfits = {name: misfit_of(name) for name in table.misfits if name in names}
    work = Profiling(
        columns=columns,
        label=label,
        misfits=misfits,
        places=tuple(piece.place for piece in placed.cut.pieces),
        rows=placed.cut.rows,
        golden=bool(table.source.names("label")),
    )
    wanted = [*table.names, *misfits.values()]
    made = placed.map(work, MADE, wanted, max(FEWEST_ROWS, min(MOST_ROWS, CELLS // len(wanted))))
    session, origin = table.session, table.source.origin
    place = session.keep(made, "profile", origin=origin)
    kept = session.kept(place)
    states = kept.where("state is not null").select("number", "state")
    outcome = merging.merged(states, len(placed.cut.pieces), session, _joined, _finished, origin)
    duplicates, conflicts = _equal(kept, session)
    session.forget(place)
    if outcome is None:
        return Profiler(columns, label, misfits=misfits).finish()
    found, lowest = pickle.loads(outcome)
    if lowest is not None:
        table.remember(lowest)
    told: Profile = replace(found, duplicates=duplicates, conflicts=conflicts)
    return told


def _equal(kept: Any, session: Any) -> tuple[int, int]:
    """Rows beyond the first of equal rows, and rows that share their content with a row of another label."""
    from pyspark.sql import functions as F  # noqa: N812

    alike = kept.where("hash is not null").select("hash", "label").repartition("hash").groupBy("hash", "label").agg(F.count("*").alias("n"))
    content = alike.groupBy("hash").agg(F.sum(F.col("n") - 1).alias("again"), F.sum("n").alias("n"), F.count("*").alias("labels"))
    told = content.agg(F.sum("again").alias("duplicates"), F.sum(F.when(F.col("labels") > 1, F.col("n"))).alias("conflicts"))
    (row,) = fetched(told, session).to_pylist()
    return int(row["duplicates"] or 0), int(row["conflicts"] or 0)


class Equal:
    """Stands for the profiler's own search of duplicates, which grows with the rows: here they go to a shuffle."""

    def __init__(self) -> None:
        self.held: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, hashes: np.ndarray, codes: np.ndarray) -> None:
        """Content hashes (rows,) uint64 and label numbers (rows,) int32, 0 for a missing label (not counted)."""
        known = codes > 0
        self.held.append((hashes[known], codes[known]))

    def renumber(self, lookup: np.ndarray) -> None:
        """Nothing is held when parts are merged."""

    def merge(self, other: Equal) -> None:
        """Nothing is held when parts are merged."""

    def count(self) -> tuple[int, int]:
        """Filled in later."""
        return 0, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiling:
    """The work of a task: a hash and a label a row, and one state (profiler, lowest rows) a piece."""

    columns: tuple[Column, ...]
    label: LabelPlan
    misfits: dict[str, str]
    places: tuple[int, ...]
    rows: int
    golden: bool

    def __call__(self, located: Located) -> Iterator[pa.RecordBatch]:
        """Rows of a piece to what is made of them."""
        profiler: Profiler | None = None
        lowest: LowestRows | None = None
        equal, number, texts = Equal(), 0, np.zeros(1, np.int64)
        for place, batch in located:
            if profiler is None:
                profiler = Profiler(self.columns, self.label, misfits=self.misfits, first=place)
                profiler.content = equal  # type: ignore[assignment]
                profiler.sample.level = level(self.rows, profiler.sample.most)
                lowest = LowestRows(KEPT_ROWS, KEPT_PER_CLASS) if self.golden and profiler.features else None
                number = int(np.searchsorted(np.array(self.places), place, side="right")) - 1
            profiler.add(batch)
            if lowest is not None:
                lowest.add(batch, profiler.hashes, profiler.classes)
            texts = _texts(profiler, texts)
            for hashes, codes in equal.held:
                yield _rows(hashes, texts[codes])
            equal.held.clear()
        if profiler is not None:
            profiler.hashes, profiler.classes = np.empty(0, np.uint64), None
            state = pickle.dumps((profiler, lowest), protocol=5)
            cells = [pa.nulls(1, pa.int64()), pa.nulls(1, pa.int64()), pa.array([number], pa.int64()), pa.array([state], pa.binary())]
            yield pa.RecordBatch.from_arrays(cells, schema=MADE)


def level(rows: int, most: int) -> int:
    """A level of the sample that a table of so many rows passes for certain: states stay small, and the outcome is the same.

    >>> level(1000, 10_000), level(8_000_000, 1_000_000)
    (0, 2)
    """
    found = 0
    while rows >> (found + 1) > most + most // 4:
        found += 1
    return found


def _texts(profiler: Profiler, known: np.ndarray) -> np.ndarray:
    """Hash of each label's text by its number; those too many to be numbered share one."""
    numbers = profiler.labels.numbers
    size = min(len(numbers), MOST_LABELS) + 2
    if len(known) == size:
        return known
    hashes = text_hashes(pa.array(list(numbers), pa.large_string())).view(np.int64)
    return np.concatenate([[0], hashes, [1]])


def _rows(hashes: np.ndarray, labels: np.ndarray) -> pa.RecordBatch:
    count = len(hashes)
    cells = [pa.array(hashes.view(np.int64)), pa.array(labels), pa.nulls(count, pa.int64()), pa.nulls(count, pa.binary())]
    return pa.RecordBatch.from_arrays(cells, schema=MADE)


def _merged(states: list[bytes]) -> tuple[Profiler, LowestRows | None]:
    first, lowest = pickle.loads(states[0])
    for one in states[1:]:
        profiler, kept = pickle.loads(one)
        first.merge(profiler)
        if lowest is not None:
            lowest.merge(kept)
    return first, lowest


def _joined(states: list[bytes]) -> bytes:
    return pickle.dumps(_merged(states), protocol=5)


def _finished(states: list[bytes]) -> bytes:
    profiler, lowest = _merged(states)
    return pickle.dumps((profiler.finish(), lowest), protocol=5)
