"""The tally on a cluster: counted in the tasks that score, merged in a tree on the executors; the driver gets the last state alone."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from filon.engines.answering import slices
from filon.engines.embedded.scoring import Scored, counted
from filon.engines.spark.capacity import cores
from filon.engines.spark.fetching import table as fetched
from filon.engines.spark.folds import SparkFold
from filon.engines.spark.listener import ALONE, step, watched
from filon.engines.spark.merging import SQL, STATE, merged, state
from filon.engines.spark.reader import Located
from filon.engines.spark.scoring import FoldRows, Scorer, SparkScored, batches_of, task
from filon.engines.spark.shipped import FoldPiece, ShippedRows
from filon.engines.spark.words import Telling
from filon.engines.tally import Curve, Tally, merge
from filon.events import Event, Listen
from filon.trees import Ensemble, predict

MANY_ROWS = 1 << 24
DRIVER_SCORES = 1 << 22
"""Above so many rows, so many distinct scores at most reach the driver (80 MiB of it); `resolution` says how fine that is. Below, the
tally is the embedded engine's to the bit: exact up to `tally.MOST` scores."""

UNTOLD = 64
"""Partitions of a fold over Spark Connect: what two levels of the merge take."""

Key = tuple[str, ...]


def tally(scored: SparkScored, by: Sequence[str], listen: Listen) -> Mapping[Key, Tally]:
    """Tallies of the whole, (), and of slices, (column, value), in one pass.

    Raises
    ------
    RecipeError : `engines.slice-unknown`
    """
    scorer, rows = scored.scorer, scored.rows
    assert isinstance(scorer.ensemble, Ensemble), "a model of another maker has no tally"
    slices(scorer.encoding, by)
    listen(Event(stage="score", text=f"scoring and counting on Spark: {scored.source.origin}"))
    if isinstance(rows, SparkFold) and rows.pieces:
        threads = cores(rows.session)
        given = OfFiles(scorer=scorer, pieces=rows.pieces, weighted=bool(rows.plan.weight), threads=threads, by=tuple(by))
        states, count = rows.session.spark.range(0, 1, 1, 1).mapInArrow(Telling(given), SQL), 0
    elif isinstance(rows, SparkFold):
        weighted = bool(rows.plan.weight)
        frame = rows.plain.select("label", *(["weight"] if weighted else []), *rows.features)
        # Connect does not tell the number of partitions
        frame, count = (frame.coalesce(UNTOLD), UNTOLD) if rows.session.connect else (frame, int(frame.rdd.getNumPartitions()))
        states = frame.mapInArrow(Telling(OfFold(FoldRows(scorer=scorer, weighted=weighted), by=tuple(by))), SQL)
    else:
        states = rows.map(OfTable(scorer, by=tuple(by)), STATE, scorer.columns())
        count = len(rows.cut.pieces)
    origin, session = scored.source.origin, rows.session

    def work() -> bytes | None:
        if count:
            return merged(states, count, session, join, finish, origin)
        return bytes(fetched(states, session, origin).column("state")[0].as_py())

    with step(session, f"evaluate{ALONE}") if isinstance(rows, SparkFold) and rows.pieces else nullcontext():
        found = watched(session, "score", "scoring and counting", work, listen)
    if found is None:
        return {key: one.result() for key, one in counted((), scorer.encoding, by, _unheard).items()}
    return unpacked(found)


@dataclass(frozen=True, slots=True)
class OfTable:
    """The work of a task on a piece of a table: its rows to one state."""

    scorer: Scorer
    by: tuple[str, ...]

    def __call__(self, located: Located) -> Iterator[pa.RecordBatch]:
        """Score and count."""
        scored = self.scorer.over(batches_of(located))
        yield _state(counted(scored.blocks(), self.scorer.encoding, self.by, _unheard))


@dataclass(frozen=True, slots=True)
class OfFold:
    """The work of a task on some rows of a fold: to one state."""

    rows: FoldRows
    by: tuple[str, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Score and count."""
        blocks: Iterator[Scored] = self.rows(batches)
        yield _state(counted(blocks, self.rows.scorer.encoding, self.by, _unheard))


@dataclass(frozen=True, slots=True, kw_only=True)
class OfFiles:
    """The work of the one task for a fold that lies in files: its rows to one state."""

    scorer: Scorer
    pieces: tuple[FoldPiece, ...]
    weighted: bool
    threads: int
    by: tuple[str, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Score and count."""
        for _ in batches:
            yield _state(counted(self._blocks(), self.scorer.encoding, self.by, _unheard))

    def _blocks(self) -> Iterator[Scored]:
        encoding, model = self.scorer.encoding, self.scorer.ensemble
        assert isinstance(model, Ensemble), "a model of another maker scores tables, not folds"
        for block in ShippedRows(self.pieces, encoding, (1.0,) * len(encoding.classes)).blocks():
            weight = block.weight.astype(np.float64) if self.weighted else None
            yield Scored(probability=predict(model, block.x, self.threads), label=block.label, weight=weight, x=block.x, batch=None)


def _unheard(rows: int) -> None:
    del rows


def _state(talliers: Mapping[Key, Any]) -> pa.RecordBatch:
    context = task()
    number = 0 if context is None else int(context.partitionId())
    return state(number, packed({key: one.result() for key, one in talliers.items()}))


def join(states: list[bytes]) -> bytes:
    """Some states as one."""
    return packed(_joined(states))


def finish(states: list[bytes]) -> bytes:
    """The last states as one, small enough for the driver."""
    found = _joined(states)
    if found[()].rows > MANY_ROWS:
        found = {key: merge([one], DRIVER_SCORES) if _scores(one) > DRIVER_SCORES else one for key, one in found.items()}
    return packed(found)


def _scores(one: Tally) -> int:
    return sum(len(curve.scores) for curve in one.curves)


def _joined(states: list[bytes]) -> dict[Key, Tally]:
    opened = [unpacked(one) for one in states]
    return {key: merge(one[key] for one in opened) for key in opened[0]}


def packed(tallies: Mapping[Key, Tally]) -> bytes:
    """Tallies as bytes: scores as the steps between them and counts as small as they are, compressed."""
    arrays: list[np.ndarray] = []
    heads = []
    for key, one in tallies.items():
        heads.append(
            {
                "key": list(key),
                "classes": list(one.classes),
                "confusion": one.confusion.tolist(),
                "rows": one.rows,
                "unlabelled": one.unlabelled,
                "resolution": one.resolution,
                "weight_squares": one.weight_squares,
            }
        )
        for curve in one.curves:
            arrays += [np.diff(curve.scores.view(np.uint32), prepend=np.uint32(0)), _small(curve.positives), _small(curve.negatives)]
    head = json.dumps({"tallies": heads, "arrays": [[array.dtype.str, len(array)] for array in arrays]}).encode()
    out = io.BytesIO()
    out.write(len(head).to_bytes(8, "little") + head)
    codec = pa.Codec("zstd")
    for array in arrays:
        squeezed = codec.compress(array.tobytes(), asbytes=True)
        out.write(len(squeezed).to_bytes(8, "little") + squeezed)
    return out.getvalue()


def _small(counts: np.ndarray) -> np.ndarray:
    """Counts as 32-bit integers where they are such."""
    whole = counts.astype(np.uint32) if not len(counts) or counts.max() < 2**32 else None
    return whole if whole is not None and (whole == counts).all() else counts


def unpacked(content: bytes) -> dict[Key, Tally]:
    """What `packed` made."""
    read = _Reader(memoryview(content))
    head = json.loads(bytes(read.piece()))
    arrays = iter([read.array(kind, count) for kind, count in head["arrays"]])
    found = {}
    for one in head["tallies"]:
        curves = []
        for _ in range(1 if len(one["classes"]) == 2 else len(one["classes"])):
            bits = np.cumsum(next(arrays), dtype=np.uint32)
            positives, negatives = (next(arrays).astype(np.float64, copy=False) for _ in range(2))
            curves.append(Curve(scores=bits.view(np.float32), positives=positives, negatives=negatives))
        key = tuple(one.pop("key"))
        confusion = np.array(one.pop("confusion"))
        found[key] = Tally(**{**one, "classes": tuple(one["classes"])}, curves=tuple(curves), confusion=confusion)
    return found


class _Reader:
    """Pieces of bytes, one after the other."""

    def __init__(self, content: memoryview) -> None:
        self._content, self._at = content, 0
        self._codec = pa.Codec("zstd")

    def piece(self) -> memoryview:
        size = int.from_bytes(self._content[self._at : self._at + 8], "little")
        self._at += 8 + size
        return self._content[self._at - size : self._at]

    def array(self, kind: str, count: int) -> np.ndarray:
        plain = np.dtype(kind)
        held = self._codec.decompress(self.piece(), decompressed_size=count * plain.itemsize, asbytes=True) if count else b""
        if not count:
            self.piece()
        return np.frombuffer(held, plain)
