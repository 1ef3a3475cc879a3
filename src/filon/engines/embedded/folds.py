"""Handles on the folds that the spool keeps: blocks in canonical order, unions, caps and parts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from filon.engines.base import FoldInfo, FoldName, SplitPlan
from filon.engines.embedded.spool import FoldFile, block_rows, canonical
from filon.engines.folding import PART_SALT, Cuts, count_buckets, cut, trainable
from filon.engines.trainer.rows import Block
from filon.rows.encode import Encoding
from filon.rows.hash import BUCKETS, buckets

Codes = Mapping[int, np.ndarray]
"""By category feature: float32 rank of each code of the spool, and NaN at the end for missing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Some consecutive rows as they are on disk (category codes already ranks). `weight` is None without a weight column."""

    x: np.ndarray
    label: np.ndarray
    hash: np.ndarray
    member: np.ndarray
    weight: np.ndarray | None

    def some(self, chosen: np.ndarray) -> "Rows":
        """The rows chosen by a mask or an order."""
        weight = None if self.weight is None else self.weight[chosen]
        return Rows(
            x=self.x[chosen] if len(self.x) else self.x,
            label=self.label[chosen],
            hash=self.hash[chosen],
            member=self.member[chosen],
            weight=weight,
        )

    def first(self, rows: int) -> "Rows":
        """The first rows."""
        weight = None if self.weight is None else self.weight[:rows]
        return Rows(x=self.x[:rows], label=self.label[:rows], hash=self.hash[:rows], member=self.member[:rows], weight=weight)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Part:
    """One part of n of a fold, or all but it."""

    cuts: Cuts
    number: int
    seed: int
    inside: bool

    def chosen(self, rows: Rows, lowest: np.ndarray) -> np.ndarray:
        """Mask of the rows that belong: (rows,) bool. `lowest` : the lowest label of the rows with the same hash."""
        return np.asarray((self.cuts.piece(buckets(rows.member, self.seed), lowest) == self.number) == self.inside)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedFold:
    """A fold or a union of folds: opaque to the stages, `FoldRows` to the trainer."""

    names: tuple[FoldName, ...]
    files: tuple[FoldFile, ...]
    encoding: Encoding
    codes: Codes
    class_weights: tuple[float, ...]
    cap: int = 0
    part: Part | None = None
    counted: int = -1

    @property
    def rows(self) -> int:
        """Rows that `blocks` gives."""
        if self.part is not None:
            return self.counted
        rows = sum(file.rows for file in self.files)
        return min(rows, self.cap) if self.cap else rows

    def blocks(self) -> Iterator[Block]:
        """For the trainer: see `FoldRows`."""
        ones = np.ones(0, np.float32)
        for rows in self.each():
            if rows.weight is None and len(ones) < len(rows.label):
                ones = np.ones(len(rows.label), np.float32)
            yield Block(x=rows.x, label=rows.label, weight=ones[: len(rows.label)] if rows.weight is None else rows.weight)

    def each(self, *, x: bool = True) -> Iterator[Rows]:
        """Rows in canonical order, block by block; a block is overwritten by the next one. Without `x` its features are empty."""
        left, lowest = self.cap or sum(file.rows for file in self.files), Lowest()
        for rows in _one(self.files[0], x) if len(self.files) == 1 else _merged(self.files, x):
            some = rows if len(rows.label) <= left else rows.first(left)
            left -= len(some.label)
            for place, ranks in self.codes.items() if x else ():
                column = some.x[:, place]
                column[:] = ranks[np.where(np.isnan(column), len(ranks) - 1, column).astype(np.int64)]
            if self.part is not None:
                some = some.some(self.part.chosen(some, lowest.of(some.hash, some.label)))
            if len(some.label):
                yield some
            if not left:
                return

    def capped(self, rows: int) -> "EmbeddedFold":
        """The rows with the lowest hashes (0: all)."""
        return replace(self, cap=rows)

    def parted(self, number: int, parts: int, plan: SplitPlan) -> "tuple[EmbeddedFold, EmbeddedFold]":
        """The rows outside and inside of one part (from 0) of n: what is fitted on, and what is scored."""
        seed = plan.seed + PART_SALT
        counts = np.zeros((BUCKETS, len(self.encoding.classes)), np.int64)
        for rows in self.each(x=False):
            counts += count_buckets(buckets(rows.member, seed), rows.label, counts.shape[1])
        cuts = cut(counts, (1 / parts,) * parts, stratify=plan.stratify and plan.by == "row")
        both = [self._with_part(Part(cuts=cuts, number=number, seed=seed, inside=inside)) for inside in (False, True)]
        return both[0], both[1]

    def _with_part(self, part: Part) -> "EmbeddedFold":
        lowest = Lowest()
        counted = sum(int(part.chosen(rows, lowest.of(rows.hash, rows.label)).sum()) for rows in self.each(x=False))
        return replace(self, part=part, counted=counted)


class Lowest:
    """The lowest label of all rows with the same hash, in blocks of canonical order: equal rows that differ in label stay together."""

    def __init__(self) -> None:
        self._hash, self._label = np.uint64(0), -1

    def of(self, hashes: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Labels are ascending among equal hashes, so the first one counts, also when it was in the block before. (rows,) int32."""
        if not len(hashes):
            return labels
        first = np.flatnonzero(np.concatenate(([True], hashes[1:] != hashes[:-1])))
        lowest = labels[first]
        if self._label >= 0 and hashes[0] == self._hash:
            lowest[0] = self._label
        self._hash, self._label = hashes[-1], int(lowest[-1])
        return np.repeat(lowest, np.diff(np.append(first, len(labels))))


def _one(file: FoldFile, x: bool) -> Iterator[Rows]:
    """Blocks of one fold, into one buffer."""
    most = min(block_rows(file.features), max(1, file.rows))
    buffer = np.empty((most, file.features), np.float32) if x else np.empty((0, file.features), np.float32)
    for start in range(0, file.rows, most):
        yield _read(file, start, min(start + most, file.rows), buffer, x)


def _merged(files: Sequence[FoldFile], x: bool) -> Iterator[Rows]:
    """Blocks of several folds in one canonical order: group by group of hash parts, which are the same in each fold."""
    starts, width = [0] * len(files), files[0].features
    most = block_rows(width)
    largest = max(sum(ends) - sum(before) for before, ends in pairwise([tuple(starts), *zip(*(file.ends for file in files), strict=True)]))
    buffer = np.empty((largest if x else 0, width), np.float32)
    gathered = np.empty((most if x else 0, width), np.float32)
    for ends in zip(*(file.ends for file in files), strict=True):
        blocks, filled = [], 0
        for file, start, end in zip(files, starts, ends, strict=True):
            blocks.append(_read(file, start, end, buffer[filled:], x))
            filled += end - start
        starts = list(ends)
        weight = None if blocks[0].weight is None else np.concatenate([block.weight for block in blocks if block.weight is not None])
        hashes, labels, members = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("hash", "label", "member"))
        order, _ = canonical(hashes, labels, weight)
        for begin in range(0, len(order), most):
            chosen = order[begin : begin + most]
            yield Rows(
                x=np.take(buffer, chosen, axis=0, out=gathered[: len(chosen)], mode="clip") if x else gathered,
                label=labels[chosen],
                hash=hashes[chosen],
                member=members[chosen],
                weight=None if weight is None else weight[chosen],
            )


def _read(file: FoldFile, start: int, stop: int, buffer: np.ndarray, x: bool) -> Rows:
    hashes = file.read("hash", start, stop)
    return Rows(
        x=file.read_x(start, stop, buffer) if x else buffer,
        label=file.read("label", start, stop),
        hash=hashes,
        member=file.read("member", start, stop) if "member" in file.columns else hashes,
        weight=file.read("weight", start, stop) if "weight" in file.columns else None,
    )


@dataclass(slots=True, kw_only=True, eq=False)
class EmbeddedFolds:
    """The split table. `left_out` counts the rows in no fold by reason ("label-missing", "label-unknown")."""

    plan: SplitPlan
    encoding: Encoding
    info: Mapping[FoldName, FoldInfo]
    class_weights: tuple[float, ...]
    left_out: Mapping[str, int]
    _files: Mapping[FoldName, FoldFile]
    _codes: Codes
    _test_codes: Codes
    _openings: list[str] = field(default_factory=list)

    def fold(self, *names: Literal["train", "valid"]) -> EmbeddedFold:
        """Training, validation, or both as one.

        Raises
        ------
        ValueError : the test fold, or none, was asked for: `open_test` is its only door (law 3)
        """
        return self._handle(trainable(names), self._codes)

    def open_test(self, reason: str) -> EmbeddedFold:
        """The test fold; each opening is recorded (law 3)."""
        self._openings.append(reason)
        return self._handle(("test",), self._test_codes)

    @property
    def openings(self) -> tuple[str, ...]:
        """Reasons for which the test fold was opened, in order."""
        return tuple(self._openings)

    def _handle(self, names: tuple[FoldName, ...], codes: Codes) -> EmbeddedFold:
        files = tuple(self._files[name] for name in names)
        return EmbeddedFold(names=names, files=files, encoding=self.encoding, codes=codes, class_weights=self.class_weights)
