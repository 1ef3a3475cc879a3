"""A fold as plain files beside a task: the rows of the trainer, without Spark.

One fold has a file of features and one for each other column, rows in canonical order. Nothing here knows pyspark, so that a task opens
its rows as the embedded engine does, and the models are the same to the bit.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from filon.engines.base import SplitPlan
from filon.engines.folding import PART_SALT, count_buckets, cut
from filon.engines.trainer.rows import Block
from filon.rows.encode import Encoding
from filon.rows.hash import BUCKETS, buckets

COLUMNS: Mapping[str, type] = {"hash": np.uint64, "label": np.int32, "weight": np.float32, "member": np.uint64}
"""Columns beside the features; `weight` is there when the recipe names one, `member` when membership is not by the row hash."""

BLOCK_ROWS, BLOCK_BYTES, LEAST_ROWS = 1 << 17, 16 << 20, 1 << 10
"""Of a block, as in the embedded engine: a linear model of a large table adds up block by block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldPiece:
    """One fold's files: `paths` by column ("x" for the features)."""

    rows: int
    paths: Mapping[str, str]

    def column(self, name: str) -> np.ndarray:
        """All rows of a column other than the features."""
        return np.fromfile(self.paths[name], COLUMNS[name])

    def x(self, start: int, stop: int, features: int) -> np.ndarray:
        """Features of rows `start` to `stop`: (stop - start, features) float32.

        Raises
        ------
        EOFError : the file is shorter than it was written
        """
        cells = np.fromfile(self.paths["x"], np.float32, (stop - start) * features, offset=start * features * 4)
        if len(cells) != (stop - start) * features:
            raise EOFError(f"{Path(self.paths['x']).name} is shorter than it was written")
        return cells.reshape(stop - start, features)


class ShippedRows:
    """`FoldRows` over the files of one fold, or of several in one canonical order."""

    def __init__(
        self,
        pieces: Sequence[FoldPiece],
        encoding: Encoding,
        class_weights: tuple[float, ...],
        *,
        cap: int = 0,
        chosen: np.ndarray | None = None,
    ) -> None:
        """`cap` takes the first rows (0: all); `chosen` : (rows up to the cap,) bool, in canonical order, leaves others out."""
        self.encoding, self.class_weights = encoding, class_weights
        self._pieces, self._chosen = tuple(pieces), chosen
        whole = sum(piece.rows for piece in pieces)
        self._whole = min(cap, whole) if cap else whole
        self._order = merged(pieces)
        self.rows = self._whole if chosen is None else int(chosen[: self._whole].sum())

    def blocks(self) -> Iterator[Block]:
        """See `FoldRows`."""
        width = len(self.encoding.features)
        most = max(LEAST_ROWS, min(BLOCK_ROWS, BLOCK_BYTES // max(4, 4 * width)))
        labels, weights = self._column("label"), self._column("weight")
        assert labels is not None, "every fold has its labels"
        place = np.zeros(len(self._pieces), np.int64)
        for start in range(0, self._whole, most):
            stop = min(start + most, self._whole)
            x, place = self._features(start, stop, place, width)
            label = labels[start:stop]
            weight = np.ones(stop - start, np.float32) if weights is None else weights[start:stop]
            if self._chosen is None:
                yield Block(x=x, label=label, weight=weight)
            else:
                some = self._chosen[start:stop]
                if some.any():
                    yield Block(x=np.ascontiguousarray(x[some]), label=label[some], weight=weight[some])

    def _column(self, name: str) -> np.ndarray | None:
        if name not in self._pieces[0].paths:
            return None
        values = np.concatenate([piece.column(name) for piece in self._pieces])
        return values if self._order is None else values[self._order]

    def _features(self, start: int, stop: int, place: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the union: each fold's part of them is one run of its file, since folds are in canonical order themselves."""
        if self._order is None:
            return self._pieces[0].x(start, stop, width), place
        ends = np.cumsum([piece.rows for piece in self._pieces])
        owner = np.searchsorted(ends, self._order[start:stop], side="right")
        x, after = np.empty((stop - start, width), np.float32), place.copy()
        for number, piece in enumerate(self._pieces):
            mine = owner == number
            after[number] += int(mine.sum())
            x[mine] = piece.x(int(place[number]), int(after[number]), width)
        return x, after


def merged(pieces: Sequence[FoldPiece]) -> np.ndarray | None:
    """Canonical order of the rows of several folds laid end to end (None for one fold: it is in order)."""
    if len(pieces) == 1:
        return None
    keys = [np.concatenate([piece.column(name) for piece in pieces]) for name in ("weight", "label", "hash") if name in pieces[0].paths]
    return np.lexsort(keys)


def parted(
    pieces: Sequence[FoldPiece], part: tuple[int, int], cap: int, encoding: Encoding, class_weights: tuple[float, ...], plan: SplitPlan
) -> tuple[ShippedRows, ShippedRows]:
    """The rows outside and inside of part k of n (cross-validation): what is fitted on, and what is scored."""
    order = merged(pieces)
    named = "member" if "member" in pieces[0].paths else "hash"
    hashes, members, labels = (np.concatenate([piece.column(name) for piece in pieces]) for name in ("hash", named, "label"))
    if order is not None:
        hashes, members, labels = hashes[order], members[order], labels[order]
    whole = min(cap, len(labels)) if cap else len(labels)
    hashes, members, labels = hashes[:whole], members[:whole], labels[:whole]
    placed = buckets(members, plan.seed + PART_SALT)
    counts = count_buckets(placed, labels, len(encoding.classes))
    cuts = cut(counts, (1 / part[1],) * part[1], stratify=plan.stratify and plan.by == "row")
    first = np.flatnonzero(np.concatenate(([True], hashes[1:] != hashes[:-1])))
    lowest = np.repeat(labels[first], np.diff(np.append(first, whole)))  # equal rows that differ in label stay together
    inside = np.asarray(cuts.piece(placed, lowest) == part[0])
    assert counts.shape[0] == BUCKETS
    rows = [ShippedRows(pieces, encoding, class_weights, cap=cap, chosen=chosen) for chosen in (~inside, inside)]
    return rows[0], rows[1]
