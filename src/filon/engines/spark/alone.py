"""A table that one task holds: profiled and split there by the embedded engine, with no shuffle and no state to merge.

A pass of Spark over a million rows spends more on its shuffles than the work takes in one process. Whether a table is small enough is
said by `small`; larger ones go over the cluster (docs/adr/0095-small-tables-in-one-task.md).
"""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from filon.engines.folding import FOLDS
from filon.engines.spark.capacity import capacity, cores
from filon.engines.spark.fetching import table as fetched
from filon.engines.spark.folds import SparkFolds
from filon.engines.spark.listener import ALONE, step, watched
from filon.engines.spark.reader import environment, laid_down, moved
from filon.engines.spark.shipped import COLUMNS, FoldPiece
from filon.engines.spark.words import telling
from filon.events import Event, Listen

if TYPE_CHECKING:
    import pyarrow as pa

    from filon.engines.base import FoldInfo, FoldName, LabelPlan, Profile, Source, SplitPlan
    from filon.engines.embedded import EmbeddedEngine
    from filon.engines.embedded.sampling import LowestRows
    from filon.engines.spark.reader import SparkTable
    from filon.engines.spark.session import Session
    from filon.rows.encode import Encoding

CELLS_A_CORE = 1 << 26
"""Cells that a core of the task goes through before a cluster's shuffles would have paid: some ten seconds of it."""

CELL_BYTES, GZIP = 4, 6
"""Of a cell of a CSV, whose rows are not counted; and how much a gzipped one grows."""

STATE = "state binary"

Here = Callable[["Source"], "Source"]
"""Where the files of a source are, in the task."""

Work = Callable[["EmbeddedEngine", Here, "Source"], Any]
"""What the one task does."""


def small(session: Session, table: SparkTable, strategy: str) -> bool:
    """Whether one task goes through the table soon; `places.spark.strategy = "cluster"` says no to it."""
    if strategy == "cluster":
        return False
    width = max(1, len(table.source.columns))
    rows = table.cut.rows if table.cut.rows >= 0 else 0
    grown = sum(file.size_bytes * (GZIP if file.path.endswith(".gz") else 1) for file in table.source.files)
    cells = rows * width or grown // CELL_BYTES
    return cells <= CELLS_A_CORE * cores(session)


def profile_alone(table: SparkTable, label: LabelPlan, listen: Listen) -> Profile:
    """Everything `check` wants to know, from one task.

    Raises
    ------
    DataError, RecipeError, SetupError : `read.*`, as rows are read
    """
    listen(Event(stage="check", text="profiling the rows in one task"))
    found: tuple[Profile, LowestRows | None] = _carried_out([table], _Profile(label=label), "check", "profiling the rows", listen)
    if found[1] is not None:
        table.remember(found[1])
    return found[0]


def split_alone(table: SparkTable, plan: SplitPlan, test: SparkTable | None, listen: Listen) -> SparkFolds:
    """Give every row to one fold; the task leaves the folds in the work folder, for Spark as Parquet and for fits as plain files.

    Parameters
    ----------
    test : the table of the test fold, where it has one of its own (`plan.test_source`)

    Raises
    ------
    DataError : `split.no-rows`, `split.class-missing`, `split.fold-empty`, `split.weight-unusable`, `split.time-unusable`
    """
    session = table.session
    listen(Event(stage="split", text="hashing, encoding and sorting the rows in one task"))
    place = Path(session.new_place("folds").removeprefix("file://"))
    tables = [table] if test is None else [table, test]
    made: Made = _carried_out(tables, _Split(plan=plan, place=str(place)), "split", "splitting the rows", listen)
    return SparkFolds(
        plan=plan,
        encoding=made.encoding,
        info=made.info,
        class_weights=made.class_weights,
        left_out=made.left_out,
        session=session,
        _kept=session.kept(f"file://{made.parquet}"),
        pieces=made.pieces,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a split comes to: the folds' description, and where their rows are."""

    encoding: Encoding
    info: Mapping[FoldName, FoldInfo]
    class_weights: tuple[float, ...]
    left_out: Mapping[str, int]
    parquet: str
    pieces: Mapping[FoldName, FoldPiece]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Profile:
    label: LabelPlan

    def __call__(self, engine: EmbeddedEngine, here: Here, source: Source) -> tuple[Profile, LowestRows | None]:
        table = engine.read(here(source))
        return engine.profile(table, self.label), table.lowest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Split:
    plan: SplitPlan
    place: str

    def __call__(self, engine: EmbeddedEngine, here: Here, source: Source) -> Made:
        plan = self.plan if self.plan.test_source is None else replace(self.plan, test_source=here(self.plan.test_source))
        folds = engine.split(engine.read(here(source)), plan)
        folder = Path(f"{self.place}-{_attempt()}")  # of another attempt of this task nothing is read
        (folder / "parquet").mkdir(parents=True)
        handles = {name: folds.open_test("handed over") if name == "test" else folds.fold(name) for name in FOLDS}
        pieces = {name: _lay(folder, number, name, handles[name]) for number, name in enumerate(FOLDS)}
        return Made(
            encoding=folds.encoding,
            info=folds.info,
            class_weights=folds.class_weights,
            left_out=folds.left_out,
            parquet=str(folder / "parquet"),
            pieces=pieces,
        )


def _lay(folder: Path, number: int, name: FoldName, fold: Any) -> FoldPiece:
    """One fold's rows, ranks for categories, as plain files and as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = fold.files[0]
    columns = ["hash", "label", *(column for column in ("member", "weight") if column in file.columns)]
    paths = {column: str(folder / f"{name}.{column}") for column in ("x", *columns)}
    kinds = {"hash": pa.int64(), "member": pa.int64(), "label": pa.int32(), "weight": pa.float32()}
    features = [(f"x{place}", pa.float32()) for place in range(file.features)]
    schema = pa.schema([("fold", pa.int32()), *((column, kinds[column]) for column in columns), *features])
    rows = 0
    with ExitStack() as stack:
        opened = {column: stack.enter_context(Path(path).open("wb")) for column, path in paths.items()}
        target = folder / "parquet" / f"{name}.parquet"
        parquet = stack.enter_context(pq.ParquetWriter(target, schema, compression="none", use_dictionary=False))
        for block in fold.each():
            x = np.ascontiguousarray(block.x)
            cells: dict[str, np.ndarray] = {column: np.ascontiguousarray(getattr(block, column), COLUMNS[column]) for column in columns}
            for column, values in {"x": x, **cells}.items():
                opened[column].write(values.tobytes())
            signed = {column: values.view(np.int64) if values.dtype == np.uint64 else values for column, values in cells.items()}
            arrays = [pa.array(np.full(len(x), number, np.int32)), *(pa.array(values) for values in signed.values())]
            arrays += [pa.array(np.ascontiguousarray(x[:, place])) for place in range(file.features)]
            parquet.write_table(pa.Table.from_arrays(arrays, schema=schema))
            rows += len(x)
    return FoldPiece(rows=rows, paths=paths)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """The work of the one task: an embedded engine of its own on the source."""

    source: Source
    work: Work
    threads: int
    memory_mib: int
    environment: dict[str, str]
    carried: Mapping[str, bytes]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """One row: the outcome, pickled."""
        return telling(self._batches(batches))

    def _batches(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        from filon.engines.embedded import EmbeddedEngine

        for name, value in self.environment.items():
            os.environ.setdefault(name, value)
        for _ in batches:
            scratch = Path(tempfile.mkdtemp(prefix="filon-task-"))
            try:
                with EmbeddedEngine(scratch=scratch, threads=self.threads, memory_mib=self.memory_mib) as engine:
                    here = partial(moved, where=laid_down(self.carried, scratch))
                    outcome = pickle.dumps(self.work(engine, here, self.source), protocol=5)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
            yield pa.RecordBatch.from_arrays([pa.array([outcome], pa.binary())], ["state"])


def _carried_out(tables: Sequence[SparkTable], work: Work, stage: str, said: str, listen: Listen) -> Any:
    """What the task makes of the first of the tables; the others are those that it looks at besides."""
    table = tables[0]
    session = table.session
    room = capacity(session)
    task = _Task(
        source=table.asked,
        work=work,
        threads=cores(session),
        memory_mib=int(room.room_mib * room.slots / room.executors),
        environment=environment(*(one.source for one in tables)),
        carried={path: content for one in tables for path, content in one.carried.items()},
    )
    frame = session.spark.range(0, 1, 1, 1).mapInArrow(task, STATE)
    with step(session, stage + ALONE):
        found = watched(session, stage, said, lambda: fetched(frame, session, table.source.origin), listen)
    return pickle.loads(found.column("state")[0].as_py())


def _attempt() -> int:
    from pyspark import TaskContext

    context = TaskContext.get()
    return 0 if context is None else int(context.taskAttemptId())
