"""A fold on its way to the tasks: sorted by the cluster, laid on disk once, opened by each task as plain files."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from filon.engines.spark.shipped import COLUMNS, FoldPiece
from filon.errors import EngineError

if TYPE_CHECKING:
    import pyarrow as pa

    from filon.engines.spark.session import Session

PART_BYTES = 32 << 20
"""Of a partition on its way: the driver holds one or two of them, whatever the fold (law 5)."""

LOWEST = -(1 << 63)
"""A signed 64-bit number with its first bit turned is in the order of the unsigned one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """One fold on disk. `carried` : tasks find the files by name among those that Spark carried to them, not by path."""

    piece: FoldPiece
    carried: bool

    def opened(self) -> FoldPiece:
        """In a task: the piece with the paths that hold there."""
        if not self.carried:
            return self.piece
        from pyspark import SparkFiles

        paths = {name: SparkFiles.get(Path(path).name) for name, path in self.piece.paths.items()}
        return FoldPiece(rows=self.piece.rows, paths=paths)


def ship(session: Session, fold: Any, cap: int, name: str) -> Shipment:
    """Lay a fold down as files, in canonical order.

    Parameters
    ----------
    cap : the rows with the lowest hashes (0: all)
    name : of the files, unlike any other of this session

    Raises
    ------
    EngineError : `engines.spark-rows-lost` when the cluster gave other rows than it had counted
    """
    shared = session.shared is not None
    folder = session.shared or session.folder
    folder.mkdir(parents=True, exist_ok=True)
    frame = ordered(lowest(fold.plain, fold.rows, cap), partitions_of(session, fold.rows if not cap else min(cap, fold.rows), fold))
    columns = ["x", *(column for column in COLUMNS if column in frame.columns)]
    paths = {column: str(folder / f"{name}.{column}") for column in columns}
    wanted = min(cap, fold.rows) if cap else fold.rows
    with session.in_our_words("the rows of a fold"):
        fetch = _laid if shared else _written
        rows = fetch(frame, len(fold.encoding.features), paths, wanted)
    if rows != wanted:
        raise EngineError(
            "engines.spark-rows-lost",
            f"the cluster gave {rows:,} rows of a fold that has {wanted:,}",
            "the rows of a fold changed between two readings of it",
            "run again; if it happens again, report it with the recipe (filon check prints it)",
        )
    carried = not shared
    if carried:
        _carry(session, paths)
    return Shipment(piece=FoldPiece(rows=rows, paths=paths), carried=carried)


def partitions_of(session: Session, rows: int, fold: Any) -> int:
    """Partitions of a fold on its way."""
    width = 4 * (len(fold.encoding.features) + 5)
    return max(1, min(session.parallel, math.ceil(rows / 1000)), math.ceil(rows * width / PART_BYTES))


def lowest(frame: Any, rows: int, cap: int) -> Any:
    """A frame that holds the rows with the lowest hashes, and few more, when few of many are wanted; hashes are spread evenly."""
    if not cap or cap * 2 > rows:
        return frame
    share = cap / rows * 1.05 + 8 / math.sqrt(rows)
    limit = int(min(share, 1.0) * float(1 << 64)) + LOWEST
    if limit >= -(LOWEST + 1):
        return frame
    few = frame.where(_unsigned() <= limit)
    return few if few.count() >= cap else frame


def first(frame: Any, rows: int, cap: int) -> Any:
    """The rows with the lowest hashes (all of them when there are no more): exactly so many, but for rows that share the last hash."""
    if not cap or cap >= rows:
        return frame
    from pyspark.sql import functions as F  # noqa: N812

    few = lowest(frame, rows, cap).withColumn("_order", _unsigned())
    counts = few.groupBy(F.shiftright("_order", 48).alias("high")).count().orderBy("high").collect()
    before = 0
    for row in counts:
        if before + row["count"] >= cap:
            inside = few.where(F.shiftright("_order", 48) == row["high"]).select("_order").orderBy("_order")
            last = inside.limit(cap - before).agg(F.max("_order")).first()[0]
            return few.where(F.col("_order") <= last).drop("_order")
        before += row["count"]
    return frame


def ordered(frame: Any, parts: int) -> Any:
    """Rows in canonical order (row hash as unsigned, then label, then weight), over partitions in order."""
    keys = ["label", *(["weight"] if "weight" in frame.columns else [])]
    keyed = frame.withColumn("_order", _unsigned())
    spread = keyed.repartitionByRange(parts, "_order") if parts > 1 else keyed.coalesce(1)
    return spread.sortWithinPartitions("_order", *keys).drop("_order")


def _unsigned() -> Any:
    from pyspark.sql import functions as F  # noqa: N812 (its name everywhere)

    return F.col("hash").bitwiseXOR(F.lit(LOWEST))


def pack(batch: pa.RecordBatch, features: int) -> dict[str, bytes]:
    """A batch's columns as bytes of the files' own form."""
    names = set(batch.schema.names)
    packed = {
        name: np.ascontiguousarray(batch.column(name).to_numpy(zero_copy_only=False)).astype(_WIRE.get(name, kind)).tobytes()
        for name, kind in COLUMNS.items()
        if name in names
    }
    x = np.empty((batch.num_rows, features), np.float32)
    for place in range(features):
        x[:, place] = batch.column(f"x{place}").to_numpy(zero_copy_only=False)
    return {**packed, "x": x.tobytes()}


_WIRE = {"hash": np.int64, "member": np.int64}
"""Spark has signed integers only; the bytes are the same."""


def _packer(features: int, columns: list[str]) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def packed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        for batch in batches:
            found = pack(batch, features)
            arrays = [pa.array([batch.num_rows], pa.int32()), *(pa.array([found[name]], pa.binary()) for name in columns)]
            yield pa.RecordBatch.from_arrays(arrays, ["rows", *columns])

    return packed


def _written(frame: Any, features: int, paths: dict[str, str], wanted: int) -> int:
    """Fetch partition by partition and write; how many rows were written (no more than wanted)."""
    columns, rows = list(paths), 0
    schema = ", ".join(["rows int", *(f"`{name}` binary" for name in columns)])
    widths = _widths(columns, features)
    with ExitStack() as stack:
        files = {name: stack.enter_context(Path(path).open("wb")) for name, path in paths.items()}
        for row in frame.mapInArrow(_packer(features, columns), schema).toLocalIterator(prefetchPartitions=True):
            take = min(int(row["rows"]), wanted - rows)
            for name, file in files.items():
                file.write(memoryview(row[name])[: take * widths[name]])
            rows += take
            if rows == wanted:
                break
    return rows


def _laid(frame: Any, features: int, paths: dict[str, str], wanted: int) -> int:
    """Where all share a file system, tasks write their partition there, and the driver joins the files; how many rows there are."""
    stem = str(Path(paths["x"]).with_suffix(""))
    parts = frame.mapInArrow(_layer(features, list(paths), stem), "part int, attempt long, rows int").collect()
    parts.sort(key=lambda part: part["part"])
    rows = 0
    widths = _widths(list(paths), features)
    with ExitStack() as stack:
        files = {name: stack.enter_context(Path(path).open("wb")) for name, path in paths.items()}
        for part in parts:
            take = min(int(part["rows"]), wanted - rows)
            for name, file in files.items() if take else ():
                with Path(f"{stem}-{part['part']}-{part['attempt']}.{name}").open("rb") as piece:
                    if take < part["rows"]:
                        file.write(piece.read(take * widths[name]))
                    else:
                        shutil.copyfileobj(piece, file, 1 << 22)
            rows += take
    for left in Path(stem).parent.glob(f"{Path(stem).name}-*"):
        left.unlink(missing_ok=True)
    return rows


def _layer(features: int, columns: list[str], stem: str) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def lay(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        from pyspark import TaskContext

        context = TaskContext.get()
        assert context is not None
        part, attempt, rows = context.partitionId(), context.taskAttemptId(), 0
        with ExitStack() as stack:
            files = {name: stack.enter_context(Path(f"{stem}-{part}-{attempt}.{name}").open("wb")) for name in columns}
            for batch in batches:
                for name, raw in pack(batch, features).items():
                    files[name].write(raw)
                rows += batch.num_rows
        arrays = [pa.array([part], pa.int32()), pa.array([attempt], pa.int64()), pa.array([rows], pa.int32())]
        yield pa.RecordBatch.from_arrays(arrays, ["part", "attempt", "rows"])

    return lay


def _widths(columns: list[str], features: int) -> dict[str, int]:
    """Bytes of a row by column."""
    return {name: 4 * features if name == "x" else np.dtype(COLUMNS[name]).itemsize for name in columns}


def _carry(session: Session, paths: dict[str, str]) -> None:
    if session.connect:
        session.spark.addArtifacts(*paths.values(), file=True)
        return
    for path in paths.values():
        session.spark.sparkContext.addFile(path)
